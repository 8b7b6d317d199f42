"""Halves of predictions that wait for their other half: a bounded number, within bounded memory, for a bounded time."""

from collections import Counter
from dataclasses import dataclass, field

from exporter.formats.kserve import Event

MAX_HALVES = 10_000  # as many requests a second as two cores take, for some seconds each
MAX_BYTES = 32 * 1024 * 1024  # of JSON, which is some three times as much in memory
WAIT_SECONDS = 300.0  # models answer within seconds, and senders try again for minutes


@dataclass
class Halves:
    """Requests and responses by service and id, oldest first; times are of a steady clock, in seconds."""

    unmatched: Counter[str] = field(default_factory=Counter)
    """Halves that were given up, by which they were."""
    _waiting: dict[tuple[str, str], tuple[float, int, Event]] = field(default_factory=dict)
    _bytes: int = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def other(self, event: Event) -> Event | None:
        """The half that `event` completes; None while it has not come."""
        found = self._waiting.get(event.key)
        return found[2] if found and found[2].half != event.half else None

    def wait(self, event: Event, size: int, now: float) -> None:
        """Keep a half of `size` bytes; one that waits in its place already is the same one, sent again."""
        self.done(event)
        self._waiting[event.key] = now, size, event
        self._bytes += size
        self.expire(now)

    def done(self, event: Event) -> None:
        """Forget both halves of `event`."""
        if found := self._waiting.pop(event.key, None):
            self._bytes -= found[1]

    def expire(self, now: float) -> None:
        """Give up what has waited for too long, and the oldest of too much."""
        while self._waiting:
            since, _, oldest = next(iter(self._waiting.values()))
            if now - since <= WAIT_SECONDS and len(self._waiting) <= MAX_HALVES and self._bytes <= MAX_BYTES:
                break
            self.unmatched[oldest.half] += 1
            self.done(oldest)
