"""NDJSON to columns by DuckDB's parallel reader: several times faster than line by line, and reading alike.

Strictly, it stops at the first line that it cannot take, and the caller reads that stretch again in another way.
"""

import contextlib
import fcntl
import mmap
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import chain
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from exporter.ingest.ndjson import MAX_LINE, MOMENT, lenient_json
from exporter.ingest.records import NUMBERS, OBJECTS, TEXTS, Records
from exporter.ingest.schema import FeatureSchema
from exporter.profile.columns import combined, numeric_column, text_column

_BATCH = 61_440  # rows that are counted while DuckDB parses the next: smaller ones cost calls, larger ones idle
_PIPE = 1024 * 1024  # bytes that Linux lets an unprivileged process buffer in a pipe
_HEAD = 64 * 1024  # bytes in which the first line's time is looked for
_PAGE = 4096  # bytes looked at together in search of a line's end
_IS_COUNTED = re.compile(rb'"ts"\s*:\s*-?\d').search
_SPELLED = (
    f"coalesce(try_cast(ts AS DOUBLE), CASE WHEN regexp_full_match(upper(ts), '{MOMENT}') "
    "THEN epoch(try_cast(upper(ts) AS TIMESTAMPTZ)) END)"
)


class _Mode(NamedTuple):
    """What DuckDB does at a line that is not as declared, and what numbers and times are declared as."""

    ignores_errors: bool
    number: str
    time: str


_COUNTED = "DOUBLE"  # times that are numbers; to read them as the texts that they may be too takes a tenth longer
LENIENT = _Mode(ignores_errors=True, number="VARCHAR", time="VARCHAR")


def _strict(head: bytes) -> _Mode:
    """The fastest way for a text that begins with `head`: its first line tells how it spells times."""
    line = head.partition(b"\n")[0]
    return _Mode(ignores_errors=False, number="DOUBLE", time=_COUNTED if _IS_COUNTED(line) else "VARCHAR")


class BulkReader:
    """Reads stretches of NDJSON through DuckDB, which parses on all its threads.

    DuckDB wants a file; a pipe serves as one, so that any byte range, compressed or not, can be read, and no more
    than that range.
    """

    def __init__(self, schema: FeatureSchema, threads: int = 2) -> None:
        self._schema, self._threads = schema, threads

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        return _connected(self._threads, in_order=False)

    def read(self, chunks: Iterator[bytes | memoryview]) -> Records:
        """All records of `chunks`, each of complete lines; `duckdb.Error` when a line is not as it should be.

        What `chunks` itself raises goes on to the caller, and nothing of it is counted.
        """
        first = next(chunks, b"")
        mode = _strict(bytes(first[:_HEAD]))
        return self.columns(self._piped(self._connection, chain([first], chunks), mode), mode)

    def stream(self, path: str) -> Iterator[Callable[[], Records]]:
        """All records of a plain file, a batch at a time while DuckDB parses on; `duckdb.Error` as in `read`.

        What makes a batch's columns may be called on any thread.
        """
        with open(path, "rb") as file:  # noqa: PTH123 - DuckDB's paths are texts
            mode = _strict(file.read(_HEAD))
        for table in self._batches(self._connection, path, mode):
            yield partial(self.columns, table, mode)

    def lenient(self, chunks: Iterator[bytes | memoryview]) -> pa.Table:
        """One row for each line of `chunks`, in order, for `columns`; `doubtful` where the line may say otherwise."""
        return self._piped(self._in_order, chunks, LENIENT)

    def lenient_stream(self, path: str) -> Iterator[pa.Table]:
        """The same of a plain file, a batch at a time."""
        return self._batches(self._in_order, path, LENIENT)

    @cached_property
    def _in_order(self) -> duckdb.DuckDBPyConnection:
        return _connected(self._threads, in_order=True)

    def _piped(
        self, connection: duckdb.DuckDBPyConnection, chunks: Iterator[bytes | memoryview], mode: "_Mode"
    ) -> pa.Table:
        reader, writer = os.pipe()
        _widen(writer)
        feeder = _Feeder(writer, chunks)
        feeder.start()
        try:
            result = connection.sql(self._query(f"/dev/fd/{reader}", mode))
            return result.to_arrow_table() if hasattr(result, "to_arrow_table") else result.arrow()
        finally:
            os.close(reader)  # a feeder that still writes gets EPIPE and ends
            feeder.join()
            if feeder.error is not None:
                raise feeder.error

    def _batches(self, connection: duckdb.DuckDBPyConnection, path: str, mode: "_Mode") -> Iterator[pa.Table]:
        _refuse_long_lines_of(path)
        relation = connection.sql(self._query(path, mode))
        make = relation.to_arrow_reader if hasattr(relation, "to_arrow_reader") else relation.fetch_arrow_reader
        for batch in make(_BATCH):
            yield pa.Table.from_batches([batch])

    def _query(self, path: str, mode: "_Mode") -> str:
        inner = ", ".join(f"{_quoted(name)} {'VARCHAR' if name in self._schema.category else 'DOUBLE'}"
                          for name in self._schema.names)  # fmt: skip
        columns = {"ts": mode.time} | dict.fromkeys(("kind", "model", "version", "id"), "VARCHAR")
        columns |= dict.fromkeys(NUMBERS, mode.number) | dict.fromkeys(TEXTS, "VARCHAR")
        columns |= dict.fromkeys(OBJECTS, "JSON") | {"features": f"STRUCT({inner})"}
        if self._schema.segments:
            columns["segments"] = f"STRUCT({', '.join(f'{_quoted(name)} VARCHAR' for name in self._schema.segments)})"
        declared = ", ".join(f"{name}: {_literal(kind)}" for name, kind in columns.items())
        top = ", ".join(name for name in columns if name not in ("ts", "features", "segments", *NUMBERS))
        numbers = ", ".join(f"try_cast({name} AS DOUBLE) AS {name}" for name in NUMBERS)
        inside = [("features", name) for name in self._schema.names]
        inside += [("segments", name) for name in self._schema.segments]
        unnested = ", ".join(f"{of}.{_quoted(name)} AS {_quoted(f'{of}.{name}')}" for of, name in inside)
        ts = "ts" if mode.time == _COUNTED else _SPELLED
        return (
            f"SELECT {ts} AS ts, {top}, {numbers}, {unnested}"
            f"{f', {self._doubt} AS doubtful' if mode.ignores_errors else ''} "
            f"FROM read_ndjson({_literal(path)}, columns={{{declared}}}, compression='uncompressed', records='true', "
            f"maximum_object_size={MAX_LINE}, ignore_errors={mode.ignores_errors})"
        )

    @property
    def _doubt(self) -> str:
        """Where a NULL may stand for something that DuckDB did not take; texts take everything."""
        numbers = " OR ".join(f"({name} IS NOT NULL AND try_cast({name} AS DOUBLE) IS NULL)" for name in NUMBERS)
        inner = (name for name in self._schema.names if name not in self._schema.category)
        missing = " OR ".join(["features IS NULL", *(f"features.{_quoted(name)} IS NULL" for name in inner)])
        return f"(kind IS NULL OR {numbers} OR (kind = 'prediction' AND ({missing})))"

    def columns(self, table: pa.Table, mode: "_Mode") -> Records:
        """The records of a table as DuckDB gave it."""

        def column(name: str) -> pa.Array:
            return combined(table.column(name))

        ts = numeric_column(column("ts")).or_nan()
        if mode.time == _COUNTED and ((ts == 0) | (ts == 1)).any():
            raise duckdb.InvalidInputException("a time is 0 or 1, which is how DuckDB reads false and true")
        features = {
            name: (text_column if name in self._schema.category else numeric_column)(column(f"features.{name}"))
            for name in self._schema.names
        }
        return Records(
            kind=text_column(column("kind")),
            model=text_column(column("model")),
            version=text_column(column("version")),
            ts=ts,
            ids=column("id"),
            numbers={name: numeric_column(column(name)) for name in NUMBERS},
            texts={name: text_column(column(name)) for name in TEXTS},
            objects=_objects({name: column(name) for name in OBJECTS}),
            features=features,
            segments={name: text_column(column(f"segments.{name}")) for name in self._schema.segments},
        )


