"""A small world for tests of the flow: two models with baselines, a configuration, and records to write."""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from exporter.config import Config, load_config
from exporter.measures import Histogram, Sample
from exporter.monitor import Monitor
from exporter.reference import ReferenceData, build_baseline

START = 1_700_006_400.0  # midnight, UTC
CONFIG = """
state: state
log: [{path: "logs/*.ndjson*"}]
evaluation: {interval: 1s, windows: [1h, 1d, 7d], clock: log}
models:
  - {name: churn, task: binary, baseline: churn.json, drift: {min_rows: 5}}
  - {name: price, task: regression, baseline: price.json, drift: {min_rows: 5}}
limits: {versions: 3}
"""

Record = dict[str, Any]


def world(folder: Path, text: str = CONFIG) -> Path:
    """A folder with both baselines, an empty `logs/` and the configuration `text`; its path."""
    path = folder / "prediction-exporter.yml"
    path.write_text(text)
    (folder / "logs").mkdir(exist_ok=True)
    for name, baseline in baselines().items():
        (folder / f"{name}.json").write_text(baseline)
    return path


def monitor(folder: Path, text: str = CONFIG) -> Monitor:
    """The loaded world of `folder`."""
    path = world(folder, text)
    return Monitor.load(load_config(path), str(path))


@cache
def baselines() -> dict[str, str]:
    """Each model's baseline file."""
    return {name: build_baseline(_config().model(name), _reference(name), 0.0, windows=[3_600, 86_400]).to_json()
            for name in ("churn", "price")}  # fmt: skip


@cache
def _config() -> Config:
    from exporter.config import parse_config

    return parse_config(CONFIG)


def _reference(model: str, seed: int = 7, rows: int = 500) -> ReferenceData:
    random = np.random.default_rng(seed)
    score = random.uniform(0.01, 0.99, rows)
    columns: dict[str, Any] = {
        "ts": START - random.uniform(0, 86_400, rows),
        "features.age": random.normal(40, 10, rows),
        "features.colour": random.choice(["red", "green", "blue"], rows).tolist(),
    }
    if model == "churn":
        columns |= {"score": score, "label": (random.uniform(size=rows) < score).astype(np.int64)}
    else:
        columns |= {"prediction": 100 * score, "label": 100 * score + random.normal(0, 5, rows)}
    return ReferenceData(pa.table(columns), f"{model}.parquet", "0" * 64)


def other_baseline() -> str:
    """A baseline of churn from other reference data."""
    return build_baseline(_config().model("churn"), _reference("churn", seed=8), 0.0).to_json()


def prediction(number: int, **fields: Any) -> Record:
    """Prediction `number`, some 30 seconds after the one before; a field None is left out."""
    record = {
        "kind": "prediction", "ts": START + 30.0 * number, "model": "churn", "version": "v1", "id": f"c-{number}",
        "features": {"age": 20.0 + number % 50, "colour": ("red", "green", "blue")[number % 3]},
        "score": (number * 37 % 97 + 1) / 100, "latency_seconds": 0.004,
    }  # fmt: skip
    return {name: value for name, value in (record | fields).items() if value is not None}


def outcome(number: int, **fields: Any) -> Record:
    """The outcome of prediction `number`, an hour after it."""
    record = {"kind": "outcome", "ts": START + 30.0 * number + 3_600, "model": "churn", "version": "v1",
              "id": f"c-{number}", "label": int(number % 3 == 0)}  # fmt: skip
    return record | fields


def counts(number: int, **fields: Any) -> Record:
    """A counts record at the time of prediction `number`."""
    record = {"kind": "counts", "ts": START + 30.0 * number, "model": "churn", "version": "v1", "requests": 10,
              "errors": {"Timeout": 1}, "skipped": 5, "dropped": 0}  # fmt: skip
    return record | fields


def text(records: Iterable[Record]) -> bytes:
    """The records as NDJSON."""
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def values(samples: Iterable[Sample]) -> dict[tuple[str, ...], float | Histogram]:
    """Samples by family and labels."""
    return {(sample.family.name, *sample.labels): sample.value for sample in samples}
