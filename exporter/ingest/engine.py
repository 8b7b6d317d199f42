"""From sorted records to profiles: admit each prediction once, count it, settle outcomes, count those.

One engine serves the exporter (periods are buckets) and one-shot evaluation (periods are stretches of windows).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from exporter.ingest.ledger import Ledger, Settled, Settlement
from exporter.ingest.records import Sorted
from exporter.profile.batch import Predictions, Report, Scored
from exporter.profile.columns import Codes, Column, Floats, TextColumn
from exporter.profile.kernel import Kernel
from exporter.profile.packed import Packed
from exporter.windows import Starts

Key = tuple[str, str, int]  # model, version, start of the period
ErrorKey = tuple[str, str, str, str]  # model, version, error, and who tells: `records` or `reports`
Period = Callable[[Floats, Floats], Starts]
"""The period of each record, by its time and by when it was known; an outcome counts at its prediction's time."""
Labelled = Callable[[Scored, Column, Floats | None, Codes | None, int], Floats]
_NUMBERS_AT_ONCE = 2_000_000  # 16 MB of float64: bounds a batch that is spread over many periods
_MAX_ERRORS = 50  # names of errors of one version; instrumentation guides ask to think again from 100 series on
_MAX_ERROR = 128  # characters of an error's name


@dataclass
class Delta:
    """What a piece of the log adds: packed profile vectors by key, and what the counters count."""

    profiles: dict[Key, list[Packed]] = field(default_factory=dict)
    accepted: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    errors: Counter[ErrorKey] = field(default_factory=Counter)
    newest: dict[str, float] = field(default_factory=dict)

    def add(self, key: Key, vector: Floats) -> None:
        """Add a vector to the profile of `key`."""
        self.profiles.setdefault(key, []).append(Packed.of(vector))

    def refuse(self, kind: str, reason: str, count: int) -> None:
        """Take back `count` records of a kind that were accepted at first sight."""
        if count:
            self.accepted[kind] -= count
            self.rejected[reason] += count

    def absorb(self, other: "Delta") -> None:
        """Take in what `other` holds."""
        for key, packed in other.profiles.items():
            self.profiles.setdefault(key, []).extend(packed)
        self.accepted.update(other.accepted)
        self.rejected.update(other.rejected)
        self.errors.update(other.errors)
        for model, ts in other.newest.items():
            self.saw(model, ts)

    def saw(self, model: str, ts: float) -> None:
        """Note a record's time."""
        self.newest[model] = max(ts, self.newest.get(model, ts))


@dataclass
class Admitted:
    """Records that count, and what is known of their delta: all that depends on the order that records come in."""

    delta: Delta
    predictions: list[tuple[str, Predictions, Scored]] = field(default_factory=list)
    settlements: list[tuple[str, Settlement]] = field(default_factory=list)
    reports: list[tuple[str, Report]] = field(default_factory=list)


