"""`init`: a few questions, or flags and reference data, and a commented configuration to start from."""

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from exporter.errors import ConfigError, PredictionExporterError


class TaskName(StrEnum):
    """What a model predicts."""

    binary = "binary"
    multiclass = "multiclass"
    regression = "regression"


def init(
    data: Annotated[Path | None, typer.Option(help="Reference data, Parquet or CSV, which tells defaults.")] = None,
    out: Annotated[Path, typer.Option(help="The configuration file to write.")] = Path("prediction-exporter.yml"),
    model: Annotated[str | None, typer.Option(help="The model's name, as its records say it.")] = None,
    task: Annotated[TaskName | None, typer.Option(help="What it predicts.")] = None,
    log: Annotated[str | None, typer.Option(help="Where records are: a file, glob, folder or URL.")] = None,
    positive_label: Annotated[str | None, typer.Option(help="Binary: the class that scores are of.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: flags, else what the data tell.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Ask a few questions, and write a commented configuration to start from."""
    from exporter.first_config import LOG, Guesses, first_config, guessed, to_yaml
    from exporter.reference import read_reference

    if out.exists():
        raise _exists(out)
    if data is None and not yes:
        data = _asked_file()
    told = Guesses() if data is None else guessed(read_reference(data).table)
    ask = _told if yes else _asked
    name = model or ask("Name of the model", "--model", told.name)
    kind = task or TaskName(ask("What it predicts", "--task", told.task, TaskName))
    positive = positive_label or told.positive_label or ""
    if kind is TaskName.binary and positive_label is None:
        positive = ask("Label of the positive class", "--positive-label", told.positive_label)
    place = log or ask("Where its records are logged", "--log", LOG)
    config = first_config(name, kind, place, positive, "the answers")
    _write_new(out, to_yaml(config))
    for line in _next(out, config.models[0].name, data, out.parent / config.models[0].baseline):
        typer.echo(line)


def _asked_file() -> Path | None:
    answer = typer.prompt("Reference data, Parquet or CSV (empty: none yet)", default="", show_default=False, err=True)
    return Path(answer) if answer else None


def _asked(question: str, _flag: str, default: str | None, kind: type[str] = str) -> str:
    """What a person answers; an answer that is no `kind` is asked for again."""
    return str(typer.prompt(question, default=default, type=kind, err=True))


def _told(_question: str, flag: str, default: str | None, _kind: type[str] = str) -> str:
    """What the data tell, without a question; a usage error where they do not."""
    if default is None:
        raise typer.BadParameter("the data do not tell it, and --yes asks nothing; give it", param_hint=flag)
    return default


def _write_new(path: Path, text: str) -> None:
    """Write a file that must not be there yet."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        raise PredictionExporterError(f"--out {path}: {error.strerror}; give a file that can be written") from error


def _exists(path: Path) -> ConfigError:
    return ConfigError(f"--out {path}", ["is there already, and may be edited; give another name, or remove it"])


def _next(out: Path, model: str, data: Path | None, baseline: Path) -> list[str]:
    """What was done, and the two commands that come next."""
    reference = "REFERENCE.parquet" if data is None else str(data)
    build = ["baseline", "build", "--config", str(out), "--model", model, "--data", reference, "--out", str(baseline)]
    commands = (build, ["check-config", str(out)])
    return [f"{out}: written; next:", *(f"  {shlex.join(['prediction-exporter', *words])}" for words in commands)]
