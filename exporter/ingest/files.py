"""Files of the log as they are found: where, which version of them, what is in them.

A path may be a file, a glob, a directory or an object-store URL. A file is known by its content (for NDJSON see
`Contents`; the footer and first bytes of Parquet), never by its name.
"""

import fnmatch
import glob
import hashlib
import io
import json
import os
import stat
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pa_fs
import pyarrow.parquet as pq
import zstandard

from exporter.errors import DataError
from exporter.ingest.ndjson import timestamp
from exporter.ingest.parquet import timestamps
from exporter.profile.columns import combined

# What a file that cannot be read may raise, from the disk, the packing or the format.
UNREADABLE = (OSError, EOFError, zlib.error, zstandard.ZstdError, pa.ArrowException, DataError)
_SUFFIXES = (".ndjson", ".jsonl", ".json", ".gz", ".zst", ".parquet", ".pq")
_PACKED = 16 * 1024  # bytes unpacked at once: bounds what a highly compressed stretch becomes in memory
_HEAD = 64 * 1024  # bytes of Parquet's data in its identity: footers without statistics can be equal
_TAIL = 64 * 1024  # bytes in which the last line is looked for
_GZIP = 31  # zlib's number for the gzip format with the largest window


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file as found: where, how large and which version of it; `filesystem` is None on local disks."""

    path: str
    size: int
    version: tuple[int, ...]
    filesystem: pa_fs.FileSystem | None = None

    @property
    def inode(self) -> tuple[int, ...]:
        """Device and inode of a local file."""
        return self.version[:2]

    @property
    def mtime(self) -> float:
        """When a local file was last written, Unix seconds."""
        return self.version[3] / 1e9

    @property
    def is_parquet(self) -> bool:
        """Whether it holds Parquet."""
        return self.path.endswith((".parquet", ".pq"))

    @property
    def is_plain(self) -> bool:
        """Whether it is uncompressed NDJSON on a local disk, which may grow."""
        return self.filesystem is None and not self.path.endswith((".gz", ".zst")) and not self.is_parquet

    @property
    def state(self) -> str:
        """Names this very version of the file at this place."""
        return "read:" + hashlib.sha256(repr((self.path, self.version)).encode()).hexdigest()

    def raw(self) -> Any:
        """The file as it is."""
        return self.filesystem.open_input_file(self.path) if self.filesystem else Path(self.path).open("rb")

    def open(self) -> io.BufferedReader:
        """The uncompressed bytes of NDJSON; EOFError where a compressed file ends torn."""
        raw = self.raw()
        if self.path.endswith(".gz"):
            return io.BufferedReader(_Unpacked(raw, lambda: zlib.decompressobj(_GZIP)))
        if self.path.endswith(".zst"):
            return io.BufferedReader(_Unpacked(raw, lambda: zstandard.ZstdDecompressor().decompressobj()))
        return raw if self.filesystem is None else io.BufferedReader(raw)


class _Unpacked(io.RawIOBase):
    """The content of a gzip or zstd stream of one or more members."""

    def __init__(self, raw: IO[bytes], member: Callable[[], Any]) -> None:
        self._raw = raw
        self._begin = member
        self._member: Any = None
        self._packed = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            if not self._unpack():
                return 0
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()

    def _unpack(self) -> bool:
        """Unpack some more; False at the end."""
        packed = self._packed or self._raw.read(_PACKED)
        self._packed = b""
        if not packed:
            if self._member is not None:
                raise EOFError("the compressed data ends before its end mark")
            return False
        if self._member is None and not (packed := packed.lstrip(b"\0")):
            return True  # padding between or behind members
        member = self._member = self._member or self._begin()
        self._ready = memoryview(member.decompress(packed))
        if member.eof:
            self._member, self._packed = None, member.unused_data
        return True


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
        found = [Path(name) for name in glob.glob(path, recursive=True) if not name.endswith(".part")]  # noqa: PTH207 - Path.glob takes no absolute pattern
    for file in found:
        try:
            status = file.stat()
        except OSError:
            continue  # rotated away between the listing and now, or a link to nowhere
        if stat.S_ISREG(status.st_mode):
            yield LogFile(str(file), status.st_size, version_of(status))


def version_of(status: os.stat_result) -> tuple[int, ...]:
    """What tells one version of a local file from another."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


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


def content_identity(lines: bytes) -> str:
    """What NDJSON that begins with `lines` is known by, a newline behind them or not."""
    return "ndjson:" + hashlib.sha256(lines.rstrip(b"\r\n")).hexdigest()


def parquet_identity(file: LogFile) -> str:
    """What a Parquet file is known by; `pa.ArrowInvalid` while it has no footer."""
    with file.raw() as stream:
        stream.seek(max(file.size - 8, 0))
        length = int.from_bytes(stream.read(4), "little")
        if stream.read(4) != b"PAR1":
            raise pa.ArrowInvalid("no Parquet footer yet")
        stream.seek(max(file.size - 8 - length, 0))
        footer = stream.read(length)
        stream.seek(0)
        return "parquet:" + hashlib.sha256(footer + stream.read(min(_HEAD, file.size))).hexdigest()


def likely_newest(files: Sequence[LogFile], latest: float) -> float | None:
    """The time up to `latest` that the newest record probably has; None where no file gives a hint.

    Of Parquet it is the newest `ts`, of plain NDJSON the last line's: logs grow in time. The count tells whether it
    was right.
    """
    hints = [_newest_row(file, latest) if file.is_parquet else _last_line_time(file) for file in files]
    return max((hint for hint in hints if hint is not None and hint <= latest), default=None)


def _newest_row(file: LogFile, latest: float) -> float | None:
    try:
        with file.raw() as stream:
            times = timestamps(combined(pq.read_table(stream, columns=["ts"]).column("ts")))
    except (*UNREADABLE, KeyError):
        return None  # the reading itself says what is wrong
    newest = float(times.max(initial=-np.inf, where=times <= latest))
    return newest if np.isfinite(newest) else None


def _last_line_time(file: LogFile) -> float | None:
    if not file.is_plain:
        return None
    with file.raw() as stream:
        stream.seek(max(file.size - _TAIL, 0))
        lines = stream.read().strip().splitlines()[-1:]
    try:
        time = timestamp(json.loads(lines[0])["ts"])
    except (IndexError, KeyError, TypeError, ValueError, RecursionError):
        return None  # no record, or a torn one
    return time if np.isfinite(time) else None
