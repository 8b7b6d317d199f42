"""Time: records fall into buckets, and windows are sums of buckets, never subtractions.

A bucket is five minutes wide while windows of up to two days may need it so fine, and an hour wide beyond. Longer
windows start on the hour, so rolling buckets up changes no window's sum.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from exporter.profile.columns import Floats

BUCKET = 300
HOUR = 3_600
FINE = 2 * 86_400  # seconds that buckets stay five minutes wide

Starts = NDArray[np.int64]


def window_start(end: float, length: int) -> int:
    """Start of the first bucket of the window of `length` seconds whose last bucket holds the instant `end`.

    >>> window_start(1_000_000.0, 3_600)
    996600
    """
    step = BUCKET if length <= FINE else HOUR
    return int((_bucket_end(end) - length) // step * step)


def fine_since(end: float) -> int:
    """Start of the first hour whose buckets must still be five minutes wide at the instant `end`."""
    return int((_bucket_end(end) - FINE) // HOUR * HOUR)


def bucket_starts(ts: Floats, fine: int) -> Starts:
    """Start of each record's bucket: five minutes wide from `fine` on, an hour wide before."""
    seconds = np.floor(ts).astype(np.int64)
    return np.where(seconds >= fine, seconds // BUCKET * BUCKET, seconds // HOUR * HOUR)


def stretch_starts(ts: Floats, cuts: Iterable[int]) -> Starts:
    """The last of the instants `cuts` before each record; 0 before all of them.

    Coarser than buckets and enough for one instant: every window is a sum of such stretches too.
    """
    bounds = np.array(sorted({0, *cuts}), dtype=np.int64)
    place = np.searchsorted(bounds, ts, side="right") - 1
    return bounds[np.maximum(place, 0)]


def _bucket_end(instant: float) -> int:
    return int(instant // BUCKET * BUCKET + BUCKET)
