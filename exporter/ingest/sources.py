"""Files of the log, followed: what is new in them since a known position, in pieces that can be committed.

A file is known by its content (the first line of NDJSON, the footer of Parquet), never by its name. So renaming,
compressing, copying or re-delivering a file reads nothing twice. Positions are bytes of uncompressed NDJSON, or row
groups of Parquet.
"""

import fnmatch
import glob
import gzip
import hashlib
import logging
import os
import stat
import zlib
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.fs as pa_fs
import pyarrow.parquet as pq
import zstandard

from exporter.errors import DataError
from exporter.ingest.ndjson import CHUNK, MAX_LINE, BulkReader, LineReader
from exporter.ingest.parquet import ParquetReader, timestamps
from exporter.ingest.records import Records
from exporter.ingest.schema import FeatureSchema
from exporter.profile.columns import combined

log = logging.getLogger(__name__)

BULK_FROM = 1024 * 1024  # bytes; below, DuckDB's fixed cost of 9 ms outweighs its speed (bench/README.md)
BLOCK = 32 * 1024 * 1024  # bytes of NDJSON in one piece
_SUFFIXES = (".ndjson", ".jsonl", ".json", ".gz", ".zst", ".parquet", ".pq")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file as found: where, how large and which version of it; `filesystem` is None on local disks."""

    path: str
    size: int
    version: tuple[int, ...]
    filesystem: pa_fs.FileSystem | None = None

    @property
    def is_parquet(self) -> bool:
        """Whether it holds Parquet."""
        return self.path.endswith((".parquet", ".pq"))

    @property
    def is_plain(self) -> bool:
        """Whether it is uncompressed NDJSON on a local disk, which may grow."""
        return self.filesystem is None and not self.path.endswith((".gz", ".zst")) and not self.is_parquet

    def open(self) -> IO[bytes]:
        """The file's uncompressed bytes (Parquet as it is)."""
        raw: Any = self.filesystem.open_input_file(self.path) if self.filesystem else Path(self.path).open("rb")  # noqa: SIM115 - the caller closes it
        if self.path.endswith(".gz"):
            raw = gzip.GzipFile(fileobj=raw)
        elif self.path.endswith(".zst"):
            raw = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        stream: IO[bytes] = raw
        return stream


@dataclass(frozen=True, slots=True)
class Piece:
    """Records read from one file, and the position after them."""

    records: tuple[Records, ...]
    rejected: Counter[str]
    identity: str
    position: int
    size: int


@dataclass
class _Followed:
    identity: str
    position: int
    version: tuple[int, ...] = ()
    handle: IO[bytes] | None = None
    rest: int = 0


def find_files(paths: Sequence[str]) -> list[LogFile]:
    """Every file that the paths name: files, globs, directories (with the usual suffixes), object-store URLs."""
    found: dict[str, LogFile] = {}
    for path in paths:
        for file in _remote(path) if "://" in path else _local(path):
            found[file.path] = file
    return [found[path] for path in sorted(found)]


def _local(path: str) -> Iterator[LogFile]:
    place = Path(path)
    if place.is_dir():
        found = [child for child in place.iterdir() if child.name.endswith(_SUFFIXES)]
    elif place.exists():
        found = [place]  # a name that exists is that file, whatever characters it has
    else:
        found = [Path(name) for name in glob.glob(path, recursive=True)]  # noqa: PTH207 - Path.glob takes no absolute pattern
    for file in found:
        try:
            status = file.stat()
        except FileNotFoundError:
            continue  # rotated away between the listing and now
        if stat.S_ISREG(status.st_mode):
            version = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            yield LogFile(str(file), status.st_size, version)


