"""One table to one Parquet file, each column in the encoding that holds its values in the fewest bytes.

The choices were measured (bench/README.md): numbers that were written with few decimals are whole numbers over a
power of ten, in 3 bytes instead of 7; zstd's higher levels save a percent for twice the time.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from exporter.ingest.records import OBJECTS
from exporter.profile.columns import Floats, any_of, float_values, null_mask

LEVEL = 3  # of zstd
_SAMPLE = 1_000  # values looked at before all are
_FEW = 200  # distinct values of a sample: a dictionary's codes then take one byte
_DECIMALS = 9  # digits behind the point that are tried
_DIGITS = ((9, pa.int32()), (15, pa.int64()))  # float64 holds no more exactly; up to nine fit 4 bytes


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write `table` as one row group."""
    columns = {name: column.chunk(0) for name, column in zip(table.column_names, table.columns, strict=True)}
    # Objects are read as Python values, and a number in the place of one would become a Decimal.
    columns |= {name: _narrow(array) for name, array in columns.items() if name not in OBJECTS}
    encodings = dict(_encodings(columns))
    pq.write_table(
        pa.table(columns),
        path,
        row_group_size=max(table.num_rows, 1),
        compression="zstd",
        compression_level=LEVEL,
        use_dictionary=[name for name in columns if name not in encodings],
        column_encoding=encodings,
        store_decimal_as_integer=True,
    )


def _encodings(columns: dict[str, pa.Array]) -> Iterator[tuple[str, str]]:
    """The encoding of each column that no dictionary suits."""
    for name, array in columns.items():
        kind = array.type
        if pa.types.is_boolean(kind) or pa.types.is_map(kind) or _repeats(array):
            continue
        if pa.types.is_floating(kind):
            yield name, "BYTE_STREAM_SPLIT"
        elif pa.types.is_string(kind):
            yield name, "DELTA_BYTE_ARRAY"
        else:
            yield name, "DELTA_BINARY_PACKED"


def _repeats(array: pa.Array) -> bool:
    """Whether the first values are few distinct ones."""
    return len(array.slice(0, _SAMPLE).unique()) <= _FEW


def _narrow(array: pa.Array) -> pa.Array:
    """Numbers as whole numbers or decimals where every one of them reads back as the very same float64."""
    if not pa.types.is_float64(array.type):
        return array
    missing = null_mask(array)
    values = np.where(any_of(missing, len(array)), 0.0, float_values(array))
    for scale in range(_DECIMALS + 1):
        if _is_exact(values[:_SAMPLE], scale) and _is_exact(values, scale):
            return _decimal(array, np.rint(values * 10.0**scale).astype(np.int64), scale)
    return array


def _is_exact(values: Floats, scale: int) -> bool:
    with np.errstate(over="ignore"):
        whole = np.rint(values * 10.0**scale)
    if not (np.abs(whole) < 10.0 ** _DIGITS[-1][0]).all():
        return False
    return bool((whole / 10.0**scale == values).all() and not np.signbit(values[values == 0]).any())


def _decimal(array: pa.Array, whole: np.ndarray[tuple[int], np.dtype[np.int64]], scale: int) -> pa.Array:
    """The array with `whole` numbers over 10**scale in place of its floats, null where they are."""
    largest = int(np.abs(whole).max(initial=0))
    digits, integer = next((digits, kind) for digits, kind in _DIGITS if largest < 10**digits)
    valid = array.buffers()[0]
    if scale == 0:
        plain = pa.Array.from_buffers(pa.int64(), len(whole), [valid, pa.py_buffer(whole)], offset=0)
        return plain.cast(integer)
    words = np.column_stack((whole, whole >> 63))  # a decimal128's two halves, the upper one all sign
    return pa.Array.from_buffers(pa.decimal128(digits, scale), len(whole), [valid, pa.py_buffer(words)])
