"""One batch of the archive: pieces of the log enter, durable files leave, first under names that nobody reads."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pyarrow.parquet as pq
import zstandard

from exporter.archive.book import Entry
from exporter.archive.columns import Sorter
from exporter.archive.encoding import LEVEL, write_parquet
from exporter.ingest.files import LogFile, content_identity, parquet_identity

PART = ".part"
_LONGEST = 200  # bytes of a model in a folder's name; systems take 255
LINES = "lines"
"""The folder of lines that no column can hold."""


@dataclass
class Batch:
    """What is taken from the log and not committed yet; `done` are the files that were taken to their end."""

    sorter: Sorter
    positions: dict[str, int] = field(default_factory=dict)
    done: list[LogFile] = field(default_factory=list)
    size: int = 0

    def add(self, text: bytes, identity: str, position: int) -> None:
        """Take in lines of the content `identity` that end at `position`."""
        self.sorter.add(text)
        self.positions[identity] = position
        self.size += len(text)

    def write(self, folder: Path, owner: str, now: float) -> "Written":
        """Write all files into `folder` as parts, durably; none is left when that fails."""
        written = Written(folder)
        name = f"{owner}-{time.time_ns():x}"
        try:
            for (model, day), table in self.sorter.tables():
                place = f"model={_in_path(model)}/day={day}/{name}.parquet"
                part = written.part(place)
                write_parquet(table, part)
                written.close(place, now, parquet_identity(_found(part)), pq.read_metadata(part).num_row_groups)
            if left := self.sorter.left:
                place = f"{LINES}/{name}.ndjson.zst"
                text = b"".join(left)
                written.part(place).write_bytes(zstandard.ZstdCompressor(LEVEL, write_checksum=True).compress(text))
                written.close(place, now, content_identity(b"".join(text.splitlines(keepends=True)[:2])), len(text))
        except BaseException:
            written.discard()
            raise
        return written


@dataclass
class Written:
    """Files that stand as parts, and what the log's reader knows them by: read to their end."""

    folder: Path
    entries: list[Entry] = field(default_factory=list)
    positions: dict[str, int] = field(default_factory=dict)
    _parts: list[Path] = field(default_factory=list)

    def part(self, name: str) -> Path:
        """Where to write the file called `name` first."""
        part = self.folder / (name + PART)
        part.parent.mkdir(parents=True, exist_ok=True)
        self._parts.append(part)
        return part

    def close(self, name: str, now: float, identity: str, position: int) -> None:
        """Make the part durable, and note its file."""
        part = self.folder / (name + PART)
        sync(part)
        for folder in _folders(self.folder, name):
            sync(folder)
        self.entries.append(Entry(name, part.stat().st_size, now))
        self.positions[identity] = position

    def discard(self) -> None:
        """Remove what was written."""
        for part in self._parts:
            part.unlink(missing_ok=True)


def place(folder: Path, name: str) -> None:
    """Give a written part its final name, durably; OSError when it is not there."""
    part = folder / (name + PART)
    part.rename(folder / name)
    sync(part.parent)


def sync(path: Path) -> None:
    """Make a file's content, or a folder's names, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _folders(folder: Path, name: str) -> Iterator[Path]:
    """The folders down to `name` whose names may be new, the innermost first."""
    inner = [folder / parent for parent in Path(name).parents]  # the last of them is `folder` itself
    return iter([*inner, folder.parent])


def _found(path: Path) -> LogFile:
    return LogFile(str(path), path.stat().st_size, ())


def _in_path(model: str) -> str:
    """The model as part of a folder's name, which holds no separator and no dots alone, for `model=` stands before."""
    return quote(model, safe=" ")[:_LONGEST]