def _remote(url: str) -> Iterator[LogFile]:
    start, star, _ = url.partition("*")
    filesystem, path = pa_fs.FileSystem.from_uri(start if not star else start.rsplit("/", 1)[0])
    info = filesystem.get_file_info(path)
    listed = [info] if info.is_file else filesystem.get_file_info(pa_fs.FileSelector(path, recursive=True))
    for entry in listed:
        matches = not star or fnmatch.fnmatch(entry.path, url.split("://", 1)[1])
        if entry.is_file and matches and (star or entry.path.endswith(_SUFFIXES) or info.is_file):
            stamp = int(entry.mtime_ns or 0)
            yield LogFile(entry.path, entry.size, (entry.size, stamp), filesystem)


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

    def __post_init__(self) -> None:
        self._lines = LineReader(self.schema)
        self._bulk = BulkReader(self.schema)
        self._parquet = ParquetReader(self.schema, self.only_model)
        self._followed: dict[str, _Followed] = {}
        self._unreadable: dict[str, tuple[int, ...]] = {}

    def poll(self) -> Iterator[Piece]:
        """Everything new, file by file; the caller commits each piece's position."""
        yield from self._rotated()
        for file in find_files(self.paths):
            if self._unreadable.get(file.path) == file.version:
                continue
            try:
                yield from self._read(file)
            except (OSError, EOFError, zlib.error, zstandard.ZstdError, pa.ArrowException, DataError) as error:
                self._unreadable[file.path] = file.version
                log.warning("cannot read %s: %s; it is tried again when it changes", file.path, error)

    def stream(self, file: LogFile) -> Iterator[Piece]:
        """A whole plain file at full speed, without positions; `duckdb.Error` at a line that is not as it should be."""
        for place, records in enumerate(self._bulk.stream(file.path)):
            yield Piece((records,), Counter(), file.path, 0, 0 if place else file.size)

    def read(self, file: LogFile) -> Iterator[Piece]:
        """What is new in one file."""
        yield from self._read(file)

    def forget(self) -> None:
        """Go back to the committed positions, after a commit that failed."""
        for followed in self._followed.values():
            if followed.handle is not None:
                followed.handle.close()
        self._followed.clear()

    def lag(self) -> int:
        """Bytes that stand in followed plain files beyond the positions read."""
        return sum(followed.rest for followed in self._followed.values())

    def unreadable(self) -> list[str]:
        """Files that could not be read as they are now."""
        return sorted(self._unreadable)

    def _rotated(self) -> Iterator[Piece]:
        """The rest of files whose name now stands for another file, or for none."""
        for path, followed in list(self._followed.items()):
            if followed.handle is None:
                continue
            inode = os.fstat(followed.handle.fileno()).st_ino
            try:
                gone = Path(path).stat().st_ino != inode
            except FileNotFoundError:
                gone = True
            if gone:
                yield from self._blocks(followed, followed.handle, final=True)
                followed.handle.close()
                del self._followed[path]

    def _read(self, file: LogFile) -> Iterator[Piece]:
        followed = self._followed.get(file.path)
        if followed is not None and followed.version == file.version:
            return
        if followed is None or not file.is_plain or file.size < followed.position:
            if followed is not None and followed.handle is not None:
                followed.handle.close()  # truncated, or replaced in place
            identity = self._identity(file)
            if identity is None:
                return
            followed = _Followed(identity, self.positions.get(identity, 0))
            self._followed[file.path] = followed
        if file.is_parquet:
            yield from self._row_groups(followed, file)
        elif file.is_plain:
            followed.handle = followed.handle or file.open()
            yield from self._blocks(followed, followed.handle, final=not self.follow)
            followed.rest = max(os.fstat(followed.handle.fileno()).st_size - followed.position, 0)
        else:
            with file.open() as stream:
                _skip(stream, followed.position)
                yield from self._blocks(followed, stream, final=True, seek=False)
        followed.version = file.version
        self._unreadable.pop(file.path, None)

    def _identity(self, file: LogFile) -> str | None:
        """A digest of the first line or the footer; None while there is no complete line yet."""
        if file.is_parquet:
            with file.open() as stream:
                return "parquet:" + hashlib.sha256(_footer(stream, file.size)).hexdigest()
        with file.open() as stream:
            line = stream.readline(MAX_LINE)
        if not line or (self.follow and file.is_plain and not line.endswith(b"\n") and len(line) < MAX_LINE):
            return None
        return "ndjson:" + hashlib.sha256(line.rstrip(b"\r\n")).hexdigest()

    def _row_groups(self, followed: _Followed, file: LogFile) -> Iterator[Piece]:
        source: Any = file.path if file.filesystem is None else file.open()
        for group, records in self._parquet.row_groups(source, followed.position):
            followed.position = group + 1
            size = file.size // max(group + 1, 1) if group == 0 else 0
            yield Piece((records,), Counter(), followed.identity, followed.position, size)

    def _blocks(self, followed: _Followed, stream: IO[bytes], *, final: bool, seek: bool = True) -> Iterator[Piece]:
        """Complete lines, a block at a time; `final` takes a last line that lacks its newline too."""
        if seek:
            stream.seek(followed.position)
        rest = b""
        while True:
            data, ended = _read_block(stream)
            block = rest + data
            cut = len(block) if final and ended is not None else block.rfind(b"\n") + 1
            if ended is not None and not final and len(block) - cut <= MAX_LINE:
                rest, block = b"", block[:cut]
            else:
                rest, block = block[cut:], block[:cut]
            oversized = len(rest) > MAX_LINE
            if oversized:
                followed.position += len(rest)
                rest = b""
            if block or oversized:
                followed.position += len(block)
                records, rejected = self._parse(block)
                rejected["oversized"] += oversized
                yield Piece(records, +rejected, followed.identity, followed.position, len(block))
            if ended is not None:
                if ended:
                    raise EOFError(ended)
                return

    def _parse(self, block: bytes) -> tuple[tuple[Records, ...], Counter[str]]:
        if len(block) >= BULK_FROM:
            try:
                return (self._bulk.read(iter([block])),), Counter()
            except duckdb.Error as error:
                log.debug("reading a block line by line: %s", error)
        records: list[Records] = []
        rejected = Counter[str]()
        for chunk in _chunks(block):
            read, refused = self._lines.read(chunk)
            records += read
            rejected += refused
        return tuple(records), rejected


