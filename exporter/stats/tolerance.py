"""Drift thresholds that keep a false-alarm budget, from how far PSI moves between windows when nothing drifts.

In go the reference's counts by time bucket, or the `Spread` learned from them; out comes the PSI that a window without
drift passes with a given probability. One assumption is made, and `held_out` checks it: around what its place in the
week makes usual, a window strays by a normal law in the coordinates whose squares sum to PSI. That asks for cells of
fifty rows or more: at a tenth of that PSI's own far tail is several times heavier. Rows may depend on each other
within a window, and windows may hold different numbers of rows.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc

from exporter.stats.distances import Floats, checked_counts, each
from exporter.stats.result import NotEnoughData, Value
from exporter.stats.spread import Spread, moderated, possible_powers, spread, window_counts

FOLDS = 5  # parts of the reference held out one by one, when its cycle allows
SMALLEST = 0.05  # cube root of a scale over its estimate; only nodes without weight come near
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(24)  # means over a standard normal variable
WEIGHTS = WEIGHTS / WEIGHTS.sum()


class HeldOut(NamedTuple):
    """Windows of the reference above the threshold that the rest of it gives, and how many the law expects."""

    above: int
    expected: float
    windows: int


def drift_thresholds(
    features: Sequence[ArrayLike],
    width: int,
    cycle: int,
    evaluations_per_month: float,
    false_alarms_per_month: float = 1.0,
) -> list[Value]:
    """A PSI threshold for each feature, such that all of them together raise the given number of false alarms a month.

    Each feature comes as reference counts of shape (buckets, cells), in order of time and without gaps; a window is
    `width` buckets long, the first begins with the first bucket, and what is usual recurs after `cycle` windows (7 for
    days, 168 for hours, 1 for none). Every evaluation above a threshold counts as an alarm, also the second in a row;
    as means add up, no independence of features or evaluations is assumed. Thresholds are for windows of the
    reference's rows; for others ask `threshold` with `rows`.
    """
    probability = alarm_probability(false_alarms_per_month, evaluations_per_month, len(features))
    spreads = moderated([spread(buckets, width, cycle) for buckets in features])
    return [known if isinstance(known, NotEnoughData) else threshold(known, probability) for known in spreads]


def alarm_probability(false_alarms_per_month: float, evaluations_per_month: float, features: int) -> float:
    """The probability of a false alarm to allow one feature at one evaluation.

    >>> alarm_probability(1, evaluations_per_month=30, features=50) == 1 / 1500
    True
    """
    if not (false_alarms_per_month > 0 and evaluations_per_month > 0 and features > 0):
        raise ValueError("false alarms, evaluations and features must be above 0")
    probability = false_alarms_per_month / (evaluations_per_month * features)
    if probability >= 1:
        raise ValueError("the budget of false alarms must be below one for each evaluation of each feature")
    return probability


def threshold(known: Spread, probability: float, rows: float | None = None) -> float:
    """The PSI that a window of `rows` rows (by default the reference's usual number) passes with `probability`.

    PSI is a squared distance, so without drift it is a weighted sum of chi-squares about its window's usual place,
    read here as a gamma law with the sum's first three moments and averaged over the places of the cycle. It predicts:
    doubt about the reference's mean and about its scale (a chi-square law, so that the outcome is an F quantile
    where certainty would give a chi-square one) is averaged in. For another number of rows, each direction loses or
    gains what independent rows make of it.

    Box, G. E. P. (1954). Some theorems on quadratic forms. Ann. Math. Statist. 25.
    Satterthwaite, F. E. (1946). Biometrics Bulletin 2; Wilson, E. B. and Hilferty, M. M. (1931). PNAS 17.
    """
    if not 0 < probability < 1:
        raise ValueError("the probability of a false alarm must lie between 0 and 1")
    here = known if rows is None else _at_rows(known, rows)
    low, high = 0.0, float(here.strays[:, 0].max())
    while _above(here, high) > probability:
        low, high = high, 2 * high
    while high - low > 1e-5 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _above(here, middle) > probability else (low, middle)
    return high


def exceedance(known: Spread, score: float, rows: float | None = None) -> float:
    """The probability that a window of `rows` rows without drift has a PSI above `score`: inverse of `threshold`."""
    return _above(known if rows is None else _at_rows(known, rows), score)


def held_out(features: Sequence[ArrayLike], width: int, cycle: int, probability: float = 0.05) -> HeldOut:
    """The assumption checked on the reference: parts of it, left out one by one, against what the rest calls usual.

    Of all held-out windows of all features, `probability` should stand above their thresholds. Twice as many or
    more says that windows stray by more than a normal law does, or that the reference itself drifts.
    Parts are whole cycles, about a fifth of the reference; features without a spread are left out.
    """
    counted = [checked_counts(buckets) for buckets in features]
    whole = min((len(buckets) // width for buckets in counted), default=0)
    part = max(round(whole / FOLDS / cycle), 1) * cycle
    rates: list[float] = []
    for first in range(0, whole - part + 1, part):
        apart = slice(first * width, (first + part) * width)
        rest = [np.delete(buckets, apart, axis=0) for buckets in counted]
        known = moderated([spread(buckets, width, cycle) for buckets in rest])
        for item, kept, buckets in zip(known, rest, counted, strict=True):
            if isinstance(item, Spread):
                rates += _rates(item, kept.sum(axis=0), window_counts(buckets[apart], width))
    return HeldOut(sum(rate < probability for rate in rates), probability * len(rates), len(rates))


def _rates(known: Spread, reference: Floats, windows: Floats) -> list[float]:
    held = windows[windows.any(axis=1)]
    scores = each("psi", np.broadcast_to(reference, held.shape), held)
    return [exceedance(known, score, rows) for score, rows in zip(scores, held.sum(axis=1), strict=True)]


def _at_rows(known: Spread, rows: float) -> Spread:
    """The spread of windows of `rows` rows: every eigenvalue moved by the difference that independent rows make."""
    if not (math.isfinite(rows) and rows > 0):
        raise ValueError("rows must be a finite number above 0")
    one, two, three = known.strays.T
    near, through, further = known.usual.T
    k, step = known.degrees, 1 / rows - 1 / known.rows
    step = step * np.minimum(1.0, one * known.rows / k) if step < 0 else step  # evenly sampled rows have less to lose
    squares, cubes = two + 2 * step * one + k * step**2, three + 3 * step * two + 3 * step**2 * one + k * step**3
    strays = np.stack([one + k * step, squares, cubes], axis=-1)
    usual = np.stack([near, through + step * near, further + 2 * step * through + step**2 * near], axis=-1)
    return replace(known, rows=rows, strays=strays, usual=usual)


def _above(known: Spread, score: float) -> float:
    """The probability of a PSI above `score` at a random place of the cycle, averaged over what the scale may be."""
    near, through, further = known.season * known.usual.T[:, :, None]
    one, two, three = possible_powers(known.strays, known.degrees).T[:, :, None]
    tail = known.freedom * two**7 / (one**2 * three**4)  # between equal eigenvalues, all counting, and a single one
    season = 2 * through / (two + 2 * through)  # of the variance, the part along one direction
    ninth = 2 / 9 * ((1 - season) / np.sqrt(tail) + season / math.sqrt(known.windows)) ** 2
    doubt = known.season / known.seen + (1 - known.season) / known.seen.sum()
    scale = (1 + doubt)[:, None] / np.maximum(1 - ninth + NODES * np.sqrt(ninth), SMALLEST) ** 3
    mean = one * scale + near
    spread_ = two * scale**2 + 2 * through * scale
    skew = three * scale**3 + 3 * further * scale**2
    shape = spread_**3 / skew**2
    at = shape + (score - mean) * np.sqrt(shape / spread_)
    above = np.where(at > 0, chdtrc(shape, np.maximum(at, 0.0)), 1.0)
    return float(known.seen @ (above @ WEIGHTS) / known.seen.sum())
