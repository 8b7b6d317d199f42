"""What tests of the followed log share: a reader that commits after every poll, and records to write."""

import gzip
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import zstandard

from exporter.ingest.schema import FeatureSchema
from exporter.ingest.sources import LogReader
from tests.world import prediction, text

SCHEMA = FeatureSchema(frozenset({"age"}), frozenset({"colour"}))
PACKED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".zst": zstandard.compress,
}


class Follower:
    """A reader, what it has read, and a commit after every poll."""

    made: ClassVar[list["Follower"]] = []

    def __init__(self, *paths: Path | str, positions: dict[str, int] | None = None,
                 traces: dict[str, bytes] | None = None) -> None:  # fmt: skip
        self.made.append(self)
        self.reader = LogReader([str(path) for path in paths], SCHEMA, "churn", positions or {}, traces or {})
        self.rejected = Counter[str]()

    def poll(self) -> list[str]:
        """The ids of what is new, in the order read."""
        ids: list[str] = []
        for piece in self.reader.poll():
            ids += [str(value) for records in piece.records for value in records.ids.to_pylist()]
            self.rejected += piece.rejected
            self.reader.positions[piece.identity] = piece.position
            self.reader.traces[piece.identity] = piece.trace
        return ids

    def restarted(self) -> "Follower":
        """A new process that knows the committed positions."""
        self.reader.close()
        return Follower(*self.reader.paths, positions=self.reader.positions, traces=self.reader.traces)


def some(first: int, last: int) -> bytes:
    return text(prediction(number) for number in range(first, last))


def ids(first: int, last: int) -> list[str]:
    return [f"c-{number}" for number in range(first, last)]


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)
