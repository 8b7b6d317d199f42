"""`prediction-alerting`: rules, routes and runbook from the configuration; and the responder.

Exit status 0 done, 1 failed or stale, 2 wrong usage or configuration; messages on standard error.
"""

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from alerting import build as builder
from exporter.config import Config, load_config
from exporter.errors import PredictionExporterError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.callback()
def _program() -> None:
    """Prometheus rules, Alertmanager routes and their runbook; and the responder to what they tell."""


class Format(StrEnum):
    """What is built."""

    FILES = "files"
    PROMETHEUSRULE = "prometheusrule"
    ARM = "arm"


@app.command()
def build(
    config: Annotated[Path, typer.Option(help="The exporter's configuration file.")],
    out: Annotated[Path, typer.Option(help="Folder of the generated files; of one file, its path, or - to print it.")],
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            help="files: rules.yml, alertmanager.yml and the runbook. The rules alone, prometheusrule: as a Kubernetes "
            "object; arm: as an Azure template of managed-Prometheus rule groups.",
        ),
    ] = Format.FILES,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if a file there is stale.")] = False,  # noqa: FBT002 - typer's way to declare a flag
) -> None:
    """Write rules.yml, alertmanager.yml, runbook.md and runbook.html, or the rules in another form."""
    printed = out == Path("-")
    if printed and (check or form is Format.FILES):
        raise typer.BadParameter("standard output takes one file, and has none to check; give a path")
    files = _files(load_config(config), out, form)
    if printed:
        typer.echo(files[out], nl=False)
    elif not check:
        builder.write(files)
        typer.echo("\n".join(map(str, files)))
    elif stale := builder.stale(files):
        command = ["prediction-alerting", "build", "--config", str(config), "--out", str(out)]
        more = [] if form is Format.FILES else ["--format", form]
        for path in stale:
            typer.echo(f"{path}: stale; run `{shlex.join([*command, *more])}`", err=True)
        raise typer.Exit(1)


def _files(config: Config, out: Path, form: Format) -> dict[Path, str]:
    if form is Format.FILES:
        return {out / name: text for name, text in builder.generated(config).items()}
    return {out: builder.single(config, form)}


@app.command()
def respond(
    config: Annotated[Path | None, typer.Option(help="The responder's own configuration file.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only name every problem of the file.")] = False,  # noqa: FBT002 - typer's way to declare a flag
    schema: Annotated[bool, typer.Option("--schema", help="Print the file's JSON Schema instead.")] = False,  # noqa: FBT002 - typer's way to declare a flag
) -> None:
    """Receive Alertmanager's webhooks; open tickets, start retrainings and roll back."""
    import logging

    from alerting.responder.server import respond as serve
    from alerting.responder.settings import load_settings, settings_schema
    from exporter.config.load import schema_text

    if schema:
        typer.echo(schema_text(settings_schema()), nl=False)
        return
    if config is None:
        raise typer.BadParameter("give the responder's configuration file", param_hint="--config")
    settings = load_settings(config)
    if check:
        typer.echo(f"{config}: fine; {'dry run' if settings.dry_run else 'it acts'}")
        return
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    serve(settings)


def main() -> None:
    """Run the command line; problems become messages and an exit status."""
    try:
        app()
    except PredictionExporterError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(error.exit_status) from error
    except OSError as error:
        typer.echo(f"{error.filename}: {error.strerror}; check the path and its permissions", err=True)
        raise SystemExit(1) from error
