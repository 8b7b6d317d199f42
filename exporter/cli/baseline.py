"""The commands about reference data: build a baseline, look at it, hold two against each other, propose a schema."""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from exporter.cli.common import ConfigPath, named_model, write_whole
from exporter.config import load_config, parse_duration
from exporter.errors import ConfigError

if TYPE_CHECKING:
    from exporter.baseline import Baseline

baseline_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Reference data and the baselines made from it."
)

WIDE = 240  # characters; a file or a pager has no width of its own


class Form(StrEnum):
    """How baselines are printed."""

    table = "table"
    json = "json"


@baseline_app.command("build")
def baseline_build(
    config: ConfigPath,
    model: Annotated[str, typer.Option(help="The model's name in the configuration.")],
    data: Annotated[Path, typer.Option(help="Reference data: Parquet or CSV in the record format's columns.")],
    out: Annotated[Path, typer.Option(help="The baseline file to write.")],
    categorical: Annotated[list[str], typer.Option(help="A feature to take as categories whatever its type.")] = [],  # noqa: B006 - typer reads it only
    schema: Annotated[
        Path | None, typer.Option(help="Kinds, ranges and categories, as `baseline schema` has it.")
    ] = None,
) -> None:
    """Make a versioned baseline file from reference data."""
    from exporter.reference import build_baseline, read_reference
    from exporter.reference_schema import load_schema
    from exporter.reference_spreads import told

    if schema is not None and categorical:
        raise typer.BadParameter(
            "a schema says it of every feature; set kind: category there", param_hint="--categorical"
        )

    settings = load_config(config)
    chosen = named_model(settings, model, str(config))
    windows = [parse_duration(window) for window in settings.evaluation.windows]
    known, reference = None if schema is None else load_schema(schema), read_reference(data)
    baseline = build_baseline(chosen, reference, time.time(), categorical, windows, known)
    write_whole(out, baseline.to_json())
    rows, features = baseline.provenance.rows, len(baseline.features)
    typer.echo(f"{out}: baseline {baseline.fingerprint} of {model}, {rows} rows, {features} features", err=True)
    for line in _taken(baseline, reference.table):
        typer.echo(line, err=True)
    typer.echo(told(chosen, baseline), err=True)


def _taken(baseline: "Baseline", table: Any) -> Iterator[str]:
    """What each feature of the data was taken for."""
    from exporter.baseline_show import brief, summary
    from exporter.reference_schema import OUTPUTS, feature_arrays

    taken = {feature["name"]: feature for feature in summary(baseline, "")["features"]}
    for name in sorted(feature_arrays(table)):
        reason = "a model's own output or label is no feature" if name in OUTPUTS else "the schema ignores it"
        yield f"  {name}: {brief(taken[name]) if name in taken else f'left out, {reason}'}"


@baseline_app.command("schema")
def baseline_schema(
    data: Annotated[Path, typer.Option(help="Reference data: Parquet or CSV in the record format's columns.")],
    out: Annotated[Path, typer.Option(help="The schema file to write, for a person to edit.")],
) -> None:
    """Propose kinds, ranges and categories from data, with reasons; `build --schema` obeys the edited file."""
    from exporter.reference import read_reference
    from exporter.reference_proposal import propose, to_yaml

    if out.exists():
        raise ConfigError(f"--out {out}", ["is there already, and may be edited; give another name, or remove it"])
    reference = read_reference(data)
    proposals = propose(reference.table, reference.source)
    write_whole(out, to_yaml(proposals, reference.source, reference.table.num_rows))
    typer.echo(f"{out}: {len(proposals)} features; read and edit it, then build with --schema {out}", err=True)


@baseline_app.command("show")
def baseline_show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A baseline file.")],
    form: Annotated[Form, typer.Option("--format")] = Form.table,
) -> None:
    """Print what a baseline holds: provenance, features, performance, usual ranges."""
    from exporter.baseline import read_baseline
    from exporter.baseline_show import summary, tables

    found = summary(read_baseline(file), str(file))
    _print(found, tables(found), form)


@baseline_app.command("diff")
def baseline_diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="A baseline file.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    form: Annotated[Form, typer.Option("--format")] = Form.table,
) -> None:
    """Print what differs between two baselines; exit status 0 when nothing does, 1 when something does."""
    from exporter.baseline import read_baseline
    from exporter.baseline_diff import difference, tables

    found = difference(read_baseline(before), read_baseline(after))
    _print(found, tables(found, (str(before), str(after))), form)
    raise typer.Exit(0 if found["equal"] else 1)


def _print(found: Mapping[str, Any], tables: Iterable[Any], form: Form) -> None:
    """To standard output; tables are as wide as the terminal, or as they need where there is none."""
    if form is Form.json:
        typer.echo(json.dumps(found, indent=1))
        return
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else WIDE, markup=False, highlight=False)
    for table in tables:
        console.print(table)
