"""Columns of one batch: numbers with what is wrong about them, and texts as codes into their distinct values.

Arrow buffers enter without a copy where their types allow; numpy arrays leave. No Python object stands for a row.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from exporter.labels import canonical_label

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Codes = NDArray[np.intp]

_EXACT_DIGITS = 15  # a float64 holds every whole number of so many, and every power of ten up to 10**22


@dataclass(frozen=True, slots=True)
class NumericColumn:
    """Numbers of shape (rows,); where `missing` or `wrong` is set the value means nothing."""

    values: Floats
    missing: Mask | None = None
    wrong: Mask | None = None

    def take(self, index: NDArray[Any]) -> "NumericColumn":
        """The rows that `index` (a mask or positions) selects."""
        return NumericColumn(self.values[index], _take(self.missing, index), _take(self.wrong, index))

    def or_nan(self) -> Floats:
        """The values, NaN where they are missing or of a wrong type."""
        if self.missing is None and self.wrong is None:
            return self.values
        values = self.values.copy()
        for mask in (self.missing, self.wrong):
            if mask is not None:
                values[mask] = np.nan
        return values


@dataclass(frozen=True, slots=True)
class TextColumn:
    """Texts of shape (rows,) as `codes` into `texts`; code -1 is missing, a text None is of a wrong type."""

    codes: Codes
    texts: tuple[str | None, ...]

    def take(self, index: NDArray[Any]) -> "TextColumn":
        """The rows that `index` (a mask or positions) selects."""
        return TextColumn(self.codes[index], self.texts)

    def recode(self, lookup: Mapping[str, int], *, other: int, missing: int, wrong: int) -> Codes:
        """Each row's text through `lookup`; texts it lacks become `other`."""
        table = [wrong if text is None else lookup.get(text, other) for text in self.texts]
        return np.array([*table, missing], dtype=np.intp)[self.codes]

    def decode(self) -> list[str | None]:
        """Each row's text; None where it is missing or of a wrong type."""
        table = [*self.texts, None]
        return [table[code] for code in self.codes]


Column = NumericColumn | TextColumn


def _take(mask: Mask | None, index: NDArray[Any]) -> Mask | None:
    return None if mask is None else mask[index]


def null_mask(array: pa.Array) -> Mask | None:
    """True where the array is null; None when nothing is."""
    if array.null_count == 0:
        return None
    if pa.types.is_null(array.type):
        return np.ones(len(array), dtype=bool)
    bitmap = np.frombuffer(array.buffers()[0], dtype=np.uint8)
    first, last = array.offset // 8, (array.offset + len(array) + 7) // 8
    bits = np.unpackbits(bitmap[first:last], bitorder="little")
    missing: Mask = bits[array.offset % 8 :][: len(array)] == 0
    return missing


def float_values(array: pa.Array) -> Floats:
    """The numbers of a float64 array without a copy; null slots hold anything.

    `Array.to_numpy` would import pandas, which costs more than a second.
    """
    buffer = array.buffers()[1]
    if buffer is None:
        return np.zeros(len(array))
    return np.frombuffer(buffer, dtype=np.float64, count=len(array), offset=8 * array.offset)


def numeric_column(array: pa.Array) -> NumericColumn:
    """Numbers from Arrow: numbers and booleans as they are, texts that spell a number as that number."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    missing = null_mask(array)
    kind = array.type
    if pa.types.is_float64(kind):
        return NumericColumn(float_values(array), missing)
    if pa.types.is_decimal128(kind) and kind.precision <= _EXACT_DIGITS:
        return NumericColumn(_decimals(array), missing)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return NumericColumn(float_values(array.cast(pa.float64(), safe=False)), missing)
    if pa.types.is_boolean(kind):
        return NumericColumn(float_values(array.cast(pa.uint8()).cast(pa.float64())), missing)
    if is_text(kind):
        return numbers_from_texts(text_column(array))
    return NumericColumn(np.zeros(len(array)), missing, _present(missing, len(array)))


def _decimals(array: pa.Array) -> Floats:
    """The float64 nearest to each decimal, which is what reading its digits gives; Arrow's cast is often one off."""
    words = np.frombuffer(array.buffers()[1], dtype=np.int64, count=2 * len(array), offset=16 * array.offset)
    numbers: Floats = words[::2] / 10.0**array.type.scale
    return numbers


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type holds texts, in whatever layout."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _present(missing: Mask | None, rows: int) -> Mask:
    return np.ones(rows, dtype=bool) if missing is None else ~missing


def numbers_of(values: Sequence[Any]) -> NumericColumn:
    """Numbers from Python values, None being missing: the same reading as `numeric_column`, value by value."""
    read = [None if value is None else _number(value) for value in values]
    missing = np.fromiter((number is None for number in read), dtype=bool, count=len(read))
    wrong = np.fromiter((number is _WRONG for number in read), dtype=bool, count=len(read))
    numbers = np.array([0.0 if number is None or number is _WRONG else number for number in read], dtype=np.float64)
    return NumericColumn(numbers, _if_any(missing), _if_any(wrong))


_WRONG = object()


