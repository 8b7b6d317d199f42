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

from exporter.ingest.places import Marks, Places
from exporter.profile.batch import Outcomes, Predictions, Scored
from exporter.profile.columns import (
    Column,
    Floats,
    Mask,
    TextColumn,
    absent,
    any_of,
    combined,
    float_array,
    index_array,
    null_mask,
    numeric_column,
    text_array,
    text_column,
)

# Rows are numbered by `seq` and found by `code`, a hash of id and model. `labelled` is the newest time of a label and
# `counted` its first; a label that stood in its prediction has neither.
_LABEL = "label VARCHAR, labelled DOUBLE, counted DOUBLE"
_TABLES = {
    "predictions": "ts DOUBLE, version VARCHAR, cell INTEGER, value DOUBLE, weight DOUBLE, segments BIGINT",
    "waiting": _LABEL,
}
_COMPARED = (
    "t.seq, o.label, o.labelled, o.counted, t.label AS old_label, t.labelled AS old_labelled, "
    "t.counted AS old_counted, coalesce(o.label = t.label, false) AS same"
)
_LOAD = 1_000_000  # rows whose places are loaded at a time: 16 MB

Codes = NDArray[np.uint64]
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

    def table(self) -> pa.Table:
        """The rows to remember."""
        segments = self.scored.segments
        if segments is None:
            segments = np.zeros(len(self.ids), dtype=np.intp)
        columns = {
            "id": self.ids,
            "ts": float_array(self.scored.ts),
            "version": text_array(self.version),
            "cell": index_array(self.scored.cell),
            "value": float_array(self.scored.value),
            "weight": float_array(self.scored.weight),
            "segments": index_array(segments),
        }
        return pa.table(columns if self.label is None else columns | {"label": text_array(self.label)})


