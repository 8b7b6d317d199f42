"""What the tests share: a folder for logs, and reading it back as a stranger would, with the standard library."""

import gzip
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

# Run from the repository's root, pytest takes the folder `predlog/` for the package; the package is in `predlog/src`.
if not hasattr(sys.modules.get("predlog"), "PredictionLog"):
    sys.modules.pop("predlog", None)
    importlib.import_module("predlog")

Records = list[dict[str, Any]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "logs"


@pytest.fixture
def read(folder: Path) -> Callable[..., Records]:
    """Every record in the folder, or those of one kind; a line that is not whole JSON fails the test."""

    def read_records(kind: str | None = None) -> Records:
        texts = [path.read_bytes() for path in sorted(folder.glob("*.ndjson"))]
        texts += [gzip.decompress(path.read_bytes()) for path in sorted(folder.glob("*.ndjson.gz"))]
        texts += [zstandard.decompress(path.read_bytes()) for path in sorted(folder.glob("*.ndjson.zst"))]
        records = [json.loads(line) for text in texts for line in text.splitlines()]
        return [record for record in records if kind in (None, record["kind"])]

    return read_records


@pytest.fixture
def run(folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a Python script that starts with a `log` on the folder (constructor arguments as `arguments`)."""

    def run_script(script: str, arguments: str = "") -> subprocess.CompletedProcess[str]:
        head = f"from predlog import PredictionLog\nlog = PredictionLog('m', 'v', {str(folder)!r}, {arguments})\n"
        command = [sys.executable, "-W", "error", "-c", head + script]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ})

    return run_script


@pytest.fixture
def total(read: Callable[..., Records]) -> Callable[[str], int]:
    """The sum of one field over all counts records."""
    return lambda name: sum(record.get(name, 0) for record in read("counts"))
