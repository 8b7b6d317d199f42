"""The exporter's state: profiles by bucket, totals, positions, counters and pending outcomes, in one DuckDB file.

Everything that a piece of the log changes commits in one transaction, so a record is counted exactly once whatever
is killed when. The buckets that windows need are kept in memory too, packed.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from exporter.errors import ConfigError
from exporter.ingest.engine import Delta, Key
from exporter.profile.columns import index_array, string_array
from exporter.profile.layout import Layout, Profile
from exporter.profile.packed import Packed, sum_packed
from exporter.windows import HOUR, bucket_starts, window_start

log = logging.getLogger(__name__)

FORMAT = "1"
_MEMORY = "128MB"  # DuckDB spills beyond; the exporter as a whole stays under 400 MiB
_TABLES = (
    "meta (name VARCHAR, value VARCHAR)",
    "positions (identity VARCHAR, position BIGINT)",
    "buckets (model VARCHAR, version VARCHAR, start BIGINT, profile BLOB)",
    "totals (model VARCHAR, version VARCHAR, profile BLOB)",
    "counters (name VARCHAR, label VARCHAR, value DOUBLE)",
    "errors (model VARCHAR, version VARCHAR, error VARCHAR, source VARCHAR, value DOUBLE)",
    "newest (model VARCHAR, ts DOUBLE)",
)


@dataclass
class Totals:
    """What the counters say, since the state was made."""

    accepted: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    log_bytes: float = 0.0
    newest: dict[str, float] = field(default_factory=dict)


class Store:
    """One process's hold on a state folder (None: memory only)."""

    def __init__(self, folder: Path | None, layouts: Mapping[str, Layout], longest_window: int) -> None:
        self._layouts = layouts
        self._longest = longest_window
        self._path = None if folder is None else folder / "state.duckdb"
        self.connection = _connect(self._path)
        for table in _TABLES:
            self.connection.execute(f"CREATE TABLE IF NOT EXISTS {table}")
        self.totals = Totals()
        self.positions: dict[str, int] = {}
        self.fine = 0
        self._sums: dict[tuple[str, str], np.ndarray[Any, np.dtype[np.float64]]] = {}
        self._buckets: dict[tuple[str, str], dict[int, Packed]] = defaultdict(dict)
        self._errors: Counter[tuple[str, str, str, str]] = Counter()
        self._check_meta()
        self._load()

    def close(self) -> None:
        """Let go of the database."""
        self.connection.close()

    @property
    def size(self) -> int:
        """Bytes of the database on disk."""
        if self._path is None:
            return 0
        files = (self._path, self._path.with_name(self._path.name + ".wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def versions(self, model: str) -> set[str]:
        """Versions of `model` that were seen."""
        return {version for name, version in self._sums if name == model}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing: what the ledger and `commit` do within."""
        self.connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def commit(self, delta: Delta, positions: Mapping[str, int], log_bytes: int, fine: int) -> None:
        """Add a delta whose keys are buckets as of `fine`, within `transaction`; rolls older buckets up to hours."""
        fine = max(fine, self.fine)
        merged = self._merge(delta, fine)
        sums = self._summed(delta)
        self._write_buckets(merged, fine)
        self._write_small(delta, sums, positions, log_bytes, fine)
        self._remember(delta, merged, sums, positions, log_bytes, fine)

    def forget(self, before: float) -> None:
        """Drop buckets that start before `before`, and versions that have none left; within `transaction`."""
        self._run("DELETE FROM buckets WHERE start < $before", before=int(before))
        kept = {(m, v) for m, v in self.connection.execute("SELECT DISTINCT model, version FROM buckets").fetchall()}
        for model, version in set(self._sums) - kept:
            for table in ("totals", "errors"):
                self._run(f"DELETE FROM {table} WHERE model = $m AND version = $v", m=model, v=version)
            del self._sums[model, version]
            self._buckets.pop((model, version), None)
            self._errors = Counter({key: n for key, n in self._errors.items() if key[:2] != (model, version)})

    def window(self, model: str, version: str, at: float, length: int) -> Profile:
        """The sum of the buckets of the window of `length` seconds that ends at `at`."""
        since = window_start(at, length)
        parts = [packed for start, packed in self._buckets[model, version].items() if since <= start <= at]
        layout = self._layouts[model]
        return Profile(layout, sum_packed(parts, layout.size))

    def total(self, model: str, version: str) -> Profile:
        """Everything ever counted of the version."""
        return Profile(self._layouts[model], self._sums[model, version])

    def errors(self, model: str, version: str, source: str) -> dict[str, float]:
        """Failed requests by error, from `records` or `reports`."""
        return {
            error: count for (m, v, error, s), count in self._errors.items() if (m, v, s) == (model, version, source)
        }

    def _check_meta(self) -> None:
        found = dict(self.connection.execute("SELECT name, value FROM meta").fetchall())
        if found and found.get("format") != FORMAT:
            remedy = "move the folder away, or run the version that wrote it"
            raise ConfigError(str(self._path), [f"state of format {found.get('format')}, not {FORMAT}; {remedy}"])
        for model, layout in self._layouts.items():
            name, fingerprint = f"baseline:{model}", layout.baseline.fingerprint
            if found.get(name) not in (None, fingerprint):
                log.warning("%s: the baseline is another one than before; its windows start anew", model)
                for table in ("buckets", "totals", "errors", *_ledger_tables(self.connection)):
                    self._run(f"DELETE FROM {table} WHERE model = $model", model=model)
            self._put("meta", {"name": name}, value=fingerprint)
        self._put("meta", {"name": "format"}, value=FORMAT)
        self.fine = int(found.get("fine", 0))

    def _load(self) -> None:
        fetch = self.connection.execute
        self.positions = dict(fetch("SELECT identity, position FROM positions").fetchall())
        self.totals.newest = dict(fetch("SELECT model, ts FROM newest").fetchall())
        for name, label, value in fetch("SELECT name, label, value FROM counters").fetchall():
            if name == "log_bytes":
                self.totals.log_bytes = value
            else:
                (self.totals.accepted if name == "accepted" else self.totals.rejected)[label] = int(value)
        for *key, value in fetch("SELECT model, version, error, source, value FROM errors").fetchall():
            self._errors[tuple(key)] = value
        for model, version, blob in fetch("SELECT model, version, profile FROM totals").fetchall():
            if model in self._layouts:
                self._sums[model, version] = sum_packed([Packed.from_bytes(blob)], self._layouts[model].size)
        since = window_start(max(self.totals.newest.values(), default=0.0), self._longest)
        rows = fetch("SELECT model, version, start, profile FROM buckets WHERE start >= $since", {"since": since})
        for model, version, start, blob in rows.fetchall():
            self._buckets[model, version][start] = Packed.from_bytes(blob)

    def _merge(self, delta: Delta, fine: int) -> dict[Key, Packed]:
        """The buckets that change: those of the delta, and fine ones that become part of an hour."""
        parts: dict[Key, list[Packed]] = defaultdict(list)
        for (model, version, start), packed in delta.profiles.items():
            parts[model, version, _rolled(start, fine)] += packed
        self._register(list(parts))
        changing = (
            "SELECT model, version, start, profile FROM buckets WHERE (start >= $old AND start < $new) "
            "OR (model, version, start) IN (SELECT (model, version, start) FROM keys)"
        )
        rows = self.connection.execute(changing, {"old": self.fine, "new": fine}).fetchall()
        for model, version, start, blob in rows:
            parts[model, version, _rolled(start, fine)].append(Packed.from_bytes(blob))
        return {
            key: found[0] if len(found) == 1 else Packed.of(sum_packed(found, self._layouts[key[0]].size))
            for key, found in parts.items()
        }

    def _summed(self, delta: Delta) -> dict[tuple[str, str], Any]:
        by_version: dict[tuple[str, str], list[Packed]] = defaultdict(list)
        for (model, version, _), packed in delta.profiles.items():
            by_version[model, version] += packed
        return {
            key: self._sums.get(key, 0.0) + sum_packed(parts, self._layouts[key[0]].size)
            for key, parts in by_version.items()
        }

    def _write_buckets(self, merged: Mapping[Key, Packed], fine: int) -> None:
        if not merged:
            return
        blobs = [packed.to_bytes() for packed in merged.values()]
        self._register(list(merged), blobs)
        self._run("DELETE FROM buckets WHERE start >= $old AND start < $new", old=self.fine, new=fine)
        self._run("DELETE FROM buckets WHERE (model, version, start) IN (SELECT (model, version, start) FROM keys)")
        self._run("INSERT INTO buckets SELECT model, version, start, profile FROM keys")

    def _write_small(self, delta: Delta, sums: Mapping[tuple[str, str], Any], positions: Mapping[str, int],
                     log_bytes: int, fine: int) -> None:  # fmt: skip
        for (model, version), vector in sums.items():
            self._put("totals", {"model": model, "version": version}, profile=Packed.of(vector).to_bytes())
        for identity, position in positions.items():
            self._put("positions", {"identity": identity}, position=position)
        for name, counts in (("accepted", delta.accepted), ("rejected", delta.rejected)):
            before = getattr(self.totals, name)
            for label, count in counts.items():
                self._put("counters", {"name": name, "label": label}, value=before[label] + count)
        self._put("counters", {"name": "log_bytes", "label": ""}, value=self.totals.log_bytes + log_bytes)
        for (model, version, error, source), count in delta.errors.items():
            key = {"model": model, "version": version, "error": error, "source": source}
            self._put("errors", key, value=self._errors[model, version, error, source] + count)
        for model, ts in delta.newest.items():
            self._put("newest", {"model": model}, ts=max(ts, self.totals.newest.get(model, ts)))
        self._put("meta", {"name": "fine"}, value=str(fine))

    def _remember(self, delta: Delta, merged: Mapping[Key, Packed], sums: Mapping[tuple[str, str], Any],
                  positions: Mapping[str, int], log_bytes: int, fine: int) -> None:  # fmt: skip
        self._sums.update(sums)
        self.positions.update(positions)
        self.totals.accepted.update(delta.accepted)
        self.totals.rejected.update(delta.rejected)
        self.totals.log_bytes += log_bytes
        self._errors.update(delta.errors)
        for model, ts in delta.newest.items():
            self.totals.newest[model] = max(ts, self.totals.newest.get(model, ts))
        since = window_start(max(self.totals.newest.values(), default=0.0), self._longest) - HOUR
        for buckets in self._buckets.values():
            for start in [start for start in buckets if start < since or self.fine <= start < fine]:
                del buckets[start]
        for (model, version, start), packed in merged.items():
            if start >= since:
                self._buckets[model, version][start] = packed
        self.fine = fine

    def _register(self, keys: Sequence[Key], blobs: Sequence[bytes] | None = None) -> None:
        columns = {
            "model": string_array([model for model, _, _ in keys]),
            "version": string_array([version for _, version, _ in keys]),
            "start": index_array(np.array([start for _, _, start in keys], dtype=np.int64)),
        }
        if blobs is not None:
            columns["profile"] = _binary_array(blobs)
        self.connection.register("keys", pa.table(columns))

    def _put(self, table: str, key: Mapping[str, Any], **values: Any) -> None:
        """Replace the row of `key`."""
        where = " AND ".join(f"{name} = ${name}" for name in key)
        self._run(f"DELETE FROM {table} WHERE {where}", **key)
        row = {**key, **values}
        self._run(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(f'${name}' for name in row)})", **row)

    def _run(self, statement: str, **values: Any) -> None:
        self.connection.execute(statement, values or None)


def _rolled(start: int, fine: int) -> int:
    return int(bucket_starts(np.array([float(start)]), fine)[0])


def _connect(path: Path | None) -> duckdb.DuckDBPyConnection:
    config: dict[str, Any] = {"threads": 2, "memory_limit": _MEMORY}
    if path is None:
        return duckdb.connect(config=config)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return duckdb.connect(str(path), config=config)
    except (OSError, duckdb.Error) as error:
        reason = str(error).splitlines()[0]
        remedy = "give `state` a folder that this user can write and no other exporter uses"
        raise ConfigError(str(path), [f"cannot be opened ({reason}); {remedy}"]) from error


def _ledger_tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    present = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    return sorted(present & {"predictions", "waiting"})


def _binary_array(values: Sequence[bytes]) -> pa.Array:
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum([len(value) for value in values], out=offsets[1:])
    return pa.Array.from_buffers(
        pa.binary(), len(values), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(values))]
    )
