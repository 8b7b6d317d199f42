"""The files: whole lines enter, NDJSON segments in one folder leave, rotated by size and age.

Each process and log writes files of its own, so nothing is locked. A chunk of lines is one `os.write`: a crash tears
at most the last line of the newest segment. What cannot be written is told, never raised.
"""

import errno
import gzip
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Literal

Fsync = Literal["flush", "interval", "never"]
Compression = Literal["gzip", "zstd"]

ACTIVE_SUFFIX = ".ndjson"
PACKED_SUFFIX: dict[Compression, str] = {"gzip": ".gz", "zstd": ".zst"}
_PART_SUFFIX = ".part"
_COPY_BYTES = 1 << 18
# After these the same file can go on, when there is room again; after others a new one is tried.
_NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a segment ends, in bytes and seconds since its start, and whether it is synced and compressed then."""

    size_bytes: int
    age_seconds: float
    compression: Compression | None
    sync: bool


class Segments:
    """The segments of one process; belongs to one thread.

    A segment is called `<model>-<pid>-<start>-<sequence>.ndjson`. With compression, a finished one is written to a
    `.part` file, which is renamed to `.ndjson.gz` or `.ndjson.zst` when it is complete and synced; then the plain one
    is removed.
    """

    def __init__(self, folder: Path, model: str, rotation: Rotation, report: Callable[[str, Exception], None]) -> None:
        self._folder = folder
        stem = re.sub(r"[^A-Za-z0-9._]+", "_", model)[:64].lstrip(".") or "model"
        self._prefix = f"{stem}-{os.getpid()}-{time.time_ns():x}"
        self._rotation = rotation
        self._report = report
        self._sequence = 0
        self._descriptor: int | None = None
        self._path = folder
        self._size = 0
        self._opened = 0.0
        self._unsynced = False
        self._refused = False
        self._syncing: list[threading.Event] = []
        self._retiring: list[threading.Thread] = []

    def write(self, lines: list[bytes]) -> int:
        """Append `lines`; how many of them, from the first, now stand whole in the segment."""
        try:
            descriptor = self._descriptor if self._descriptor is not None else self._open()
        except OSError as error:
            self._report("cannot open a segment", error)
            return 0
        chunk = b"".join(lines)
        self._unsynced = True
        written, failure = _append(descriptor, chunk)
        if failure is None:
            self._size += written
            return len(lines)
        self._report("cannot write", failure)
        self._cut_torn_line(descriptor, chunk[:written])
        if failure.errno not in _NO_ROOM and self._descriptor is not None:
            self._end(descriptor)
        return chunk.count(b"\n", 0, written)

    def _open(self) -> int:
        self._folder.mkdir(parents=True, exist_ok=True)
        while True:
            path = self._folder / f"{self._prefix}-{self._sequence:06d}{ACTIVE_SUFFIX}"
            self._sequence += 1
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
            except FileExistsError:
                continue
            self._path, self._descriptor = path, descriptor
            self._size, self._opened = 0, time.monotonic()
            return descriptor

    def _cut_torn_line(self, descriptor: int, written: bytes) -> None:
        """Keep the whole lines of a write that failed half way: a reader may have taken them already."""
        self._size += written.rfind(b"\n") + 1
        try:
            os.ftruncate(descriptor, self._size)
        except OSError as error:
            self._report("cannot cut a torn line; a new segment follows", error)
            self._finish()

    def sync(self) -> bool:
        """Make all that was written durable, names included; False if the disk refuses."""
        for synced in self._syncing:
            synced.wait()
        self._syncing.clear()
        if self._descriptor is not None and self._unsynced:
            self._unsynced = not self._synced(self._descriptor)
        refused, self._refused = self._refused, False
        return not (self._unsynced or refused)

    def _synced(self, descriptor: int) -> bool:
        try:
            os.fsync(descriptor)
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            self._report("cannot sync", error)
            return False
        return True

    def rotate(self) -> None:
        """End the segment if it is full or old, or if somebody deleted it; the next write starts another."""
        if self._descriptor is None:
            return
        full = self._size >= self._rotation.size_bytes
        old = time.monotonic() - self._opened >= self._rotation.age_seconds
        if full or old:
            self._end(self._descriptor)
        elif os.fstat(self._descriptor).st_nlink == 0:
            self._finish()

    def _finish(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        self._unsynced = False
        if descriptor is not None:
            self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        try:
            os.close(descriptor)
        except OSError as error:
            self._report("cannot close a segment", error)

    def _end(self, descriptor: int) -> None:
        """Put the segment away, in a thread of its own: a large one takes seconds, in which the queue would fill."""
        synced = threading.Event()
        arguments = (descriptor, self._path, synced)
        self._descriptor, self._unsynced = None, False
        thread = threading.Thread(target=self._put_away, args=arguments, name="predlog-retire", daemon=True)
        self._syncing = [*(other for other in self._syncing if not other.is_set()), synced]
        self._retiring = [other for other in self._retiring if other.is_alive()]
        try:
            thread.start()
            self._retiring.append(thread)
        except RuntimeError:  # no more threads, or the interpreter is ending
            self._put_away(*arguments)

    def _put_away(self, descriptor: int, path: Path, synced: threading.Event) -> None:
        if self._rotation.sync and not self._synced(descriptor):
            self._refused = True
        synced.set()
        self._close(descriptor)
        if self._rotation.compression is not None:
            self._compress(path, self._rotation.compression)

    def _compress(self, path: Path, compression: Compression) -> None:
        done = path.with_name(path.name + PACKED_SUFFIX[compression])
        part = done.with_name(done.name + _PART_SUFFIX)
        try:
            with path.open("rb") as plain, part.open("wb") as raw:
                _PACK[compression](plain, raw)
                raw.flush()
                os.fsync(raw.fileno())
            part.replace(done)
            path.unlink()
        except OSError as error:
            self._report("cannot compress; the plain segment stays", error)
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def close(self, timeout: float | None = None) -> None:
        """End the segment (as it is, not compressed) and wait for those that are being put away."""
        self._finish()
        for thread in self._retiring:
            thread.join(timeout)

    def abandon(self) -> None:
        """Close this process's copy of its parent's descriptor, after a fork."""
        self._finish()


def _gzip(plain: IO[bytes], raw: IO[bytes]) -> None:
    with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
        shutil.copyfileobj(plain, packed, _COPY_BYTES)


def _zstd(plain: IO[bytes], raw: IO[bytes]) -> None:
    import zstandard  # optional, and only there when `check_compression` found it

    size = os.fstat(plain.fileno()).st_size
    zstandard.ZstdCompressor(write_checksum=True).copy_stream(plain, raw, size=size)


_PACK: dict[Compression, Callable[[IO[bytes], IO[bytes]], None]] = {"gzip": _gzip, "zstd": _zstd}


def check_compression(compression: Compression | None) -> None:
    """ModuleNotFoundError when `compression` needs a package that is not installed; it names the remedy."""
    if compression == "zstd" and find_spec("zstandard") is None:
        raise ModuleNotFoundError("compression 'zstd' needs the package zstandard: install predlog[zstd]")


def _append(descriptor: int, chunk: bytes) -> tuple[int, OSError | None]:
    """How many bytes of `chunk` were written, and what stopped the rest."""
    written = 0
    try:
        while written < len(chunk):
            written += os.write(descriptor, chunk[written:] if written else chunk)
    except OSError as error:
        return written, error
    return written, None
