"""Batches: columns enter (lists, numpy, pandas, polars, Arrow; none of them imported), entries leave, slice by slice.

The caller pays for counting the rows; columns are read in the background, where no row exists before its slice is due.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, NamedTuple

from predlog.record import Prediction, positions

Column = Callable[[int, int], Sequence[Any]]
"""The values of rows `start` to `stop` as Python objects (or numpy scalars that orjson knows)."""


class Batch(NamedTuple):
    """`rows` predictions; `fields` has the arguments of `log`, each a column or one value for all rows."""

    rows: int
    fields: Prediction


def is_columnar(features: Any) -> bool:
    """Whether `features` are those of many predictions: a frame, an Arrow table, a matrix or a list of mappings."""
    if isinstance(features, list):
        return bool(features) and isinstance(features[0], Mapping)
    is_frame = hasattr(features, "column_names") or hasattr(features, "columns")
    return is_frame or getattr(features, "ndim", 1) == 2


def row_count(features: Any) -> int:
    """How many rows the columns of `features` have; TypeError for what is not columnar."""
    if isinstance(features, Mapping):
        return len(next(iter(features.values()), ()))
    if hasattr(features, "num_rows"):
        return int(features.num_rows)
    return len(features)


def entries(batch: Batch, names: tuple[str, ...] | None, most: int) -> Iterator[list[Prediction]]:
    """The predictions of `batch` in slices of at most `most`; ValueError when columns differ in length."""
    columns = [
        _group(batch.fields.features, batch.rows, names, "f"),
        _column(batch.fields.score, batch.rows),
        _group(batch.fields.probabilities, batch.rows, None, ""),
        *(_column(value, batch.rows) for value in batch.fields[3:8]),
        _segments(batch.fields.segments, batch.rows),
        _column(batch.fields.trace_id, batch.rows),
        _column(batch.fields.cost_usd, batch.rows),
        _same(batch.fields.metadata),
    ]
    for start in range(0, batch.rows, most):
        stop = min(start + most, batch.rows)
        parts = [column(start, stop) for column in columns]
        yield [Prediction(*values) for values in zip(*parts, strict=True)]


def _same(value: Any) -> Column:
    return lambda start, stop: list(repeat(value, stop - start))


def _group(data: Any, rows: int, names: tuple[str, ...] | None, prefix: str) -> Column:
    """Columns under names, as one column of objects."""
    if data is None:
        return _same(None)
    if isinstance(data, (list, tuple)):
        return _column(data, rows)
    columns = {name: _column(column, rows) for name, column in _named_columns(data, names, prefix).items()}
    keys = tuple(columns)

    def objects(start: int, stop: int) -> list[dict[str, Any]]:
        parts = [column(start, stop) for column in columns.values()]
        return [dict(zip(keys, row, strict=True)) for row in zip(*parts, strict=True)]

    return objects


def _segments(data: Any, rows: int) -> Column:
    """Segments are one object for all rows when all its values are text, else columns under names."""
    if isinstance(data, Mapping) and all(isinstance(value, str) for value in data.values()):
        return _same(data)
    return _group(data, rows, None, "")


def _named_columns(data: Any, names: tuple[str, ...] | None, prefix: str) -> dict[str, Any]:
    if isinstance(data, Mapping):
        return {str(name): column for name, column in data.items()}
    if hasattr(data, "column_names"):  # Arrow
        return {str(name): data.column(index) for index, name in enumerate(data.column_names)}
    if hasattr(data, "columns"):  # pandas, polars
        return {str(name): data[name] for name in data.columns}
    if getattr(getattr(data, "dtype", None), "names", None):  # a structured numpy array
        return {name: data[name] for name in data.dtype.names}
    width = data.shape[1]
    if names is not None and len(names) != width:
        raise ValueError(f"{width} columns of features, but {len(names)} feature_names")
    return {name: data[:, index] for index, name in enumerate(names or positions(width, prefix))}


def _column(values: Any, rows: int) -> Column:
    """A reader of one column, or of one value for all rows."""
    if values is None or isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__len__"):
        return _same(values)
    if getattr(values, "shape", None) == ():
        return _same(values)
    if len(values) != rows:
        raise ValueError(f"a column of {len(values)} values in a batch of {rows} rows")
    if hasattr(values, "to_pylist"):  # Arrow
        return lambda start, stop: values[start:stop].to_pylist()
    if hasattr(values, "iloc"):  # pandas
        values = values.to_numpy()
    if getattr(getattr(values, "dtype", None), "kind", "") == "M":  # whose tolist() would be nanoseconds since 1970
        values = values.astype("datetime64[us]")
    if hasattr(values, "tolist"):
        return lambda start, stop: values[start:stop].tolist()
    return lambda start, stop: list(values[start:stop])
