"""A folder with a model whose every name would like to be markup, its log, and an exporter that has read it."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml

from exporter.config import load_config
from exporter.reference import ReferenceData, build_baseline
from exporter.service import Exporter
from tests.exporters import step
from tests.world import START, outcome, prediction, text

MODEL = "<script>alert('m')</script>\"&/?#%"
NUMBER = "<img src=x onerror=alert(1)>/km/h"
CATEGORY = "a'b & c"
VERSION = 'v"><script>alert(2)</script>'
VALUE = "</text><script>alert(3)</script>|`*_"
ROWS = 400


def site(folder: Path) -> Path:
    """The configuration of the folder; its log holds a day in which the number moved and a new category came."""
    config = {
        "state": "state",
        "log": [{"path": "logs/*.ndjson"}],
        "evaluation": {"interval": "1s", "windows": ["1h", "1d"], "clock": "log"},
        "models": [
            {"name": MODEL, "task": "binary", "baseline": "odd.json", "drift": {"min_rows": 20}},
            {"name": "quiet", "task": "binary", "baseline": "quiet.json"},
        ],
        "alerting": {"webhook": {"url": "https://user:word@hooks.example/T0/secret?token=secret"}},
    }
    path = folder / "prediction-exporter.yml"
    path.write_text(yaml.safe_dump(config))
    for name, file in ((MODEL, "odd.json"), ("quiet", "quiet.json")):
        baseline = build_baseline(load_config(path).model(name), _reference(), 0.0, windows=[86_400])
        (folder / file).write_text(baseline.to_json())
    (folder / "logs").mkdir()
    (folder / "logs/x.ndjson").write_bytes(_log())
    return path


def served(folder: Path) -> Exporter:
    """An exporter that has read the site's log and evaluated once."""
    exporter = Exporter(site(folder))
    step(exporter)
    return exporter


def _reference() -> ReferenceData:
    random = np.random.default_rng(5)
    score = random.uniform(0.01, 0.99, 900)
    columns = {
        "ts": START - random.uniform(0, 20 * 86_400, 900),
        f"features.{NUMBER}": random.normal(40, 10, 900),
        f"features.{CATEGORY}": random.choice(["red", "green", VALUE], 900).tolist(),
        "score": score,
        "label": (random.uniform(size=900) < score).astype(np.int64),
    }
    return ReferenceData(pa.table(columns), "r.parquet", "0" * 64)


def _log() -> bytes:
    random = np.random.default_rng(6)
    of = {"model": MODEL}
    records = []
    for number, x in enumerate(random.normal(60, 10, ROWS).tolist()):
        features = {NUMBER: None if number % 20 == 0 else x, CATEGORY: ("red", "green", VALUE, "blue")[number % 4]}
        version = VERSION if number >= ROWS // 4 else "v1"
        records.append(prediction(number, ts=START + 200.0 * number, features=features, version=version, **of))
        if number % 3 and number < ROWS - 20:
            records.append(outcome(number, ts=START + 200.0 * number + 60, version=version, **of))
    return text(records)
