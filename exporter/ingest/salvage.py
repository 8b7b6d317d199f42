"""Bulk reading that goes on at bad lines: DuckDB passes over them, and they alone are read again line by line.

DuckDB, told to ignore errors, gives one row for each line, in order, with NULL in place of what it cannot take. So
every row in which such a NULL may stand is looked up in the text; the others are as the strict reading gives them. But
for one thing that JSON leaves open: of a key that stands twice in a line the first counts here, the last elsewhere.
"""

import mmap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from exporter.ingest.bulk import LENIENT, BulkReader
from exporter.ingest.ndjson import LineReader
from exporter.ingest.records import Records
from exporter.profile.columns import combined, index_array, numeric_column

_SCAN = 8 * 1024 * 1024  # bytes in which lines are looked for at a time; far more than a line may have

Salvaged = tuple[tuple[Records, ...], Counter[str]]
Places = NDArray[np.int64]


class Salvage:
    """Reads NDJSON with bad lines as `LineReader` does, several times faster; `duckdb.Error` where that fails."""

    def __init__(self, bulk: BulkReader, lines: LineReader) -> None:
        self._bulk, self._lines = bulk, lines

    def read(self, text: memoryview) -> Salvaged:
        """All records of complete lines, and how many lines were refused for which reason."""
        lines = _Lines(text)
        result = self._joined(self._bulk.lenient(iter([text])), lines)
        lines.end()
        return result

    def stream(self, path: str) -> Iterator[Salvaged]:
        """The same of a plain file, a batch at a time while DuckDB parses on."""
        with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            lines = _Lines(text)
            for table in self._bulk.lenient_stream(path):
                yield self._joined(table, lines)
            lines.end()

    def _joined(self, table: pa.Table, lines: "_Lines") -> Salvaged:
        doubtful = numeric_column(combined(table["doubtful"])).values == 1
        again, rejected = self._lines.read(lines.taken(table.num_rows, np.flatnonzero(doubtful)))
        kept = table.take(index_array(np.flatnonzero(~doubtful))) if doubtful.any() else table
        return (self._bulk.columns(kept, LENIENT), *again), rejected


class _Lines:
    """The lines of a text that are not blank, in order; `duckdb.Error` when there are not as many as rows."""

    def __init__(self, text: memoryview | mmap.mmap) -> None:
        self._text, self._at = text, 0
        self._starts = self._ends = np.zeros(0, dtype=np.int64)

    def taken(self, count: int, rows: Places) -> bytes:
        """Take the next `count` lines; the text of those at `rows` among them."""
        while len(self._starts) < count and self._at < len(self._text):
            self._scan()
        if len(self._starts) < count:
            raise duckdb.InvalidInputException("more rows than lines")
        wanted = zip(self._starts[rows].tolist(), self._ends[rows].tolist(), strict=True)
        self._starts, self._ends = self._starts[count:], self._ends[count:]
        return b"\n".join(bytes(self._text[start:end]) for start, end in wanted)

    def end(self) -> None:
        """Make sure that no line is left."""
        while self._at < len(self._text) and not len(self._starts):
            self._scan()
        if len(self._starts):
            raise duckdb.InvalidInputException("fewer rows than lines")

    def _scan(self) -> None:
        block = self._text[self._at : self._at + _SCAN]
        last = self._at + len(block) == len(self._text)
        ends = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == ord("\n"))
        if last and (len(ends) == 0 or ends[-1] != len(block) - 1):
            ends = np.append(ends, len(block))
        if len(ends) == 0:
            raise duckdb.InvalidInputException("a line longer than any may be")
        starts = np.concatenate(([0], ends[:-1] + 1))
        filled = ends > starts
        for short in np.flatnonzero(filled & (ends - starts < 8)):  # longer blank ones make the numbers differ
            filled[short] = bool(bytes(block[starts[short] : ends[short]]).strip(b" \t\r"))
        self._starts = np.concatenate((self._starts, self._at + starts[filled]))
        self._ends = np.concatenate((self._ends, self._at + ends[filled]))
        self._at += int(min(ends[-1] + 1, len(block)))
