"""The commands about the past: `backfill` makes it, `backtest` holds rules against it."""

import json
import math
import sys
import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from exporter.cli.common import ConfigPath, write_whole
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
    from exporter.history.openmetrics import create_blocks
    from exporter.history.replay import Grid
    from exporter.history.spans import Plan, write_history
    from exporter.monitor import Monitor

    now = time.time()
    monitor = Monitor.load(load_config(config), str(config))
    grid = Grid.of(monitor, instant(start, "--start"), _past(end, now), parse_duration(step))
    plan = Plan(monitor.config, str(config), grid, _empty(out), _labels(label), parse_duration(step))
    latest = now + parse_duration(monitor.config.limits.future)
    with typer.progressbar(length=len(grid.instants), label="instants", file=sys.stderr) as bar:
        written = write_history(plan, monitor, log, latest, bar.update)
    if blocks is not None:
        create_blocks(written.files, blocks, plan.lines().hours)
    told = f"{written.samples} samples of {len(grid.instants)} instants in {len(written.files)} files"
    typer.echo(f"{out}: {told}", err=True)
    for failure in written.failures:
        typer.echo(failure, err=True)
    if written.failures:
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


class Form(StrEnum):
    """How a backtest is printed."""

    table = "table"
    json = "json"


Rules = Annotated[list[Path], typer.Option("--rules", help="A rule file; may be repeated.")]
HistoryPath = Annotated[Path, typer.Option("--history", help="Blocks that backfill made.")]
Events = Annotated[Path | None, typer.Option("--events", help="YAML: what really happened, by name, start and end.")]
Budget = Annotated[
    float | None, typer.Option("--budget-pages-per-week", min=0, help="More pages than this end with status 1.")
]
Evaluated = Annotated[str, typer.Option("--evaluation-interval", help="Of rule groups that name none.")]
Picture = Annotated[Path | None, typer.Option("--picture", help="Write a timeline as SVG too.")]


def backtest(
    rules: Rules,
    history: HistoryPath,
    events: Events = None,
    budget: Budget = None,
    every: Evaluated = "1m",
    picture: Picture = None,
    form: Annotated[Form, typer.Option("--format")] = Form.table,
) -> None:
    """Tell when the alerts of a rule file would have fired over a history."""
    from exporter.history.backtest import backtest as run
    from exporter.history.backtest import load_events
    from exporter.history.picture import picture as drawn
    from exporter.history.report import summary, tables
    from exporter.history.rulefile import load_rules
    from exporter.history.server import serve_history

    known, named = load_rules(rules, parse_duration(every)), load_events(events)
    with serve_history(history) as bench:
        found = run(bench, known, named)
    if picture is not None:
        write_whole(picture, drawn(found))
    typer.echo(json.dumps(summary(found, budget), indent=1) if form is Form.json else tables(found, budget).rstrip())
    if budget is not None and found.pages_a_week > budget:
        typer.echo(f"{found.pages_a_week:.2f} pages a week, more than the budget of {budget:g}", err=True)
        raise typer.Exit(1)