@dataclass(frozen=True, slots=True)
class Settled:
    """Predictions with a label, their versions, and the delay of the label in seconds (NaN where unknown)."""

    scored: Scored
    version: TextColumn
    label: Column
    delay: Floats

    @property
    def known(self) -> Floats:
        """When each label was known: its own time, and the prediction's where that is later or alone is known."""
        return self.scored.ts + np.where(np.isnan(self.delay), 0.0, self.delay)

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
        self._run(f"CREATE TABLE IF NOT EXISTS labels (seq BIGINT, model VARCHAR, {_LABEL})")
        for table, columns in _TABLES.items():
            start = f"CREATE TABLE IF NOT EXISTS {table} (seq BIGINT, model VARCHAR, key {kind}, code UBIGINT"
            self._run(f"{start}, {columns})")
        self._index = {table: self._indexed(table) for table in _TABLES}
        self._labelled = Marks(_integers(self._table("SELECT seq FROM labels"), "seq"))

    def fresh(self, model: str, batch: Predictions) -> Mask:
        """True for the rows not remembered yet, and for rows without an id."""
        fresh = np.ones(batch.rows, dtype=bool)
        if _anonymous(batch.ids):
            return fresh
        codes, named = self._codes(model, batch.ids), np.flatnonzero(~any_of(null_mask(batch.ids), batch.rows))
        fresh[named] = False
        fresh[named[np.unique(codes[named], return_index=True)[1]]] = True
        if (known := self._matches("predictions", pa.table({"code": _unsigned_array(codes)}), "o.row")) is not None:
            fresh[np.intersect1d(_integers(known, "row"), named)] = False
        return fresh

    def remember(self, model: str, batch: Predictions, scored: Scored) -> Settlement:
        """Remember fresh predictions with the labels that they carry; and settle those whose outcome waits already."""
        return Settlement() if _anonymous(batch.ids) else self._remember(model, Remembered.of(batch, scored))

    def settle(self, model: str, outcomes: Outcomes) -> Settlement:
        """What `outcomes` settle and correct; those without their prediction wait for it."""
        label, ts, codes = text_array(outcomes.label), float_array(outcomes.ts), self._codes(model, outcomes.ids)
        columns = {"id": outcomes.ids, "code": _unsigned_array(codes), "label": label, "labelled": ts, "counted": ts}
        rows, repeated, superseded = _newest(codes, outcomes)
        settled, left = self._settle(model, _rows(pa.table(columns), rows))
        again, older = self._wait(model, left)
        repeated, superseded = repeated + settled.repeated + again, superseded + settled.superseded + older
        return Settlement(settled.first, settled.corrected, settled.replaced, repeated, superseded)

    def expire(self, before: float) -> int:
        """Forget what is older than `before`; the number of outcomes whose prediction never came."""
        orphans = int(self._one("SELECT count(*) FROM waiting WHERE labelled < $before", before=before))
        self._run("DELETE FROM labels WHERE seq IN (SELECT seq FROM predictions WHERE ts < $before)", before=before)
        for table, time in (("predictions", "ts"), ("waiting", "labelled")):
            self._run(f"DELETE FROM {table} WHERE {time} < $before", before=before)
            index = self._index[table]
            index.places.forget(int(self._one(f"SELECT coalesce(min(seq), {index.upcoming}) FROM {table}")))
        return orphans

    def _remember(self, model: str, rows: Remembered) -> Settlement:
        codes, named = self._codes(model, rows.ids), np.flatnonzero(~any_of(null_mask(rows.ids), len(rows.ids)))
        table = rows.table().append_column("code", _unsigned_array(codes))
        seq = self._insert("predictions", model, _rows(table, named), "ts, version, cell, value, weight, segments")
        if rows.label is not None:
            carried = np.flatnonzero(~absent(rows.label)[named])
            self._label(model, seq[carried], combined(table["label"]).take(index_array(named[carried])))
        waited = self._matches("waiting", table.select(["code"]), "o.code, t.seq, t.label, t.labelled, t.counted")
        if waited is None:
            return Settlement()
        self._connection.register("taken", waited)
        self._run("DELETE FROM waiting WHERE seq IN (SELECT seq FROM taken)")
        return self._settle(model, waited.drop_columns("seq"))[0]

    def _settle(self, model: str, offer: pa.Table) -> tuple[Settlement, pa.Table]:
        """What one outcome for each id changes, and those without a prediction."""
        columns = "o.row, t.seq, t.cell, t.value, t.ts, t.weight, t.segments, t.version, o.label, o.labelled, o.counted"
        found = self._matches("predictions", offer, columns)
        if found is None:
            return Settlement(), offer
        left = np.ones(offer.num_rows, dtype=bool)
        left[_integers(found, "row")] = False
        known = self._labelled.of(_integers(found, "seq"))
        first = _rows(found, np.flatnonzero(~known))
        self._label(
            model, _integers(first, "seq"), *(combined(first[name]) for name in ("label", "labelled", "counted"))
        )
        changed = self._corrected(_rows(found, np.flatnonzero(known))) if known.any() else Settlement()
        settled = _settled(first, "label", "counted") if first.num_rows else None
        both = Settlement(settled, changed.corrected, changed.replaced, changed.repeated, changed.superseded)
        return both, _rows(offer, np.flatnonzero(left))

    def _corrected(self, found: pa.Table) -> Settlement:
        """What outcomes change whose predictions have a label."""
        self._connection.register("offer", found)
        columns = f"{_COMPARED}, o.cell, o.value, o.ts, o.weight, o.segments, o.version"
        compared = self._table(f"SELECT {columns} FROM offer o JOIN labels t ON t.seq = o.seq")
        changes, same = self._replace("labels", compared)
        changed = _rows(compared, np.flatnonzero(changes))
        now, before = (_settled(changed, f"{when}label", f"{when}counted") for when in ("", "old_"))
        counts = int(np.count_nonzero(same)), int(np.count_nonzero(~changes & ~same))
        return Settlement(None, now, before, *counts) if changes.any() else Settlement(None, None, None, *counts)

    def _replace(self, table: str, compared: pa.Table) -> tuple[Mask, Mask]:
        """Write what is newer than it was; masks of the labels that change, and of those that are as they were."""
        offered, held = (numeric_column(combined(compared[name])).or_nan() for name in ("labelled", "old_labelled"))
        same = numeric_column(combined(compared["same"])).values == 1
        changes = ~same & ~(offered < held)
        since = (numeric_column(combined(compared[name])).or_nan() for name in ("counted", "old_counted"))
        columns = {
            "seq": combined(compared["seq"]), "label": combined(compared["label"]), "labelled": float_array(offered),
            "counted": float_array(np.where(changes, *since)),
        }  # fmt: skip
        written = np.flatnonzero(changes | (same & ~(offered <= held)))
        self._connection.register("offer", _rows(pa.table(columns), written))
        values = "label = o.label, labelled = o.labelled, counted = o.counted"
        self._run(f"UPDATE {table} t SET {values} FROM offer o WHERE t.seq = o.seq")
        return changes, same

    def _wait(self, model: str, offer: pa.Table) -> tuple[int, int]:
        """Keep outcomes without a prediction; how many of them say what waits already, and something older."""
        repeated = superseded = 0
        found = self._matches("waiting", offer, f"o.row, {_COMPARED}")
        if found is not None:
            changes, same = self._replace("waiting", found)
            repeated, superseded = int(np.count_nonzero(same)), int(np.count_nonzero(~changes & ~same))
            left = np.ones(offer.num_rows, dtype=bool)
            left[_integers(found, "row")] = False
            offer = _rows(offer, np.flatnonzero(left))
        self._insert("waiting", model, offer, "label, labelled, counted")
        return repeated, superseded

    def _insert(self, table: str, model: str, rows: pa.Table, columns: str) -> Numbers:
        """Append rows, all with an id and its code; their numbers."""
        index = self._index[table]
        seq = index.upcoming + np.arange(rows.num_rows)
        if len(seq):
            index.upcoming += len(seq)
            index.places.add(_unsigned(rows, "code"), seq)
            self._connection.register("offer", rows.append_column("seq", index_array(seq)))
            self._run(f"INSERT INTO {table} SELECT seq, $model, {self._key}, code, {columns} FROM offer", model=model)
        return seq

    def _label(self, model: str, seq: Numbers, label: pa.Array, *times: pa.Array) -> None:
        """Note the first label of predictions, with its time where it came later than they."""
        if len(seq) == 0:
            return
        self._labelled.add(seq)
        columns = {"seq": index_array(seq), "label": label, **dict(zip(("labelled", "counted"), times, strict=False))}
        self._connection.register("offer", pa.table(columns))
        known = "labelled, counted" if times else "NULL, NULL"
        self._run(f"INSERT INTO labels SELECT seq, $model, label, {known} FROM offer", model=model)

    def _matches(self, table: str, offer: pa.Table, columns: str) -> pa.Table | None:
        """The `columns` of rows `t` of a table that have the code of a row `o` of `offer`; None when there are none."""
        rows, places = self._index[table].places.find(_unsigned(offer, "code"))
        if len(rows) == 0:
            return None
        candidates = offer.take(index_array(rows))
        for name, numbers in (("row", rows), ("seq", places)):
            candidates = candidates.append_column(name, index_array(numbers))
        self._connection.register("candidates", candidates)
        # Codes are compared behind the join: as a second condition they keep DuckDB from passing over rows by `seq`.
        found = self._table(
            f"SELECT {columns}, t.code = o.code AS alike FROM candidates o JOIN {table} t ON t.seq = o.seq"
        )
        found = _rows(found, np.flatnonzero(numeric_column(combined(found["alike"])).values))
        return found.drop_columns("alike") if found.num_rows else None

    def _indexed(self, table: str) -> _Index:
        """The places of a table's rows, whose codes are made anew where another DuckDB hashed otherwise."""
        self._run(f"UPDATE {table} SET code = hash(key, model) WHERE code != hash(key, model)")
        first = int(self._one(f"SELECT coalesce(min(seq), 0) FROM {table}"))
        index = _Index(Places(first=first), first)
        query = self._connection.sql(f"SELECT seq, code FROM {table} ORDER BY seq")
        make = query.to_arrow_reader if hasattr(query, "to_arrow_reader") else query.fetch_arrow_reader
        for batch in make(_LOAD):
            seq = _integers(batch, "seq")
            index.places.add(_unsigned(batch, "code"), seq)
            index.upcoming = int(seq[-1]) + 1
        return index

    def _codes(self, model: str, ids: pa.Array) -> Codes:
        self._connection.register("offer", pa.table({"id": ids}))
        return _unsigned(self._table(f"SELECT hash({self._key}, $model) AS code FROM offer", model=model), "code")

    def _table(self, query: str, **values: Any) -> pa.Table:
        relation = self._connection.sql(query, params=values or None)
        return relation.to_arrow_table() if hasattr(relation, "to_arrow_table") else relation.arrow()

    def _run(self, statement: str, **values: Any) -> None:
        self._connection.execute(statement, values or None)

    def _one(self, query: str, **values: Any) -> Any:
        [row] = self._connection.execute(query, values or None).fetchall()
        return row[0]


