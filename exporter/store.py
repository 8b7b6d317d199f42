"""The exporter's state: profiles by bucket, totals, positions, counters and pending outcomes, in one DuckDB file.

Everything that a piece of the log changes commits in one transaction, so a record is counted exactly once whatever
is killed when. The buckets of the last `reach` seconds, and those that still change, are kept in memory too, packed.
"""

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import zstandard

from exporter.errors import ConfigError
from exporter.ingest.engine import Delta, Key
from exporter.ingest.ledger import forget_model
from exporter.profile.columns import Floats, index_array, string_array
from exporter.profile.layout import Layout, Profile
from exporter.profile.packed import Packed, sum_packed
from exporter.windows import FINE, HOUR, Stretch, bucket_starts, window_start

log = logging.getLogger(__name__)

FORMAT = "3"
_MEMORY = "64MB"  # DuckDB spills beyond; the exporter as a whole stays under 400 MiB
_TABLES = (
    "meta (name VARCHAR, value VARCHAR)",
    "positions (identity VARCHAR, position BIGINT, trace BLOB)",
    "buckets (model VARCHAR, version VARCHAR, start BIGINT, profile BLOB)",
    "totals (model VARCHAR, version VARCHAR, profile BLOB)",
    "counters (name VARCHAR, label VARCHAR, value DOUBLE)",
    "errors (model VARCHAR, version VARCHAR, error VARCHAR, source VARCHAR, value DOUBLE)",
    "newest (model VARCHAR, ts DOUBLE)",
)
_ROLLED = "(start >= $old AND start < $new AND list_contains($models, model))"  # a model may be gone for a while
_CHANGED = "(model, version, start) IN (SELECT (model, version, start) FROM keys)"


@dataclass
class Totals:
    """What the counters say, since the state was made."""

    accepted: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    log_bytes: float = 0.0
    newest: dict[str, float] = field(default_factory=dict)


