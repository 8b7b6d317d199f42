"""What files are known by: how their content begins, and a trace of what stands before the position reached in it.

Two logs may begin with the same lines, so a beginning that is known is taken for known only where the trace fits too.
Where it does not, the content is another one, and gets a name of its own: the beginning's with a number behind.
"""

import hashlib
import itertools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO

from exporter.ingest.files import content_identity
from exporter.ingest.lines import is_record, skip
from exporter.ingest.ndjson import MAX_LINE

SPAN = 64 * 1024  # bytes at the beginning, and before the position, that a trace covers: a tenth of a millisecond
_LINES = 16  # at the beginning that are told one by one, for files that end before the position
_HEAD, _TAIL = 4, 8  # bytes of digest: both tell apart what is alike in its first lines already


@dataclass
class Trail:
    """The first and the last bytes before a position."""

    head: bytes = b""
    tail: bytes = b""

    @classmethod
    def of(cls, stream: IO[bytes], position: int) -> tuple["Trail", bool]:
        """What stands before `position`, from a stream at its start; and whether the content ends before that."""
        head = stream.read(min(position, SPAN))
        if (between := position - len(head) - SPAN) > 0:
            if stream.seekable():
                stream.seek(between, os.SEEK_CUR)
            else:
                skip(stream, between)
        wanted = min(position - len(head), SPAN)
        more = stream.read(wanted)
        return cls(head, (head + more)[-SPAN:]), len(more) < wanted

    def add(self, data: bytes) -> None:
        """Go on behind `data`."""
        self.head += data[: SPAN - len(self.head)]
        self.tail = (self.tail + data[-SPAN:])[-SPAN:]

    @property
    def trace(self) -> bytes:
        """Digests of the first lines, and of what stands right before the position."""
        return self._lines() + hashlib.sha256(self.head + self.tail).digest()[:_TAIL]

    def is_of(self, trace: bytes, *, ended: bool) -> bool:
        """Whether a trace is of this content, as far as can be told where it `ended` before the position."""
        return trace[:-_TAIL].startswith(self._lines()) if ended else trace == self.trace

    def _lines(self) -> bytes:
        digest, digests = hashlib.sha256(), b""
        for line in self.head.split(b"\n", _LINES)[:-1]:
            digest.update(line + b"\n")
            digests += digest.digest()[:_HEAD]
        return digests


@dataclass(frozen=True, slots=True)
class Known:
    """A content: its name, the position reached in it, what stands before that, and whether it ends before."""

    identity: str
    position: int
    trail: Trail
    shorter: bool = False


@dataclass
class Contents:
    """Positions and traces by identity: those committed, and those reached since."""

    positions: Mapping[str, int]
    traces: Mapping[str, bytes]
    _reached: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    def position(self, identity: str) -> int:
        """How far a content was read; 0 when it is not known."""
        return self._at(identity)[0]

    def reach(self, identity: str, position: int, trace: bytes = b"") -> None:
        """Note a position."""
        self._reached[identity] = position, trace

    def forget(self, *identities: str) -> None:
        """Forget what was reached of some contents; of all without any."""
        for identity in identities or tuple(self._reached):
            self._reached.pop(identity, None)

    def find(self, start: Callable[[], IO[bytes]], *, torn: bool, committed: bool = False) -> Known | None:
        """The content of a stream that `start` brings to its start; None while its first line is not complete.

        The first line alone counts until there is a second one: logs of replicas may begin alike. `torn` takes lines
        without a newline for complete. `committed` leaves out what was reached since the last commit.
        """
        stream = start()
        first = stream.readline(MAX_LINE)
        ended = first.endswith(b"\n")
        if not first or not (ended or torn or len(first) == MAX_LINE or is_record(first)):
            return None
        beginnings = [content_identity(first)]
        second = stream.readline(MAX_LINE) if ended else b""
        if second and (second.endswith(b"\n") or torn):
            beginnings.insert(0, content_identity(first + second))
        return self._known(start, beginnings, committed=committed)

    def _known(self, start: Callable[[], IO[bytes]], beginnings: list[str], *, committed: bool) -> Known:
        """What is known under one of these beginnings; else a name that begins with the first of them."""
        new = None
        for beginning in beginnings:
            known = self._fitting(start, beginning, committed=committed)
            if known.position:
                return known
            new = new or known
        assert new is not None, "there is a first line"
        return new

    def _fitting(self, start: Callable[[], IO[bytes]], beginning: str, *, committed: bool) -> Known:
        """What is known of a beginning and fits; else a name for what begins alike, with nothing read."""
        for number in itertools.count():
            identity = f"{beginning}:{number}" if number else beginning
            position, trace = self._at(identity, committed=committed)
            if position == 0:
                break
            trail, ended = Trail.of(start(), position)
            if not trace or trail.is_of(trace, ended=ended):
                return Known(identity, position, trail, ended)
        return Known(identity, 0, Trail())

    def _at(self, identity: str, *, committed: bool = False) -> tuple[int, bytes]:
        if identity in self._reached and not committed:
            return self._reached[identity]
        return self.positions.get(identity, 0), self.traces.get(identity, b"")