def _newest(codes: Codes, outcomes: Outcomes) -> tuple[Numbers, int, int]:
    """The rows of the outcome that counts of each id; how many others say the same, and something else."""
    order = np.lexsort((outcomes.ts, codes))  # stable: of equally new ones the last to arrive comes last
    last = np.append(codes[order][1:] != codes[order][:-1], True)
    if last.all():
        return np.arange(len(codes)), 0, 0
    ends = np.flatnonzero(last)
    counting = order[ends[np.searchsorted(ends, np.arange(len(order)))]]
    label = outcomes.label
    said = label.codes if isinstance(label, TextColumn) else label.values
    same = np.equal(said[order], said[counting])
    return np.sort(order[ends]), int(np.count_nonzero(same & ~last)), int(np.count_nonzero(~same))


def _rows(table: pa.Table, rows: Numbers) -> pa.Table:
    """The rows at these ascending positions; the table itself when that is all of them."""
    return table if len(rows) == table.num_rows else table.take(index_array(rows))


def _settled(found: pa.Table, label: str, counted: str) -> Settled:
    """The found predictions with one of their labels."""
    names = ("value", "ts", "weight", counted)
    value, ts, weight, since = (numeric_column(combined(found[name])).or_nan() for name in names)
    cell, segments = (_integers(found, name).astype(np.intp) for name in ("cell", "segments"))
    scored = Scored(cell, value, ts, weight, segments)
    version, text = text_column(combined(found["version"])), text_column(combined(found[label]))
    return Settled(scored, version, text, np.maximum(since - ts, 0.0))


def _integers(found: pa.Table | pa.RecordBatch, name: str) -> Numbers:
    return _values(combined(found[name]).cast(pa.int64()), np.int64)


def _unsigned(found: pa.Table | pa.RecordBatch, name: str) -> Codes:
    return _values(combined(found[name]), np.uint64)


def _unsigned_array(values: Codes) -> pa.Array:
    return pa.Array.from_buffers(pa.uint64(), len(values), [None, pa.py_buffer(values)])


def _values(array: pa.Array, kind: type[Number]) -> NDArray[Number]:
    """The numbers of an array without nulls."""
    return np.frombuffer(array.buffers()[1] or b"", dtype=kind, count=len(array), offset=8 * array.offset)


def _anonymous(ids: pa.Array | None) -> bool:
    return ids is None or ids.null_count == len(ids)
