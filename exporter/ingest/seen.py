"""Ids of one-shot work, told apart by 64-bit hashes: several times faster than a table, and gone with the process."""

from collections.abc import Mapping, Sequence

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from exporter.ingest.records import Sorted
from exporter.profile.batch import Predictions
from exporter.profile.columns import Mask, any_of, null_mask

Hashes = NDArray[np.uint64]
Hashed = Mapping[str, Sequence[Hashes | None]]


_MARK_BITS = 24  # of a hash: 16 MB of marks, of which a million hashes set one in sixteen
_UNMARKED = np.uint64(64 - _MARK_BITS)


class SeenHashes:
    """A set that only grows: sorted runs, merged as they grow alike, so that n hashes cost n log n.

    `marks` tell of the upper bits of all hashes that any copy took, so that few hashes must be looked for in the runs.
    """

    def __init__(self, runs: tuple[Hashes, ...] = (), marks: Mask | None = None) -> None:
        self._runs = list(runs)
        self._marks = np.zeros(2**_MARK_BITS, dtype=bool) if marks is None else marks

    def copy(self) -> "SeenHashes":
        """A set that grows apart from this one."""
        return SeenHashes(tuple(self._runs), self._marks)

    def add(self, hashes: Hashes) -> Mask:
        """True where a hash stands for the first time, in this batch as in all before it; all are remembered.

        >>> seen = SeenHashes()
        >>> seen.add(np.array([3, 1, 3], dtype=np.uint64)).tolist()
        [True, True, False]
        >>> seen.add(np.array([1, 2], dtype=np.uint64)).tolist()
        [False, True]
        """
        run = np.sort(hashes)
        marks = (run >> _UNMARKED).astype(np.intp)
        repeats = bool((run[1:] == run[:-1]).any() or self._holds(run[self._marks[marks]]).any())
        self._marks[marks] = True
        first = self._first(hashes) if repeats else np.ones(len(hashes), dtype=bool)
        self._remember(np.sort(hashes[first]) if repeats else run)
        return first

    def _first(self, hashes: Hashes) -> Mask:
        first = np.zeros(len(hashes), dtype=bool)
        first[np.unique(hashes, return_index=True)[1]] = True
        return first & ~self._holds(hashes)

    def _holds(self, hashes: Hashes) -> Mask:
        held = np.zeros(len(hashes), dtype=bool)
        for run in self._runs:
            place = np.searchsorted(run, hashes)
            held |= run[np.minimum(place, len(run) - 1)] == hashes
        return held

    def _remember(self, run: Hashes) -> None:
        if len(run) == 0:
            return
        while self._runs and len(self._runs[-1]) <= len(run):
            run = np.sort(np.concatenate((self._runs.pop(), run)), kind="stable")  # merges sorted runs in one pass
        self._runs.append(run)


class SeenIds:
    """Ids of each model's predictions."""

    def __init__(self, hasher: duckdb.DuckDBPyConnection) -> None:
        self._hasher = hasher
        self._seen: dict[str, SeenHashes] = {}

    def copy(self) -> dict[str, SeenHashes]:
        """What is known now, for `restore`."""
        return {model: seen.copy() for model, seen in self._seen.items()}

    def restore(self, known: dict[str, SeenHashes]) -> None:
        """Know again what was known when `copy` was called."""
        self._seen = known

    def hashes(self, records: Sorted) -> Hashed:
        """The hashes of all ids, batch by batch, for `drop_repeated`; on any thread."""
        with self._hasher.cursor() as cursor:
            return {
                model: [_hashes(cursor, batch) for batch in batches] for model, batches in records.predictions.items()
            }

    def drop_repeated(self, records: Sorted, hashed: Hashed) -> None:
        """Take from `records` the predictions whose id came before, and count them as refused."""
        for model, batches in records.predictions.items():
            for place, (batch, hashes) in enumerate(zip(batches, hashed[model], strict=True)):
                first = self._first(model, batch, hashes)
                if first.all():
                    continue
                batches[place] = batch.take(first)
                repeated = int(np.count_nonzero(~first))
                records.accepted["prediction"] -= repeated
                records.rejected["duplicate_id"] += repeated

    def _first(self, model: str, batch: Predictions, hashes: Hashes | None) -> Mask:
        first = np.ones(batch.rows, dtype=bool)
        if hashes is not None and batch.ids is not None:
            named = ~any_of(null_mask(batch.ids), batch.rows)
            first[named] = self._seen.setdefault(model, SeenHashes()).add(hashes[named])
        return first


def _hashes(cursor: duckdb.DuckDBPyConnection, batch: Predictions) -> Hashes | None:
    if batch.ids is None or batch.ids.null_count == batch.rows:
        return None
    cursor.register("batch", pa.table({"id": batch.ids}))
    return np.asarray(cursor.execute("SELECT hash(id) AS h FROM batch").fetchnumpy()["h"], dtype=np.uint64)
