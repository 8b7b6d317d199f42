"""Which predictions were counted, and which label each of them has: set by set, in DuckDB.

Ids make every prediction count once and join outcomes to predictions, in whatever order they come. Of all outcomes of
a prediction the one with the newest time counts, of equally new ones the last to arrive: so a corrected label replaces
the old one. The tables live in the exporter's database and commit together with the profiles; `Places`, in memory, say
which of their rows to look at. For one-shot work all live in memory and hold a hash of the id instead of the id.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from exporter.ingest.places import Marks, Places
from exporter.ingest.remembered import (
    Codes,
    Numbers,
    Origins,
    Remembered,
    Rows,
    Structured,
    arrays,
    number_array,
    numbers_of,
    rows_of,
)
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
    "origins": "origin INTEGER, model VARCHAR, version VARCHAR",
    "predictions": "seq BIGINT, code UBIGINT, origin INTEGER, cell INTEGER, ts DOUBLE, value DOUBLE, weight DOUBLE, "
    "segments BIGINT",
    "labels": f"seq BIGINT, {_LABEL}",
    "waiting": f"seq BIGINT, code UBIGINT, model VARCHAR, {_LABEL}",
}
# MD5, for it is the same in every version of DuckDB, so that ids need not be kept; half of it tells 5M ids apart but
# for one chance in a million.
_CODE = "(coalesce(md5_number(id), 0) & 18446744073709551615)::UBIGINT"
_COMPARED = (
    "t.seq, o.row, o.label, o.labelled, o.counted, t.label AS old_label, t.labelled AS old_labelled, "
    "t.counted AS old_counted, coalesce(o.label = t.label, false) AS same"
)
_LOAD = 250_000  # rows that are read at a time at the start: 12 MB


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
    """Remembers predictions once and settles outcomes, in the database of a connection and in files of `folder`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path | None = None) -> None:
        self._connection = connection
        for table, columns in _TABLES.items():
            self._run(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
        origins = connection.execute("SELECT model, version, origin FROM origins ORDER BY origin").fetchall()
        self._origins = Origins({(model, version): origin for model, version, origin in origins})
        self._rows = Rows(folder)
        self._index = {table: self._indexed(table) for table in ("predictions", "waiting")}
        self._labelled = Marks(_integers(self._table("SELECT seq FROM labels"), "seq"))
        self._hashed: tuple[str, pa.Array, Codes] | None = None

    def fresh(self, model: str, batch: Predictions) -> Mask:
        """True for the rows not remembered yet, and for rows without an id."""
        fresh = np.ones(batch.rows, dtype=bool)
        if _anonymous(batch.ids):
            return fresh
        codes, named = self._codes(model, batch.ids), _named(batch.ids)
        ordered = np.sort(codes[named])
        if (ordered[1:] == ordered[:-1]).any():
            fresh[named] = False
            fresh[named[np.unique(codes[named], return_index=True)[1]]] = True
        known, _, _ = self._remembered(codes)
        fresh[np.intersect1d(known, named)] = False
        return fresh

    def remember(self, model: str, batch: Predictions, scored: Scored) -> Settlement:
        """Remember fresh predictions with the labels that they carry; and settle those whose outcome waits already."""
        return Settlement() if _anonymous(batch.ids) else self._remember(model, Remembered.of(batch, scored))

    def settle(self, model: str, outcomes: Outcomes) -> Settlement:
        """What `outcomes` settle and correct; those without their prediction wait for it."""
        label, ts, codes = text_array(outcomes.label), float_array(outcomes.ts), self._codes(model, outcomes.ids)
        columns = {"code": number_array(codes), "label": label, "labelled": ts, "counted": ts}
        rows, repeated, superseded = _newest(codes, outcomes)
        settled, left = self._settle(_rows(pa.table(columns), rows))
        again, older = self._wait(model, left)
        repeated, superseded = repeated + settled.repeated + again, superseded + settled.superseded + older
        return Settlement(settled.first, settled.corrected, settled.replaced, repeated, superseded)

    def expire(self, before: float) -> int:
        """Forget what is older than `before`; the number of outcomes whose prediction never came."""
        orphans = int(self._one("SELECT count(*) FROM waiting WHERE labelled < $before", before=before))
        self._run("DELETE FROM labels WHERE seq IN (SELECT seq FROM predictions WHERE ts < $before)", before=before)
        for table, time in (("predictions", "ts"), ("waiting", "labelled")):
            index = self._index[table]
            gone = self._table(f"SELECT seq FROM {table} WHERE {time} < $before", before=before)
            index.places.drop(_integers(gone, "seq"))
            self._run(f"DELETE FROM {table} WHERE {time} < $before", before=before)
            first = int(self._one(f"SELECT coalesce(min(seq), {index.upcoming}) FROM {table}"))
            index.places.forget(first)
            if table == "predictions":
                self._rows.forget(first)
        return orphans

    def _remember(self, model: str, batch: Remembered) -> Settlement:
        codes, named = self._codes(model, batch.ids), _named(batch.ids)
        origin, new = self._origins.of(model, batch.version)
        for (owner, version), number in new.items():
            self._run("INSERT INTO origins VALUES ($n, $model, $version)", n=number, model=owner, version=version)
        kept = batch.rows(codes, origin)
        kept = kept if len(named) == len(kept) else kept[named]
        seq = self._insert("predictions", kept["code"], arrays(kept))
        self._rows.put(seq, kept)
        if batch.label is not None:
            carried = np.flatnonzero(~absent(batch.label)[named])
            self._label(seq[carried], text_array(batch.label).take(index_array(named[carried])))
        waited = self._waiting(codes, None, "o.code, t.seq, t.label, t.labelled, t.counted")
        if waited is None:
            return Settlement()
        self._connection.register("taken", waited)
        self._run("DELETE FROM waiting WHERE seq IN (SELECT seq FROM taken)")
        return self._settle(waited.drop_columns("seq"))[0]

    def _settle(self, offer: pa.Table) -> tuple[Settlement, pa.Table]:
        """What one outcome for each id changes, and those without a prediction."""
        rows, seq, found = self._remembered(_unsigned(offer, "code"))
        if len(rows) == 0:
            return Settlement(), offer
        left = np.ones(offer.num_rows, dtype=bool)
        left[rows] = False
        offered, known = offer.take(index_array(rows)), self._labelled.of(seq)
        new = np.flatnonzero(~known)
        first = _rows(offered, new)
        self._label(seq[new], *(combined(first[name]) for name in ("label", "labelled", "counted")))
        old = np.flatnonzero(known)
        changed = self._corrected(_rows(offered, old), seq[old], found[old]) if len(old) else Settlement()
        settled = self._settled(found[new], first, "label", "counted") if len(new) else None
        both = Settlement(settled, changed.corrected, changed.replaced, changed.repeated, changed.superseded)
        return both, _rows(offer, np.flatnonzero(left))

    def _corrected(self, offered: pa.Table, seq: Numbers, found: Structured) -> Settlement:
        """What outcomes change whose predictions have a label."""
        numbered = offered.append_column("row", index_array(np.arange(len(seq)))).append_column("seq", index_array(seq))
        self._connection.register("offer", numbered)
        compared = self._table(f"SELECT {_COMPARED} FROM offer o JOIN labels t ON t.seq = o.seq")
        changes, same = self._replace("labels", compared)
        changed = _rows(compared, np.flatnonzero(changes))
        rows = found[_integers(changed, "row")]
        now, before = (self._settled(rows, changed, f"{when}label", f"{when}counted") for when in ("", "old_"))
        counts = int(np.count_nonzero(same)), int(np.count_nonzero(~changes & ~same))
        return Settlement(None, now, before, *counts) if changes.any() else Settlement(None, None, None, *counts)

    def _settled(self, rows: Structured, offer: pa.Table, label: str, counted: str) -> Settled:
        """Predictions with one of their labels."""
        value, ts, weight = (np.ascontiguousarray(rows[name]) for name in ("value", "ts", "weight"))
        cell, segments = (rows[name].astype(np.intp) for name in ("cell", "segments"))
        scored = Scored(cell, value, ts, weight, segments)
        since = numeric_column(combined(offer[counted])).or_nan()
        return Settled(scored, self._origins.versions(rows), text_column(combined(offer[label])),
                       np.maximum(since - ts, 0.0))  # fmt: skip

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
        found = self._waiting(_unsigned(offer, "code"), offer, f"{_COMPARED}")
        if found is not None:
            changes, same = self._replace("waiting", found)
            repeated, superseded = int(np.count_nonzero(same)), int(np.count_nonzero(~changes & ~same))
            left = np.ones(offer.num_rows, dtype=bool)
            left[_integers(found, "row")] = False
            offer = _rows(offer, np.flatnonzero(left))
        values = dict(zip(offer.column_names, offer.columns, strict=True))
        self._insert("waiting", _unsigned(offer, "code"), values, model=model)
        return repeated, superseded

    def _insert(self, table: str, codes: Codes, columns: Mapping[str, Any], **same: str) -> Numbers:
        """Append rows of such columns, all with an id's code; their numbers."""
        index = self._index[table]
        seq = index.upcoming + np.arange(len(codes))
        if len(seq):
            index.upcoming += len(seq)
            index.places.add(codes, seq)
            self._connection.register("offer", pa.table({"seq": index_array(seq), **columns}))
            values = "".join(f", ${name} AS {name}" for name in same)
            self._run(f"INSERT INTO {table} BY NAME SELECT *{values} FROM offer", **same)
        return seq

    def _label(self, seq: Numbers, label: pa.Array, *times: pa.Array) -> None:
        """Note the first label of predictions, with its time where it came later than they."""
        if len(seq) == 0:
            return
        self._labelled.add(seq)
        columns = {"seq": index_array(seq), "label": label, **dict(zip(("labelled", "counted"), times, strict=False))}
        self._connection.register("offer", pa.table(columns))
        self._run("INSERT INTO labels BY NAME SELECT * FROM offer")

    def _remembered(self, codes: Codes) -> tuple[Numbers, Numbers, Structured]:
        """Which of `codes` are those of predictions, their numbers, and what is kept of them."""
        rows, seq = self._index["predictions"].places.find(codes)
        found = self._rows.take(seq)
        alike = found["code"] == codes[rows]
        return (rows, seq, found) if alike.all() else (rows[alike], seq[alike], found[alike])

    def _waiting(self, codes: Codes, offer: pa.Table | None, columns: str) -> pa.Table | None:
        """The `columns` of outcomes `t` that wait under the code of a row `o` of `offer`; None when there are none."""
        rows, places = self._index["waiting"].places.find(codes)
        if len(rows) == 0:
            return None
        candidates = {"code": number_array(codes[rows]), "row": index_array(rows), "seq": index_array(places)}
        if offer is not None:
            candidates |= {name: offer[name].take(index_array(rows)) for name in ("label", "labelled", "counted")}
        self._connection.register("candidates", pa.table(candidates))
        # Codes are compared behind the join: as a second condition they keep DuckDB from passing over rows by `seq`.
        found = self._table(
            f"SELECT {columns}, t.code = o.code AS alike FROM candidates o JOIN waiting t ON t.seq = o.seq"
        )
        found = _rows(found, np.flatnonzero(numeric_column(combined(found["alike"])).values))
        return found.drop_columns("alike") if found.num_rows else None

    def _indexed(self, table: str) -> _Index:
        """The places of a table's rows, and the rows of predictions."""
        first = int(self._one(f"SELECT coalesce(min(seq), 0) FROM {table}"))
        index, columns = _Index(Places(first=first), first), "*" if table == "predictions" else "seq, code"
        query = self._connection.sql(f"SELECT {columns} FROM {table} ORDER BY seq")
        make = query.to_arrow_reader if hasattr(query, "to_arrow_reader") else query.fetch_arrow_reader
        for batch in make(_LOAD):
            seq = _integers(batch, "seq")
            index.places.add(_unsigned(batch, "code"), seq)
            index.upcoming = int(seq[-1]) + 1
            if table == "predictions":
                self._rows.put(seq, rows_of(batch))
        return index

    def _codes(self, model: str, ids: pa.Array) -> Codes:
        """A code for each id; those of the last batch are known still."""
        if self._hashed is None or self._hashed[0] != model or self._hashed[1] is not ids:
            self._connection.register("offer", pa.table({"id": ids}))
            owner = np.frombuffer(hashlib.md5(model.encode(), usedforsecurity=False).digest()[:8], np.uint64)
            self._hashed = model, ids, _unsigned(self._table(f"SELECT {_CODE} AS code FROM offer"), "code") ^ owner
        return self._hashed[2]

    def _table(self, query: str, **values: Any) -> pa.Table:
        relation = self._connection.sql(query, params=values or None)
        return relation.to_arrow_table() if hasattr(relation, "to_arrow_table") else relation.arrow()

    def _run(self, statement: str, **values: Any) -> None:
        self._connection.execute(statement, values or None)

    def _one(self, query: str, **values: Any) -> Any:
        [row] = self._connection.execute(query, values or None).fetchall()
        return row[0]


def forget_model(connection: duckdb.DuckDBPyConnection, model: str) -> None:
    """Forget all that is remembered of a model, in a database whose ledger is not open."""
    for table, columns in _TABLES.items():
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
    own = "(SELECT origin FROM origins WHERE model = $model)"
    for rows in (
        f"labels WHERE seq IN (SELECT seq FROM predictions WHERE origin IN {own})",
        f"predictions WHERE origin IN {own}",
        "waiting WHERE model = $model",
    ):
        connection.execute(f"DELETE FROM {rows}", {"model": model})


def _newest(codes: Codes, outcomes: Outcomes) -> tuple[Numbers, int, int]:
    """The rows of the outcome that counts of each id; how many others say the same, and something else."""
    ordered = np.sort(codes)
    if (ordered[1:] != ordered[:-1]).all():
        return np.arange(len(codes)), 0, 0
    order = np.lexsort((outcomes.ts, codes))  # stable: of equally new ones the last to arrive comes last
    last = np.append(codes[order][1:] != codes[order][:-1], True)
    ends = np.flatnonzero(last)
    counting = order[ends[np.searchsorted(ends, np.arange(len(order)))]]
    label = outcomes.label
    said = label.codes if isinstance(label, TextColumn) else label.values
    same = np.equal(said[order], said[counting])
    return np.sort(order[ends]), int(np.count_nonzero(same & ~last)), int(np.count_nonzero(~same))


def _rows(table: pa.Table, rows: Numbers) -> pa.Table:
    """The rows at these ascending positions; the table itself when that is all of them."""
    return table if len(rows) == table.num_rows else table.take(index_array(rows))


def _integers(found: pa.Table | pa.RecordBatch, name: str) -> Numbers:
    numbers: Numbers = numbers_of(combined(found[name]).cast(pa.int64()))
    return numbers


def _unsigned(found: pa.Table | pa.RecordBatch, name: str) -> Codes:
    return numbers_of(combined(found[name]))


def _named(ids: pa.Array) -> Numbers:
    return np.flatnonzero(~any_of(null_mask(ids), len(ids)))


def _anonymous(ids: pa.Array | None) -> bool:
    return ids is None or ids.null_count == len(ids)
