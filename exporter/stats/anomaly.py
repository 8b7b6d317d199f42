"""Is the traffic odd? A window's volume, confidence and entropy against their usual range, and repeated inputs.

In go numbers of one window, how the same numbers varied over reference windows of the same length, and counters of
hashed inputs. A score counts standard deviations; what is too much is not said here. Labels are not needed.
"""

import math
from typing import NamedTuple

from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtr, xlogy

from exporter.stats.distances import Floats, checked_counts, shares
from exporter.stats.result import NotEnoughData, Value, ratio

LEAST_PROBABILITY = 1e-300  # smaller ones lose digits; its normal deviation is 37.05
NO_ROWS = NotEnoughData(0.0, 1.0, "no rows")


class Usual(NamedTuple):
    """A number over `windows` reference windows: their mean and sample standard deviation (over windows - 1)."""

    mean: float
    deviation: float
    windows: int


def deviation(value: float, usual: Usual, least: float = 0.0) -> Value:
    """How far `value` lies from its usual range, either way, in standard deviations of a normal law; 0 to 37.05.

    A new number differs from the mean of k others by sd sqrt(1 + 1/k) t, where t has k - 1 degrees of freedom; given
    back is the normal deviation that is as rare as that t, so that few reference windows do not cry wolf and 3 means
    1 in 370 however many there are. `least` is the smallest deviation to believe in, such as the number's own
    sampling error. NotEnoughData below two windows, and where neither leaves any width. Windows should be alike (same
    hour, same weekday), as the law is normal. Two windows of mean 0 and deviation 1: t = 10 / sqrt(1.5) on one degree
    of freedom has probability 0.0776, as has 1.76 deviations.

    >>> round(deviation(10, Usual(mean=0, deviation=1, windows=2)), 2)
    1.76
    >>> round(deviation(10, Usual(mean=0, deviation=1, windows=1000)), 1)
    9.8

    Student (1908), Biometrika 6; prediction of one more: Whitmore, G. A. (1986), The American Statistician 40.
    """
    if not all(map(math.isfinite, (value, *usual, least))) or usual.deviation < 0 or least < 0 or usual.windows < 0:
        raise ValueError("a value and its usual range must be finite, deviations and windows 0 or above")
    if usual.windows < 2:
        return NotEnoughData(float(usual.windows), 2.0, "too few reference windows to know a usual range")
    width = max(usual.deviation, least) * math.sqrt(1 + 1 / usual.windows)
    if width == 0:
        return NotEnoughData(0.0, 1.0, "the value never varied over the reference windows")
    rarity = 2 * float(stdtr(usual.windows - 1, -abs(value / width - usual.mean / width)))
    return max(0.0, -float(ndtri(max(rarity, LEAST_PROBABILITY) / 2)))


def entropy(counts: ArrayLike) -> Value:
    """Shannon's entropy of the output's cells, in bits; 0 (all in one) to log2 of the cells.

    A model that answers the same to everything loses it.

    >>> entropy([1, 1, 2])
    1.5
    """
    cells = checked_counts(counts)
    if not cells.any():
        return NO_ROWS
    share = shares(cells.ravel())
    return max(0.0, -float(xlogy(share, share).sum()) / math.log(2))


def mean_confidence(counts: ArrayLike, confidences: ArrayLike) -> Value:
    """The mean of `confidences`, the one that stands for each cell (for a binary score s: max(s, 1 - s)), by counts.

    >>> mean_confidence([1, 3], [0.5, 0.9])
    0.8
    """
    cells, confidence = checked_counts(counts), checked_counts(confidences)
    if cells.shape != confidence.shape or (confidence > 1).any():
        raise ValueError("confidences lie between 0 and 1, one for each cell")
    return ratio(float((shares(cells.ravel()) * confidence.ravel()).sum()), float(cells.any()), "no rows")


def repeated_share(counters: ArrayLike, rows: float) -> Value:
    """The share of rows that one input would have to make up to cause as many repeats as there are; 0 to 1.

    `counters` are sums of the weights of inputs by their hash, in K cells. The sum of squared shares of all inputs,
    their second frequency moment, is the chance that two random rows have one input. Unlike inputs share a counter
    with probability 1 / K, and a row meets itself with 1 / rows; taking both off leaves the chance of a true repeat,
    whose root this is. One input in 5 % of the rows, among unlike ones, gives 0.05. Made for probing: many inputs that
    come twice leave it near 0, at 1 / sqrt(rows).

    Noise: with unlike inputs the square has mean 0 and standard deviation sqrt(2 / K) / rows, so half of the windows
    read 0 and 95 % below 0.27 / sqrt(rows) at K = 1,024: 0.003 of 10,000 rows. `rows` are the effective ones, the
    records when none is weighted. Sampled records speak for their stream as long as each is kept by a chance of its
    own, so that two of one input are both kept as often as any two; a sampler that keeps the first of equal inputs,
    or all or none of them, hides or multiplies repeats. Counters 5, 1, 1, 1 of eight rows: squared shares add up to
    28 / 64, which less 1 / 4, over 3 / 4, is 1 / 4, and less 1 / 8 leaves 0.125.

    >>> round(repeated_share([5, 1, 1, 1], 8)**2, 6)
    0.125

    Alon, N., Matias, Y. and Szegedy, M. (1996). The space complexity of approximating the frequency moments. STOC 28.
    """
    chance = _repeat_chance(counters, rows)
    return chance if isinstance(chance, NotEnoughData) else math.sqrt(max(0.0, chance - 1 / rows))


def repeated_error(share: float, cells: int, rows: float) -> float:
    """How far `repeated_share` of so many rows and counters typically strays upwards from the true `share`.

    From the counters, whose second moment has a standard error of sqrt(2 / K) of itself, and from which rows came.
    Without repeats, 0.21 / sqrt(rows) at K = 1,024:

    >>> round(repeated_error(0.0, 1024, 10_000), 6)
    0.002102
    """
    hashed = math.sqrt(share**2 + math.sqrt(2 / cells) * (share**2 + 1 / rows)) - share
    return math.hypot(hashed, math.sqrt(share * (1 - share) / rows))


def _repeat_chance(counters: ArrayLike, rows: float) -> Value:
    """The chance that two rows drawn with replacement have one input, estimated without bias; may be negative."""
    cells: Floats = checked_counts(counters)
    if cells.ndim != 1 or cells.size < 2:
        raise ValueError("inputs are counted in one row of at least two cells")
    if not (math.isfinite(rows) and rows >= 0):
        raise ValueError("effective rows must be a finite number, 0 or above")
    if not cells.any() or rows == 0:
        return NO_ROWS
    even = 1 / cells.size
    return (float((shares(cells) ** 2).sum()) - even) / (1 - even)
