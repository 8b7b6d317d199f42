"""The log, followed: what is new in its files since a known position, in pieces that can be committed.

Positions belong to contents, not to names. So renaming, compressing, copying or re-delivering a file reads nothing
twice. Positions are bytes of uncompressed NDJSON, or row groups of Parquet. Open handles follow a file out of the
paths until it is quiet.
"""

import json
import logging
import math
import os
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import IO, Any, TypeVar

from exporter.errors import DataError
from exporter.ingest.blocks import Blocks
from exporter.ingest.files import UNREADABLE, LogFile, content_identity, find_files, parquet_identity
from exporter.ingest.ndjson import MAX_LINE
from exporter.ingest.parquet import ParquetReader
from exporter.ingest.records import Records
from exporter.ingest.schema import FeatureSchema

log = logging.getLogger(__name__)

BLOCK = 8 * 1024 * 1024  # bytes of NDJSON in one piece: bounds memory, and how long a copy of it holds up a scrape
QUIET_SECONDS = 60.0  # after which a file's handle is closed: writers reopen rotated files within seconds
MAX_OPEN = 256  # handles; the customary limit of a process is 1,024
_READ = 1024 * 1024  # bytes asked of the system at once
T = TypeVar("T")
Inode = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """Records read from one file, and the position after them."""

    records: tuple[Records, ...]
    rejected: Counter[str]
    identity: str
    position: int
    size: int
    path: str = ""
    """The file's name, where the log is followed."""


@dataclass
class Handle:
    """A plain file held open: the name it was last seen under, and when it last gave something (a steady clock)."""

    stream: IO[bytes]
    path: str
    active: float

    @property
    def is_quiet(self) -> bool:
        """Whether it gave nothing for so long that its writer has done with it."""
        return time.monotonic() - self.active > QUIET_SECONDS


