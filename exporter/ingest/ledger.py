"""Which predictions were counted, and which label each of them has: set by set, in DuckDB.

Ids make every prediction count once and join outcomes to predictions, in whatever order they come. Of all outcomes of
a prediction the one with the newest time counts, of equally new ones the last to arrive: so a corrected label replaces
the old one. The tables live in the exporter's database and commit together with the profiles; `Places`, in memory, say
which of their rows to look at. For one-shot work all live in memory and hold a hash of the id instead of the id.
"""

from dataclasses import dataclass, field
from typing import Any, TypeVar

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from exporter.ingest.places import Places, repeats
from exporter.profile.batch import Outcomes, Predictions, Scored
from exporter.profile.columns import (
    Column,
    Floats,
    Mask,
    TextColumn,
    any_of,
    combined,
    float_array,
    index_array,
    null_mask,
    numeric_column,
    text_array,
    text_column,
)

# `labelled` is the newest time of the label, `counted` its first; a label that stood in the prediction has neither.
_LABEL = "label VARCHAR, labelled DOUBLE, counted DOUBLE"
_TABLES = {
    "predictions": f"ts DOUBLE, version VARCHAR, cell INTEGER, value DOUBLE, weight DOUBLE, {_LABEL}",
    "waiting": _LABEL,
}
_OFFERED = (
    "o.row, t.seq, o.label, o.labelled, o.counted, t.labelled AS old_labelled, t.counted AS old_counted, "
    "coalesce(o.label = t.label, false) AS same"
)
_PREDICTED = "t.cell, t.value, t.ts, t.weight, t.version, t.label AS old_label"
_LOAD = 1_000_000  # rows whose places are loaded at a time: 16 MB

Hashes = NDArray[np.uint64]
Numbers = NDArray[np.int64]
Number = TypeVar("Number", np.int64, np.uint64)


@dataclass(frozen=True, slots=True)
class Remembered:
    """What an outcome will need to know of predictions, and the labels that they carry themselves."""

    ids: pa.Array
    version: TextColumn
    label: Column | None
    scored: Scored

    @classmethod
    def of(cls, batch: Predictions, scored: Scored) -> "Remembered":
        """Of a batch, without its features."""
        return cls(batch.ids, batch.version, batch.label, scored)

    def table(self, first: int) -> pa.Table:
        """The rows to remember, numbered from `first`."""
        rows = len(self.ids)
        columns = {
            "seq": index_array(np.arange(first, first + rows)),
            "id": self.ids,
            "ts": float_array(self.scored.ts),
            "version": text_array(self.version),
            "cell": index_array(self.scored.cell),
            "value": float_array(self.scored.value),
            "weight": float_array(self.scored.weight),
            "label": pa.nulls(rows, pa.string()) if self.label is None else text_array(self.label),
        }
        return pa.table(columns)


@dataclass(frozen=True, slots=True)
class Settled:
    """Predictions with a label, their versions, and the delay of the label in seconds (NaN where unknown)."""

    scored: Scored
    version: TextColumn
    label: Column
    delay: Floats

    def take(self, rows: NDArray[Any]) -> "Settled":
        """The rows that `rows` (a mask or positions) selects."""
        return Settled(self.scored.take(rows), self.version.take(rows), self.label.take(rows), self.delay[rows])


@dataclass(frozen=True, slots=True)
class Settlement:
    """What outcomes change: first labels; and corrected ones, row by row beside those that they replace."""

    first: Settled | None = None
    corrected: Settled | None = None
    replaced: Settled | None = None
    repeated: int = 0
    """Outcomes that said what counts already."""
    superseded: int = 0
    """Outcomes that said something else, and were older than the one that counts."""


@dataclass
class _Index:
    """Where the ids of a table stand, and the number of its next row."""

    places: Places = field(default_factory=Places)
    upcoming: int = 0

    def copy(self) -> "_Index":
        return _Index(self.places.copy(), self.upcoming)


