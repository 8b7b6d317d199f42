"""Which predictions were counted, and which wait for their outcome: set by set, in DuckDB.

Ids make every prediction count once and join outcomes to predictions, in whatever order they come. The tables live
in the exporter's database, so they commit together with the profiles; for one-shot work they live in memory and
hold a hash of the id instead of the id.
"""

from collections import Counter
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
    """Admits predictions once and settles outcomes; `exact` keeps ids as they are, else 64-bit hashes of them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, exact: bool) -> None:
        self._connection = connection
        self._key = "id" if exact else "hash(id)"
        kind = "VARCHAR" if exact else "UBIGINT"
        for statement in (
            f"seen (model VARCHAR, key {kind}, ts DOUBLE)",
            f"pending (model VARCHAR, key {kind}, ts DOUBLE, version VARCHAR, cell BIGINT, value DOUBLE, weight DOUBLE)",
            f"waiting (model VARCHAR, key {kind}, ts DOUBLE, label VARCHAR)",
        ):
            connection.execute(f"CREATE TABLE IF NOT EXISTS {statement}")

    def admit(self, model: str, batch: Predictions) -> NDArray[np.bool_]:
        """True for the rows not seen before (rows without an id always), which are remembered."""
        fresh = np.ones(batch.rows, dtype=bool)
        if batch.ids is None or batch.ids.null_count == batch.rows:
            return fresh
        self._register(id=batch.ids, row=_rows(batch.rows), ts=float_array(batch.ts))
        known = f"SELECT row FROM batch SEMI JOIN (SELECT key FROM seen WHERE model = $model) s ON s.key = {self._key}"
        repeated = self._rows(known, model=model)
        distinct = f"SELECT count(*) - count(DISTINCT {self._key}) FROM batch WHERE id IS NOT NULL"
        if self._one(distinct):
            later = f"SELECT row FROM batch WHERE id IS NOT NULL QUALIFY row_number() OVER (PARTITION BY {self._key} ORDER BY row) > 1"
            repeated = np.concatenate([repeated, self._rows(later)])
        fresh[repeated] = False
        if not fresh.all():
            self._register(id=batch.ids.take(index_array(np.flatnonzero(fresh))), ts=float_array(batch.ts[fresh]))
        self._run(f"INSERT INTO seen SELECT $model, {self._key}, ts FROM batch WHERE id IS NOT NULL", model=model)
        return fresh

    def expect(self, model: str, batch: Predictions, scored: Scored) -> Settled | None:
        """Remember fresh predictions without a label; what is settled at once by outcomes that came before them."""
        if batch.ids is None or batch.ids.null_count == batch.rows:
            return None
        self._register(id=batch.ids, row=_rows(batch.rows), ts=float_array(scored.ts),
                       version=text_array(batch.version), cell=index_array(scored.cell), value=float_array(scored.value),
                       weight=float_array(scored.weight))  # fmt: skip
        insert = f"SELECT $model, {self._key}, ts, version, cell, value, weight FROM batch WHERE id IS NOT NULL"
        self._run(f"INSERT INTO pending {insert}", model=model)
        if not self._one("SELECT count(*) FROM waiting WHERE model = $model", model=model):
            return None
        ready = f"SELECT key, w.ts, w.label FROM waiting w JOIN batch ON key = {self._key} WHERE w.model = $model"
        self._run(f"CREATE OR REPLACE TEMP TABLE ready AS {ready}", model=model)
        settled = self._settle(model)
        self._run("DELETE FROM waiting WHERE model = $model AND key IN (SELECT key FROM ready)", model=model)
        return settled

    def settle(self, model: str, outcomes: Outcomes, rejected: Counter[str]) -> Settled | None:
        """What `outcomes` settle; those whose prediction has not come wait for it, a second one is refused."""
        self._register(id=outcomes.ids, row=_rows(outcomes.rows), ts=float_array(outcomes.ts),
                       label=text_array(outcomes.label))  # fmt: skip
        first = f"SELECT {self._key} AS key, arg_min(ts, row) AS ts, arg_min(label, row) AS label FROM batch GROUP BY 1"
        self._run(f"CREATE OR REPLACE TEMP TABLE ready AS {first}")
        distinct = self._one("SELECT count(*) FROM ready")
        settled = self._settle(model)
        matched = 0 if settled is None else len(settled.delay)
        unknown = "FROM ready WHERE key NOT IN (SELECT key FROM {0} WHERE model = $model)"
        late = f"{unknown.format('seen')} AND key NOT IN (SELECT key FROM waiting WHERE model = $model)"
        waiting = self._one(f"SELECT count(*) {late}", model=model)
        self._run(f"INSERT INTO waiting SELECT $model, key, ts, label {late}", model=model)
        if repeated := outcomes.rows - distinct + (distinct - matched - waiting):
            rejected["duplicate_outcome"] += repeated
        return settled

    def expire(self, before: float) -> int:
        """Forget what is older than `before`; the number of outcomes whose prediction never came."""
        orphans = int(self._one("SELECT count(*) FROM waiting WHERE ts < $before", before=before))
        for table in ("seen", "pending", "waiting"):
            self._run(f"DELETE FROM {table} WHERE ts < $before", before=before)
        return orphans

    def _settle(self, model: str) -> Settled | None:
        """Join `ready` to pending predictions, and take those out of the pending ones."""
        join = (
            "SELECT p.cell, p.value, p.ts, p.weight, p.version, r.label, r.ts - p.ts AS delay "
            "FROM ready r JOIN pending p ON p.key = r.key WHERE p.model = $model"
        )
        found = _arrow(self._connection.execute(join, {"model": model}))
        if found.num_rows == 0:
            return None
        self._run("DELETE FROM pending WHERE model = $model AND key IN (SELECT key FROM ready)", model=model)
        column = {name: found.column(name).combine_chunks() for name in found.column_names}
        number = {name: float_values(column[name].cast(pa.float64())) for name in ("value", "ts", "weight", "delay")}
        cell = float_values(column["cell"].cast(pa.float64())).astype(np.intp)
        scored = Scored(cell, number["value"], number["ts"], number["weight"])
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
        rows: NDArray[np.int64] = self._connection.execute(query, values or None).fetchnumpy()["row"]
        return rows.astype(np.int64)


def _arrow(result: Any) -> pa.Table:
    return result.to_arrow_table() if hasattr(result, "to_arrow_table") else result.fetch_arrow_table()


def _rows(count: int) -> pa.Array:
    return index_array(np.arange(count))