@dataclass
class LogReader:
    """Follows files and reads what is new in them."""

    paths: Sequence[str]
    schema: FeatureSchema
    only_model: str | None
    positions: dict[str, int] = field(default_factory=dict)
    """By identity; where the last committed piece ended."""
    follow: bool = True
    """False for one-shot work: a last line without its newline counts as a line."""
    handles: dict[Inode, Handle] = field(default_factory=dict)
    """Plain files held open; a reader that takes another's place goes on with them."""

    def __post_init__(self) -> None:
        self._blocks = Blocks(self.schema)
        self._parquet = ParquetReader(self.schema, self.only_model)
        self._reached: dict[str, int] = {}
        self._seen: dict[str, tuple[int, ...]] = {}
        self._refused: dict[str, str] = {}
        self._behind: dict[str, int] = {}

    def poll(self) -> Iterator[Piece]:
        """Everything new, file by file; the caller commits each piece's position."""
        changed = self._changed()
        unchanged = {path: rest for path, rest in self._behind.items() if path in self._seen}
        self._behind = unchanged | {file.path: self._unread(file) for file in changed}
        for file in changed:
            try:
                for piece in self.read(file):
                    self._behind[file.path] = max(self._behind.get(file.path, 0) - piece.size, 0)
                    yield replace(piece, path=file.path)
            except DataError as error:
                self._refuse(file, error)
            if not file.is_plain:
                self._behind.pop(file.path, None)
        yield from self._left()

    def stream(self, file: LogFile) -> Iterator[Piece]:
        """A whole plain file at full speed; `duckdb.Error` at a line that is not as it should be."""
        with file.open() as stream:
            identity, _ = self._known(stream, torn=True) or ("", 0)
        for place, records in enumerate(self._blocks.bulk.stream(file.path)):
            yield Piece((records,), Counter(), identity, 0, 0 if place else file.size)
        self._reached[identity] = file.size

    def salvage(self, file: LogFile) -> Iterator[Piece]:
        """As `stream`, passing over bad lines; `duckdb.Error` when that fails, with the file to be read in blocks."""
        with file.open() as stream:
            identity, _ = self._known(stream, torn=True) or ("", 0)
        for place, (records, rejected) in enumerate(self._blocks.salvage.stream(file.path)):
            yield Piece(records, rejected, identity, 0, 0 if place else file.size)
        self._reached[identity] = file.size

    def read(self, file: LogFile) -> Iterator[Piece]:
        """What is new in one file; DataError when it cannot be read, after what could be."""
        read = self._read_plain if file.is_plain else self._read_whole
        try:
            yield from read(file)
        except UNREADABLE as error:
            raise DataError(f"{file.path}: cannot be read ({error}); mend or remove it") from error
        self._seen[file.path] = file.version
        self._refused.pop(file.path, None)

    def knows(self, file: LogFile) -> bool:
        """Whether some of a plain file's content was read, under this name or another."""
        with file.open() as stream:
            _, position = self._known(stream, torn=True) or ("", 0)
        return position > 0

    def forget(self) -> None:
        """Go back to the committed positions, after a commit that failed."""
        self._reached.clear()
        self._seen.clear()

    def close(self) -> None:
        """Let go of all files."""
        for handle in self.handles.values():
            handle.stream.close()
        self.handles.clear()

    def lag(self) -> int:
        """Bytes that stand in the files and are not read yet."""
        return sum(list(self._behind.values()))

    # Looking for changes.

    def _changed(self) -> list[LogFile]:
        files: dict[str, LogFile] = {}
        for path in self.paths:
            try:
                files |= {file.path: file for file in find_files([path])}
                self._refused.pop(path, None)
            except UNREADABLE as error:
                self._say(path, f"cannot list {path}: {error}; it is tried again")
        self._seen = {path: version for path, version in self._seen.items() if path in files}
        return [files[path] for path in sorted(files) if self._seen.get(path) != files[path].version]

    def _unread(self, file: LogFile) -> int:
        """Bytes behind the position reached, where that is known without looking into the file."""
        handle = self.handles.get(file.inode)
        return file.size if handle is None else max(file.size - handle.stream.tell(), 0)

    def _refuse(self, file: LogFile, error: DataError) -> None:
        """Say once what is wrong; the disk is asked again soon, a content that is wrong only when it changes."""
        if isinstance(error.__cause__, FileNotFoundError):
            return  # rotated away since the listing
        if not isinstance(error.__cause__, OSError):
            self._seen[file.path] = file.version
        self._say(file.path, f"{error}; it is tried again when it changes")

    def _say(self, path: str, sentence: str) -> None:
        if path not in self._refused:
            log.warning("%s", sentence)
        self._refused[path] = sentence

    # Plain files, which grow.

    def _read_plain(self, file: LogFile) -> Iterator[Piece]:
        if file.size == 0:
            return
        handle = self._handle_of(file)
        yield from self._advance(handle, torn=not self.follow)
        self._behind[file.path] = self._unread(file)

    def _handle_of(self, file: LogFile) -> Handle:
        """The file's handle, under its present name; a handle whose file has come to rest makes room for a new one."""
        handle = self.handles.get(file.inode)
        if handle is None:
            while len(self.handles) >= MAX_OPEN:
                oldest = min(self.handles, key=lambda inode: self.handles[inode].active)
                self.handles.pop(oldest).stream.close()
            handle = Handle(file.open(), file.path, time.monotonic())
            self.handles[_inode(os.fstat(handle.stream.fileno()))] = handle
        handle.path = file.path
        return handle

    def _advance(self, handle: Handle, *, torn: bool) -> Iterator[Piece]:
        """What is new behind a handle; leaves it at the position reached. The content is looked at every time."""
        handle.stream.seek(0)
        known = self._known(handle.stream, torn=torn)
        if known is None:
            handle.stream.seek(0)
            return
        identity, position = known
        handle.stream.seek(max(position - 1, 0))
        for piece in self._pieces(identity, position, handle.stream, torn=torn):
            handle.active, position = time.monotonic(), piece.position
            yield piece
        handle.stream.seek(position)

    def _left(self) -> Iterator[Piece]:
        """What comes in files that have left their name for one outside the paths; handles at rest are closed."""
        for inode, handle in list(self.handles.items()):
            if not _names(handle.path, inode):
                try:
                    for piece in self._advance(handle, torn=handle.is_quiet):
                        yield replace(piece, path=handle.path)
                except OSError as error:
                    log.warning("cannot read on in what was %s: %s", handle.path, error)
                    handle.active = -math.inf
            if handle.is_quiet:
                handle.stream.close()
                del self.handles[inode]

    # Files that do not grow: compressed, remote, Parquet.

    def _read_whole(self, file: LogFile) -> Iterator[Piece]:
        if file.state in self.positions:
            return
        yield from self._row_groups(file) if file.is_parquet else self._unpacked(file)
        yield Piece((), Counter(), file.state, 1, 0)

    def _row_groups(self, file: LogFile) -> Iterator[Piece]:
        identity = parquet_identity(file)
        source: Any = file.path if file.filesystem is None else file.raw()
        first = self._position(identity)
        for group, records in self._parquet.row_groups(source, first):
            self._reached[identity] = group + 1
            yield Piece((records,), Counter(), identity, group + 1, file.size if group == first else 0)

    def _unpacked(self, file: LogFile) -> Iterator[Piece]:
        with file.open() as stream:
            known = self._known(stream, torn=True)
        if known is None:
            return
        with file.open() as stream:
            _skip(stream, known[1] - 1)
            yield from self._pieces(*known, stream, torn=True)

    # Lines.

    def _position(self, identity: str, otherwise: int = 0) -> int:
        return self._reached.get(identity, self.positions.get(identity, otherwise))

    def _known(self, stream: IO[bytes], *, torn: bool) -> tuple[str, int] | None:
        """What the content is known by, and the position reached in it; None while its first line is not complete.

        The first line alone counts until there is a second one: logs of replicas may begin alike. `torn` takes lines
        without a newline for complete.
        """
        first = stream.readline(MAX_LINE)
        ended = first.endswith(b"\n")
        if not first or not (ended or torn or len(first) == MAX_LINE or _is_record(first)):
            return None
        alone = content_identity(first)
        second = stream.readline(MAX_LINE) if ended else b""
        if not second or not (second.endswith(b"\n") or torn):
            return alone, self._position(alone)
        identity = content_identity(first + second)
        return identity, self._position(identity, self._position(alone))

    def _pieces(self, identity: str, position: int, stream: IO[bytes], *, torn: bool) -> Iterator[Piece]:
        """A block of lines at a time from a stream that stands one byte before `position`.

        A position inside a line means that the line was too long, or ended the file without a newline: what is left
        of it is passed over. `torn` takes a last line that lacks its newline, whatever is in it.
        """
        skipping = position > 0 and stream.read(1) != b"\n"
        rest, ended, fault = b"", False, None
        while not ended:
            block, ended, fault = _read_block(stream, rest)
            start, skipping = _after_newline(block) if skipping else (0, False)
            end = _end_of_lines(block, start, last=ended and fault is None, torn=torn)
            if oversized := len(block) - end > MAX_LINE:
                skipping = True
            taken = len(block) if oversized else end
            rest = block[taken:]
            if taken:
                position += taken
                self._reached[identity] = position
                records, rejected = self._blocks.read(block, start, end)
                rejected["oversized"] += oversized
                yield Piece(records, +rejected, identity, position, taken)
        if fault is not None:
            raise fault


