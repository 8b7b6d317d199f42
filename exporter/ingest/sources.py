"""The log, followed: what is new in its files since a known position, in pieces that can be committed.

Positions belong to contents, not to names. So renaming, compressing, copying or re-delivering a file reads nothing
twice. Positions are bytes of uncompressed NDJSON, or row groups of Parquet. Open handles follow a file out of the
paths until it is quiet.
"""

import logging
import math
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import IO, Any, TypeVar

from exporter.errors import DataError
from exporter.formats.common import Half, Translated
from exporter.ingest.blocks import Blocks
from exporter.ingest.contents import SPAN, Contents, Known, Trail
from exporter.ingest.files import UNREADABLE, LogFile, find_files, parquet_identity
from exporter.ingest.lines import after_newline, end_of_lines, read_block, skip
from exporter.ingest.ndjson import MAX_LINE
from exporter.ingest.parquet import ParquetReader
from exporter.ingest.records import Records
from exporter.ingest.schema import FeatureSchema

log = logging.getLogger(__name__)

QUIET_SECONDS = 60.0  # after which a file's handle is closed: writers reopen rotated files within seconds
MAX_OPEN = 256  # handles; the customary limit of a process is 1,024
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
    trace: bytes = b""
    """Of what stands before the position, in NDJSON that is read in blocks (`Trail`)."""
    halves: tuple[Half, ...] = ()
    """Sides of predictions whose other sides stand elsewhere."""


