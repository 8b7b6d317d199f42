"""What several commands need: the configuration's option, its models by name, files written whole."""

import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from exporter.config import Config, Model
from exporter.errors import ConfigError, PredictionExporterError

ConfigPath = Annotated[Path, typer.Option("--config", help="The configuration file.")]
LogPaths = Annotated[list[str], typer.Option("--log", help="Files, globs, directories or URLs; may be repeated.")]
Instant = Annotated[
    str | None, typer.Option("--at", help="Unix seconds or RFC 3339; without it, the newest record's time.")
]


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one, never half."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise PredictionExporterError(f"--out {path}: {error.strerror}; give a file that can be written") from error


def named_model(config: Config, name: str, source: str) -> Model:
    """The model called `name`; ConfigError lists those that `source` has."""
    try:
        return config.model(name)
    except KeyError:
        known = ", ".join(model.name for model in config.models)
        raise ConfigError(source, [f"no model called {name!r}; it has {known}"]) from None


def instant(text: str | None, option: str = "--at") -> float | None:
    """The instant that `option` names; None without one."""
    from exporter.ingest.ndjson import timestamp

    if text is None:
        return None
    if not math.isfinite(found := timestamp(text)):
        raise typer.BadParameter(f"{text!r} is no time; give Unix seconds or RFC 3339", param_hint=option)
    return found
