"""Which predictions were counted, and which wait for their outcome: set by set, in DuckDB.

Ids make every prediction count once and join outcomes to predictions, in whatever order they come. The tables live
in the exporter's database, so they commit together with the profiles; for one-shot work they live in memory and
hold a hash of the id instead of the id.
"""

from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from exporter.profile.batch import Outcomes, Predictions, Scored
from exporter.profile.columns import (
    Column,
    Floats,
    Mask,
    TextColumn,
    float_array,
    float_values,
    index_array,
    text_array,
    texts_of,
)


@dataclass(frozen=True, slots=True)
class Settled:
    """Predictions whose outcome is known, with versions and the delay in seconds (NaN where unknown)."""

    scored: Scored
    version: TextColumn
    label: Column
    delay: Floats


class Ledger:
    """Remembers predictions once and settles outcomes; `exact` keeps ids as they are, else 64-bit hashes of them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, exact: bool = True) -> None:
        self._connection = connection
        self._key = "id" if exact else "hash(id)"
        kind = "VARCHAR" if exact else "UBIGINT"
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS predictions (model VARCHAR, key {kind}, ts DOUBLE, version VARCHAR, "
            "cell INTEGER, value DOUBLE, weight DOUBLE, segments BIGINT, settled BOOLEAN)"
        )
        connection.execute(f"CREATE TABLE IF NOT EXISTS waiting (model VARCHAR, key {kind}, ts DOUBLE, label VARCHAR)")

    def fresh(self, model: str, batch: Predictions) -> Mask:
        """True for the rows not remembered yet, and for rows without an id."""
        fresh = np.ones(batch.rows, dtype=bool)
        if _anonymous(batch):
            return fresh
        self._register(id=batch.ids, row=_row_numbers(batch.rows))
        known = "(SELECT key FROM predictions WHERE model = $model) known"
        repeated = self._rows(f"SELECT row FROM batch SEMI JOIN {known} ON known.key = {self._key}", model=model)
        if self._one(f"SELECT count(*) - count(DISTINCT {self._key}) FROM batch WHERE id IS NOT NULL"):
            order = f"row_number() OVER (PARTITION BY {self._key} ORDER BY row)"
            later = self._rows(f"SELECT row FROM batch WHERE id IS NOT NULL QUALIFY {order} > 1")
            repeated = np.concatenate([repeated, later])
        fresh[repeated] = False
        return fresh

    def remember(self, model: str, batch: Predictions, scored: Scored, settled: Mask) -> Settled | None:
        """Remember fresh predictions, `settled` where they carry their label; and settle those awaited already."""
        if _anonymous(batch):
            return None
        if settled.any():
            self._remember_settled(model, batch.take(settled) if not settled.all() else batch)
        if settled.all():
            return None
        if settled.any():
            batch, scored = batch.take(~settled), scored.take(~settled)
        return self._expect(model, _open_rows(batch, scored))

    def _expect(self, model: str, rows: pa.Table) -> Settled | None:
        """Remember predictions that still lack their outcome; what settles those whose outcome waits for them."""
        self._connection.register("batch", rows)
        columns = f"$model, {self._key}, ts, version, cell, value, weight, segments, false"
        self._run(f"INSERT INTO predictions SELECT {columns} FROM batch WHERE id IS NOT NULL", model=model)
        if not self._one("SELECT count(*) FROM waiting WHERE model = $model", model=model):
            return None
        ready = f"SELECT key, w.ts, w.label FROM waiting w JOIN batch ON key = {self._key} WHERE w.model = $model"
        self._run(f"CREATE OR REPLACE TEMP TABLE ready AS {ready}", model=model)
        found = self._settle(model)
        self._run("DELETE FROM waiting WHERE model = $model AND key IN (SELECT key FROM ready)", model=model)
        return found

    def _remember_settled(self, model: str, batch: Predictions) -> None:
        """Remember the ids of predictions that need nothing more."""
        self._register(id=batch.ids, ts=float_array(batch.ts))
        columns = f"$model, {self._key}, ts, NULL, NULL, NULL, NULL, NULL, true"
        self._run(f"INSERT INTO predictions SELECT {columns} FROM batch WHERE id IS NOT NULL", model=model)

    def settle(self, model: str, outcomes: Outcomes) -> tuple[Settled | None, int]:
        """What `outcomes` settle, and how many came for a second time; those without their prediction wait for it."""
        self._register(
            id=outcomes.ids,
            row=_row_numbers(outcomes.rows),
            ts=float_array(outcomes.ts),
            label=text_array(outcomes.label),
        )
        first = f"SELECT {self._key} AS key, arg_min(ts, row) AS ts, arg_min(label, row) AS label FROM batch GROUP BY 1"
        self._run(f"CREATE OR REPLACE TEMP TABLE ready AS {first}")
        settled = self._settle(model)
        matched = 0 if settled is None else len(settled.delay)
        early = (
            "FROM ready ANTI JOIN (SELECT key FROM predictions WHERE model = $model) p USING (key) "
            "ANTI JOIN (SELECT key FROM waiting WHERE model = $model) w USING (key)"
        )
        waiting = self._one(f"SELECT count(*) {early}", model=model)
        if waiting:
            self._run(f"INSERT INTO waiting SELECT $model, key, ts, label {early}", model=model)
        return settled, outcomes.rows - matched - waiting

    def expire(self, before: float) -> int:
        """Forget what is older than `before`; the number of outcomes whose prediction never came."""
        orphans = int(self._one("SELECT count(*) FROM waiting WHERE ts < $before", before=before))
        for table in ("predictions", "waiting"):
            self._run(f"DELETE FROM {table} WHERE ts < $before", before=before)
        return orphans

    def _settle(self, model: str) -> Settled | None:
        """Join `ready` to pending predictions, and take those out of the pending ones."""
        join = (
            "SELECT p.cell, p.value, p.ts, p.weight, p.segments, p.version, r.label, r.ts - p.ts AS delay "
            "FROM ready r JOIN predictions p ON p.key = r.key WHERE p.model = $model AND NOT p.settled"
        )
        relation = self._connection.sql(join, params={"model": model})
        found = relation.to_arrow_table() if hasattr(relation, "to_arrow_table") else relation.arrow()
        if found.num_rows == 0:
            return None
        done = "model = $model AND NOT settled AND key IN (SELECT key FROM ready)"
        self._run(f"UPDATE predictions SET settled = true WHERE {done}", model=model)
        column = {name: found.column(name).combine_chunks() for name in found.column_names}
        number = {name: float_values(column[name].cast(pa.float64())) for name in ("value", "ts", "weight", "delay")}
        cell, segments = (
            float_values(column[name].cast(pa.float64())).astype(np.intp) for name in ("cell", "segments")
        )
        scored = Scored(cell, number["value"], number["ts"], number["weight"], segments)
        version = texts_of(column["version"].to_pylist())
        return Settled(scored, version, texts_of(column["label"].to_pylist()), np.maximum(number["delay"], 0.0))

    def _register(self, **columns: pa.Array) -> None:
        self._connection.register("batch", pa.table(columns))

    def _run(self, statement: str, **values: Any) -> None:
        self._connection.execute(statement, values or None)

    def _one(self, query: str, **values: Any) -> Any:
        [row] = self._connection.execute(query, values or None).fetchall()
        return row[0]

    def _rows(self, query: str, **values: Any) -> NDArray[np.int64]:
        found = self._connection.execute(query, values or None).fetchnumpy()["row"]
        return np.asarray(found, dtype=np.int64)


def _row_numbers(count: int) -> pa.Array:
    return index_array(np.arange(count))


def _open_rows(batch: Predictions, scored: Scored) -> pa.Table:
    """What an outcome will need to know of each row."""
    segments = np.zeros(batch.rows, dtype=np.intp) if scored.segments is None else scored.segments
    columns = {
        "id": batch.ids,
        "ts": float_array(scored.ts),
        "version": text_array(batch.version),
        "cell": index_array(scored.cell),
        "value": float_array(scored.value),
        "weight": float_array(scored.weight),
        "segments": index_array(segments),
    }
    return pa.table(columns)


def _anonymous(batch: Predictions) -> bool:
    return batch.ids is None or batch.ids.null_count == batch.rows
