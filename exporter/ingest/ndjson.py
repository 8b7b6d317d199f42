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
from functools import partial
from itertools import chain
from typing import Any

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
_HEAD = 64 * 1024  # bytes in which the first line's time is looked for
_PAGE = 4096  # bytes looked at together in search of a line's end

# Times as RFC 3339 writes them, a date alone included; the clock part is bounded, so that all readers agree on it.
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-]([01]\d|2[0-3])(:?[0-5]\d)?)?"
_MOMENT = rf"\d{{4}}-\d\d-\d\d([T ]{_CLOCK})?"
_COUNTED = re.compile(rb'"ts"\s*:\s*-?\d')
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
        self._decode_outline = msgspec.json.Decoder(msgspec.defstruct("Outline", _LINE_FIELDS, gc=False)).decode

    def read(self, text: bytes) -> tuple[list[Records], Counter[str]]:
        """The records of `text`, and how many lines were refused for which reason; blank lines are none."""
        good, mended, refused = self._lines(text, self._decode)
        parts = [(good, _typed_numbers), (mended, numbers_of)]
        records = [self._columns([line for _, line in lines], numeric) for lines, numeric in parts if lines]
        return records, Counter(reason for _, reason in refused)

    def outline(self, text: bytes) -> tuple[list[tuple[list[int], Records]], list[tuple[int, str]]]:
        """As `read`, but without features, which no record is refused for, and with each line's number from 0."""
        # What msgspec passes over it checks as it checks what it takes, but for UTF-8 and halves of surrogate pairs.
        strict = b"\\u" in text or not _is_utf8(text)
        good, mended, refused = self._lines(text, self._decode if strict else self._decode_outline)
        parts = [(good, _typed_numbers), (mended, numbers_of)]
        records = [([number for number, _ in lines], _records([line for _, line in lines], {}, numeric))
                   for lines, numeric in parts if lines]  # fmt: skip
        return records, refused

    def _lines(
        self, text: bytes, decode: Callable[[bytes], Any]
    ) -> tuple[list[tuple[int, Any]], list[tuple[int, Any]], list[tuple[int, str]]]:
        """Lines decoded, lines mended and lines refused, with their numbers."""
        good: list[tuple[int, Any]] = []
        mended: list[tuple[int, Any]] = []
        refused: list[tuple[int, str]] = []
        for number, entry in enumerate(text.split(b"\n")):
            if len(entry) > MAX_LINE:
                refused.append((number, "oversized"))
                continue
            try:
                good.append((number, decode(entry)))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                if (line := self._mend(entry)) is not None:
                    mended.append((number, line))
                elif entry.strip():
                    refused.append((number, "malformed"))
        return good, mended, refused

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


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


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


class BulkReader:
    """Reads stretches of NDJSON through DuckDB, which parses on all its threads.

    DuckDB wants a file; a pipe serves as one, so that any byte range, compressed or not, can be read, and no more
    than that range.
    """

    def __init__(self, schema: FeatureSchema, threads: int = 2) -> None:
        self._schema = schema
        self._connection = duckdb.connect(config={"threads": threads, "preserve_insertion_order": False})
        self._connection.execute("SET TimeZone='UTC'")

    def read(self, chunks: Iterator[bytes | memoryview]) -> Records:
        """All records of `chunks`, each of complete lines; `duckdb.Error` when a line is not as it should be.

        What `chunks` itself raises goes on to the caller, and nothing of it is counted.
        """
        first = next(chunks, b"")
        counts_time = _counts_time(bytes(first[:_HEAD]))
        reader, writer = os.pipe()
        _widen(writer)
        feeder = _Feeder(writer, chain([first], chunks))
        feeder.start()
        try:
            result = self._connection.sql(self._query(f"/dev/fd/{reader}", counts_time=counts_time))
            table = result.to_arrow_table() if hasattr(result, "to_arrow_table") else result.arrow()
        finally:
            os.close(reader)  # a feeder that still writes gets EPIPE and ends
            feeder.join()
            if feeder.error is not None:
                raise feeder.error
        return self._columns(table, counts_time=counts_time)

    def stream(self, path: str) -> Iterator[Callable[[], Records]]:
        """All records of a plain file, a batch at a time while DuckDB parses on; `duckdb.Error` as in `read`.

        What makes a batch's columns may be called on any thread.
        """
        _refuse_long_lines_of(path)
        with open(path, "rb") as file:  # noqa: PTH123 - DuckDB's paths are texts
            counts_time = _counts_time(file.read(_HEAD))
        relation = self._connection.sql(self._query(path, counts_time=counts_time))
        make = relation.to_arrow_reader if hasattr(relation, "to_arrow_reader") else relation.fetch_arrow_reader
        for batch in make(_BATCH):
            yield partial(self._columns, pa.Table.from_batches([batch]), counts_time=counts_time)

    def _query(self, path: str, *, counts_time: bool) -> str:
        """`counts_time`: times are numbers; to read them as texts, which they may be too, costs a tenth of all time."""
        inner = ", ".join(f"{_quoted(name)} {'VARCHAR' if name in self._schema.category else 'DOUBLE'}"
                          for name in self._schema.names)  # fmt: skip
        columns = {
            "kind": "VARCHAR",
            "ts": "DOUBLE" if counts_time else "VARCHAR",
            "model": "VARCHAR",
            "version": "VARCHAR",
            "id": "VARCHAR",
        }
        columns |= dict.fromkeys(NUMBERS, "DOUBLE") | dict.fromkeys(TEXTS, "VARCHAR") | dict.fromkeys(OBJECTS, "JSON")
        columns["features"] = f"STRUCT({inner})"
        declared = ", ".join(f"{name}: {_literal(kind)}" for name, kind in columns.items())
        top = ", ".join(name for name in columns if name not in ("ts", "features"))
        unnested = ", ".join(
            f"features.{_quoted(name)} AS {_quoted(f'features.{name}')}" for name in self._schema.names
        )
        spelled = (
            f"coalesce(try_cast(ts AS DOUBLE), CASE WHEN regexp_full_match(upper(ts), {_literal(_MOMENT)}) "
            "THEN epoch(try_cast(upper(ts) AS TIMESTAMPTZ)) END)"
        )
        return (
            f"SELECT {'ts' if counts_time else spelled} AS ts, {top}, {unnested} "
            f"FROM read_ndjson({_literal(path)}, columns={{{declared}}}, compression='uncompressed', "
            f"maximum_object_size={MAX_LINE}, ignore_errors=false)"
        )

    def _columns(self, table: pa.Table, *, counts_time: bool) -> Records:
        def column(name: str) -> pa.Array:
            return combined(table.column(name))

        ts = numeric_column(column("ts")).or_nan()
        if counts_time and ((ts == 0) | (ts == 1)).any():
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
        )


def _counts_time(head: bytes) -> bool:
    """Whether the first line's time is a number."""
    line = head.partition(b"\n")[0]
    return _COUNTED.search(line) is not None


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


def _widen(descriptor: int) -> None:
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):  # a smaller pipe is only slower
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
