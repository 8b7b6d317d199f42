"""A model whose input breaks and is mended, hour after hour, in the log that a real exporter follows.

The score hangs on `balance`. Without it the service answers with one and the same score, most often wrong: the feature
is all missing, the output drifts and performance falls, all of one cause.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import yaml
from numpy.typing import NDArray

from exporter.config import load_config
from exporter.reference import ReferenceData, build_baseline

from .stack import wait_until

START = 1_700_006_400.0  # midnight, UTC
HOUR = 3_600
ROWS = 120  # an hour; of them 20 are enough for a verdict
ANSWER_WITHOUT = 0.93
STEP_SECONDS = 0.25  # of real time for an hour of the log: a day in six seconds
SPEED = HOUR / STEP_SECONDS

Numbers = NDArray[np.float64]


@dataclass
class Model:
    """The log of the model `credit`, in `folder` beside its configuration, up to the hour `hour`."""

    folder: Path
    hour: int = 0

    def __post_init__(self) -> None:
        (self.folder / "logs").mkdir()

    def configure(self, alerting: dict[str, Any]) -> Path:
        """Write configuration and baseline; the configuration's path."""
        model: dict[str, Any] = {
            "name": "credit",
            "task": "binary",
            "baseline": "credit.json",
            "drift": {"window": "1d", "min_rows": 20},
            "objectives": {"accuracy": 0.9},
        }
        config = {
            "state": "state/",
            "log": [{"path": "logs/*.ndjson"}],
            "evaluation": {"interval": "1s", "windows": ["1h", "1d"], "clock": "log"},
            "models": [model],
            "alerting": {"speed": SPEED} | alerting,
        }
        path = self.folder / "prediction-exporter.yml"
        path.write_text(yaml.safe_dump(config))
        reference = self._reference(24 * ROWS)
        built = build_baseline(load_config(path).model("credit"), reference, 0.0, windows=[HOUR, 24 * HOUR])
        (self.folder / "credit.json").write_text(built.to_json())
        return path

    def until(self, true: Callable[[], bool], hours: int, *, broken: bool = False) -> bool:
        """Serve on, hour by hour, until `true()`; whether it came true within `hours`."""
        for _ in range(hours):
            self._serve(broken=broken)
            if wait_until(true, STEP_SECONDS):
                return True
        return False

    def _serve(self, *, broken: bool) -> None:
        balance, label = _callers()
        score = np.full(ROWS, ANSWER_WITHOUT) if broken else _score(balance)
        begins = START + HOUR * self.hour
        columns = zip(balance.tolist(), score.tolist(), label.tolist(), strict=True)
        with (self.folder / "logs/credit.ndjson").open("ab") as log:
            for row, (given, answer, truth) in enumerate(columns):
                common = {"model": "credit", "version": "v1", "id": f"{self.hour}-{row}"}
                asked = begins + HOUR * row / ROWS
                features = {"balance": None if broken else given, "age": 20 + row % 50}
                told = {"features": features, "score": answer, "prediction": int(answer >= 0.5)}
                log.write(_line({"kind": "prediction", "ts": asked, **common, **told}))
                log.write(_line({"kind": "outcome", "ts": asked + 60, **common, "label": truth}))
        self.hour += 1

    def _reference(self, rows: int) -> ReferenceData:
        balance, label = _callers(rows // ROWS)
        columns = {
            "ts": START - 24 * HOUR + np.arange(rows) * (24 * HOUR / rows),
            "features.balance": balance,
            "features.age": 20.0 + np.arange(rows) % ROWS % 50,
            "score": _score(balance),
            "label": label,
        }
        return ReferenceData(pa.table(columns), "credit.parquet", "0" * 64)


def _callers(hours: int = 1) -> tuple[Numbers, NDArray[np.int64]]:
    """Balances, and whether each of them fails: the lower, the likelier; the same every hour, without chance."""
    random = np.random.default_rng(5)
    balance = random.normal(size=ROWS)
    label = (random.uniform(size=ROWS) < _score(balance)).astype(np.int64)
    return np.tile(balance, hours), np.tile(label, hours)


def _score(balance: Numbers) -> Numbers:
    return np.asarray(1 / (1 + np.exp(10 * balance + 5)))


def _line(record: dict[str, Any]) -> bytes:
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