class Engine:
    """Turns sorted records into deltas with one kernel for each model and one ledger."""

    def __init__(self, kernels: Mapping[str, Kernel], ledger: Ledger, max_versions: int) -> None:
        self._kernels = kernels
        self._ledger = ledger
        self._max_versions = max_versions
        self._known: dict[str, dict[str, set[str]]] = {name: {} for name in kernels}
        """Versions of each model, and the names of their errors."""

    def know(self, model: str, versions: Mapping[str, Iterable[str]]) -> None:
        """Versions, with their errors, that are known from now on: after a restart, and when some are gone."""
        self._known[model] = {version: set(errors) for version, errors in versions.items()}

    def expire(self, before: float) -> int:
        """Stop waiting for what is older than `before`; the number of outcomes whose prediction never came."""
        return self._ledger.expire(before)

    def take(self, records: Sorted, period: Period) -> Delta:
        """What `records` add."""
        return self.count(self.admit(records), period)

    def admit(self, records: Sorted) -> Admitted:
        """All predictions, then outcomes (so those of the same piece find theirs), then counts records.

        One call after the other: each depends on what was admitted before.
        """
        admitted = Admitted(Delta(accepted=records.accepted, rejected=records.rejected))
        for model, batches in records.predictions.items():
            for batch in batches:
                self._admit_predictions(model, batch, admitted)
        for model, several in records.outcomes.items():
            for outcomes in several:
                admitted.delta.saw(model, float(outcomes.ts.max()))
                settlement = self._ledger.settle(model, outcomes)
                admitted.delta.refuse("outcome", "duplicate_outcome", settlement.repeated)
                admitted.delta.refuse("outcome", "superseded_outcome", settlement.superseded)
                admitted.settlements.append((model, settlement))
        for model, reports in records.reports.items():
            self._admit_reports(model, reports, admitted)
        return admitted

    def count(self, admitted: Admitted, period: Period) -> Delta:
        """The profiles of what was admitted, on any thread and in any order; the delta is the admitted one's."""
        delta = admitted.delta
        for model, batch, scored in admitted.predictions:
            kernel = self._kernels[model]
            for keys, groups, rows in _grouped(model, batch.version, period(batch.ts, batch.ts), kernel.layout.size):
                part, outputs = (batch, scored) if rows is None else (batch.take(rows), scored.take(rows))
                matrix = kernel.predictions(part, outputs, groups, len(keys))
                if part.label is not None:
                    matrix += kernel.labelled(part, outputs, groups, len(keys))
                _add_all(delta, keys, matrix)
        for model, settlement in admitted.settlements:
            self._count_settlement(model, settlement, period, delta)
        for model, report in admitted.reports:
            ts = np.array([report.ts])
            start = int(period(ts, ts)[0])
            delta.add((model, report.version, start), self._kernels[model].reports([report]))
        return delta

    def _count_settlement(self, model: str, settlement: Settlement, period: Period, delta: Delta) -> None:
        """Count first labels; of corrected ones, add the new and take back the old, which both are known by the new."""
        kernel, first, corrected = self._kernels[model], settlement.first, settlement.corrected
        if first is not None:
            self._labelled(model, first, period(first.scored.ts, first.known), delta, kernel.outcomes)
        if corrected is not None and settlement.replaced is not None:
            starts = period(corrected.scored.ts, corrected.known)
            self._labelled(model, corrected, starts, delta, kernel.corrections)
            self._labelled(model, settlement.replaced, starts, delta, kernel.replaced)

    def _labelled(self, model: str, settled: Settled, starts: Starts, delta: Delta, count: Labelled) -> None:
        for keys, groups, rows in _grouped(model, settled.version, starts, self._kernels[model].layout.size):
            part = settled if rows is None else settled.take(rows)
            _add_all(delta, keys, count(part.scored, part.label, part.delay, groups, len(keys)))

    def _admit_predictions(self, model: str, batch: Predictions, admitted: Admitted) -> None:
        kernel, delta = self._kernels[model], admitted.delta
        batch = self._of_known_versions(model, batch, delta)
        if batch.rows == 0:
            return
        delta.saw(model, float(batch.ts.max()))
        fresh = self._ledger.fresh(model, batch)
        if not fresh.all():
            delta.refuse("prediction", "duplicate_id", int(np.count_nonzero(~fresh)))
            batch = batch.take(fresh)
        if batch.rows == 0:
            return
        delta.errors.update(self.errors_of(model, batch))
        scored = kernel.scored(batch)
        admitted.predictions.append((model, batch, scored))
        admitted.settlements.append((model, self._ledger.remember(model, batch, scored)))

    def _admit_reports(self, model: str, reports: list[Report], admitted: Admitted) -> None:
        for report in reports:
            if not self._admit_version(model, report.version):
                admitted.delta.refuse("counts", "too_many_versions", 1)
                continue
            admitted.delta.saw(model, report.ts)
            admitted.reports.append((model, report))
            admitted.delta.errors.update(self.reported_errors(model, report))

    def _of_known_versions(self, model: str, batch: Predictions, delta: Delta) -> Predictions:
        """The rows of versions that are known or may still become so; a flood of versions is refused."""
        present = [str(batch.version.texts[code]) for code in np.flatnonzero(np.bincount(batch.version.codes))]
        refused = {version for version in present if not self._admit_version(model, version)}
        if not refused:
            return batch
        table = np.array([text not in refused for text in batch.version.texts])
        kept = table[batch.version.codes]
        delta.refuse("prediction", "too_many_versions", int(np.count_nonzero(~kept)))
        return batch.take(kept)

    def _admit_version(self, model: str, version: str) -> bool:
        known = self._known[model]
        if version not in known and len(known) < self._max_versions:
            known[version] = set()
        return version in known

    def _error_name(self, model: str, version: str, error: str) -> str:
        """The error's name as a label value; a flood of names becomes `other`."""
        known, name = self._known[model][version], error[:_MAX_ERROR] or "unknown"
        if name not in known and len(known) >= _MAX_ERRORS:
            return "other"
        known.add(name)
        return name

    def reported_errors(self, model: str, report: Report) -> Counter[ErrorKey]:
        """The requests that failed by a report's word, by the names that its version's errors have here."""
        errors: Counter[ErrorKey] = Counter()
        for error, count in report.errors.items():
            name = self._error_name(model, report.version, error)
            errors[model, report.version, name, "reports"] += count  # type: ignore[assignment]  # weighted
        return errors

    def errors_of(self, model: str, batch: Predictions) -> Counter[ErrorKey]:
        """The weight of the failed requests of a batch whose versions are known."""
        errors: Counter[ErrorKey] = Counter()
        failed, names = np.flatnonzero(batch.failed), len(batch.error.texts)
        pairs, place = np.unique(batch.version.codes[failed] * names + batch.error.codes[failed], return_inverse=True)
        counts = np.bincount(place, weights=batch.weights[failed], minlength=len(pairs))
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
            version = str(batch.version.texts[pair // names])
            error = self._error_name(model, version, batch.error.texts[pair % names] or "")
            errors[model, version, error, "records"] += count
        return errors


def _grouped(
    model: str, version: TextColumn, starts: Starts, size: int
) -> Iterator[tuple[list[Key], Codes | None, Codes | None]]:
    """Keys of the groups, each row's group (None: one group) and which rows (None: all), a bounded matrix at a time."""
    pairs = version.codes * np.int64(2**40) + starts  # starts stay below 2**40 seconds for 34,000 years
    if len(pairs) and (pairs == pairs[0]).all():  # most batches of one-shot work
        distinct, groups = pairs[:1], np.zeros(0, dtype=np.intp)
    else:
        distinct, groups = np.unique(pairs, return_inverse=True)
    keys = [(model, str(version.texts[pair >> 40]), int(pair & (2**40 - 1))) for pair in distinct.tolist()]
    at_once = max(_NUMBERS_AT_ONCE // size, 1)
    if len(keys) <= at_once:
        yield keys, None if len(keys) == 1 else groups, None
        return
    order = np.argsort(groups, kind="stable")
    ends = np.cumsum(np.bincount(groups))
    for first in range(0, len(keys), at_once):
        last = min(first + at_once, len(keys))
        rows = order[ends[first - 1] if first else 0 : ends[last - 1]]
        yield keys[first:last], groups[rows] - first, rows


def _add_all(delta: Delta, keys: list[Key], matrix: Floats) -> None:
    for key, vector in zip(keys, matrix, strict=True):
        delta.add(key, vector)
