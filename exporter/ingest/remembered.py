"""What outcomes need to know of predictions: rows of one width, so that any few of many cost no more than those few.

The database is what lasts, and it reads columns whole; these files are made anew from it at every start.
"""

import mmap
import os
import tempfile
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from exporter.profile.batch import Predictions, Scored
from exporter.profile.columns import Column, TextColumn

# `code` is a hash of id and model, `origin` a number of model and version. The order keeps numbers aligned.
ROW = np.dtype([
    ("code", np.uint64), ("ts", np.float64), ("value", np.float64), ("weight", np.float64), ("segments", np.int64),
    ("cell", np.int32), ("origin", np.int32),
])  # fmt: skip
_WORDS = ROW.itemsize // 8
_BITS = 20  # of a row's number within its file: 48 MiB each, so a descriptor for a million rows
_WITHIN = 2**_BITS - 1

Codes = NDArray[np.uint64]
Numbers = NDArray[np.int64]
Structured = NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is kept of a batch of predictions, without its features."""

    ids: pa.Array
    version: TextColumn
    label: Column | None
    scored: Scored

    @classmethod
    def of(cls, batch: Predictions, scored: Scored) -> "Remembered":
        """Of a batch with ids."""
        return cls(batch.ids, batch.version, batch.label, scored)

    def rows(self, codes: Codes, origin: NDArray[np.int32]) -> Structured:
        """The rows to keep."""
        rows = np.zeros(len(codes), dtype=ROW)
        rows["code"], rows["origin"] = codes, origin
        for name in ("ts", "value", "weight", "cell"):
            rows[name] = getattr(self.scored, name)
        if self.scored.segments is not None:
            rows["segments"] = self.scored.segments
        return rows


@dataclass
class Origins:
    """Numbers of models with versions, in the order that they were first seen in."""

    known: dict[tuple[str, str], int] = field(default_factory=dict)

    def of(self, model: str, version: TextColumn) -> tuple[NDArray[np.int32], dict[tuple[str, str], int]]:
        """The origin of each row of a batch, and those that are new with it."""
        present = np.flatnonzero(np.bincount(version.codes, minlength=len(version.texts)))
        table, new = np.zeros(len(version.texts), dtype=np.int32), {}
        for code in present.tolist():
            pair = model, str(version.texts[code])
            if pair not in self.known:
                new[pair] = self.known[pair] = len(self.known)
            table[code] = self.known[pair]
        return table[version.codes], new

    def versions(self, rows: Structured) -> TextColumn:
        """The version of each row."""
        return TextColumn(rows["origin"].astype(np.intp), tuple(version for _, version in self.known))


class Rows:
    """Rows by number in nameless files of `folder`; OSError when they cannot be written."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._files: dict[int, _File] = {}

    def put(self, numbers: Numbers, rows: Structured) -> None:
        """Keep rows under ascending numbers."""
        if len(numbers) == 0:
            return
        breaks = (np.diff(numbers) != 1) | (numbers[1:] & _WITHIN == 0)
        ends = np.flatnonzero(np.append(breaks, True)) + 1
        start = 0
        for end in ends.tolist():  # one stretch, but for numbers that are gone and the ends of files
            place = int(numbers[start])
            self._file(place >> _BITS).write(place & _WITHIN, rows[start:end])
            start = end

    def take(self, numbers: Numbers) -> Structured:
        """The rows under numbers that were put, in this order."""
        taken, files = np.empty((len(numbers), _WORDS), dtype=np.uint64), numbers >> _BITS
        for file, words in self._files.items():
            here = np.flatnonzero(files == file)
            if len(here):
                taken[here] = words.take(numbers[here] & _WITHIN)
        rows: Structured = taken.view(ROW).reshape(-1)
        return rows

    def forget(self, first: int) -> None:
        """Let go of files that hold no row from `first` on."""
        self._files = {number: file for number, file in self._files.items() if (number + 1) << _BITS > first}

    def _file(self, number: int) -> "_File":
        if number not in self._files:
            self._files[number] = _File(self._folder)
        return self._files[number]


class _File:
    """Written by calls, whose failure is an error, and read as memory, which costs no call."""

    def __init__(self, folder: Path | None) -> None:
        size = ROW.itemsize << _BITS
        file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by `finalize`
        weakref.finalize(self, file.close)
        file.truncate(size)
        self._descriptor = file.fileno()
        self._memory = mmap.mmap(self._descriptor, size, prot=mmap.PROT_READ)
        # As words, for numpy copies rows of several types one by one.
        self._rows = np.frombuffer(self._memory, np.uint64).reshape(-1, _WORDS)

    def take(self, places: Numbers) -> Codes:
        """Words of shape (rows, _WORDS)."""
        taken: Codes = self._rows.take(places, axis=0)
        if hasattr(mmap, "MADV_DONTNEED"):  # the system still caches it, but it is the process's memory no longer
            self._memory.madvise(mmap.MADV_DONTNEED)
        return taken

    def write(self, place: int, rows: Structured) -> None:
        """Write rows from a place on."""
        data, at = rows.tobytes(), place * ROW.itemsize
        while data:
            written = os.pwrite(self._descriptor, data, at)
            data, at = data[written:], at + written


def rows_of(batch: pa.RecordBatch) -> Structured:
    """The rows of the columns that `arrays` made."""
    rows = np.empty(batch.num_rows, dtype=ROW)
    for name in ROW.names or ():
        rows[name] = numbers_of(batch[name])
    return rows


def arrays(rows: Structured) -> dict[str, pa.Array]:
    """The columns of rows."""
    return {name: number_array(rows[name]) for name in ROW.names or ()}


def number_array(values: NDArray[Any]) -> pa.Array:
    """An Arrow array of the numbers' own type."""
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def numbers_of(array: pa.Array) -> NDArray[Any]:
    """The numbers of an array without nulls, in their own type."""
    kind = np.dtype(array.type.to_pandas_dtype())
    return np.frombuffer(array.buffers()[1] or b"", dtype=kind, count=len(array), offset=kind.itemsize * array.offset)