def _number(value: Any) -> Any:
    """The number that `value` is or spells; `_WRONG` when it is none."""
    try:
        return float(canonical_label(value) if isinstance(value, str) else value)
    except OverflowError:
        return np.inf
    except (TypeError, ValueError):
        return _WRONG


def _if_any(mask: Mask) -> Mask | None:
    return mask if mask.any() else None


def text_column(array: pa.Array) -> TextColumn:
    """Texts from Arrow, each distinct value in its one spelling; nested values are of a wrong type."""
    if pa.types.is_nested(array.type):
        missing = null_mask(array)
        present = _present(missing, len(array))
        return TextColumn(np.where(present, 0, -1).astype(np.intp), (None,))
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    codes = _index_values(array.indices)
    values = array.dictionary.to_pylist()
    if (missing := null_mask(array.indices)) is not None:
        codes[missing] = -1
    if None in values:  # a dictionary may spell out that nothing stands there
        codes[np.array([value is None for value in values])[codes] & (codes >= 0)] = -1
    return TextColumn(codes, tuple(_spelling(value) for value in values))


def _index_values(indices: pa.Array) -> Codes:
    if not pa.types.is_int32(indices.type):
        indices = indices.cast(pa.int32())
    values = np.frombuffer(indices.buffers()[1], dtype=np.int32, count=len(indices), offset=4 * indices.offset)
    return values.astype(np.intp)


def _spelling(value: Any) -> str | None:
    """The one spelling of a distinct value; None for JSON objects and arrays, which bulk readers hand over as text."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if value is None or isinstance(value, dict | list) or (isinstance(value, str) and _is_nested(value)):
        return None
    return canonical_label(value)


def _is_nested(text: str) -> bool:
    """Whether `text` is a JSON object or array; `[0, 10)` is none."""
    if text[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


_NO_TEXT = object()


def texts_of(values: list[Any]) -> TextColumn:
    """Texts from Python values, None being missing: the same reading as `text_column`."""
    try:
        distinct = dict.fromkeys(values)
    except TypeError:  # objects and arrays, which are no texts: all are one wrong value
        values = [_NO_TEXT if isinstance(value, dict | list) else value for value in values]
        distinct = dict.fromkeys(values)
    distinct.pop(None, None)
    index: dict[Any, int] = {value: code for code, value in enumerate(distinct)}
    texts = tuple(None if value is _NO_TEXT else _spelling(value) for value in index)
    index[None] = -1
    return TextColumn(np.fromiter(map(index.__getitem__, values), np.intp, len(values)), texts)


def combined(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """One array of a column that may come in chunks."""
    if isinstance(column, pa.ChunkedArray):
        chunk: pa.Array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        return chunk
    return column


def numbers_from_texts(column: TextColumn) -> NumericColumn:
    """The numbers that texts spell; a text that spells none is of a wrong type."""
    numbers = numbers_of([text for text in column.texts if text is not None])
    values, wrong = np.zeros(len(column.texts) + 1), np.ones(len(column.texts) + 1, dtype=bool)
    known = [code for code, text in enumerate(column.texts) if text is not None]
    values[known] = numbers.values
    wrong[known] = False if numbers.wrong is None else numbers.wrong
    missing = column.codes < 0
    bad = wrong[column.codes] & ~missing
    return NumericColumn(values[column.codes], _if_any(missing), _if_any(bad))


def any_of(mask: Mask | None, rows: int) -> Mask:
    """The mask, all False where there is none."""
    return np.zeros(rows, dtype=bool) if mask is None else mask


def string_array(values: Sequence[str | None]) -> pa.Array:
    """An Arrow string array. `pa.array(list)` would import pandas, which costs a second and 60 MiB."""
    encoded = [b"" if value is None else value.encode("utf-8", "surrogatepass") for value in values]
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum(np.fromiter(map(len, encoded), np.int32, len(values)), out=offsets[1:])
    missing = np.fromiter((value is None for value in values), bool, len(values))
    valid = pa.py_buffer(np.packbits(~missing, bitorder="little")) if missing.any() else None
    return pa.Array.from_buffers(
        pa.string(), len(values), [valid, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    )


def index_array(positions: NDArray[Any]) -> pa.Array:
    """An Arrow int64 array over numpy integers, without a copy where they are 64 bits wide."""
    values = np.ascontiguousarray(positions, dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values)])


def float_array(values: Floats) -> pa.Array:
    """An Arrow float64 array over numpy floats, without a copy."""
    return pa.Array.from_buffers(pa.float64(), len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def text_array(column: Column) -> pa.Array:
    """An Arrow array of a column's texts, each stored once; numbers are spelled so that they read back the same."""
    if isinstance(column, NumericColumn):
        return string_array([None if np.isnan(value) else repr(float(value)) for value in column.or_nan()])
    codes = np.where(column.codes < 0, len(column.texts), column.codes)
    return pa.DictionaryArray.from_arrays(index_array(codes), string_array([*column.texts, None]))


def absent(column: Column) -> Mask:
    """True where the column holds nothing usable: missing, or of a wrong type."""
    if isinstance(column, NumericColumn):
        rows = len(column.values)
        return any_of(column.missing, rows) | any_of(column.wrong, rows)
    usable = np.array([*(text is not None for text in column.texts), False])
    return ~usable[column.codes]
