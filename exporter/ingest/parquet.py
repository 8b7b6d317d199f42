"""Parquet to columns, row group by row group.

Columns are those of the record format; features stand in a struct `features` or in columns named `features.NAME`, and
so do `segments`. A missing `kind` means predictions, a missing `model` the only configured one.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from exporter.errors import DataError
from exporter.ingest.ndjson import timestamp
from exporter.ingest.records import NUMBERS, OBJECTS, TEXTS, Records
from exporter.ingest.schema import FeatureSchema
from exporter.profile.columns import (
    Column,
    Floats,
    NumericColumn,
    TextColumn,
    any_of,
    combined,
    is_text,
    null_mask,
    numeric_column,
    text_column,
)

PART = 122_880  # rows; DuckDB's row group too: enough that calls cost nothing, and few enough for two threads to share
_FEATURE, _SEGMENT = "features.", "segments."


class ParquetReader:
    """Reads files with the columns of the record format; `only_model` names the model of rows that name none."""

    def __init__(self, schema: FeatureSchema, only_model: str | None) -> None:
        self._schema = schema
        self._only_model = only_model
        self._wanted = {"kind", "ts", "model", "version", "id", *NUMBERS, *TEXTS, *OBJECTS}

    def row_groups(self, source: Any, first: int = 0) -> Iterator[tuple[int, Records]]:
        """Each row group's number and records, from row group `first` on; `source` is a path or a seekable file."""
        read, groups = self._opened(source)
        for group in range(first, groups):
            yield group, self.records(read(group))

    def parts(self, path: str) -> Iterator[Callable[[], Records]]:
        """All records of a file, in parts that are still to be read: each on whatever thread, beside the others."""
        read, groups = self._opened(path)
        if groups > 1:
            yield from (partial(self._part, read, group) for group in range(groups))
        elif groups:
            whole = read(0)
            yield from (partial(self.records, whole.slice(start, PART)) for start in range(0, whole.num_rows, PART))

    def _part(self, read: Callable[..., pa.Table], group: int) -> Records:
        return self.records(read(group, use_threads=False))

    def _opened(self, source: Any) -> tuple[Callable[..., pa.Table], int]:
        """How to read a row group by its number, and how many there are. A path is opened anew for each."""
        metadata = pq.read_metadata(source)
        schema = metadata.schema.to_arrow_schema()
        columns = self._columns_of(schema)
        texts = [name for name in columns if name != "id" and _is_text(schema, name)]

        def read(group: int, *, use_threads: bool = True) -> pa.Table:
            is_path = isinstance(source, str)
            file = pq.ParquetFile(source, metadata=metadata, memory_map=is_path, read_dictionary=texts)
            return file.read_row_group(group, columns=columns, use_threads=use_threads)

        return read, metadata.num_row_groups

    def _columns_of(self, schema: pa.Schema) -> list[str]:
        flat = {f"{_FEATURE}{name}" for name in self._schema.names}
        flat |= {f"{_SEGMENT}{name}" for name in self._schema.segments}
        nested = {"features", "segments"} if self._schema.segments else {"features"}
        chosen = [name for name in schema.names if name in self._wanted | flat | nested]
        if "ts" not in chosen:
            raise DataError("no column `ts`; a log in Parquet has the record format's columns")
        return chosen

    def records(self, table: pa.Table) -> Records:
        """The table's rows as records."""
        rows = table.num_rows
        read = {name: combined(table.column(name)) for name in table.column_names}
        for name in {"features", "segments"} & read.keys():
            read |= unnested(name, read.pop(name))

        def text(name: str, default: str | None = None) -> TextColumn:
            if name in read:
                return text_column(read[name])
            return TextColumn(np.full(rows, 0 if default else -1, dtype=np.intp), (default,) if default else ())

        def number(name: str) -> NumericColumn:
            return numeric_column(read[name]) if name in read else _no_numbers(rows)

        return Records(
            kind=text("kind", "prediction"),
            model=text("model", self._only_model),
            version=text("version", "unversioned"),
            ts=timestamps(read["ts"]),
            ids=_ids(read.get("id"), rows),
            numbers={name: number(name) for name in NUMBERS},
            texts={name: text(name) for name in TEXTS},
            objects={name: _objects(read[name]) for name in OBJECTS if name in read and read[name].null_count < rows},
            features={name: self._feature(name, read[_FEATURE + name]) for name in self._schema.names
                      if _FEATURE + name in read},
            segments={name: text_column(read[_SEGMENT + name]) for name in self._schema.segments
                      if _SEGMENT + name in read},
        )  # fmt: skip

    def _feature(self, name: str, array: pa.Array) -> Column:
        return text_column(array) if name in self._schema.category else numeric_column(array)


def _is_text(schema: pa.Schema, name: str) -> bool:
    return bool(pa.types.is_string(schema.field(name).type))


def _no_numbers(rows: int) -> NumericColumn:
    return NumericColumn(np.zeros(rows), np.ones(rows, dtype=bool))


def unnested(name: str, struct: pa.Array) -> dict[str, pa.Array]:
    """Each field of a struct as a column, null where the struct is; none of a column that holds nothing at all."""
    if pa.types.is_null(struct.type):
        return {}
    if not pa.types.is_struct(struct.type):
        raise DataError(f"column `{name}` is a {struct.type}; make it a struct, or columns named `{name}.NAME`")
    return {f"{name}.{field.name}": pc.struct_field(struct, field.name) for field in struct.type}


def timestamps(array: pa.Array) -> Floats:
    """Unix seconds of a column of numbers, time stamps, dates or RFC 3339 texts; NaN where there is none."""
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if is_text(kind):
        return _spelled_times(array)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_date(kind):
        array, kind = array.cast(pa.timestamp("s")), pa.timestamp("s")
    if pa.types.is_timestamp(kind):
        micros = array.cast(pa.timestamp("us", kind.tz), safe=False).cast(pa.int64())
        return numeric_column(micros).or_nan() / 1e6
    return numeric_column(array).or_nan()


def _spelled_times(array: pa.Array) -> Floats:
    """Unix seconds of texts, each distinct one read once."""
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    seconds = np.array([*(timestamp(text) for text in array.dictionary.to_pylist()), np.nan])
    places = numeric_column(array.indices)
    return seconds[np.where(any_of(places.missing, len(array)), -1, places.values).astype(np.intp)]


def _ids(array: pa.Array | None, rows: int) -> pa.Array:
    if array is None:
        return pa.nulls(rows, pa.string())
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_nested(array.type):
        raise DataError(f"column `id` is a {array.type}; ids are texts or whole numbers")
    return array if pa.types.is_string(array.type) else array.cast(pa.string())


def _objects(array: pa.Array) -> Sequence[Any]:
    missing = any_of(null_mask(array), len(array))
    return [None if missing[row] else _plain(value) for row, value in enumerate(array.to_pylist())]


def _plain(value: Any) -> Any:
    """Arrow hands maps over as lists of pairs, and gives every struct all fields, those without a value too."""
    if isinstance(value, dict):
        return {name: inner for name, inner in value.items() if inner is not None}
    if isinstance(value, list) and all(isinstance(pair, tuple) for pair in value):
        return dict(value)
    return value
