"""Routes and inhibition: held against amtool, and against the labels that each alert was seen to fire with."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerting import build
from alerting.alert import Alert
from alerting.routes import INHIBITIONS, routes
from alerting.rules import alerts
from exporter.config import Config, load_config, parse_config
from exporter.errors import ConfigError

from .cases import CASES, MODEL, TARGET
from .promtool import COMMITTED, ROOT, SHIPPED, checked

REPLAY = load_config(ROOT / "deploy/flights/prediction-exporter.yml")
MODELS = "log: [{path: logs/}]\nmodels: [{name: churn, task: binary, baseline: churn.json}]\n"
CHANNELS = """
alerting:
  slack: {channel: "#models", api_url_file: /run/secrets/slack}
  email: {to: ml@example.com, sender: alerts@example.com, smarthost: "mail.example.com:587", username: alerts,
          password_file: /run/secrets/mail}
  pagerduty: {routing_key_file: /run/secrets/pagerduty}
  webhook: {url: "http://responder:9751/alerts", bearer_token_file: /run/secrets/responder}
"""
EVERYONE = parse_config(MODELS + CHANNELS)
ORDER = ("none", "info", "warning", "critical", "page")


def written(config: Config, folder: Path) -> Path:
    path = folder / "alertmanager.yml"
    path.write_text(build.generated(config)["alertmanager.yml"], encoding="utf-8")
    return path


def receivers(config: Config) -> dict[str, set[str]]:
    data: Any = routes(config)
    return {receiver["name"]: receiver.keys() - {"name"} for receiver in data["receivers"]}


@pytest.mark.parametrize("config", [COMMITTED, REPLAY, EVERYONE], ids=["production", "replay", "everyone"])
def test_amtool_accepts_the_configuration(config: Config, tmp_path: Path) -> None:
    assert "SUCCESS" in checked("amtool", "check-config", written(config, tmp_path))


def receiver_of(alert: Alert) -> str:
    return "heartbeat" if alert.name == "Watchdog" else "page" if alert.pages else alert.severity


def routed(path: Path, **labels: str) -> str:
    """The receivers that amtool finds for an alert of these labels."""
    told = (f"{label}={value}" for label, value in labels.items())
    return checked("amtool", "config", "routes", "test", f"--config.file={path}", *told).splitlines()[0]


ROUTED = {"everyone": EVERYONE, "production": COMMITTED, "replay": REPLAY}
SHIPPED_ROUTES = {"production": "alerting/generated", "replay": "deploy/flights/alerting"}


@pytest.mark.parametrize("name", ROUTED)
def test_every_alert_reaches_the_receiver_of_its_grade_and_every_route_has_its_alert(name: str, tmp_path: Path) -> None:
    config = ROUTED[name]
    path = ROOT / SHIPPED_ROUTES[name] / "alertmanager.yml" if name in SHIPPED_ROUTES else written(config, tmp_path)
    found = {}
    for alert in alerts(config):
        rule: Any = alert.rule(config.alerting)
        found[alert.name] = routed(path, **rule["labels"], alertname=alert.name, model_name="churn")
    assert found == {alert.name: receiver_of(alert) for alert in alerts(config)}
    tree = yaml.safe_load(path.read_text())
    taken = [route["receiver"] for route in tree["route"]["routes"]]
    assert sorted(taken) == sorted(set(found.values())), "a route that no alert takes, or two to one receiver"
    assert set(taken) == {receiver["name"] for receiver in tree["receivers"]}


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"alertname": "Unknown"}, "info"),
        ({"alertname": "Unknown", "severity": "none"}, "info"),
        ({"alertname": "Unknown", "severity": "warning", "page": "true"}, "warning"),
        ({"alertname": "Unknown", "severity": "critical", "page": "false"}, "critical"),
        ({"alertname": "Watchdog", "severity": "critical", "page": "true"}, "heartbeat"),
    ],
)
def test_what_no_rule_of_ours_sends_is_routed_too(tmp_path: Path, labels: dict[str, str], receiver: str) -> None:
    assert routed(written(EVERYONE, tmp_path), **labels) == receiver


def test_only_symptoms_page() -> None:
    assert {alert.name for alert in alerts(COMMITTED) if alert.pages} == {
        "PredictionFeatureBroken",
        "PredictionAccuracyBurnFast",
        "PredictionAvailabilityBurnFast",
        "PredictionLatencyBurnFast",
        "PredictionValidInputsBurnFast",
        "PredictionExporterAbsent",
        "PredictionExporterDown",
    }


def test_severities_add_channels() -> None:
    webhook, slack, email, pager = "webhook_configs", "slack_configs", "email_configs", "pagerduty_configs"
    assert receivers(EVERYONE) == {
        "heartbeat": {webhook},
        "info": {webhook, slack},
        "warning": {webhook, slack, email},
        "critical": {webhook, slack, email},
        "page": {webhook, slack, email, pager},
    }


def test_without_channels_a_receiver_is_only_a_name() -> None:
    assert receivers(COMMITTED) == {name: set() for name in ("heartbeat", "info", "warning", "critical", "page")}


def test_secrets_enter_by_the_name_of_their_file(tmp_path: Path) -> None:
    text = written(EVERYONE, tmp_path).read_text()
    for line in (
        "api_url_file: /run/secrets/slack",
        "auth_password_file: /run/secrets/mail",
        "routing_key_file: /run/secrets/pagerduty",
        "credentials_file: /run/secrets/responder",
    ):
        assert line in text


def test_a_relative_secret_is_refused_with_its_place_and_remedy() -> None:
    config = parse_config(MODELS + CHANNELS.replace("/run/secrets/", "secrets/"))
    with pytest.raises(ConfigError) as refused:
        routes(config)
    assert len(refused.value.problems) == 4
    assert refused.value.problems[0] == (
        "alerting.slack.api_url_file: secrets/slack is relative; "
        "give the absolute path that Alertmanager sees on its machine"
    )


def silenced(source: dict[str, str], target: dict[str, str]) -> bool:
    return any(
        source["alertname"] in rule.sources
        and target["alertname"] in rule.targets
        and all(source.get(label, "") == target.get(label, "") for label in rule.equal)
        for rule in INHIBITIONS
    )


RECOVERING = "PredictionFeatureRecovering"  # follows a page, and so hides nothing chronically
SEEN = {case.alert: case.labels for case in CASES}


def test_inhibition_names_only_alerts_that_exist_and_never_a_graver_one_than_its_source() -> None:
    for rule in INHIBITIONS:
        assert not set(rule.sources) & set(rule.targets)
        for source, target in product(set(rule.sources) - {RECOVERING}, rule.targets):
            assert ORDER.index(receiver_of(SHIPPED[source])) >= ORDER.index(receiver_of(SHIPPED[target])), rule


def test_the_end_of_a_broken_feature_silences_no_page() -> None:
    after = {target for rule in INHIBITIONS if RECOVERING in rule.sources for target in rule.targets}
    assert "PredictionDriftSevere" in after
    assert not any(SHIPPED[target].pages for target in after)


def test_labels_that_must_be_equal_exist_on_both_sides() -> None:
    for rule in INHIBITIONS:
        for alert in (*rule.sources, *rule.targets):
            assert set(rule.equal) <= SEEN[alert].keys(), (alert, rule.equal)


def test_no_chain_of_inhibitions_returns_to_its_start() -> None:
    edges = {pair for rule in INHIBITIONS for pair in product(rule.sources, rule.targets)}
    left = {name for edge in edges for name in edge}
    while ends := {name for name in left if not any(source == name and target in left for source, target in edges)}:
        left -= ends
    assert left == set()


FEATURE = {**MODEL, "window": "1d", "feature": "temp"}
ELSEWHERE = {**FEATURE, "feature": "dewp"}
OTHER_MODEL = {**FEATURE, "model_name": "other"}


@pytest.mark.parametrize(
    ("source", "target", "same", "expected"),
    [
        ("PredictionFeatureDriftSevere", "PredictionFeatureDriftModerate", FEATURE, True),
        ("PredictionFeatureDriftSevere", "PredictionFeatureDriftMinor", FEATURE, True),
        ("PredictionFeatureDriftModerate", "PredictionFeatureDriftMinor", FEATURE, True),
        ("PredictionFeatureDriftMinor", "PredictionFeatureDriftModerate", FEATURE, False),
        ("PredictionFeatureDriftSevere", "PredictionFeatureDriftModerate", ELSEWHERE, False),
        ("PredictionFeatureDriftSevere", "PredictionFeatureDriftModerate", OTHER_MODEL, False),
        ("PredictionDriftSevere", "PredictionDriftModerate", FEATURE, True),
        ("PredictionFeatureBroken", "PredictionFeatureDriftSevere", FEATURE | {"window": "7d"}, True),
        ("PredictionFeatureBroken", "PredictionFeatureDriftSevere", ELSEWHERE, False),
        ("PredictionFeatureBroken", "PredictionDriftSevere", FEATURE, True),
        ("PredictionFeatureBroken", "PredictionAucLow", OTHER_MODEL, False),
        ("PredictionFeatureBroken", RECOVERING, FEATURE | {"window": "7d"}, True),
        (RECOVERING, "PredictionFeatureBroken", FEATURE, False),
        (RECOVERING, "PredictionDriftSevere", FEATURE, True),
        (RECOVERING, "PredictionFeatureDriftSevere", ELSEWHERE, False),
        (RECOVERING, "PredictionAccuracyBurnFast", MODEL, False),
        ("PredictionFeatureIncomplete", "PredictionFeatureDriftModerate", FEATURE, True),
        ("PredictionFeatureIncomplete", "PredictionFeatureDriftSevere", FEATURE, False),
        ("PredictionInputsInvalid", "PredictionFeatureDriftModerate", ELSEWHERE, True),
        ("PredictionFeaturesMissing", "PredictionFeatureDriftModerate", FEATURE, False),
        ("PredictionFeatureDriftSevere", "PredictionDriftSevere", FEATURE, True),
        ("PredictionDriftSevere", "PredictionAccuracyLow", FEATURE, True),
        ("PredictionDriftSevere", "PredictionAccuracyBurnSlow", MODEL, True),
        ("PredictionDriftSevere", "PredictionAccuracyBurnFast", MODEL, False),
        ("PredictionFeatureBroken", "PredictionAccuracyBurnFast", MODEL, True),
        ("PredictionFeatureBroken", "PredictionAvailabilityBurnFast", MODEL, False),
        ("PredictionValidInputsBurnFast", "PredictionFeatureDriftSevere", ELSEWHERE, True),
        ("PredictionValidInputsBurnFast", "PredictionFeatureDriftSevere", OTHER_MODEL, False),
        ("PredictionValidInputsBurnFast", "PredictionValidInputsBurnSlow", MODEL, True),
        ("PredictionValidInputsBurnFast", "PredictionFeatureBroken", FEATURE, False),
        ("PredictionAvailabilityBurnFast", "PredictionErrorsHigh", MODEL, True),
        ("PredictionAvailabilityBurnFast", "PredictionErrorsHigh", OTHER_MODEL, False),
        ("PredictionAvailabilityBurnFast", "PredictionAvailabilityBurnSlow", MODEL, True),
        ("PredictionAvailabilityBurnFast", "PredictionLatencyBurnFast", MODEL, False),
        ("PredictionLatencyBurnFast", "PredictionLatencyHigh", MODEL, True),
        ("PredictionAccuracyBurnFast", "PredictionPerformanceBelowBaseline", FEATURE, True),
        ("PredictionRecordsStale", "PredictionOutcomesStale", TARGET | MODEL, True),
        ("PredictionExporterAbsent", "PredictionRecordsStale", TARGET | MODEL, True),
        ("PredictionExporterDown", "PredictionRecordsStale", TARGET | MODEL, True),
        ("PredictionExporterDown", "PredictionRecordsStale", MODEL | {"job": "a", "instance": "b"}, False),
    ],
)
def test_a_cause_silences_what_follows_from_it(source: str, target: str, same: dict[str, str], expected: bool) -> None:  # noqa: FBT001 - a column of the table
    there = {"alertname": source, **TARGET, **FEATURE}
    assert silenced(there, {"alertname": target, **TARGET, **same}) is expected


def test_repeats_are_whole_multiples_of_the_group_interval() -> None:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

    def seconds(text: str) -> int:
        return int(text[:-1]) * units[text[-1]]

    for config in (COMMITTED, REPLAY):
        route = yaml.safe_load(build.generated(config)["alertmanager.yml"])["route"]
        for child in (route, *route["routes"]):
            assert seconds(child["repeat_interval"]) % seconds(route["group_interval"]) == 0
