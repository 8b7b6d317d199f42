"""NDJSON to columns, in two ways that read alike.

`LineReader` takes complete lines in memory and reports each bad one: for the live tail. `BulkReader` feeds DuckDB's
parallel reader through a pipe, which is several times faster; it stops at the first line that it cannot take, and
then the caller reads that stretch again with `LineReader`.
"""

import contextlib
import fcntl
import json
import math
import mmap
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NamedTuple

import duckdb
import msgspec
import numpy as np
import pyarrow as pa

from exporter.ingest.records import NUMBERS, OBJECTS, TEXTS, Records
from exporter.ingest.schema import FeatureSchema
from exporter.labels import canonical_label
from exporter.profile.columns import (
    Column,
    NumericColumn,
    combined,
    numbers_of,
    numeric_column,
    string_array,
    text_column,
    texts_of,
)

CHUNK = 256 * 1024  # bytes; 8 MB chunks were 2.3 times slower, their objects no longer fit the cache
MAX_LINE = 1024 * 1024  # bytes, as the record format says
_BATCH = 61_440  # rows that are counted while DuckDB parses the next: smaller ones cost calls, larger ones idle
_PIPE = 1024 * 1024  # bytes that Linux lets an unprivileged process buffer in a pipe
_PAGE = 4096  # bytes looked at together in search of a line's end

# Times as RFC 3339 writes them, a date alone included; the clock part is bounded, so that all readers agree on it.
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-]([01]\d|2[0-3])(:?[0-5]\d)?)?"
_MOMENT = rf"\d{{4}}-\d\d-\d\d([T ]{_CLOCK})?"
_IS_MOMENT = re.compile(_MOMENT, re.ASCII).fullmatch

# What DuckDB takes beyond JSON: strings stay, a trailing comma goes, NaN and Infinity may be spelled in any case.
_LOOSE = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])|-?\b(?:nan|inf(?:inity)?)\b', re.IGNORECASE)

Scalar = int | float | str | bool | None


