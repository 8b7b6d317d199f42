"""What several tests build on: small models and baselines, records in every form, and hypothesis' ways to draw them."""

import atexit
import json
import math
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from exporter.baseline import Baseline, CategoryFeature, NumericFeature, Provenance, settings_digest
from exporter.config import Costs, Model
from exporter.ingest.bulk import BulkReader
from exporter.ingest.ndjson import LineReader
from exporter.ingest.records import Records, Sorted, sort_records
from exporter.ingest.schema import FeatureSchema
from exporter.measures import MEASURES, Sample, Scope
from exporter.names import Family
from exporter.profile.kernel import Kernel
from exporter.profile.layout import Layout, Profile
from exporter.reference import ReferenceData, build_baseline

Row = dict[str, Any]
LATEST = 2e9  # later than all records here


def model_of(task: str = "binary", **changes: Any) -> Model:
    return Model.model_validate({"name": "m", "task": task, "baseline": "m.json", **changes})


def provenance() -> Provenance:
    return Provenance(source="r.parquet", digest="0", rows=1, first=0.0, last=1.0, created=0.0)


X = NumericFeature(name="x", edges=(-1.0, 0.0, 0.5, 2.0), groups=(0, 2, 3))
C = CategoryFeature(name="c", values=("1", "a", "b"), rare=("q",))
OUTPUT = NumericFeature(name="output", edges=(-5.0, 0.0, 5.0), groups=(0, 2))


@lru_cache
def baseline_of(task: str = "binary", **changes: Any) -> Baseline:
    """A baseline by hand, whose own counts are empty; a number `x` and a category `c`."""
    facts: dict[str, Any] = {
        "model": "m",
        "task": task,
        "features": (X, C),
        "classes": ("a", "b", "c") if task == "multiclass" else (),
        "output": OUTPUT if task == "regression" else None,
        "settings": settings_digest(model_of(task)),
        "counts": {},
        "performance": {},
        "provenance": provenance(),
    }
    return Baseline(**{**facts, **changes})


def schema_of(baseline: Baseline) -> FeatureSchema:
    return FeatureSchema.of([baseline])


SCHEMA = schema_of(baseline_of())


def prediction(ts: Any = 2.0, **fields: Any) -> Row:
    start = {"kind": "prediction", "ts": ts, "model": "m", "version": "v", "features": {"x": 0.25, "c": "a"}}
    return {**start, "score": 0.75, **fields}


def outcome(identity: object, label: object, ts: float = 2.0) -> Row:
    return {"kind": "outcome", "ts": ts, "model": "m", "version": "v", "id": identity, "label": label}


def lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@lru_cache
def line_reader(schema: FeatureSchema = SCHEMA) -> LineReader:
    return LineReader(schema)


@lru_cache
def bulk_reader(schema: FeatureSchema = SCHEMA) -> BulkReader:
    return BulkReader(schema)


atexit.register(bulk_reader.cache_clear)  # DuckDB complains of connections that outlive the interpreter


def sort(parts: Iterable[Records], model: Model, rejected: Mapping[str, int] | None = None) -> Sorted:
    result = Sorted(rejected=Counter(rejected or {}))
    for part in parts:
        result.add(sort_records(part, [model], LATEST))
    return result


def by_lines(text: bytes, model: Model, schema: FeatureSchema = SCHEMA) -> Sorted:
    parts, rejected = line_reader(schema).read(text)
    return sort(parts, model, rejected)


def by_pipe(text: bytes, model: Model, schema: FeatureSchema = SCHEMA) -> Sorted:
    return sort([bulk_reader(schema).read(iter([text]))], model)


def by_stream(text: bytes, model: Model, schema: FeatureSchema = SCHEMA) -> Sorted:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.ndjson"
        path.write_bytes(text)
        return sort((read() for read in bulk_reader(schema).stream(str(path))), model)


@dataclass(frozen=True)
class Counting:
    """One model with its kernel."""

    model: Model
    kernel: Kernel

    @classmethod
    def of(cls, model: Model, baseline: Baseline) -> "Counting":
        return cls(model, Kernel(model, Layout(baseline)))

    def profile(self, records: Sorted) -> Profile:
        """The profile of all predictions, with the labels that they carry, and counts records."""
        kernel, total = self.kernel, Profile.empty(self.kernel.layout)
        for batch in records.predictions.get(self.model.name, []):
            scored = kernel.scored(batch)
            total = total.merge(Profile(kernel.layout, kernel.predictions(batch, scored, None, 1)[0]))
            if batch.label is not None:
                total = total.merge(Profile(kernel.layout, kernel.labelled(batch, scored, None, 1)[0]))
        reports = kernel.reports(records.reports.get(self.model.name, []))
        return total.merge(Profile(kernel.layout, reports))

    def of_rows(self, rows: Sequence[Mapping[str, Any]]) -> Profile:
        return self.profile(by_lines(lines(rows), self.model, schema_of(self.kernel.layout.baseline)))


