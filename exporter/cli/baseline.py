"""The commands about reference data: build a baseline, look at it, hold two against each other, propose a schema."""

import time
from pathlib import Path
from typing import Annotated

import typer

from exporter.cli.common import ConfigPath, named_model, write_whole
from exporter.config import load_config, parse_duration

baseline_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Reference data and the baselines made from it."
)


@baseline_app.command("build")
def baseline_build(
    config: ConfigPath,
    model: Annotated[str, typer.Option(help="The model's name in the configuration.")],
    data: Annotated[Path, typer.Option(help="Reference data: Parquet or CSV in the record format's columns.")],
    out: Annotated[Path, typer.Option(help="The baseline file to write.")],
    categorical: Annotated[list[str], typer.Option(help="A feature to take as categories whatever its type.")] = [],  # noqa: B006 - typer reads it only
) -> None:
    """Make a versioned baseline file from reference data."""
    from exporter.reference import build_baseline, read_reference
    from exporter.reference_spreads import told

    settings = load_config(config)
    chosen = named_model(settings, model, str(config))
    windows = [parse_duration(window) for window in settings.evaluation.windows]
    baseline = build_baseline(chosen, read_reference(data), time.time(), categorical, windows)
    write_whole(out, baseline.to_json())
    rows, features = baseline.provenance.rows, len(baseline.features)
    typer.echo(f"{out}: baseline {baseline.fingerprint} of {model}, {rows} rows, {features} features", err=True)
    typer.echo(told(chosen, baseline), err=True)
