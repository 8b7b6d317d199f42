"""Parsed records as columns, and their sorting into what the kernel counts and what is refused.

Every reader (NDJSON in bulk, NDJSON line by line, Parquet) makes the same `Records`; `sort_records` validates them
all alike, so the same records give the same numbers whatever form they came in.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from exporter.config import Model
from exporter.names import LATENCY_BOUNDS
from exporter.profile.batch import Outcomes, Predictions, Report
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

MAX_ID = 128  # characters, as the record format says
MAX_VERSION = 128  # characters: versions become label values
MAX_WEIGHT = 1e15  # near 2^53, from where a sum of float64 no longer notices a record of weight 1
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
    segments: Mapping[str, TextColumn]

    def object(self, name: str, row: int) -> Any:
        """The Python value of an object column in `row`; None where there is none."""
        column = self.objects.get(name)
        return None if column is None else column[row]

    @property
    def rows(self) -> int:
        """Records parsed."""
        return len(self.ts)

    def take(self, index: Codes) -> "Records":
        """The records at the positions `index`."""
        return Records(
            kind=self.kind.take(index),
            model=self.model.take(index),
            version=self.version.take(index),
            ts=self.ts[index],
            ids=self.ids.take(index_array(index)),
            numbers={name: column.take(index) for name, column in self.numbers.items()},
            texts={name: column.take(index) for name, column in self.texts.items()},
            objects={name: [column[row] for row in index.tolist()] for name, column in self.objects.items()},
            features={name: column.take(index) for name, column in self.features.items()},
            segments={name: column.take(index) for name, column in self.segments.items()},
        )


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


Note = Callable[[str, Codes], None]


def sort_records(records: Records, models: Sequence[Model], latest: float, until: float = math.inf,
                 note: Note | None = None) -> Sorted:  # fmt: skip
    """Validate `records`; one later than `latest` (Unix seconds) is refused as `future_timestamp`.

    Records after the instant `until` are passed over without a word: they are for a later question. `note` hears of
    every refusal: the reason, and the places in `records` of those refused for it.
    """
    result = Sorted()
    kinds = {kind: code for code, kind in enumerate(KINDS)}
    kind = records.kind.recode(kinds, other=-1, missing=-1, wrong=-1)
    names = {model.name: code for code, model in enumerate(models)}
    owner = records.model.recode(names, other=-1, missing=-1, wrong=-1)
    sieve = _Sieve(np.arange(records.rows), result.rejected, note)
    sieve.refuse("unknown_kind", kind < 0)
    sieve.refuse("unknown_model", owner < 0)
    sieve.refuse("invalid_version", ~_fits(records.version))
    sieve.refuse("invalid_timestamp", ~(np.isfinite(records.ts) & (records.ts >= 0)))
    sieve.refuse("future_timestamp", records.ts > latest)
    sieve.kept = sieve.kept & ~(records.ts > until)
    sieve.refuse("invalid_id", _misshapen(records.ids))
    for code, model in enumerate(models):
        mine = sieve.kept & (owner == code)
        if mine.any():
            _sort_model(records, model, [mine & (kind == k) for k in range(len(KINDS))], result, note)
    return result


class _Sieve:
    """Refuses rows for one reason after another; the first that applies is counted."""

    def __init__(self, places: Codes, rejected: Counter[str], note: Note | None) -> None:
        self.kept: Mask = np.ones(len(places), dtype=bool)
        self._places, self._rejected, self._note = places, rejected, note

    def refuse(self, reason: str, bad: Mask) -> None:
        bad = bad & self.kept
        if count := int(np.count_nonzero(bad)):
            self._rejected[reason] += count
            self.kept = self.kept & ~bad
            if self._note is not None:
                self._note(reason, self._places[bad])


def _sort_model(records: Records, model: Model, of_kind: list[Mask], result: Sorted, note: Note | None) -> None:
    predictions, outcomes, counts = of_kind
    if predictions.any() and (batch := _predictions(records, model, predictions, result.rejected, note)).rows:
        result.predictions.setdefault(model.name, []).append(batch)
        result.accepted["prediction"] += batch.rows
    if outcomes.any() and (labels := _outcomes(records, model, outcomes, result.rejected, note)).rows:
        result.outcomes.setdefault(model.name, []).append(labels)
        result.accepted["outcome"] += labels.rows
    if counts.any():
        _sort_reports(records, model, counts, result, note)


def _sort_reports(records: Records, model: Model, mine: Mask, result: Sorted, note: Note | None) -> None:
    found = list(_reports(records, mine))
    sieve = _Sieve(np.flatnonzero(mine), result.rejected, note)
    sieve.refuse("invalid_counts", np.array([report is None for report in found]))
    usable = [report for report in found if report is not None]
    if usable:
        result.reports.setdefault(model.name, []).extend(usable)
        result.accepted["counts"] += len(usable)


def _predictions(records: Records, model: Model, mine: Mask, rejected: Counter[str], note: Note | None) -> Predictions:
    index = np.flatnonzero(mine)
    records = records if mine.all() else records.take(index)
    score = records.numbers["score"].or_nan()
    prediction, confidence = _output(records, model, score)
    label = _typed(model, records.texts["label"])
    batch = Predictions(
        ts=records.ts,
        version=records.version,
        features=records.features,
        prediction=prediction,
        score=score,
        confidence=confidence,
        label=None if absent(label).all() else label,
        weight=_weights(records.numbers["weight"]),
        latency=_non_negative(records.numbers["latency_seconds"].or_nan()),
        cost=_non_negative(records.numbers["cost_usd"].or_nan()),
        error=records.texts["error"],
        ids=records.ids,
        segments=records.segments,
    )
    sieve, rows = _Sieve(index, rejected, note), batch.rows
    sieve.refuse("invalid_score", (score < 0) | (score > 1) | any_of(records.numbers["score"].wrong, rows))
    sieve.refuse("invalid_weight", ~((batch.weights > 0) & (batch.weights <= MAX_WEIGHT)))
    unscored = np.isnan(score) if model.task == "binary" else np.ones(rows, dtype=bool)
    sieve.refuse("missing_prediction", absent(prediction) & unscored & ~batch.failed)
    return batch if sieve.kept.all() else batch.take(sieve.kept)


def _output(records: Records, model: Model, score: Floats) -> tuple[Column, Floats]:
    """The prediction in its task's kind, and the probability of the likeliest class (NaN where unknown)."""
    prediction = records.texts["prediction"]
    if model.task == "binary":
        return prediction, np.maximum(score, 1 - score)
    if model.task == "regression":
        return _typed(model, prediction), np.full(records.rows, np.nan)
    if "probabilities" not in records.objects:
        return prediction, score
    best = [_likeliest(row) for row in records.objects["probabilities"]]
    share = np.array([row_share for _, row_share in best], dtype=np.float64)
    named = [text if text is not None else label for text, (label, _) in zip(prediction.decode(), best, strict=True)]
    return texts_of(named), np.where(np.isnan(share), score, share)


