"""The archiver: log files that are read and at rest leave their folder for the archive; what is too old leaves it.

A batch of log becomes files under names that nobody reads (`.part`), synced; one transaction writes down these files
and how far each content is archived; then the files get their names, and the log files that are archived to their end
are deleted. A crash before the transaction leaves parts, which are removed; after it the rest is done at the next
start. So every record stands in the log, in the archive or for a moment in both, and positions tell that it is one.
"""

import errno
import fcntl
import logging
import math
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from exporter import names
from exporter.archive.batch import PART, Batch, place
from exporter.archive.book import Book, Entry
from exporter.archive.columns import Sorter
from exporter.config import Config, parse_duration
from exporter.ingest.engine import Delta
from exporter.ingest.files import UNREADABLE, LogFile, find_files, version_of
from exporter.ingest.lines import chunks, is_record, read_block, skip
from exporter.ingest.ndjson import MAX_LINE
from exporter.ingest.sources import LogReader
from exporter.measures import Sample
from exporter.store import Store

log = logging.getLogger(__name__)

BATCH_BYTES = 64 << 20  # of log, unpacked, in one file of a model and day: one segment of predlog; bounds memory
_SLICE = 1 << 20  # bytes of log turned into columns at once
_WORK_SECONDS = 0.25  # of each round, so that the log and the evaluations have the rest of it
_SHARE = 24  # looks in the time that a file rests before it is archived ...
_LONGEST = 3_600.0  # ... and seconds between two looks at most