@dataclass
class Handle:
    """A plain file held open: the name it was last seen under, and when it last gave something (a steady clock)."""

    stream: IO[bytes]
    path: str
    active: float

    def rewound(self) -> IO[bytes]:
        """The stream at its start."""
        self.stream.seek(0)
        return self.stream

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
    traces: dict[str, bytes] = field(default_factory=dict)
    """By identity; what stands before that position (`Trail`)."""
    follow: bool = True
    """False for one-shot work: a last line without its newline counts as a line."""
    handles: dict[Inode, Handle] = field(default_factory=dict)
    """Plain files held open; a reader that takes another's place goes on with them."""
    translations: Mapping[str, Callable[[bytes], Translated]] = field(default_factory=dict)
    """By path: how lines in a format of others become ours."""

    def __post_init__(self) -> None:
        self._blocks = Blocks(self.schema)
        self._parquet = ParquetReader(self.schema, self.only_model)
        self._contents = Contents(self.positions, self.traces)
        self._seen: dict[str, tuple[int, ...]] = {}
        self._refused: dict[str, str] = {}
        self._behind: dict[str, int] = {}
        self._translated: dict[str, Callable[[bytes], Translated]] = {}
        self._released: deque[tuple[str, Sequence[str]]] = deque()

    def poll(self) -> Iterator[Piece]:
        """Everything new, file by file; the caller commits each piece's position."""
        self._let_go()
        changed = self._changed()
        unchanged = {path: rest for path, rest in self._behind.items() if path in self._seen}
        self._behind = unchanged | {file.path: self._unread(file) for file in changed}
        for file in changed:
            self._let_go()
            try:
                for piece in self.read(file):
                    self._behind[file.path] = max(self._behind.get(file.path, 0) - piece.size, 0)
                    yield replace(piece, path=file.path)
            except DataError as error:
                self._refuse(file, error)
            if not file.is_plain:
                self._behind.pop(file.path, None)
        yield from self._left()

    def stream(self, file: LogFile) -> Iterator[Callable[[], Piece]]:
        """A whole local file at full speed: what makes each of its pieces, on whatever thread.

        DataError when it cannot be read; `duckdb.Error` at a line that is not as it should be.
        """
        with _readable(file):
            identity = self._begun(file)
            parts = self._parquet.parts(file.path) if file.is_parquet else self._blocks.bulk.stream(file.path)
            for place, part in enumerate(parts):
                yield partial(_made, file, part, identity, 0 if place else file.size)
        self._took(file, identity)

    def salvage(self, file: LogFile) -> Iterator[Callable[[], Piece]]:
        """As `stream`, passing over bad lines; `duckdb.Error` when that fails, with the file to be read in blocks."""
        with _readable(file):
            identity = self._begun(file)
            for place, (records, rejected) in enumerate(self._blocks.salvage.stream(file.path)):
                yield given(Piece(records, rejected, identity, 0, 0 if place else file.size))
        self._took(file, identity)

    def _begun(self, file: LogFile) -> str:
        """What a file is known by that is read whole."""
        if file.is_parquet:
            return parquet_identity(file)
        known = self._found(file)
        return known.identity if known else ""

    def _took(self, file: LogFile, identity: str) -> None:
        """Note that a file was read whole; of NDJSON its beginning is enough to know a copy by."""
        if file.is_parquet:
            self._contents.reach(identity, file.size)
            return
        with file.open() as stream:
            trail, _ = Trail.of(stream, SPAN)
        self._contents.reach(identity, len(trail.head), trail.trace)

    def read(self, file: LogFile) -> Iterator[Piece]:
        """What is new in one file; DataError when it cannot be read, after what could be."""
        with _readable(file):
            yield from self._read_plain(file) if file.is_plain else self._read_whole(file)
        self._seen[file.path] = file.version
        self._refused.pop(file.path, None)

    def knows(self, file: LogFile) -> bool:
        """Whether some of a local file's content was read, under this name or another; DataError as in `read`."""
        with _readable(file):
            if file.is_parquet:
                return self._contents.position(parquet_identity(file)) > 0
            known = self._found(file)
            return known is not None and known.position > 0

    def reached(self, file: LogFile) -> Known | None:
        """What a file of NDJSON is known by, and how far that is committed; OSError and the like."""
        return self._found(file, committed=True)

    def _found(self, file: LogFile, *, committed: bool = False) -> Known | None:
        with ExitStack() as opened:
            return self._contents.find(lambda: opened.enter_context(file.open()), torn=True, committed=committed)

    def forget(self) -> None:
        """Go back to the committed positions, after a commit that failed."""
        self._contents.forget()
        self._seen.clear()

    def release(self, path: str, identities: Sequence[str]) -> None:
        """Let go, soon, of a file that was deleted on purpose, so that its disk is free; from any thread."""
        self._released.append((path, identities))

    def _let_go(self) -> None:
        while self._released:
            path, identities = self._released.popleft()
            for inode in [inode for inode, handle in self.handles.items() if handle.path == path]:
                self.handles.pop(inode).stream.close()
            for identity in identities:
                self._contents.forget(identity)

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
                found = {file.path: file for file in find_files([path])}
                files |= found
                if path in self.translations:
                    self._translated |= dict.fromkeys(found, self.translations[path])
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
        known = self._contents.find(handle.rewound, torn=torn)
        if known is None:
            handle.stream.seek(0)
            return
        position = known.position
        handle.stream.seek(max(position - 1, 0))
        for piece in self._pieces(known, handle.stream, handle.path, torn=torn):
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
        first = self._contents.position(identity)
        for group, records in self._parquet.row_groups(source, first):
            self._contents.reach(identity, group + 1)
            yield Piece((records,), Counter(), identity, group + 1, file.size if group == first else 0)

    def _unpacked(self, file: LogFile) -> Iterator[Piece]:
        known = self._found(file)
        if known is None or known.shorter:
            return
        with file.open() as stream:
            skip(stream, known.position - 1)
            yield from self._pieces(known, stream, file.path, torn=True)

    # Lines.

    def _pieces(self, known: Known, stream: IO[bytes], path: str, *, torn: bool) -> Iterator[Piece]:
        """A block of lines at a time from a stream that stands one byte before the position.

        A position inside a line means that the line was too long, or ended the file without a newline: what is left
        of it is passed over. `torn` takes a last line that lacks its newline, whatever is in it.
        """
        identity, position, trail = known.identity, known.position, known.trail
        skipping = position > 0 and stream.read(1) != b"\n"
        rest, ended, fault = b"", False, None
        while not ended:
            block, ended, fault = read_block(stream, rest)
            start, skipping = after_newline(block) if skipping else (0, False)
            end = end_of_lines(block, start, last=ended and fault is None, torn=torn)
            if oversized := len(block) - end > MAX_LINE:
                skipping = True
            taken = len(block) if oversized else end
            rest = block[taken:]
            if taken:
                position += taken
                trail.add(block[:taken])
                self._contents.reach(identity, position, trail.trace)
                records, rejected, halves = self._parse(block, start, end, self._translated.get(path))
                rejected["oversized"] += oversized
                yield Piece(records, +rejected, identity, position, taken, trace=trail.trace, halves=halves)
        if fault is not None:
            raise fault

    def _parse(
        self, block: bytes, start: int, end: int, translate: Callable[[bytes], Translated] | None
    ) -> tuple[tuple[Records, ...], Counter[str], tuple[Half, ...]]:
        if translate is None:
            return *self._blocks.read(block, start, end), ()
        translated = translate(block[start:end])
        ours, rejected = self.parse(translated.lines)
        refused = Counter(reason for _, reason in translated.refused)
        return ours, rejected + refused, tuple(half for _, half in translated.halves)

    def parse(self, lines: bytes) -> tuple[tuple[Records, ...], Counter[str]]:
        """The records of whole lines of ours, and how many were refused, by reason."""
        return self._blocks.read(lines, 0, len(lines))


@contextmanager
def _readable(file: LogFile) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        raise DataError(f"{file.path}: cannot be read ({error}); mend or remove it") from error


def given(piece: Piece) -> Callable[[], Piece]:
    """What makes a piece that is made already."""
    return lambda: piece


def _made(file: LogFile, part: Callable[[], Records], identity: str, size: int) -> Piece:
    with _readable(file):
        return Piece((part(),), Counter(), identity, 0, size)


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
