"""Exporters for tests of the service: made in a small world, stepped by hand or started, and stopped in the end."""

import time
from collections.abc import Callable
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from exporter import names
from exporter.service import Exporter
from tests.world import prediction, text

Make = Callable[..., Exporter]


def write(folder: Path, data: bytes, name: str = "x.ndjson") -> Path:
    """Append to a log of the world in `folder`; its path."""
    path = folder / "logs" / name
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as file:
        file.write(data)
    return path


def some(first: int, last: int) -> bytes:
    """Predictions as NDJSON."""
    return text(prediction(number) for number in range(first, last))


def step(exporter: Exporter) -> None:
    """One round of the worker."""
    exporter._read()
    exporter._evaluate()


def series(exporter: Exporter) -> dict[tuple[str, ...], float]:
    """Scraped values by name and label values."""
    snapshot = exporter.snapshot()
    assert snapshot is not None
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(snapshot.text.decode())
        for sample in family.samples
    }


def predictions(exporter: Exporter) -> float:
    """Prediction records counted, as scraped."""
    return series(exporter)[names.RECORDS_TOTAL.name, "prediction"]


def wait_until(true: Callable[[], bool]) -> None:
    """Return when `true()`; fail after half a minute."""
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "waited for too long"
        time.sleep(0.01)