class Store:
    """One process's hold on a state folder (None: memory only); ConfigError when it cannot be used."""

    def __init__(self, folder: Path | None, layouts: Mapping[str, Layout], reach: int) -> None:
        self._layouts = layouts
        self._reach = max(reach, FINE)  # fine buckets change most, and roll up: memory holds them all
        self._path = None if folder is None else folder / "state.duckdb"
        self.totals = Totals()
        self.positions: dict[str, int] = {}
        self.traces: dict[str, bytes] = {}
        self.fine = 0
        self._sums: dict[tuple[str, str], Floats] = {}
        self._buckets: dict[tuple[str, str], dict[int, Packed]] = defaultdict(dict)
        self._oldest: dict[tuple[str, str], int] = {}
        self._errors: Counter[tuple[str, str, str, str]] = Counter()
        self._committed: list[Callable[[], None]] = []
        try:
            self.connection = _connect(self._path)
            self._prepare()
        except (OSError, ValueError, duckdb.Error, zstandard.ZstdError) as error:
            reason = str(error).splitlines()[0]
            remedy = "give `state` a folder that this user can write, no other exporter uses and nothing damaged"
            raise ConfigError(str(self._path), [f"cannot be used ({reason}); {remedy}"]) from error

    def _prepare(self) -> None:
        try:
            with self.transaction():
                for table in _TABLES:
                    self.connection.execute(f"CREATE TABLE IF NOT EXISTS {table}")
                self._check_meta()
            self._load()
        except BaseException:
            self.connection.close()
            raise

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
        """All or nothing: what the ledger, `commit` and `forget` do within, on disk and in memory."""
        self._committed.clear()
        self.connection.execute("BEGIN")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            with suppress(duckdb.Error):  # a database that failed fatally has nothing left to roll back
                self.connection.execute("ROLLBACK")
            raise
        for remember in self._committed:
            remember()

    def commit(self, delta: Delta, positions: Mapping[str, int], log_bytes: int, fine: int,
               traces: Mapping[str, bytes] = MappingProxyType({})) -> None:  # fmt: skip
        """Add a delta whose keys are buckets as of `fine`; once within a `transaction`. Older buckets become hours.

        `traces` tell what stands before `positions`, where that matters.
        """
        fine = max(fine, self.fine)
        merged = self._merge(delta, fine)
        sums = self._summed(delta)
        self._write_buckets(merged, fine)
        self._write_small(delta, sums, positions, traces, log_bytes, fine)
        self._committed.append(partial(self._remember, delta, merged, sums, positions, traces, log_bytes, fine))

    def forget(self, before: float) -> None:
        """Drop buckets that start before `before`, and versions that have none left; within a `transaction`."""
        self._run("DELETE FROM buckets WHERE start < $before", before=int(before))
        oldest = self._read_oldest()
        gone = set(self._sums) - oldest.keys()
        for model, version in gone:
            for table in ("totals", "errors"):
                self._run(f"DELETE FROM {table} WHERE model = $m AND version = $v", m=model, v=version)
        self._committed.append(partial(self._drop, gone, oldest, int(before)))

    def _drop(self, gone: set[tuple[str, str]], oldest: dict[tuple[str, str], int], before: int) -> None:
        self._oldest = oldest
        for version in gone:
            del self._sums[version]
            self._buckets.pop(version, None)
        self._errors = Counter({key: count for key, count in self._errors.items() if key[:2] not in gone})
        for buckets in self._buckets.values():
            for start in [start for start in buckets if start < before]:
                del buckets[start]

    def forget_positions(self, identities: Iterable[str]) -> None:
        """Drop the positions of files that are gone for good; within a `transaction`."""
        gone = frozenset(identities)
        self._run("DELETE FROM positions WHERE list_contains($gone, identity)", gone=list(gone))
        self._committed.append(partial(self._drop_positions, gone))

    def _drop_positions(self, gone: frozenset[str]) -> None:
        for identity in gone:
            self.positions.pop(identity, None)
            self.traces.pop(identity, None)

    def window(self, model: str, version: str, at: float, length: int) -> Profile:
        """The sum of the buckets of the window of `length` seconds that ends at `at`."""
        return self.stretch(model, version, Stretch(window_start(at, length), math.floor(at) + 1))

    def stretch(self, model: str, version: str, of: Stretch) -> Profile:
        """The sum of the buckets of a stretch."""
        buckets = self._buckets[model, version].items()
        parts = [packed for start, packed in buckets if of.first <= start < of.last]
        layout = self._layouts[model]
        return Profile(layout, sum_packed(parts, layout.size))

    def past(self, model: str, stretch: Stretch) -> Profile:
        """The sum of the buckets of all versions in `stretch`."""
        several = [buckets for (owner, _), buckets in self._buckets.items() if owner == model]
        within = (packed for buckets in several for start, packed in buckets.items()
                  if stretch.first <= start < stretch.last)  # fmt: skip
        layout = self._layouts[model]
        return Profile(layout, sum_packed(within, layout.size))

    def stored(self, model: str, version: str) -> tuple[tuple[int, Packed], ...]:
        """Starts of the buckets kept in memory, and what they hold."""
        return tuple(self._buckets[model, version].items())

    def oldest(self, model: str) -> dict[str, int]:
        """Where the oldest bucket of each version starts, in memory or on disk."""
        return {version: start for (owner, version), start in self._oldest.items() if owner == model}

    def total(self, model: str, version: str) -> Profile:
        """Everything ever counted of the version."""
        return Profile(self._layouts[model], self._sums[model, version])

    def errors(self, model: str, version: str, source: str) -> dict[str, float]:
        """Failed requests by error, from `records` or `reports`."""
        return {
            error: count for (m, v, error, s), count in self._errors.items() if (m, v, s) == (model, version, source)
        }

    def error_names(self, model: str, version: str) -> set[str]:
        """Names of the errors seen."""
        return {error for (m, v, error, _) in self._errors if (m, v) == (model, version)}

    def _check_meta(self) -> None:
        found = dict(self.connection.execute("SELECT name, value FROM meta").fetchall())
        if found and found.get("format") != FORMAT:
            remedy = "move the folder away, or run the version that wrote it"
            raise ConfigError(str(self._path), [f"state of format {found.get('format')}, not {FORMAT}; {remedy}"])
        for model, layout in self._layouts.items():
            name, fingerprint = f"baseline:{model}", layout.baseline.fingerprint
            if found.get(name) not in (None, fingerprint):
                log.warning("%s: the baseline is another one than before; its windows start anew", model)
                for table in ("buckets", "totals", "errors"):
                    self._run(f"DELETE FROM {table} WHERE model = $model", model=model)
                forget_model(self.connection, model)
            self._put("meta", {"name": name}, value=fingerprint)
        self._put("meta", {"name": "format"}, value=FORMAT)
        self.fine = int(found.get("fine", 0))

    def _load(self) -> None:
        fetch = self.connection.execute
        self.positions = dict(fetch("SELECT identity, position FROM positions").fetchall())
        self.traces = dict(fetch("SELECT identity, trace FROM positions").fetchall())
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
        self._oldest = self._read_oldest()
        rows = fetch(
            "SELECT model, version, start, profile FROM buckets WHERE start >= $since", {"since": self._since()}
        )
        for model, version, start, blob in rows.fetchall():
            if model in self._layouts:
                self._buckets[model, version][start] = Packed.from_bytes(blob)

    def _read_oldest(self) -> dict[tuple[str, str], int]:
        oldest = "SELECT model, version, min(start) FROM buckets GROUP BY model, version"
        return {(model, version): start for model, version, start in self.connection.execute(oldest).fetchall()}

    def _since(self) -> int:
        """From when on buckets are kept in memory; an hour early, for the newest record may be ahead of the clock."""
        return window_start(max(self.totals.newest.values(), default=0.0), self._reach) - HOUR

    def _merge(self, delta: Delta, fine: int) -> dict[Key, Packed]:
        """The buckets that change: those of the delta, and fine ones that become part of an hour."""
        parts: dict[Key, list[Packed]] = defaultdict(list)
        for (model, version, start), packed in delta.profiles.items():
            parts[model, version, _rolled(start, fine)] += packed
        for (model, version, start), bucket in self._changing(set(parts), fine):
            parts[model, version, _rolled(start, fine)].append(bucket)
        return {
            key: found[0] if len(found) == 1 else Packed.of(sum_packed(found, self._layouts[key[0]].size))
            for key, found in parts.items()
        }

    def _changing(self, keys: set[Key], fine: int) -> Iterator[tuple[Key, Packed]]:
        """The buckets of `keys`, and fine ones from before `fine`; from the database only where memory lacks them."""
        held = self._since()
        for (model, version), buckets in self._buckets.items():
            starts = {start for start in buckets if self.fine <= start < fine}
            starts |= {start for owner, of, start in keys if (owner, of) == (model, version) and start in buckets}
            for start in starts:
                if start >= held:
                    yield (model, version, start), buckets[start]
        if self.fine < min(held, fine) or any(start < held for _, _, start in keys):
            yield from self._fetched(keys, fine, held)

    def _fetched(self, keys: set[Key], fine: int, held: int) -> Iterator[tuple[Key, Packed]]:
        """What changes of the buckets before `held`; DuckDB reads every profile for it, however few are asked for."""
        self._register(list(keys))
        changing = (
            f"SELECT model, version, start, profile FROM buckets WHERE start < $held AND ({_ROLLED} OR {_CHANGED})"
        )
        rolled = {"old": self.fine, "new": fine, "models": list(self._layouts), "held": held}
        for model, version, start, blob in self.connection.execute(changing, rolled).fetchall():
            yield (model, version, start), Packed.from_bytes(blob)

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
        rolled = {"old": self.fine, "new": fine, "models": list(self._layouts)}
        self._run(f"DELETE FROM buckets WHERE {_ROLLED} OR {_CHANGED}", **rolled)
        self._run("INSERT INTO buckets SELECT model, version, start, profile FROM keys")

    def _write_small(self, delta: Delta, sums: Mapping[tuple[str, str], Any], positions: Mapping[str, int],
                     traces: Mapping[str, bytes], log_bytes: int, fine: int) -> None:  # fmt: skip
        for (model, version), vector in sums.items():
            self._put("totals", {"model": model, "version": version}, profile=Packed.of(vector).to_bytes())
        for identity, position in positions.items():
            trace = traces.get(identity, b"")
            self._put("positions", {"identity": identity}, position=position, trace=trace)
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
                  positions: Mapping[str, int], traces: Mapping[str, bytes], log_bytes: int,
                  fine: int) -> None:  # fmt: skip
        self._sums.update(sums)
        self.positions.update(positions)
        self.traces.update({identity: traces.get(identity, b"") for identity in positions})
        self.totals.accepted.update(delta.accepted)
        self.totals.rejected.update(delta.rejected)
        self.totals.log_bytes += log_bytes
        self._errors.update(delta.errors)
        for model, ts in delta.newest.items():
            self.totals.newest[model] = max(ts, self.totals.newest.get(model, ts))
        since = self._since()
        for buckets in self._buckets.values():
            for start in [start for start in buckets if start < since or self.fine <= start < fine]:
                del buckets[start]
        for (model, version, start), packed in merged.items():
            self._oldest[model, version] = min(start, self._oldest.get((model, version), start))
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
    path.parent.mkdir(parents=True, exist_ok=True)
    return duckdb.connect(str(path), config=config)


def _binary_array(values: Sequence[bytes]) -> pa.Array:
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum([len(value) for value in values], out=offsets[1:])
    return pa.Array.from_buffers(
        pa.binary(), len(values), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(values))]
    )
