"""Parsed records as columns, and their sorting into what the kernel counts and what is refused.

Every reader (NDJSON in bulk, NDJSON line by line, Parquet) makes the same `Records`; `sort_records` validates them
all alike, so the same records give the same numbers whatever form they came in.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from exporter.config import Model
from exporter.profile.batch import Outcomes, Predictions, Report
from exporter.profile.binning import Binner
from exporter.profile.columns import (
    Codes,
    Column,
    Floats,
    Mask,
    NumericColumn,
    TextColumn,
    absent,
    any_of,
    index_array,
    null_mask,
    numbers_from_texts,
    texts_of,
)
from exporter.profile.layout import LATENCY_BOUNDS

MAX_ID = 128  # characters, as the record format says
KINDS = ("prediction", "outcome", "counts")
NUMBERS = ("score", "latency_seconds", "cost_usd", "weight", "requests", "skipped", "dropped", "latency_sum")
TEXTS = ("prediction", "label", "error")
OBJECTS = ("probabilities", "errors", "latency_buckets")


@dataclass(frozen=True, slots=True)
class Records:
    """Columns of parsed records, not yet validated; `objects` lacks the columns that hold nothing."""

    kind: TextColumn
    model: TextColumn
    version: TextColumn
    ts: Floats
    ids: pa.Array
    numbers: Mapping[str, NumericColumn]
    texts: Mapping[str, TextColumn]
    objects: Mapping[str, Sequence[Any]]
    features: Mapping[str, Column]

    def object(self, name: str, row: int) -> Any:
        """The Python value of an object column in `row`; None where there is none."""
        column = self.objects.get(name)
        return None if column is None else column[row]

    @property
    def rows(self) -> int:
        """Records parsed."""
        return len(self.ts)


@dataclass
class Sorted:
    """What became of records: batches by model, and counts by kind and by reason of refusal."""

    predictions: dict[str, list[Predictions]] = field(default_factory=dict)
    outcomes: dict[str, list[Outcomes]] = field(default_factory=dict)
    reports: dict[str, list[Report]] = field(default_factory=dict)
    accepted: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)

    @property
    def newest(self) -> float:
        """The newest prediction's time; minus infinity without any."""
        batches = [batch for several in self.predictions.values() for batch in several]
        return max((float(batch.ts.max()) for batch in batches), default=-math.inf)

    def add(self, other: "Sorted") -> None:
        """Take in what `other` holds."""
        self.accepted.update(other.accepted)
        self.rejected.update(other.rejected)
        for model, batches in other.predictions.items():
            self.predictions.setdefault(model, []).extend(batches)
        for model, labels in other.outcomes.items():
            self.outcomes.setdefault(model, []).extend(labels)
        for model, reports in other.reports.items():
            self.reports.setdefault(model, []).extend(reports)


def sort_records(records: Records, models: Sequence[Model], latest: float, until: float = math.inf) -> Sorted:
    """Validate `records`; one later than `latest` (Unix seconds) is refused as `future_timestamp`.

    Records after the instant `until` are passed over without a word: they are for a later question.
    """
    result = Sorted()
    kinds = {kind: code for code, kind in enumerate(KINDS)}
    kind = records.kind.recode(kinds, other=-1, missing=-1, wrong=-1)
    names = {model.name: code for code, model in enumerate(models)}
    owner = records.model.recode(names, other=-1, missing=-1, wrong=-1)
    sieve = _Sieve(records.rows, result.rejected)
    sieve.refuse("unknown_kind", kind < 0)
    sieve.refuse("unknown_model", owner < 0)
    sieve.refuse("invalid_version", absent(records.version))
    sieve.refuse("invalid_timestamp", ~np.isfinite(records.ts))
    with np.errstate(invalid="ignore"):
        sieve.refuse("future_timestamp", records.ts > latest)
        sieve.kept = sieve.kept & ~(records.ts > until)
    sieve.refuse("invalid_id", _too_long(records.ids))
    for code, model in enumerate(models):
        mine = sieve.kept & (owner == code)
        if mine.any():
            _sort_model(records, model, [mine & (kind == k) for k in range(len(KINDS))], result)
    return result


