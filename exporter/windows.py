"""Time: records fall into buckets, and windows are sums of buckets, never subtractions.

A bucket is five minutes wide while windows of up to two days may need it so fine, and an hour wide beyond. Longer
windows start on the hour, so rolling buckets up changes no window's sum.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from exporter.profile.columns import Floats

BUCKET = 300
HOUR = 3_600
WEEK = 7 * 86_400
FINE = 2 * 86_400  # seconds that buckets stay five minutes wide

Starts = NDArray[np.int64]


def window_start(end: float, length: int) -> int:
    """Start of the first bucket of the window of `length` seconds whose last bucket holds the instant `end`.

    >>> window_start(1_000_000.0, 3_600)
    996600
    """
    step = BUCKET if length <= FINE else HOUR
    return int((_bucket_end(end) - length) // step * step)


class Stretch(NamedTuple):
    """Whole buckets: those that start at `first` or later, and before `last`."""

    first: int
    last: int


def period_of(period: str, end: float, length: int) -> Stretch:
    """The past that the window of `length` seconds ending with the instant `end` is held against.

    `previous` ends where the window starts, `last_week` starts a week before it; KeyError for another word. Both are as
    long as the window. What lies beyond the buckets of five minutes starts on the hour: up to an hour earlier, and
    a `last_week` of odd minutes lasts whole hours.

    >>> period_of("previous", 1_000_000.0, 3_600)
    Stretch(first=993000, last=996600)
    >>> period_of("last_week", 1_000_000.0, 3_600)
    Stretch(first=388800, last=392400)
    """
    start = window_start(end, length)
    first = {"previous": start - length, "last_week": start - WEEK}[period]
    if first < fine_since(end):
        first = first // HOUR * HOUR
    return Stretch(first, start if period == "previous" else first - -length // HOUR * HOUR)


def fine_since(end: float) -> int:
    """Start of the first hour whose buckets must still be five minutes wide at the instant `end`."""
    return int((_bucket_end(end) - FINE) // HOUR * HOUR)


def bucket_starts(ts: Floats, fine: int) -> Starts:
    """Start of each record's bucket: five minutes wide from `fine` on, an hour wide before."""
    seconds = np.floor(ts).astype(np.int64)
    return np.where(seconds >= fine, seconds // BUCKET * BUCKET, seconds // HOUR * HOUR)


def stretch_starts(ts: Floats, bounds: Iterable[int]) -> Starts:
    """Start of the widest stretch around each record that none of `bounds` cuts; 0 before all of them.

    Coarser than buckets and enough for one instant: whatever lies between two bounds is a sum of such stretches too.
    """
    starts = np.array(sorted({0, *bounds}), dtype=np.int64)
    place = np.searchsorted(starts, ts, side="right") - 1
    return starts[np.maximum(place, 0)]


def _bucket_end(instant: float) -> int:
    return int(instant // BUCKET * BUCKET + BUCKET)
