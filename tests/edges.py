"""The cases of the edge table: a usual reference and window of each task, and what makes them unusual."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa

from exporter.baseline import Baseline
from exporter.config import Costs
from exporter.config.segment import Segment
from exporter.measures import MEASURES, Sample, Scope
from exporter.reference import ReferenceData, build_baseline
from tests.strategies import Counting, Row, by_lines, lines, model_of, prediction, schema_of

TASKS = ("binary", "multiclass", "regression")
DAY = 86_400
DAYS, A_DAY = 40, 60  # of the reference: enough for usual ranges and calibrated thresholds
WINDOW = 400

Change = Callable[[Row], Row]


def usual(task: str, seed: int, rows: int, every: float) -> list[Row]:
    """A row in `every` seconds: two numbers that go together, a category, what was predicted, a label, and the rest."""
    rng = np.random.default_rng(seed)
    x, score = rng.normal(size=rows), rng.beta(2, 2, rows)
    y, right = x + rng.normal(size=rows), rng.random(rows)
    c, said = rng.choice(["a", "b", "z"], rows), rng.integers(0, 3, rows)
    made = []
    for row in range(rows):
        features = {"x": float(x[row]), "y": float(y[row]), "c": str(c[row])}
        outputs = _outputs(task, float(score[row]), int(said[row]), float(right[row]))
        made.append(prediction(row * every, features=features, latency_seconds=0.01, cost_usd=0.001, **outputs))
    return made


def _outputs(task: str, score: float, said: int, chance: float) -> Row:
    if task == "binary":
        return {"score": score, "prediction": int(score >= 0.5), "label": int(chance < score)}
    if task == "regression":
        return {"score": None, "prediction": 10 * score, "label": 10 * score + chance}
    sure = 1 / 3 + 2 / 3 * score
    return {"score": sure, "prediction": "abc"[said], "label": "abc"[said if chance < sure else (said + 1) % 3]}


@lru_cache
def reference_of(task: str, change: Change | None = None, segments: tuple[Segment, ...] = ()) -> Baseline:
    rows = usual(task, 1, DAYS * A_DAY, DAY / A_DAY)
    table = pa.Table.from_pylist([change(row) if change else row for row in rows])
    model = model_of(task).model_copy(update={"segments": segments})
    return build_baseline(model, ReferenceData(table, "r", "d"), 0.0, ("c",), (DAY,))


@dataclass(frozen=True)
class Seen:
    """What one window gave: its samples, and what was refused on the way."""

    samples: list[Sample]
    rejected: Counter[str]


def seen(task: str, rows: list[Row], baseline: Baseline) -> Seen:
    """The samples of a window of a day."""
    model = model_of(task)
    records = by_lines(lines(rows), model, schema_of(baseline))
    rejected = records.rejected.copy()
    profile = Counting.of(model, baseline).profile(records)
    windows = {"1d": profile}
    scope = Scope(model, "v", Costs(), windows, profile, {"timeout": 1.0}, matured=windows, aged=windows)
    return Seen([sample for measure in MEASURES.values() for sample in measure(scope)], rejected)
