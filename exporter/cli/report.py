"""`report`: the exporter's pages as one file, at an instant or comparing two."""

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exporter.cli.common import ConfigPath, Instant, LogPaths, instant, write_whole
from exporter.config import load_config, parse_duration

if TYPE_CHECKING:
    from exporter.pages.seen import Seen

Other = Annotated[
    str | None, typer.Option("--compare", help="Another instant to hold --at against, as a rule earlier.")
]


class Form(StrEnum):
    """What a report is written as."""

    html = "html"
    markdown = "markdown"


def report(
    config: ConfigPath,
    log: LogPaths,
    out: Annotated[Path, typer.Option(help="The file to write.")],
    at: Instant = None,
    compare: Other = None,
    form: Annotated[
        Form, typer.Option("--format", help="A page that opens from disk, or text for a ticket.")
    ] = Form.html,
) -> None:
    """Write models, features and data quality as one file, at an instant or comparing two."""
    from importlib.metadata import version

    from exporter.pages import report as reports

    monitor = reports.SteppedMonitor.load(load_config(config), str(config))
    latest = time.time() + parse_duration(monitor.config.limits.future)

    def seen(moment: float | None) -> "Seen":
        from exporter.evaluate import evaluate

        return reports.seen_in(evaluate(monitor, log, moment, latest))

    other = instant(compare, "--compare")
    now, then = seen(instant(at)), None if other is None else seen(other)
    foot = f"From {', '.join(log)}; prediction_exporter {version('prediction-exporter')}."
    write = reports.html if form is Form.html else reports.markdown
    write_whole(out, write(now, then, foot))
    typer.echo(f"{out}: {len(now.scopes)} versions of {len(now.config.models)} models", err=True)