class Archiver:
    """Archives what `config` asks for, in the database of `store`, as far as `reader` has read."""

    def __init__(self, config: Config, store: Store, reader: LogReader) -> None:
        self._store, self._reader = store, reader
        self._paths = [str(config.resolve(source.path)) for source in config.log if source.archive]
        self._folder = config.archive_folder.absolute()
        self._models = [model.name for model in config.models]
        self._after = parse_duration(config.archive.after)
        self._retention = parse_duration(config.archive.retention)
        self._book = Book(store.connection)
        self._batch = Batch(Sorter(self._models))
        self._round: Iterator[None] | None = None
        self._due = 0.0
        self._ok = True
        self._failures = 0
        self._succeeded = math.nan
        self._archived = 0
        self._told: set[str] = set()

    def work(self) -> None:
        """A moment's work, if any is due; what goes wrong is told, counted, and tried again later."""
        now = time.monotonic()
        if self._round is None:
            if now < self._due or not (self._paths or self._book.entries):
                return
            self._due = now + min(self._after / _SHARE, _LONGEST)
            self._round = self._all()
        try:
            for _ in self._round:
                if time.monotonic() > now + _WORK_SECONDS:
                    return
        except Exception as error:
            self._failures += 1
            if self._ok:
                log.exception("archiving failed; the log stays as it is, and it is tried again")
            self._ok = False
            self._say(str(error))
        else:
            self._ok, self._succeeded = True, time.time()
        self._round = None

    def samples(self) -> Iterator[Sample]:
        """What is known of the archive; nothing where there is none."""
        if not self._paths and not self._book.entries:
            return
        yield Sample(names.ARCHIVE_SUCCESS, (), float(self._ok))
        yield Sample(names.ARCHIVE_FAILURES_TOTAL, (), float(self._failures))
        yield Sample(names.ARCHIVED_LOG_BYTES_TOTAL, (), float(self._archived))
        yield Sample(names.ARCHIVE_FILES, (), float(len(self._book.entries)))
        yield Sample(names.ARCHIVE_BYTES, (), float(sum(entry.size for entry in self._book.entries.values())))
        if not math.isnan(self._succeeded):
            yield Sample(names.ARCHIVE_LAST_SUCCESS_TIMESTAMP_SECONDS, (), self._succeeded)

    # One round: files at rest into the archive, old ones out of it.

    def _all(self) -> Iterator[None]:
        """Everything that is due, a step at a time."""
        self._book = Book(self._store.connection)  # after a failed commit memory may know less than the disk
        self._mend()
        self._expire()
        self._batch = Batch(Sorter(self._models))
        for file in self._at_rest():
            yield
            for text, identity, position in self._unarchived(file):
                self._batch.add(text, identity, position)
                yield
                if self._batch.size >= BATCH_BYTES:
                    self._commit()
        self._commit()

    def _mend(self) -> None:
        """End what a crash interrupted: committed parts get their names, others go."""
        for part in self._folder.rglob(f"{self._book.owner}-*{PART}"):
            name = str(part.relative_to(self._folder)).removesuffix(PART)
            if name in self._book.entries:
                place(self._folder, name)
            else:
                part.unlink()

    def _expire(self) -> None:
        before = time.time() - self._retention
        old = [entry for entry in self._book.entries.values() if entry.at < before]
        for entry in old:
            self._remove(entry)
        if old:
            with self._store.transaction():
                self._book.strike(old)

    def _remove(self, entry: Entry) -> None:
        file = self._folder / entry.name
        file.unlink(missing_ok=True)
        with suppress(OSError):  # not empty yet
            for name in list(Path(entry.name).parents)[:-1]:
                (self._folder / name).rmdir()

    def _at_rest(self) -> list[LogFile]:
        """Local files of NDJSON, nobody's any more and read to their end, in the order of their names."""
        before = time.time() - self._after
        return [file for file in find_files(self._paths) if file.mtime < before and self._may_go(file)]

    def _may_go(self, file: LogFile) -> bool:
        path = Path(file.path)
        if file.is_parquet or file.size == 0 or path.is_symlink() or path.absolute().is_relative_to(self._folder):
            return False
        try:
            with path.open("rb") as stream, _unwritten(stream.fileno()) as unwritten:
                return unwritten and self._is_read(file)
        except UNREADABLE as error:
            self._say(f"{file.path}: cannot be archived: {error}")
            return False

    def _is_read(self, file: LogFile) -> bool:
        """Whether all of it is counted and committed, but for a last line that is torn."""
        if not file.is_plain:
            return file.state in self._store.positions
        known = self._reader.reached(file)
        if known is None or known.shorter or file.size - known.position > MAX_LINE:
            return False  # what ends before a content that begins alike was compared with in its beginning alone
        with file.open() as stream:
            stream.seek(known.position)
            rest = stream.read(MAX_LINE)
        return b"\n" not in rest and not is_record(rest)

    def _unarchived(self, file: LogFile) -> Iterator[tuple[bytes, str, int]]:
        """Slices of whole lines that are not archived yet, with the content's identity and the position after them."""
        try:
            known = self._reader.reached(file)
            if known is None:
                return
            identity = known.identity
            position = self._batch.positions.get(identity, self._book.positions.get(identity, 0))
            with file.open() as stream:
                skip(stream, position)
                for text in _slices(stream):
                    position += len(text)
                    yield text, identity, position
            self._batch.done.append(file)
        except UNREADABLE as error:
            self._say(f"{file.path}: cannot be archived: {error}")

    def _commit(self) -> None:
        """Make the batch durable in the archive, and only then delete what it was taken from."""
        batch, self._batch = self._batch, Batch(Sorter(self._models))
        if batch.positions:
            written = batch.write(self._folder, self._book.owner, time.time())
            reached = self._store.positions
            read = {identity: end for identity, end in written.positions.items() if identity not in reached}
            with self._store.transaction():  # if this fails, only the next round can tell whether parts are committed
                self._book.enter(written.entries, batch.positions)
                self._store.commit(Delta(), read, 0, self._store.fine)
            self._book.remember(written.entries, batch.positions)
            for entry in written.entries:
                place(self._folder, entry.name)
            self._archived += batch.size
        for file in batch.done:
            _delete(file)

    def _say(self, sentence: str) -> None:
        if sentence not in self._told:
            log.warning("%s", sentence)
            self._told.add(sentence)


def _slices(stream: IO[bytes]) -> Iterator[bytes]:
    """The stream in pieces of whole lines; a line too long to be one comes as it is read."""
    rest, ended, fault = b"", False, None
    while not ended:
        block, ended, fault = read_block(stream, rest)
        end = len(block) if ended else block.rfind(b"\n") + 1 or len(block)
        rest = block[end:]
        yield from chunks(block, 0, end, _SLICE)
    if fault is not None:
        raise fault


def _delete(file: LogFile) -> None:
    """Delete a file that is as it was found, and that nobody writes."""
    with suppress(FileNotFoundError), Path(file.path).open("rb") as stream, _unwritten(stream.fileno()) as unwritten:
        if unwritten and version_of(os.fstat(stream.fileno())) == file.version:
            Path(file.path).unlink()


@contextmanager
def _unwritten(descriptor: int) -> Iterator[bool]:
    """Whether no process has the file open for writing; none can open it so meanwhile. True where nobody can tell."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)  # whose default is nothing; that of a lease is to die
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        yield error.errno != errno.EAGAIN  # file systems on a network know no leases: there age alone decides
        return
    try:
        yield True
    finally:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