def counting(task: str = "binary") -> Counting:
    return Counting.of(model_of(task), baseline_of(task))


def built(model: Model, rows: Sequence[Mapping[str, Any]], categorical: Sequence[str] = ()) -> Baseline:
    """The baseline that the reference `rows` make; features as a struct."""
    return build_baseline(model, ReferenceData(pa.Table.from_pylist(list(rows)), "r.parquet", "d"), 0.0, categorical)


def scope_of(
    model: Model, baseline: Baseline, window: Profile, totals: Profile | None = None, costs: Costs | None = None
) -> Scope:
    assert window.layout.baseline == baseline
    return Scope(model, "v", costs or Costs(), {"1d": window}, window if totals is None else totals, {})


def measured(model: Model, baseline: Baseline, rows: list[Row], **options: Any) -> tuple[list[Sample], Scope]:
    profile = Counting.of(model, baseline).of_rows(rows)
    scope = scope_of(model, baseline, profile, **options)
    return [sample for measure in MEASURES.values() for sample in measure(scope)], scope


def value_of(samples: Iterable[Sample], family: Family, *labels: str) -> float | None:
    """The value of the series whose last labels are `labels`; None where there is no such series."""
    found = [s.value for s in samples if s.family is family and s.labels[len(s.labels) - len(labels) :] == labels]
    assert len(found) <= 1
    if not found:
        return None
    assert isinstance(found[0], float)
    return found[0]


def binary_rows(seed: int, count: int, shift: float = 0.0) -> list[Row]:
    """Scored and labelled rows whose labels follow their scores; `shift` moves the feature x."""
    rng = np.random.default_rng(seed)
    score = rng.beta(2, 2, count)
    label = rng.random(count) < score
    x, c = rng.normal(shift, 1, count), rng.choice(["a", "b", "q", "z"], count, p=[0.6, 0.3, 0.07, 0.03])
    columns = zip(score.tolist(), label.tolist(), x.tolist(), c.tolist(), strict=True)
    return [
        prediction(1.0 + row, score=s, prediction=int(s >= 0.5), label=int(y), features={"x": value, "c": text})
        for row, (s, y, value, text) in enumerate(columns)
    ]


# How hypothesis draws records.

finite = st.floats(allow_nan=False, allow_infinity=False)
numbers: st.SearchStrategy[Any] = st.one_of(
    st.floats(-3, 3),
    finite,
    st.integers(-(2**60), 2**60),
    st.sampled_from(
        [None, True, False, "1.5", "abc", "", "true", "+1", [1], {"a": 1}, math.nan, math.inf, -math.inf, 0]
    ),
)
texts: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(
        ["a", "b", "q", "z", "é", '"', "\\", "007", "1", "true", "", "[0, 1)", "[1]", 1, 1.0, True, 0.5, None]
    ),
    st.sampled_from([{"a": 1}, [1], math.nan]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
)
labels: st.SearchStrategy[Any] = st.sampled_from([1, 1.0, True, "1", 0, False, "0", None, "other"])
weights = st.sampled_from([1, 1, 1, 2, 0.5, 10, 1e-3, 1e12])


@st.composite
def predictions(draw: st.DrawFn) -> Row:
    row = prediction(draw(st.integers(2, 10_000)), score=draw(st.one_of(st.none(), st.floats(0, 1))))
    features = {"x": draw(numbers), "c": draw(texts)}
    row["features"] = draw(
        st.one_of(st.just(features), st.just({**features, "unknown": [1]}), st.just({"x": features["x"]}), st.none())
    )
    optional = {
        "prediction": labels,
        "label": labels,
        "weight": weights,
        "latency_seconds": st.floats(0, 20),
        "cost_usd": st.floats(0, 1),
        "error": st.sampled_from(["timeout", "oom"]),
        "version": st.sampled_from(["v", "w", 2]),
        "id": st.sampled_from(["i", "é", 7]),
        "extra": st.sampled_from([{"deep": [1]}]),
    }
    return row | {name: draw(of) for name, of in optional.items() if draw(st.booleans())}
