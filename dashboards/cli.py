"""`prediction-dashboards`: the command line. Exit status 0 done, 1 failed or stale, 2 wrong usage or configuration."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from dashboards import build as builder
from exporter.config import load_config
from exporter.errors import PredictionExporterError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.callback()
def _program() -> None:
    """Grafana dashboards as code, from the exporter's configuration."""


@app.command()
def build(
    config: Annotated[Path, typer.Option(help="The exporter's configuration file.")],
    out: Annotated[Path, typer.Option(help="Folder of the generated JSON files.")] = Path("dashboards/generated"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if a file is not up to date.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Write the dashboards of a configuration as JSON."""
    settings = load_config(config)
    paths = builder.check(settings, out) if check else builder.write(settings, out)
    for path in paths:
        typer.echo(f"{path}: {'up to date' if check else 'written'}")


def main() -> None:
    """Run the command; problems go to standard error as sentences."""
    try:
        app()
    except PredictionExporterError as error:
        typer.echo(f"prediction-dashboards: {error}", err=True)
        sys.exit(error.exit_status)
