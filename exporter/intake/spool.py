"""What was taken and is not counted yet: NDJSON segments on disk, appended to in groups that share one sync.

A segment is never written to again after a failure or a restart, for the reader may have read past what is durable.
It is deleted once its last byte is counted and committed.
"""

import logging
import os
import queue
import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from exporter.ingest.files import content_identity
from exporter.ingest.ndjson import MAX_LINE

log = logging.getLogger(__name__)

SEGMENT = 16 * 1024 * 1024  # bytes: two transactions of the reader, so that disk is given back soon
REST_SECONDS = 60.0  # after which a segment that is read in full makes way for a new one, though it is not full
_SUFFIX = ".ndjson"
_DIGITS = 12  # of a segment's number, which names sort by
_sync = getattr(os, "fdatasync", os.fsync)  # macOS lacks the cheaper one
_Waiting = tuple[bytes, "Future[None]"]


@dataclass
class Segment:
    """One file: what its content may be known by, its durable bytes, and since when it is there (a steady clock)."""

    path: Path
    identities: tuple[str, ...]
    size: int
    opened: float

    def is_read(self, positions: Mapping[str, int]) -> bool:
        """Whether all of it is counted."""
        return max((positions.get(identity, 0) for identity in self.identities), default=0) >= self.size


class Spool:
    """The segments of one folder, and the thread that writes them."""

    def __init__(self, folder: Path) -> None:
        """Take over what an earlier process left; OSError when the folder cannot be used."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._lock = threading.Lock()  # held while the disk works; what senders wait for has a lock of its own
        self._counting = threading.Lock()
        self._closed = False
        self._segments = list(_left(folder))
        self._number = max((int(segment.path.stem) for segment in self._segments), default=0)
        self._size = sum(segment.size for segment in self._segments)
        self._open: tuple[int, Segment] | None = None
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="intake-spool", daemon=True)
        self._thread.start()

    @property
    def size(self) -> int:
        """Bytes on disk, or on their way there."""
        return self._size

    def append(self, lines: bytes) -> "Future[None]":
        """Write complete lines; the answer comes when they are durable, or is the OSError that kept them from it."""
        written: Future[None] = Future()
        with self._counting:
            if self._closed:
                written.set_exception(OSError("the spool is closed"))
            else:
                self._size += len(lines)
                self._queue.put((lines, written))
        return written

    def discard(self, positions: Mapping[str, int]) -> list[Segment]:
        """Delete the segments that are counted in full, given the committed `positions`; what was deleted."""
        with self._lock:
            current = self._open[1] if self._open else None
            read = [one for one in self._segments if one is not current and one.is_read(positions)]
            rests = current is not None and time.monotonic() - current.opened > REST_SECONDS
            if rests and current is not None and current.is_read(positions):
                self._close_segment()  # it goes next time
        for segment in read:
            segment.path.unlink(missing_ok=True)
        if read:
            _sync_folder(self.folder)  # or, after a power cut, a deleted segment could outlive its position
        with self._lock:
            self._segments = [one for one in self._segments if one not in read]
        self._count(-sum(segment.size for segment in read))
        return read

    def close(self) -> None:
        """Write what waits, and end."""
        with self._counting:
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    # The writer's thread.

    def _run(self) -> None:
        while True:
            batch, ended = _gather(self._queue)
            if batch:
                self._write_all(batch)
            if ended:
                break
        with self._lock:
            self._close_segment()

    def _write_all(self, batch: list[_Waiting]) -> None:
        data = b"".join(lines for lines, _ in batch)
        try:
            with self._lock:
                self._write(data)
        except OSError as error:
            self._count(-len(data))
            log.error("the intake cannot write to %s: %s", self.folder, error)  # noqa: TRY400 - a state of the disk, not a fault to trace
            for _, written in batch:
                written.set_exception(error)
        else:
            for _, written in batch:
                written.set_result(None)

    def _write(self, data: bytes) -> None:
        if self._open and self._open[1].size >= SEGMENT:
            self._close_segment()
        descriptor, segment = self._open or self._begin()
        header = b"" if segment.size else _header()
        try:
            _write_fully(descriptor, header + data)
            _sync(descriptor)
        except OSError:
            self._abandon(descriptor, segment)
            raise
        if header:
            segment.identities = _identities(header + data)
            self._segments.append(segment)
            self._count(len(header))
        segment.size += len(header) + len(data)

    def _begin(self) -> tuple[int, Segment]:
        self._number += 1
        path = self.folder / f"{self._number:0{_DIGITS}d}{_SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)
        self._open = descriptor, Segment(path, (), 0, time.monotonic())
        _sync_folder(self.folder)
        return self._open

    def _abandon(self, descriptor: int, segment: Segment) -> None:
        """Cut off what was not acknowledged, as far as the disk lets us."""
        with suppress(OSError):
            os.ftruncate(descriptor, segment.size)
        self._close_segment()
        if not segment.size:
            with suppress(OSError):
                segment.path.unlink()

    def _close_segment(self) -> None:
        if self._open:
            with suppress(OSError):  # all that counts was synced
                os.close(self._open[0])
        self._open = None

    def _count(self, more: int) -> None:
        with self._counting:
            self._size += more


def _gather(waiting: "queue.SimpleQueue[_Waiting | None]") -> tuple[list[_Waiting], bool]:
    """All that waits, once there is something; and whether the end was among it."""
    batch: list[_Waiting] = []
    item = waiting.get()
    while item is not None:
        batch.append(item)
        try:
            item = waiting.get_nowait()
        except queue.Empty:
            return batch, False
    return batch, True


def _write_fully(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _header() -> bytes:
    """A first line of white space that no other segment has.

    The reader knows files by how they begin, and takes two that begin alike for one; batches that are sent twice do.
    """
    return f"{secrets.randbits(64):064b}".translate({ord("0"): " ", ord("1"): "\t"}).encode() + b"\n"


def _identities(start: bytes) -> tuple[str, ...]:
    """What a segment that begins with `start` may be known by: its first line, or its first two."""
    one = start.index(b"\n") + 1
    two = start.find(b"\n", one) + 1
    return tuple(content_identity(start[:end]) for end in (one, two) if end)


def _left(folder: Path) -> Iterable[Segment]:
    """The segments of an earlier process; what it did not finish writing is cut off, for nobody was told of it."""
    for path in sorted(folder.glob(f"{'[0-9]' * _DIGITS}{_SUFFIX}")):
        with path.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            tail = max(size - MAX_LINE - 1, 0)
            file.seek(tail)
            whole = tail + file.read().rfind(b"\n") + 1
            if whole < size:
                file.truncate(whole)
            file.seek(0)
            start = file.readline() + file.readline()
        if start.count(b"\n") < 2:
            path.unlink()
        else:
            yield Segment(path, _identities(start), whole, time.monotonic())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