def _likeliest(probabilities: Any) -> tuple[str | None, float]:
    """The class with the highest probability, and that probability; None and NaN where there are none."""
    if not isinstance(probabilities, dict) or not probabilities:
        return None, math.nan
    if not all(isinstance(share, int | float) and 0 <= share <= 1 for share in probabilities.values()):
        return None, math.nan
    label = max(probabilities, key=lambda name: float(probabilities[name]))
    return label, float(probabilities[label])


def _outcomes(records: Records, model: Model, mine: Mask, rejected: Counter[str], note: Note | None) -> Outcomes:
    index = np.flatnonzero(mine)
    label = _typed(model, records.texts["label"].take(index))
    ids = records.ids.take(index_array(index))
    sieve = _Sieve(index, rejected, note)
    sieve.refuse("missing_id", any_of(null_mask(ids), len(index)))
    sieve.refuse("invalid_label", absent(label))
    kept = np.flatnonzero(sieve.kept)
    return Outcomes(records.ts[index][kept], label.take(kept), ids.take(index_array(kept)))


_TOTALS = ("requests", "skipped", "dropped", "latency_sum")


def _reports(records: Records, mine: Mask) -> Iterator[Report | None]:
    """The counts records among `mine`; None for one in which a number is none, or negative."""
    rows = records.take(np.flatnonzero(mine))
    totals = [_zero_if_missing(rows.numbers[name]) for name in _TOTALS]
    for row, version in enumerate(rows.version.decode()):
        requests, skipped, dropped, seconds = (float(column[row]) for column in totals)
        try:
            errors = _by_name(rows.object("errors", row))
            latency = _latency(rows.object("latency_buckets", row) or {}, seconds)
        except (AttributeError, TypeError, ValueError, OverflowError):
            yield None
            continue
        counts = (requests, skipped, dropped, *errors.values(), *latency.tolist())
        usable = all(math.isfinite(count) and count >= 0 for count in counts)
        yield Report(float(rows.ts[row]), str(version), requests, errors, skipped, dropped, latency) if usable else None


def _zero_if_missing(column: NumericColumn) -> Floats:
    return np.where(any_of(column.missing, len(column.values)), 0.0, column.or_nan())


def _by_name(errors: Any) -> dict[str, float]:
    """Errors by name; a plain number is of those that have none."""
    by_name = errors if isinstance(errors, dict) else {"error": errors or 0.0}
    return {str(name): float(count) for name, count in by_name.items()}


def _latency(buckets: Mapping[str, float], total: float) -> Floats:
    """Our cells from a writer's cumulative buckets; a bound that we lack goes to our next one above it."""
    cells = np.zeros(len(LATENCY_BOUNDS) + 2)
    seen = 0.0
    for bound, count in sorted((float(bound), float(count)) for bound, count in buckets.items()):
        if math.isnan(bound):
            raise ValueError("a bucket's bound is no number")
        cells[int(np.searchsorted(LATENCY_BOUNDS, bound))] += count - seen
        if count < seen:
            raise ValueError("cumulative buckets do not fall")
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


def _fits(version: TextColumn) -> Mask:
    """True where there is a version that can stand as a label value."""
    usable = [text is not None and 0 < len(text) <= MAX_VERSION for text in version.texts]
    fits: Mask = np.array([*usable, False])[version.codes]
    return fits


def _misshapen(ids: pa.Array) -> Mask:
    """True where an id is empty or too long."""
    offsets = np.frombuffer(ids.buffers()[1], dtype=np.int32, count=len(ids) + 1, offset=4 * ids.offset)
    size = np.diff(offsets)  # bytes: at least as many as characters
    bad: Mask = (size == 0) & ~any_of(null_mask(ids), len(ids))
    for row in np.flatnonzero(size > MAX_ID):
        bad[row] = len(ids[int(row)].as_py() or "") > MAX_ID
    return bad


def _weights(column: NumericColumn) -> Floats | None:
    """Weights, 1 where absent; None when all are 1."""
    values = column.or_nan()
    if column.missing is not None:
        values = np.where(column.missing, 1.0, values)
    return None if (values == 1).all() else values


def _non_negative(values: Floats) -> Floats:
    return np.where((values >= 0) & np.isfinite(values), values, np.nan)
