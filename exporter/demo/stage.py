"""The servers of the demo: the exporter, and Prometheus, Alertmanager and the responder where they are installed.

In comes a prepared workspace; out come running servers, and the text that tells where to look.
"""

import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

import pandas as pd

from exporter import names
from exporter.config import load_config
from exporter.demo.flights import MODEL_NAME
from exporter.demo.processes import LOOPBACK, Server, Servers, find_program, free_port
from exporter.demo.workspace import Workspace, write_reference
from exporter.errors import PredictionExporterError

PROGRAM, ALERTING_PROGRAM = "prediction-exporter", "prediction-alerting"

EXPORTER_PORT, PROMETHEUS_PORT, ALERTMANAGER_PORT, RESPONDER_PORT = 9750, 9090, 9093, 9751
"""The servers' usual ports; where one is taken, any free one serves."""

ALERTMANAGER = ("alertmanager", "prometheus-alertmanager")
"""Debian calls Alertmanager by the longer name."""

_GET_THEM = (
    "To see alerts, put `prometheus` and `alertmanager` on PATH: Debian and Ubuntu have them as packages "
    "(apt install prometheus prometheus-alertmanager), Homebrew has prometheus, and https://prometheus.io/download/ "
    "has both."
)


@dataclass(frozen=True)
class Stage:
    """The servers that run; Prometheus and Alertmanager only where they are installed."""

    servers: Servers
    exporter: Server
    prometheus: Server | None
    alertmanager: Server | None
    responder: Server | None
    """In a dry run, and only where Alertmanager tells it of alerts."""
    window: str
    """The window whose drift alerts look at."""


def ensure_baseline(config: Path, scored: pd.DataFrame) -> None:
    """As `build_baseline`, unless the baseline is there already: an exporter may be reading it."""
    settings = load_config(config)
    if not settings.resolve(settings.model(MODEL_NAME).baseline).exists():
        build_baseline(config, scored)


def build_baseline(config: Path, scored: pd.DataFrame) -> None:
    """Run `prediction-exporter baseline build` on January, to where `config` expects it; its message when it fails."""
    settings = load_config(config)
    baseline = settings.resolve(settings.model(MODEL_NAME).baseline)
    baseline.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        january = write_reference(scored, Path(folder) / "january.parquet")
        options = ["--config", config, "--model", MODEL_NAME, "--data", january, "--out", baseline]
        command = [*own_program(), "baseline", "build", *map(str, options)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PredictionExporterError(f"{' '.join(command)} failed with status {done.returncode}:\n{done.stderr}")


def start_servers(servers: Servers, work: Workspace) -> Stage:
    """Start what is installed, in the order in which each finds the one it talks to."""
    port = free_port(PROMETHEUS_PORT)
    exporter = start_exporter(servers, work.config, free_port(EXPORTER_PORT))
    responder = _start_told_responder(servers, work, exporter, port) if find_program(*ALERTMANAGER) else None
    alertmanager = start_alertmanager(servers, work.routes, free_port(ALERTMANAGER_PORT))
    work.point_prometheus(exporter.address, _address(alertmanager), _address(responder))
    prometheus = start_prometheus(servers, work.prometheus, port)
    window = load_config(work.config).model(MODEL_NAME).drift.window
    return Stage(servers, exporter, prometheus, alertmanager, responder, window)


def _start_told_responder(servers: Servers, work: Workspace, exporter: Server, prometheus: int) -> Server:
    """A responder that Alertmanager's configuration names; Prometheus will listen on the port `prometheus`."""
    port = free_port(RESPONDER_PORT)
    work.point_responder(f"{LOOPBACK}:{port}", exporter.address, f"{LOOPBACK}:{prometheus}")
    return start_responder(servers, work.responder, port)


def _address(server: Server | None) -> str | None:
    return server.address if server else None


def start_exporter(servers: Servers, config: Path, port: int) -> Server:
    """`prediction-exporter serve` with `config`, ready."""
    address = f"{LOOPBACK}:{port}"
    command: list[str | Path] = [*own_program(), "serve", "--config", config, "--web.listen-address", address]
    return servers.start("prediction-exporter", command, f"http://{address}", ready="/-/ready")


def start_alertmanager(servers: Servers, config: Path, port: int) -> Server | None:
    """Alertmanager with `config`, ready; None where it is not installed."""
    program = find_program(*ALERTMANAGER)
    if program is None:
        return None
    address = f"{LOOPBACK}:{port}"
    data = servers.folder / "alertmanager"
    listen = ["--web.listen-address", address, "--cluster.listen-address", ""]  # one alone needs no cluster
    command: list[str | Path] = [program, "--config.file", config, "--storage.path", data, *listen]
    return servers.start("alertmanager", command, f"http://{address}", ready="/-/ready")


def start_prometheus(servers: Servers, config: Path, port: int) -> Server | None:
    """Prometheus with `config`, ready; None where it is not installed."""
    program = find_program("prometheus")
    if program is None:
        return None
    address = f"{LOOPBACK}:{port}"
    data = servers.folder / "prometheus"
    command: list[str | Path] = [
        program,
        "--config.file",
        config,
        "--storage.tsdb.path",
        data,
        "--web.listen-address",
        address,
    ]
    return servers.start("prometheus", command, f"http://{address}", ready="/-/ready")


def start_responder(servers: Servers, config: Path, port: int) -> Server:
    """`prediction-alerting respond` with `config`, which has it listen on `port`; ready."""
    command: list[str | Path] = [*own_program(ALERTING_PROGRAM), "respond", "--config", config]
    return servers.start("responder", command, f"http://{LOOPBACK}:{port}", ready="/-/ready")


def own_program(name: str = PROGRAM) -> list[str]:
    """One of our commands, as the Python that runs this has it, else the one on PATH."""
    here = shutil.which(name, path=sysconfig.get_path("scripts")) or find_program(name)
    if here is None:
        raise PredictionExporterError(f"the command {name} is not on PATH: put it there, or run its own Python")
    return [here]


def invitation(stage: Stage, work: Workspace) -> str:
    """What to open, or how to get what is missing."""
    lines = [
        f"Exporter      {stage.exporter.url}/",
        f"Metrics       {stage.exporter.url}/metrics",
    ]
    if stage.prometheus:
        lines.append(f"Prometheus    {stage.prometheus.url}/graph?{_query(stage.window)}")
    if stage.alertmanager:
        lines.append(f"Alertmanager  {stage.alertmanager.url}/#/alerts")
    if stage.responder:
        lines.append(f"Responder     {stage.responder.url}/ (dry run; the token is in {work.secrets / 'page'})")
    if not (stage.prometheus and stage.alertmanager):
        lines.append(_GET_THEM)
    return "\n".join([*lines, f"Server logs   {work.servers}", "Ctrl-C ends all of it."])


def _query(window: str) -> str:
    drift = f'{names.FEATURE_DRIFT_SCORE.name}{{{names.METHOD}="psi",{names.WINDOW}="{window}"}}'
    return urlencode({"g0.expr": drift, "g0.tab": 0, "g0.range_input": "5m"})