def _read_block(stream: IO[bytes]) -> tuple[bytes, str | None]:
    """Up to a block of bytes; then None to go on, '' at the end, or what is wrong there (a torn compressed file)."""
    parts: list[bytes] = []
    wanted = BLOCK
    while wanted > 0:
        try:
            data = stream.read(min(wanted, 1024 * 1024))
        except (EOFError, zlib.error, zstandard.ZstdError) as error:
            return b"".join(parts), str(error)
        if not data:
            return b"".join(parts), ""
        parts.append(data)
        wanted -= len(data)
    return b"".join(parts), None


def _chunks(block: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(block):
        end = block.rfind(b"\n", start, start + CHUNK) + 1
        if end <= start:
            end = block.find(b"\n", start) + 1 or len(block)
        yield block[start:end]
        start = end


def _skip(stream: IO[bytes], count: int) -> None:
    while count > 0 and (data := stream.read(min(count, 1024 * 1024))):
        count -= len(data)


def _footer(stream: IO[bytes], size: int) -> bytes:
    """Parquet's footer: it holds offsets, sizes and statistics, so different files have different ones."""
    stream.seek(max(size - 8, 0))
    length = int.from_bytes(stream.read(4), "little")
    if stream.read(4) != b"PAR1":
        raise pa.ArrowInvalid("no Parquet footer yet")
    stream.seek(max(size - 8 - length, 0))
    return stream.read(length)


def newest_parquet_time(files: Sequence[LogFile]) -> float | None:
    """The newest `ts` of Parquet files, read from that column alone; None when any file is no Parquet."""
    if not files or not all(file.is_parquet for file in files):
        return None
    newest = -float("inf")
    for file in files:
        table = pq.read_table(file.open(), columns=["ts"])
        newest = max(newest, float(timestamps(combined(table.column("ts"))).max(initial=-float("inf"))))
    return newest


def ahead(iterator: Iterator[T]) -> Generator[T]:
    """The items of `iterator`, each made on another thread while the caller works on the one before."""
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        upcoming = pool.submit(next, iterator, end)
        while (item := upcoming.result()) is not end:
            upcoming = pool.submit(next, iterator, end)
            yield item  # type: ignore[misc]  # not the sentinel
