"""Lines of NDJSON to columns, by model and day; a line that columns cannot hold stays as it is.

What readers make of the columns and of the lines left over is, together, what they made of the log.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from exporter.ingest.ndjson import MAX_LINE, timestamp
from exporter.ingest.records import NUMBERS, OBJECTS, TEXTS
from exporter.profile.columns import Floats, float_array, string_array

Key = tuple[str, str]  # model, day
GROUPS = ("features", "segments")  # objects whose fields become columns named `features.NAME`, `segments.NAME`
_PREFIXES = tuple(f"{group}." for group in GROUPS)
_EXACT = 2**53  # up to here a float64 holds every whole number
_LAST = 253_402_300_800  # Unix seconds at the end of the year 9999
_DAY = 86_400
_MOST_COLUMNS = 2_000  # of one file: a flood of names must not make a flood of columns
_MOST_SHEETS = 1_000  # models and days of one batch: a flood of times must not make a flood of files

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_KINDS: dict[type, str] = {str: "text", int: "number", float: "number", bool: "flag", dict: "object", list: "object"}
_TYPES = {"text": pa.string(), "number": pa.float64(), "flag": pa.bool_(), "json": pa.string()}
_SCALARS = frozenset(("kind", "ts", "model", "version", "id", *NUMBERS, *TEXTS))


@dataclass
class Sheet:
    """The records of one model and day: each column's kind, which its first values decide, and tables of them."""

    kinds: dict[str, str] = field(default_factory=dict)
    tables: list[pa.Table] = field(default_factory=list)

    def add(self, rows: list[dict[str, Any]]) -> list[int]:
        """Take in `rows`, but for those that do not fit the columns: their places."""
        columns = dict(_columns(rows))
        odd = {place for name, values in columns.items() for place in self._misfits(name, values)}
        if odd:
            kept = [row for place, row in enumerate(rows) if place not in odd]
            columns = dict(_columns(kept))
        arrays = {name: _array(self.kinds[name], values) for name, values in columns.items() if name in self.kinds}
        if len(odd) < len(rows):
            self.tables.append(pa.table(arrays))
        return sorted(odd)

    def table(self) -> pa.Table:
        """All that was taken in."""
        return pa.concat_tables(self.tables, promote_options="default").combine_chunks()

    def _misfits(self, name: str, values: Sequence[Any]) -> Iterator[int]:
        """Places of the values that are not of their column's kind."""
        types = set(map(type, values)) - {type(None)}
        if not types:
            return
        kind = self._kind(name, values)
        if any(_kind_of(name, one) != kind for one in types) or kind in {"map", None}:
            yield from (
                place for place, value in enumerate(values) if value is not None and not _fits(name, value, kind)
            )
        elif int in types:
            yield from _inexact(values)

    def _kind(self, name: str, values: Sequence[Any]) -> str | None:
        """The column's kind; at first that of most values. None where there may be no such column."""
        if name not in self.kinds and len(self.kinds) < _MOST_COLUMNS:
            found = Counter(_kind_of(name, type(value)) for value in values if value is not None)
            [(kind, _)] = found.most_common(1)
            if kind is not None:
                self.kinds[name] = kind
        return self.kinds.get(name)


def _kind_of(name: str, of: type) -> str | None:
    """The kind of column that values of a type need; None where no column reads back the same."""
    kind = _KINDS[of]
    if kind != "object":
        return kind
    if name in _SCALARS or name.startswith(_PREFIXES):
        return None  # of a wrong type, which readers count
    return "map" if name in OBJECTS and of is dict else None if name in OBJECTS else "json"


def _fits(name: str, value: Any, kind: str | None) -> bool:
    if kind is None or _kind_of(name, type(value)) != kind:
        return False
    if kind == "map":
        return all(type(inner) in {int, float} and abs(inner) <= _EXACT for inner in value.values())
    return type(value) is not int or abs(value) <= _EXACT


def _inexact(values: Sequence[Any]) -> Iterator[int]:
    """Places of whole numbers that float64 does not hold."""
    yield from (place for place, value in enumerate(values) if type(value) is int and abs(value) > _EXACT)


