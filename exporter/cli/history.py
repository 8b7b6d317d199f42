"""The commands about the past: `backfill` makes it, `backtest` holds rules against it."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from exporter.cli.common import ConfigPath
from exporter.config import load_config, parse_duration
from exporter.errors import ConfigError

LogPaths = Annotated[list[str], typer.Option("--log", help="Files, globs, directories or URLs; may be repeated.")]
Start = Annotated[str, typer.Option(help="The first instant: Unix seconds or RFC 3339.")]
End = Annotated[str, typer.Option(help="The last instant, at least 3 hours ago.")]
Step = Annotated[str, typer.Option(help="Time between two instants.")]
Out = Annotated[Path, typer.Option(help="An empty or new folder for the OpenMetrics files.")]
Blocks = Annotated[Path | None, typer.Option(help="Let promtool make blocks in this folder too.")]
Labels = Annotated[list[str], typer.Option("--label", help="NAME=VALUE on every series, as job and instance have.")]


def backfill(
    config: ConfigPath,
    log: LogPaths,
    start: Start,
    end: End,
    out: Out,
    step: Step = "1h",
    blocks: Blocks = None,
    label: Labels = ["job=prediction-exporter"],  # noqa: B006 - typer reads it only
) -> None:
    """Write the metrics of past instants as OpenMetrics, for Prometheus to take in."""
    from exporter.history.backfill import backfill as write
    from exporter.history.backfill import snapshots
    from exporter.history.openmetrics import Lines, create_blocks
    from exporter.history.replay import Grid
    from exporter.monitor import Monitor

    now = time.time()
    monitor = Monitor.load(load_config(config), str(config))
    grid = Grid.of(monitor, instant(start, "--start"), _past(end, now), parse_duration(step))
    lines = Lines(_empty(out), _labels(label), parse_duration(step))
    latest = now + parse_duration(monitor.config.limits.future)
    failures = write(snapshots(monitor, log, grid, latest), lines, lambda _: None)
    if blocks is not None:
        create_blocks(lines.files, blocks, lines.hours)
    typer.echo(f"{out}: {lines.samples} samples of {len(grid.instants)} instants in {len(lines.files)} files", err=True)
    for failure in failures:
        typer.echo(f"{failure.model}: {failure.statistic} failed: {failure.error!r}", err=True)
    if failures:
        raise typer.Exit(1)


def instant(text: str, option: str) -> float:
    """Unix seconds of a time that a person gave."""
    from exporter.ingest.ndjson import timestamp

    if not math.isfinite(ts := timestamp(text)):
        raise typer.BadParameter(f"{text!r} is no time; give Unix seconds or RFC 3339", param_hint=option)
    return ts


def _past(text: str, now: float) -> float:
    from exporter.history.backfill import PROMETHEUS_HEAD

    end = instant(text, "--end")
    if end > now - PROMETHEUS_HEAD:
        problem = "lies in the last 3 hours, which Prometheus still writes itself; give an earlier time"
        raise ConfigError(f"--end {text}", [problem])
    return end


def _empty(folder: Path) -> Path:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"--out {folder}", ["is there already; give an empty or new folder"])
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _labels(pairs: Sequence[str]) -> dict[str, str]:
    wrong = [pair for pair in pairs if not pair.partition("=")[0].isidentifier() or "=" not in pair]
    if wrong:
        raise ConfigError("--label", [f"{pair!r} is no NAME=VALUE" for pair in wrong])
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}