class _Sieve:
    """Refuses rows for one reason after another; the first that applies is counted."""

    def __init__(self, rows: int, rejected: Counter[str]) -> None:
        self.kept: Mask = np.ones(rows, dtype=bool)
        self._rejected = rejected

    def refuse(self, reason: str, bad: Mask) -> None:
        bad = bad & self.kept
        if count := int(np.count_nonzero(bad)):
            self._rejected[reason] += count
            self.kept = self.kept & ~bad


def _sort_model(records: Records, model: Model, of_kind: list[Mask], result: Sorted) -> None:
    predictions, outcomes, counts = of_kind
    if predictions.any() and (batch := _predictions(records, model, predictions, result.rejected)).rows:
        result.predictions.setdefault(model.name, []).append(batch)
        result.accepted["prediction"] += batch.rows
    if outcomes.any() and (labels := _outcomes(records, model, outcomes, result.rejected)).rows:
        result.outcomes.setdefault(model.name, []).append(labels)
        result.accepted["outcome"] += labels.rows
    for row in np.flatnonzero(counts):
        if (report := _report(records, int(row))) is None:
            result.rejected["invalid_counts"] += 1
        else:
            result.reports.setdefault(model.name, []).append(report)
            result.accepted["counts"] += 1


def _predictions(records: Records, model: Model, mine: Mask, rejected: Counter[str]) -> Predictions:
    everything = mine.all()
    index = mine if everything else np.flatnonzero(mine)

    def pick(column: Any) -> Any:
        return column if everything else column.take(index)

    numbers = {name: pick(column) for name, column in records.numbers.items()}
    score, weight = numbers["score"].or_nan(), numbers["weight"]
    prediction, confidence = _output(records, model, pick(records.texts["prediction"]), score, index)
    label = _typed(model, pick(records.texts["label"]))
    batch = Predictions(
        ts=records.ts if everything else records.ts[index],
        version=pick(records.version),
        features={name: pick(column) for name, column in records.features.items()},
        prediction=prediction,
        score=score,
        confidence=confidence,
        label=None if _all_missing(label) else label,
        weight=_weights(weight),
        latency=_non_negative(numbers["latency_seconds"].or_nan()),
        cost=_non_negative(numbers["cost_usd"].or_nan()),
        error=pick(records.texts["error"]),
        ids=records.ids if everything else records.ids.take(index_array(index)),
    )
    sieve, rows = _Sieve(batch.rows, rejected), batch.rows
    with np.errstate(invalid="ignore"):
        outside = (score < 0) | (score > 1) | np.isinf(score)
        weightless = ~((batch.weights > 0) & np.isfinite(batch.weights))
    sieve.refuse("invalid_score", outside | any_of(numbers["score"].wrong, rows))
    sieve.refuse("invalid_weight", weightless)
    unscored = np.isnan(score) if model.task == "binary" else np.ones(rows, dtype=bool)
    sieve.refuse("missing_prediction", absent(prediction) & unscored & ~batch.failed)
    return batch if sieve.kept.all() else batch.take(sieve.kept)


def _output(
    records: Records, model: Model, prediction: TextColumn, score: Floats, index: Codes | Mask
) -> tuple[Column, Floats]:
    """The prediction in its task's kind, and the probability of the likeliest class (NaN where unknown)."""
    if model.task == "binary":
        return prediction, np.maximum(score, 1 - score)
    if model.task == "regression":
        return _typed(model, prediction), np.full(len(score), np.nan)
    rows = np.flatnonzero(index) if index.dtype == bool else index
    probabilities = [records.object("probabilities", int(row)) for row in rows]
    best = [max(row.items(), key=lambda item: item[1]) if _is_probabilities(row) else None for row in probabilities]
    confidence = np.array([np.nan if pair is None else pair[1] for pair in best])
    texts = prediction.decode()
    filled = [text if text is not None or pair is None else pair[0] for text, pair in zip(texts, best, strict=True)]
    return texts_of(filled), np.where(np.isnan(confidence), score, confidence)