def _columns(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Each field of the rows by its column's name; a field that none of them has is none."""
    yield from ((name, values) for name, values in _fields(rows) if name not in GROUPS)
    for group, prefix in zip(GROUPS, _PREFIXES, strict=True):
        for name, values in _fields([row.get(group) or {} for row in rows]):
            yield prefix + name, values


def _fields(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Each field with its value in every row; at once where all rows are of one shape, as one writer's mostly are."""
    shapes = dict.fromkeys(map(tuple, rows))
    if len(shapes) == 1:
        yield from zip(next(iter(shapes)), zip(*(row.values() for row in rows), strict=True), strict=True)
        return
    for name in dict.fromkeys(name for shape in shapes for name in shape):
        yield name, [row.get(name) for row in rows]


def _array(kind: str, values: Sequence[Any]) -> pa.Array:
    if kind == "number":
        return _numbers(np.array(values, dtype=np.float64))
    if kind == "text":
        return string_array(values)
    if kind == "json":
        return string_array([None if value is None else msgspec.json.encode(value).decode() for value in values])
    if kind == "map":
        return _maps(values)
    bits = np.packbits([value is True for value in values], bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(values), [_validity(values), pa.py_buffer(bits)])


def _numbers(values: Floats) -> pa.Array:
    """Numbers, null where NaN: strict JSON has no NaN, so it stands for None alone."""
    missing = np.isnan(values)
    if not missing.any():
        return float_array(values)
    valid = pa.py_buffer(np.packbits(~missing, bitorder="little"))
    return pa.Array.from_buffers(pa.float64(), len(values), [valid, pa.py_buffer(values)])


def _validity(values: Sequence[Any]) -> pa.Buffer | None:
    missing = [value is None for value in values]
    return pa.py_buffer(np.packbits(np.logical_not(missing), bitorder="little")) if any(missing) else None


def _maps(values: Sequence[Any]) -> pa.Array:
    """Objects whose values are numbers."""
    present = [value or {} for value in values]
    ends = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum([len(value) for value in present], out=ends[1:])
    keys = string_array([key for value in present for key in value])
    items = float_array(np.array([number for value in present for number in value.values()], dtype=np.float64))
    kind = pa.map_(pa.string(), pa.float64())
    entries = pa.StructArray.from_arrays([keys, items], fields=[kind.key_field, kind.item_field])
    return pa.Array.from_buffers(kind, len(values), [_validity(values), pa.py_buffer(ends)], children=[entries])


class Sorter:
    """Sorts lines into sheets; records of other models than `models` are left over."""

    def __init__(self, models: Collection[str]) -> None:
        self._models = frozenset(models)
        self._sheets: dict[Key, Sheet] = {}
        self._days: dict[int, str] = {}
        self.left: list[bytes] = []
        """What no column can hold: lines of the log to the byte."""

    def add(self, text: bytes) -> None:
        """Take in complete lines; a last one may lack its newline."""
        found: dict[Key, tuple[list[bytes], list[dict[str, Any]]]] = {}
        for line in text.split(b"\n"):
            if line and not line.isspace():
                row = _row(line)
                key = None if row is None else self._key(row)
                if key is None or row is None:
                    self.left.append(line + b"\n")
                else:
                    lines, rows = found.setdefault(key, ([], []))
                    lines.append(line)
                    rows.append(row)
        for key, (lines, rows) in found.items():
            self.left += [lines[place] + b"\n" for place in self._sheets[key].add(rows)]

    def tables(self) -> Iterator[tuple[Key, pa.Table]]:
        """Each sheet's records."""
        return ((key, sheet.table()) for key, sheet in self._sheets.items() if sheet.tables)

    def _key(self, row: dict[str, Any]) -> Key | None:
        """Where the record belongs; None when it belongs nowhere. Its time becomes Unix seconds, its id a text."""
        model, kind = row.get("model"), row.get("kind")
        if type(model) is not str or model not in self._models or type(kind) is not str or row.get("version") is None:
            return None
        row["ts"] = ts = timestamp(row.get("ts"))
        if not 0 <= ts < _LAST:
            return None
        if type(row.get("id")) is int:
            row["id"] = str(row["id"])
        key = model, self._day(int(ts // _DAY))
        if key not in self._sheets:
            if len(self._sheets) >= _MOST_SHEETS:
                return None
            self._sheets[key] = Sheet()
        return key

    def _day(self, number: int) -> str:
        if number not in self._days:
            self._days[number] = datetime.fromtimestamp(number * _DAY, UTC).date().isoformat()
        return self._days[number]


def _row(line: bytes) -> dict[str, Any] | None:
    """The line's object; None where strict JSON has none, or one whose fields would not find their columns."""
    if len(line) > MAX_LINE:
        return None
    try:
        row = msgspec.json.decode(line)
    except _UNREADABLE:
        return None
    if type(row) is not dict or any(name.startswith(_PREFIXES) for name in row):
        return None
    return row if all(type(row.get(group) or {}) is dict for group in GROUPS) else None