class LineReader:
    """Reads complete lines in memory, naming what it refuses.

    Typed decoding is fast and takes nearly all lines; one that it refuses is decoded leniently (NaN literals,
    features of a wrong type) and refused only when it is no JSON object.
    """

    def __init__(self, schema: FeatureSchema) -> None:
        self._schema = schema
        self._places = {name: f"f{place}" for place, name in enumerate(schema.names)}
        fields: list[Any] = [
            (place, Scalar if name in schema.category else float | None, None) for name, place in self._places.items()
        ]
        rename = {place: name for name, place in self._places.items()}
        self._features: Any = msgspec.defstruct("Features", fields, rename=rename)
        self._line: Any = msgspec.defstruct("Line", [*_LINE_FIELDS, ("features", self._features | None, None)])
        self._decode = msgspec.json.Decoder(self._line).decode

    def read(self, text: bytes) -> tuple[list[Records], Counter[str]]:
        """The records of `text`, and how many lines were refused for which reason; blank lines are none."""
        good: list[Any] = []
        mended: list[Any] = []
        rejected = Counter[str]()
        for entry in text.split(b"\n"):
            if len(entry) > MAX_LINE:
                rejected["oversized"] += 1
                continue
            try:
                good.append(self._decode(entry))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                if (line := self._mend(entry)) is not None:
                    mended.append(line)
                elif entry.strip():
                    rejected["malformed"] += 1
        parts = [(good, _typed_numbers), (mended, numbers_of)]
        return [self._columns(lines, numeric) for lines, numeric in parts if lines], rejected

    def _mend(self, entry: bytes) -> Any:
        """The line as Python reads it, types unchecked; None when it is no JSON object."""
        try:
            data = _lenient(entry.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            return None
        if not isinstance(data, dict):
            return None
        inner = data.get("features")
        values = inner if isinstance(inner, dict) else {}
        known = {name: data.get(name) for name, *_ in _LINE_FIELDS}
        features = {place: values[name] for name, place in self._places.items() if name in values}
        return self._line(**known, features=self._features(**features))

    def _columns(self, lines: list[Any], numeric: Callable[[list[Any]], NumericColumn]) -> Records:
        nothing = self._features()
        inner = [line.features or nothing for line in lines]
        features: dict[str, Column] = {}
        for name, place in self._places.items():
            values = [getattr(row, place) for row in inner]
            features[name] = texts_of(values) if name in self._schema.category else numeric(values)
        return _records(lines, features, numeric)


def _lenient(text: str) -> Any:
    """What a JSON text says, with the liberties that DuckDB takes: see `_LOOSE`, and `null` is an empty object.

    ValueError when it is no such text, or has half of a surrogate pair in it.
    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError:
        data = json.loads(_LOOSE.sub(_strictly, text))
    if "\\u" in text:
        json.dumps(data, ensure_ascii=False).encode()
    return {} if data is None else data


def _strictly(found: re.Match[str]) -> str:
    if found[0].startswith('"'):
        return found[0]
    return "" if found[0] == "," else canonical_label(found[0])


_LINE_FIELDS: list[Any] = [
    ("kind", str | None, None),
    ("ts", float | str | None, None),
    ("model", str | None, None),
    ("version", Scalar, None),
    ("id", Scalar, None),
    *((name, float | None, None) for name in NUMBERS),
    *((name, Scalar, None) for name in TEXTS),
    ("probabilities", dict[str, float] | None, None),
    ("errors", float | dict[str, float] | None, None),
    ("latency_buckets", dict[str, float] | None, None),
]


def _typed_numbers(values: list[Any]) -> NumericColumn:
    """Floats and None, checked by the decoder, which takes no NaN: so NaN stands for None alone."""
    numbers = np.array(values, dtype=np.float64)
    missing = np.isnan(numbers)
    return NumericColumn(numbers, missing if missing.any() else None)


def _records(
    lines: Sequence[Any], features: dict[str, Column], numeric: Callable[[list[Any]], NumericColumn]
) -> Records:
    return Records(
        kind=texts_of([line.kind for line in lines]),
        model=texts_of([line.model for line in lines]),
        version=texts_of([line.version for line in lines]),
        ts=np.array([timestamp(line.ts) for line in lines]),
        ids=string_array([_id(line.id) for line in lines]),
        numbers={name: numeric([getattr(line, name) for line in lines]) for name in NUMBERS},
        texts={name: texts_of([getattr(line, name) for line in lines]) for name in TEXTS},
        objects={name: column for name in OBJECTS
                 if any(column := [getattr(line, name) for line in lines])},
        features=features,
    )  # fmt: skip


def timestamp(value: object) -> float:
    """Unix seconds of a number or an RFC 3339 text; NaN for anything else. A text without a zone is UTC."""
    if isinstance(value, float):
        return value
    if isinstance(value, bool) or value is None:
        return math.nan
    text = str(value)
    try:
        if text.isascii():
            return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text.upper()) if _IS_MOMENT(text.upper()) else None
    except ValueError:
        moment = None
    if moment is None:
        return math.nan
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _id(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class _Mode(NamedTuple):
    """What DuckDB does at a line that is not as declared, and what numbers are declared as."""

    ignores_errors: bool
    number: str


_STRICT, _LENIENT = _Mode(ignores_errors=False, number="DOUBLE"), _Mode(ignores_errors=True, number="VARCHAR")


class BulkReader:
    """Reads stretches of NDJSON through DuckDB, which parses on all its threads.

    DuckDB wants a file; a pipe serves as one, so that any byte range, compressed or not, can be read, and no more
    than that range.
    """

    def __init__(self, schema: FeatureSchema, threads: int = 2) -> None:
        self._schema, self._threads = schema, threads
        self._connection = _connected(threads, in_order=False)

    def read(self, chunks: Iterator[bytes | memoryview]) -> Records:
        """All records of `chunks`, each of complete lines; `duckdb.Error` when a line is not as it should be.

        What `chunks` itself raises goes on to the caller, and nothing of it is counted.
        """
        return self.columns(self._piped(self._connection, chunks, _STRICT))

    def stream(self, path: str) -> Iterator[Records]:
        """All records of a plain file, a batch at a time while DuckDB parses on; `duckdb.Error` as in `read`."""
        return map(self.columns, self._batches(self._connection, path, _STRICT))

    def lenient(self, chunks: Iterator[bytes | memoryview]) -> pa.Table:
        """One row for each line of `chunks`, in order, for `columns`; `doubtful` where the line may say otherwise."""
        return self._piped(self._in_order, chunks, _LENIENT)

    def lenient_stream(self, path: str) -> Iterator[pa.Table]:
        """The same of a plain file, a batch at a time."""
        return self._batches(self._in_order, path, _LENIENT)

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
        columns = {"kind": "VARCHAR", "ts": "VARCHAR", "model": "VARCHAR", "version": "VARCHAR", "id": "VARCHAR"}
        columns |= dict.fromkeys(NUMBERS, mode.number) | dict.fromkeys(TEXTS, "VARCHAR")
        columns |= dict.fromkeys(OBJECTS, "JSON") | {"features": f"STRUCT({inner})"}
        declared = ", ".join(f"{name}: {_literal(kind)}" for name, kind in columns.items())
        top = ", ".join(name for name in columns if name not in ("ts", "features", *NUMBERS))
        numbers = ", ".join(f"try_cast({name} AS DOUBLE) AS {name}" for name in NUMBERS)
        unnested = ", ".join(
            f"features.{_quoted(name)} AS {_quoted(f'features.{name}')}" for name in self._schema.names
        )
        return (
            f"SELECT coalesce(try_cast(ts AS DOUBLE), CASE WHEN regexp_full_match(upper(ts), {_literal(_MOMENT)}) "
            f"THEN epoch(try_cast(upper(ts) AS TIMESTAMPTZ)) END) AS ts, {top}, {numbers}, {unnested}"
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

    def columns(self, table: pa.Table) -> Records:
        """The records of a table as DuckDB gave it."""

        def column(name: str) -> pa.Array:
            return combined(table.column(name))

        features = {
            name: (text_column if name in self._schema.category else numeric_column)(column(f"features.{name}"))
            for name in self._schema.names
        }
        return Records(
            kind=text_column(column("kind")),
            model=text_column(column("model")),
            version=text_column(column("version")),
            ts=numeric_column(column("ts")).or_nan(),
            ids=column("id"),
            numbers={name: numeric_column(column(name)) for name in NUMBERS},
            texts={name: text_column(column(name)) for name in TEXTS},
            objects=_objects({name: column(name) for name in OBJECTS}),
            features=features,
        )


def _objects(columns: Mapping[str, pa.Array]) -> dict[str, Sequence[Any]]:
    """JSON texts as Python values; a column without any costs nothing."""
    return {
        name: [None if text is None else _lenient(text) for text in column.to_pylist()]
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