def _read_block(stream: IO[bytes], rest: bytes) -> tuple[bytes, bool, Exception | None]:
    """`rest` and up to a block more, whether that is the end, and what is wrong there (a torn compressed file)."""
    parts, wanted = [rest], BLOCK
    take: Any = getattr(stream, "read1", stream.read)  # hands over what comes before a fault
    while wanted > 0:
        try:
            data = take(min(wanted, _READ))
        except UNREADABLE as error:
            return b"".join(parts), True, error
        if not data:
            return b"".join(parts), True, None
        parts.append(data)
        wanted -= len(data)
    return b"".join(parts), False, None


def _after_newline(block: bytes) -> tuple[int, bool]:
    """Where the next line starts, and whether the present one is still going on at the block's end."""
    newline = block.find(b"\n")
    return (len(block), True) if newline < 0 else (newline + 1, False)


def _end_of_lines(block: bytes, start: int, *, last: bool, torn: bool) -> int:
    """Where the block's complete lines end; a `last` one without a newline is complete when it is a whole object."""
    end = max(block.rfind(b"\n") + 1, start)
    return len(block) if last and (torn or _is_record(block[end:])) else end


def _is_record(line: bytes) -> bool:
    """Whether the line is a whole JSON object, which nothing written behind it could make another."""
    if len(line) > MAX_LINE or not line.rstrip().endswith(b"}"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _skip(stream: IO[bytes], count: int) -> None:
    while count > 0 and (data := stream.read(min(count, _READ))):
        count -= len(data)


def _inode(status: os.stat_result) -> Inode:
    return status.st_dev, status.st_ino


def _names(path: str, inode: Inode) -> bool:
    """Whether `path` stands for the file `inode`."""
    try:
        return _inode(os.stat(path)) == inode  # noqa: PTH116 - one call a second for each open file
    except OSError:
        return False


def ahead(iterator: Iterator[T]) -> Generator[T]:
    """The items of `iterator`, each made on another thread while the caller works on the one before."""
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        upcoming = pool.submit(next, iterator, end)
        while (item := upcoming.result()) is not end:
            upcoming = pool.submit(next, iterator, end)
            yield item  # type: ignore[misc]  # not the sentinel