class Ledger:
    """Remembers predictions once and settles outcomes; `exact` keeps ids as they are, else 64-bit hashes of them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, exact: bool = True) -> None:
        self._connection = connection
        self._key, kind = ("id", "VARCHAR") if exact else ("hash(id)", "UBIGINT")
        self._index: dict[str, _Index] = {}
        for table, columns in _TABLES.items():
            start = f"CREATE TABLE IF NOT EXISTS {table} (seq BIGINT, model VARCHAR, key {kind}"
            self._run(f"{start}, {columns})")
            self._index[table] = self._indexed(table)

    def fresh(self, model: str, batch: Predictions) -> Mask:
        """True for the rows not remembered yet, and for rows without an id."""
        fresh = np.ones(batch.rows, dtype=bool)
        if _anonymous(batch.ids):
            return fresh
        offer, hashes = pa.table({"id": batch.ids}), self._hashes(model, batch.ids)
        if (known := self._matches("predictions", model, offer, hashes, "row")) is not None:
            fresh[_integers(known, "row")] = False
        named = ~any_of(null_mask(batch.ids), batch.rows)
        if repeats(hashes[named]):
            order = f"row_number() OVER (PARTITION BY {self._key} ORDER BY row)"
            self._connection.register("offer", pa.table({"id": batch.ids, "row": index_array(np.arange(batch.rows))}))
            later = self._table(f"SELECT row FROM offer WHERE id IS NOT NULL QUALIFY {order} > 1")
            fresh[_integers(later, "row")] = False
        return fresh

    def remember(self, model: str, batch: Predictions, scored: Scored) -> Settlement:
        """Remember fresh predictions with the labels that they carry; and settle those whose outcome waits already."""
        return Settlement() if _anonymous(batch.ids) else self._remember(model, Remembered.of(batch, scored))

    def settle(self, model: str, outcomes: Outcomes) -> Settlement:
        """What `outcomes` settle and correct; those without their prediction wait for it."""
        label, ts = text_array(outcomes.label), float_array(outcomes.ts)
        offer = pa.table({"id": outcomes.ids, "label": label, "labelled": ts, "counted": ts})
        hashes, repeated, superseded = self._hashes(model, outcomes.ids), 0, 0
        if repeats(hashes):
            rows, repeated, superseded = self._newest(offer)
            offer, hashes = offer.take(index_array(rows)), hashes[rows]
        settled, left = self._settle(model, offer, hashes)
        again, older = self._wait(model, offer.take(index_array(left)), hashes[left]) if len(left) else (0, 0)
        repeated, superseded = repeated + settled.repeated + again, superseded + settled.superseded + older
        return Settlement(settled.first, settled.corrected, settled.replaced, repeated, superseded)

    def expire(self, before: float) -> int:
        """Forget what is older than `before`; the number of outcomes whose prediction never came."""
        orphans = int(self._one("SELECT count(*) FROM waiting WHERE labelled < $before", before=before))
        for table, time in (("predictions", "ts"), ("waiting", "labelled")):
            self._run(f"DELETE FROM {table} WHERE {time} < $before", before=before)
            index = self._index[table]
            index.places.forget(int(self._one(f"SELECT coalesce(min(seq), {index.upcoming}) FROM {table}")))
        return orphans

    def _remember(self, model: str, rows: Remembered) -> Settlement:
        hashes, named = self._hashes(model, rows.ids), np.flatnonzero(~any_of(null_mask(rows.ids), len(rows.ids)))
        first = self._reserve("predictions", hashes[named], named, len(rows.ids))
        self._connection.register("offer", rows.table(first))
        columns = f"seq, $model, {self._key}, ts, version, cell, value, weight, label, NULL, NULL"
        self._run(f"INSERT INTO predictions SELECT {columns} FROM offer WHERE id IS NOT NULL", model=model)
        columns = "o.row, t.seq, t.label, t.labelled, t.counted"
        waited = self._matches("waiting", model, pa.table({"id": rows.ids}), hashes, columns)
        if waited is None:
            return Settlement()
        self._connection.register("taken", waited)
        self._run("DELETE FROM waiting WHERE seq IN (SELECT seq FROM taken)")
        row = _integers(waited, "row")
        offer = waited.select(["label", "labelled", "counted"]).append_column("id", rows.ids.take(index_array(row)))
        return self._settle(model, offer, hashes[row])[0]

    def _settle(self, model: str, offer: pa.Table, hashes: Hashes) -> tuple[Settlement, Numbers]:
        """What one outcome for each id changes, and the rows of those without a prediction."""
        found = self._matches("predictions", model, offer, hashes, f"{_OFFERED}, {_PREDICTED}")
        if found is None:
            return Settlement(), np.arange(len(hashes))
        left = np.ones(len(hashes), dtype=bool)
        left[_integers(found, "row")] = False
        return self._judged(found), np.flatnonzero(left)

    def _judged(self, found: pa.Table) -> Settlement:
        changes, same = self._replace("predictions", found)
        known = ~any_of(null_mask(combined(found["old_label"])), found.num_rows)
        first, corrected = np.flatnonzero(changes & ~known), np.flatnonzero(changes & known)
        now = _settled(found, "label", "counted")
        return Settlement(
            first=now.take(first) if len(first) else None,
            corrected=now.take(corrected) if len(corrected) else None,
            replaced=_settled(found, "old_label", "old_counted").take(corrected) if len(corrected) else None,
            repeated=int(np.count_nonzero(same)),
            superseded=int(np.count_nonzero(~changes & ~same)),
        )

    def _replace(self, table: str, found: pa.Table) -> tuple[Mask, Mask]:
        """Write what is newer than it was; masks of the labels that change, and of those that are as they were."""
        offered, held = (numeric_column(combined(found[name])).or_nan() for name in ("labelled", "old_labelled"))
        same = _truths(found, "same")
        changes = ~same & ~(offered < held)
        first = (numeric_column(combined(found[name])).or_nan() for name in ("counted", "old_counted"))
        written = np.flatnonzero(changes | (same & ~(offered <= held)))
        if len(written):
            counted = np.where(changes, *first)
            columns = {
                "seq": combined(found["seq"]), "label": combined(found["label"]), "labelled": float_array(offered),
                "counted": float_array(counted),
            }  # fmt: skip
            self._connection.register("offer", pa.table(columns).take(index_array(written)))
            values = "label = o.label, labelled = o.labelled, counted = o.counted"
            self._run(f"UPDATE {table} t SET {values} FROM offer o WHERE t.seq = o.seq")
        return changes, same

    def _wait(self, model: str, offer: pa.Table, hashes: Hashes) -> tuple[int, int]:
        """Keep outcomes without a prediction; how many of them say what waits already, and something older."""
        found = self._matches("waiting", model, offer, hashes, _OFFERED)
        repeated = superseded = 0
        if found is not None:
            changes, same = self._replace("waiting", found)
            repeated, superseded = int(np.count_nonzero(same)), int(np.count_nonzero(~changes & ~same))
            left = np.ones(len(hashes), dtype=bool)
            left[_integers(found, "row")] = False
            offer, hashes = offer.take(index_array(np.flatnonzero(left))), hashes[left]
        rows = np.arange(len(hashes))
        first = self._reserve("waiting", hashes, rows, len(rows))
        self._connection.register("offer", offer.append_column("seq", index_array(first + rows)))
        self._run(
            f"INSERT INTO waiting SELECT seq, $model, {self._key}, label, labelled, counted FROM offer", model=model
        )
        return repeated, superseded

    def _newest(self, offer: pa.Table) -> tuple[Numbers, int, int]:
        """The rows of the outcome that counts of each id; how many others say the same, and something else."""
        self._connection.register("offer", offer.append_column("row", index_array(np.arange(offer.num_rows))))
        order = f"(PARTITION BY {self._key} ORDER BY labelled DESC, row DESC)"
        columns = f"row, row_number() OVER {order} AS place, label = first_value(label) OVER {order} AS same"
        judged = self._table(f"SELECT {columns} FROM offer ORDER BY row")
        first = _integers(judged, "place") == 1
        same = _truths(judged, "same")
        return np.flatnonzero(first), int(np.count_nonzero(same & ~first)), int(np.count_nonzero(~same & ~first))

    def _matches(self, table: str, model: str, offer: pa.Table, hashes: Hashes, columns: str) -> pa.Table | None:
        """The `columns` of rows `t` of a table that hold an id of the rows `o` of `offer`; None when there are none."""
        rows, places = self._index[table].places.find(hashes)
        if len(rows) == 0:
            return None
        candidates = offer.take(index_array(rows))
        for name, numbers in (("row", rows), ("seq", places)):
            candidates = candidates.append_column(name, index_array(numbers))
        self._connection.register("candidates", candidates)
        join = f"candidates o JOIN {table} t ON t.seq = o.seq AND t.key = {self._key} AND t.model = $model"
        found = self._table(f"SELECT {columns} FROM {join}", model=model)
        return found if found.num_rows else None

    def _reserve(self, table: str, hashes: Hashes, rows: Numbers, count: int) -> int:
        """The number of the first of `count` new rows of a table, of which `rows` have ids with these hashes."""
        index = self._index[table]
        first, index.upcoming = index.upcoming, index.upcoming + count
        index.places.add(hashes, first + rows)
        return first

    def _indexed(self, table: str) -> _Index:
        first = int(self._one(f"SELECT coalesce(min(seq), 0) FROM {table}"))
        index = _Index(Places(first=first), first)
        query = self._connection.sql(f"SELECT seq, hash(key, model) AS hash FROM {table} ORDER BY seq")
        make = query.to_arrow_reader if hasattr(query, "to_arrow_reader") else query.fetch_arrow_reader
        for batch in make(_LOAD):
            seq = _integers(batch, "seq")
            index.places.add(_unsigned(batch, "hash"), seq)
            index.upcoming = int(seq[-1]) + 1
        return index

    def _hashes(self, model: str, ids: pa.Array) -> Hashes:
        self._connection.register("offer", pa.table({"id": ids}))
        return _unsigned(self._table(f"SELECT hash({self._key}, $model) AS hash FROM offer", model=model), "hash")

    def _table(self, query: str, **values: Any) -> pa.Table:
        relation = self._connection.sql(query, params=values or None)
        return relation.to_arrow_table() if hasattr(relation, "to_arrow_table") else relation.arrow()

    def _run(self, statement: str, **values: Any) -> None:
        self._connection.execute(statement, values or None)

    def _one(self, query: str, **values: Any) -> Any:
        [row] = self._connection.execute(query, values or None).fetchall()
        return row[0]


def _settled(found: pa.Table, label: str, counted: str) -> Settled:
    """The found predictions with one of their labels."""
    names = ("value", "ts", "weight", counted)
    value, ts, weight, since = (numeric_column(combined(found[name])).or_nan() for name in names)
    scored = Scored(_integers(found, "cell").astype(np.intp), value, ts, weight)
    version, text = text_column(combined(found["version"])), text_column(combined(found[label]))
    return Settled(scored, version, text, np.maximum(since - ts, 0.0))


def _integers(found: pa.Table | pa.RecordBatch, name: str) -> Numbers:
    return _values(combined(found[name]).cast(pa.int64()), np.int64)


def _unsigned(found: pa.Table | pa.RecordBatch, name: str) -> Hashes:
    return _values(combined(found[name]), np.uint64)


def _truths(found: pa.Table, name: str) -> Mask:
    return numeric_column(combined(found[name])).values == 1


def _values(array: pa.Array, kind: type[Number]) -> NDArray[Number]:
    """The numbers of an array without nulls."""
    return np.frombuffer(array.buffers()[1] or b"", dtype=kind, count=len(array), offset=8 * array.offset)


def _anonymous(ids: pa.Array | None) -> bool:
    return ids is None or ids.null_count == len(ids)
