"""Writes the dashboards of a configuration as JSON files, or says which files on disk differ from it.

The text is deterministic: sorted keys, two spaces, a newline at the end, nothing of the time or the machine.
"""

import json
from pathlib import Path
from typing import Any

from dashboards.feature import feature_dashboard
from dashboards.fleet import fleet_dashboard
from dashboards.model import model_dashboard
from dashboards.panels import to_json
from exporter.config import Config
from exporter.errors import PredictionExporterError


class StaleError(PredictionExporterError):
    """Files on disk that differ from what the configuration yields."""


def dashboards(config: Config) -> list[dict[str, Any]]:
    """Every dashboard of `config` as Grafana takes it."""
    return [to_json(make(config)) for make in (fleet_dashboard, model_dashboard, feature_dashboard)]


def dashboard_files(config: Config) -> dict[str, str]:
    """File name -> text of every dashboard of `config`."""
    return {f"{one['uid']}.json": text_of(one) for one in dashboards(config)}


def write(config: Config, folder: Path) -> list[Path]:
    """Write every dashboard into `folder`, which is made if need be; returns the paths."""
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in dashboard_files(config).items():
            (folder / name).write_text(text, encoding="utf-8")
            paths.append(folder / name)
    except OSError as error:
        raise PredictionExporterError(f"{folder}: {error.strerror}; choose a folder you may write to") from error
    return paths


def check(config: Config, folder: Path) -> list[Path]:
    """The paths of the dashboards, all as `config` yields them; StaleError names those that are not."""
    files = {folder / name: text for name, text in dashboard_files(config).items()}
    stale = [f"{path}: {state}" for path, text in files.items() if (state := _state(path, text))]
    if stale:
        raise StaleError("\n".join([*stale, "run the same command without --check to write them"]))
    return list(files)


def _state(path: Path, text: str) -> str:
    try:
        return "" if path.read_text(encoding="utf-8") == text else "differs from the configuration"
    except (OSError, UnicodeDecodeError) as error:
        return f"cannot be read ({error})"


def compact(dashboard: dict[str, Any]) -> str:
    """A dashboard in as few bytes as JSON takes."""
    return json.dumps(dashboard, separators=(",", ":"), sort_keys=True, ensure_ascii=False, allow_nan=False)


def text_of(dashboard: dict[str, Any]) -> str:
    """A dashboard's file."""
    return json.dumps(dashboard, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