def _objects(columns: Mapping[str, pa.Array]) -> dict[str, Sequence[Any]]:
    """JSON texts as Python values; a column without any costs nothing."""
    return {
        name: [None if text is None else lenient_json(text) for text in column.to_pylist()]
        for name, column in columns.items()
        if column.null_count < len(column)
    }


class _Feeder(threading.Thread):
    """Writes chunks into a pipe and closes it; `error` is what kept it from writing all."""

    def __init__(self, descriptor: int, chunks: Iterator[bytes | memoryview]) -> None:
        super().__init__(name="bulk-feed", daemon=True)
        self._descriptor, self._chunks = descriptor, chunks
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            for chunk in self._chunks:
                view = memoryview(chunk)
                _refuse_long_lines(view)
                while view:
                    view = view[os.write(self._descriptor, view) :]
        except BrokenPipeError:
            pass  # the reader gave up; it says why
        except Exception as error:  # noqa: BLE001 - whatever it is, the reader's thread raises it
            self.error = error
        finally:
            os.close(self._descriptor)


def _refuse_long_lines_of(path: str) -> None:
    with open(path, "rb") as file:  # noqa: PTH123 - DuckDB's paths are texts
        if os.fstat(file.fileno()).st_size:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data, memoryview(data) as view:
                _refuse_long_lines(view)


def _refuse_long_lines(view: memoryview) -> None:
    """Raise `duckdb.Error` when a line may be too long, for DuckDB itself takes lines of many megabytes.

    A line above the limit covers one of the stretches of half the limit; so each must hold the end of a line.
    """
    half = MAX_LINE // 2
    for start in range(0, len(view) - half + 1, half):
        if not any(b"\n" in bytes(view[page : page + _PAGE]) for page in range(start, start + half, _PAGE)):
            raise duckdb.InvalidInputException(f"a line near byte {start} may be longer than {MAX_LINE} bytes")


def _connected(threads: int, *, in_order: bool) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": threads, "preserve_insertion_order": in_order})
    connection.execute("SET TimeZone='UTC'")
    return connection


def _widen(descriptor: int) -> None:
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):  # a smaller pipe is only slower
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
