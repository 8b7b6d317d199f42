"""The command line. Exit status 0 done, 1 failed, 2 wrong usage or configuration; messages on standard error."""

import logging
import os
import signal
import sys
import threading
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from exporter.cli.baseline import baseline_app
from exporter.cli.common import ConfigPath, Instant, LogPaths, instant
from exporter.cli.explain import explain
from exporter.cli.history import backfill, backtest
from exporter.cli.init import init
from exporter.cli.report import report
from exporter.config import load_config, parse_duration
from exporter.errors import ConfigError, PredictionExporterError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, help=__doc__, pretty_exceptions_enable=False
)
app.command()(init)
app.add_typer(baseline_app, name="baseline")
app.command()(explain)
app.command()(report)
app.command()(backfill)
app.command()(backtest)

Listen = Annotated[list[str], typer.Option("--web.listen-address", help="[HOST]:PORT; may be repeated.")]
WebConfig = Annotated[
    Path | None, typer.Option("--web.config.file", help="TLS and users, as in Prometheus' exporter toolkit.")
]
Schema = Annotated[bool, typer.Option("--schema", help="Print the configuration's JSON Schema instead.")]


class Format(StrEnum):
    """What `evaluate` prints."""

    openmetrics = "openmetrics"
    json = "json"


class LogLevel(StrEnum):
    """How much `serve` says."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


@app.command("check-config")
def check_config(
    path: Annotated[Path | None, typer.Argument(metavar="FILE", show_default=False)] = None,
    schema: Schema = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Name every problem of a configuration with its path, or forecast its series."""
    from exporter.config.load import config_schema, schema_text
    from exporter.forecast import forecast_series
    from exporter.monitor import Monitor
    from exporter.reference_moments import told

    if schema:
        typer.echo(schema_text(config_schema()), nl=False)
        return
    if path is None:
        raise typer.BadParameter("give the configuration file", param_hint="FILE")
    config = load_config(path)
    monitor = Monitor.load(config, str(path))
    for warning in monitor.warnings():
        typer.echo(f"{path}: {warning}", err=True)
    series = forecast_series(monitor)
    if series > config.limits.series:
        problem = f"limits.series: about {series} series are to be expected, {config.limits.series} are allowed"
        raise ConfigError(str(path), [f"{problem}; raise the limit, or have fewer windows, methods or features"])
    typer.echo(f"{path}: fine; about {series} series for one version of each model")
    for line in filter(None, map(told, monitor.baselines.values())):
        typer.echo(line)


@app.command()
def serve(
    config: ConfigPath,
    listen: Listen = [":9750"],  # noqa: B006 - typer reads it only
    web_config: WebConfig = None,
    log_level: Annotated[LogLevel, typer.Option(help="What is written to standard error.")] = LogLevel.info,
) -> None:
    """Follow the log, compute, and serve /metrics."""
    from exporter.intake.pages import intake_routes
    from exporter.service import Exporter
    from exporter.web.app import create_app
    from exporter.web.listen import serve_app
    from exporter.web.toolkit import LiveWebConfig, parse_listen

    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    addresses = parse_listen(listen)
    live = LiveWebConfig(web_config) if web_config else None
    exporter = Exporter(config)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda *_: threading.Thread(target=exporter.reload).start())
    sys.setswitchinterval(0.0005)  # the default of 5 ms is what a scrape would wait for the reading thread
    try:
        routes = intake_routes(lambda: exporter.intake)
        application = create_app(exporter, runbook=_runbook(), more=routes)
        server = serve_app(application, addresses, live, admitting=[route.path for route in routes])
        exporter.start()
        stop.wait()
        server.stop()
    finally:
        exporter.stop()


@app.command()
def evaluate(
    config: ConfigPath,
    log: LogPaths,
    at: Instant = None,
    form: Annotated[Format, typer.Option("--format")] = Format.openmetrics,
) -> None:
    """Print the metrics at an instant, computed from the log alone."""
    from exporter.evaluate import evaluate as compute
    from exporter.monitor import Monitor

    monitor = Monitor.load(load_config(config), str(config))
    latest = time.time() + parse_duration(monitor.config.limits.future)
    snapshot = compute(monitor, log, instant(at), latest).snapshot()
    for failure in snapshot.failures:
        typer.echo(f"{failure.model}: {failure.statistic} failed: {failure.error!r}", err=True)
    sys.stdout.write(_printed(snapshot, form))
    if snapshot.failures:
        raise typer.Exit(1)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its files.")] = Path(".demo"),
    traffic: Annotated[Path | None, typer.Option(help="Only replay traffic into this folder.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="With --traffic: build the baseline that this file names.")
    ] = None,
) -> None:
    """The NYC flights story, end to end: drift, decay and alerts on a real year."""
    from exporter.demo.story import run_demo

    seconds = os.environ.get("DEMO_SECONDS")
    raise typer.Exit(run_demo(folder, seconds=float(seconds) if seconds else None, traffic=traffic, config=config))


def main() -> None:
    """Run the command line; errors that a person can act on end without a traceback."""
    try:
        app(standalone_mode=True)
    except PredictionExporterError as error:
        typer.echo(f"{error}", err=True)
        sys.exit(error.exit_status)
    except BrokenPipeError:  # whoever read standard output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _printed(snapshot: Any, form: Format) -> str:
    from exporter.collector import render, to_json

    return to_json(snapshot.samples) if form is Format.json else render(snapshot.samples)[1].decode()


def _runbook() -> bytes | None:
    from importlib.resources import files

    page = files("alerting").joinpath("generated/runbook.html")
    return page.read_bytes() if page.is_file() else None