def _is_probabilities(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and bool(row)
        and all(isinstance(value, int | float) and 0 <= value <= 1 for value in row.values())
    )


def _outcomes(records: Records, model: Model, mine: Mask, rejected: Counter[str]) -> Outcomes:
    index = np.flatnonzero(mine)
    label = _typed(model, records.texts["label"].take(index))
    ids = records.ids.take(index_array(index))
    sieve = _Sieve(len(index), rejected)
    sieve.refuse("missing_id", any_of(null_mask(ids), len(index)))
    sieve.refuse("invalid_label", absent(label))
    kept = np.flatnonzero(sieve.kept)
    return Outcomes(records.ts[index][kept], label.take(kept), ids.take(index_array(kept)))


_LATENCY = Binner(np.array(LATENCY_BOUNDS))


def _report(records: Records, row: int) -> Report | None:
    """The counts record in `row`; None where a number in it is none, or negative."""
    numbers = {name: records.numbers[name].or_nan()[row] for name in ("requests", "skipped", "dropped", "latency_sum")}
    errors, buckets = records.object("errors", row), records.object("latency_buckets", row)
    try:
        by_name = errors if isinstance(errors, dict) else {"error": errors or 0.0}
        by_name = {str(name): float(count) for name, count in by_name.items()}
        latency = _latency(buckets or {}, np.nan_to_num(numbers["latency_sum"]))
    except (TypeError, ValueError):
        return None
    totals = [np.nan_to_num(numbers[name]) for name in ("requests", "skipped", "dropped")]
    if min(*totals, *by_name.values(), *latency, 0.0) < 0:
        return None
    version = records.version.take(np.array([row])).decode()[0] or ""
    return Report(float(records.ts[row]), version, totals[0], by_name, totals[1], totals[2], latency)


def _latency(buckets: Mapping[str, float], total: float) -> Floats:
    """Our cells from a writer's cumulative buckets; a bound that we lack goes to our next one above it."""
    bounds = sorted((float(bound), float(count)) for bound, count in buckets.items())
    cells = np.zeros(len(LATENCY_BOUNDS) + 2)
    seen = 0.0
    for bound, count in bounds:
        place = int(np.searchsorted(LATENCY_BOUNDS, bound))
        cells[place] += count - seen
        seen = count
    cells[-1] = total
    return cells


def _typed(model: Model, column: TextColumn) -> Column:
    """Class labels stay texts; a regression's become finite numbers."""
    if model.task != "regression":
        return column
    numbers = numbers_from_texts(column)
    wrong = any_of(numbers.wrong, len(numbers.values)) | ~np.isfinite(numbers.values)
    return NumericColumn(numbers.values, numbers.missing, wrong if wrong.any() else None)


def _all_missing(column: Column) -> bool:
    return bool(absent(column).all())


def _too_long(ids: pa.Array) -> Mask:
    offsets = np.frombuffer(ids.buffers()[1], dtype=np.int32, count=len(ids) + 1, offset=4 * ids.offset)
    suspect = np.diff(offsets) > MAX_ID  # bytes: at least as many as characters
    for row in np.flatnonzero(suspect):
        suspect[row] = len(ids[int(row)].as_py() or "") > MAX_ID
    return suspect


def _weights(column: NumericColumn) -> Floats | None:
    """Weights, 1 where absent; None when all are 1."""
    values = column.or_nan()
    if column.missing is not None:
        values = np.where(column.missing, 1.0, values)
    return None if (values == 1).all() else values


def _non_negative(values: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        return np.where((values >= 0) & np.isfinite(values), values, np.nan)
