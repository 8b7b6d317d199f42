"""Durations at the log's pace: production seconds in, Prometheus durations out.

A replay that runs `speed` times faster than real time must see its alerts that much sooner. What shrinks is bounded
below, for Prometheus cannot evaluate faster than it scrapes: at a scrape every second, a `for` of 2 s spans two
evaluations, and a range of 5 s still holds the two samples that `rate` needs when three scrapes are lost.
"""

from dataclasses import dataclass
from math import ceil

MINUTE, HOUR, DAY = 60, 3_600, 86_400
SHORTEST_WAIT = 2
SHORTEST_RANGE = 5
_UNITS = ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (1, "s"))


def duration(seconds: int) -> str:
    """The Prometheus duration of whole `seconds`, in the largest unit that divides it.

    >>> [duration(seconds) for seconds in (0, 90, 300, 7200, 86400)]
    ['0s', '90s', '5m', '2h', '1d']
    """
    for length, unit in _UNITS:
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return "0s"


@dataclass(frozen=True, slots=True)
class Pace:
    """How many times faster than real time the log runs; 1 in production."""

    speed: float

    def wait(self, seconds: int) -> str:
        """A `for`, `keep_firing_for` or `group_wait`; zero stays zero."""
        return duration(self._shrink(seconds, SHORTEST_WAIT) if seconds else 0)

    def range(self, seconds: int) -> str:
        """The range of a `rate`, or an offset."""
        return duration(self.range_seconds(seconds))

    def range_seconds(self, seconds: int) -> int:
        """As `range`, in seconds."""
        return self._shrink(seconds, SHORTEST_RANGE)

    def multiple(self, seconds: int, of: int) -> str:
        """A shrunken duration rounded up to whole multiples of `of`, itself shrunken; at least a minute of them."""
        step = self.range_seconds(of)
        return duration(step * ceil(self._shrink(seconds, MINUTE) / step))

    def _shrink(self, seconds: int, shortest: int) -> int:
        return max(ceil(seconds / self.speed), shortest)
