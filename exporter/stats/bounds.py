"""Between which values does the truth lie? 95 % bounds for drift scores and calibration error, in closed form.

In go the counts behind a value and its effective rows; out comes an interval for the value on endless rows. A distance
of samples is too large on average, most so without drift, so that value +- standard errors would exclude 0 when
nothing moved; these bounds take that off below. They are about right or too wide (tests simulate them), never
narrow, and always hold the plain value. `chi2` has none: it grows with the rows.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc, chndtr, ndtr, ndtri

from exporter.stats.calibration import calibration_error
from exporter.stats.distances import (
    Floats,
    Kernel,
    checked_counts,
    each,
    hellinger_parts,
    js_parts,
    psi_parts,
    shares,
    wasserstein,
)
from exporter.stats.result import Z_95, Interval, NotEnoughData

KOLMOGOROV_95 = 1.3581015157406196  # the 95 % quantile of Kolmogorov's limit law, which z does not move
EXACT_BELOW = 1e4  # above, the root of a noncentral chi-square is normal to four digits, and its law is slow
NORMAL_ABOVE = 6.0  # standard deviations, beyond which tails of 1e-9 are lost to rounding in the inverse
MOST_STEPS, CLOSE = 8, 1e-10  # of the search for a noncentrality, which ends this many standard deviations off
LEAST_SLOPE = 0.1  # of that search, which rounding in far tails must not throw off
ROUNDING = 1e-6  # of a row: a cell of one row, taken away, must be empty, as its logarithm is another than a crumb's
LEAST_STEP = 1e-6  # of the jackknife, above a millionth of the rows: its square must not drown in rounding


class _Power(NamedTuple):
    """How a distance follows a chi-square law: `factor` times its `exponent`-th power, over 1/n + 1/m.

    That product is also `scale` times the sum over cells of `parts`.
    """

    factor: float
    exponent: int
    parts: Kernel
    scale: float


CHI_SQUARES = {
    "psi": _Power(1.0, 1, psi_parts, 1.0),
    "js": _Power(8 * math.log(2), 2, js_parts, 8.0),
    "hellinger": _Power(8.0, 2, hellinger_parts, 8.0),
}
"""Distances whose power is the chi-square distance of near shares, but for a factor; both sides count alike."""


def drift_interval(
    method: str, reference: ArrayLike, current: ArrayLike, n_ref: float, n_cur: float, z: float = Z_95
) -> Interval | NotEnoughData:
    """Bounds of psi, js, hellinger, ks or total_variation of these counts, on effective rows.

    psi, js, hellinger: scaled as in `significance` they follow a noncentral chi-square law near the reference, whose
    noncentrality is the truth; it is inverted. Where the jackknife shows that far from the reference they vary more
    than by that law, z is widened; where more bias, degrees of freedom are added. With few rows in a cell the upper
    bound of psi is wide. ks, total_variation: as norms, see `_within`.
    0.5 against 0.7 of 200 rows each, where psi is 0.17; without drift the lower bound is 0:

    >>> [round(end, 3) for end in drift_interval("psi", [100, 100], [140, 60], 200, 200)]
    [0.045, 0.37]
    >>> drift_interval("psi", [100, 100], [100, 100], 200, 200).lower
    0.0
    """
    if method not in INTERVALS:
        raise ValueError(f"no bounds for {method}; there are for {', '.join(INTERVALS)}")
    r, c = checked_counts(reference), checked_counts(current)
    if r.ndim != 1 or r.shape != c.shape:
        raise ValueError(f"both sides must be counted over the same row of cells, not {r.shape} and {c.shape}")
    lacking = _lacking(r, n_ref, "reference") or _lacking(c, n_cur, "current window")
    if lacking:
        return lacking
    if method in CHI_SQUARES:
        lower, upper = each_interval(method, [r], [c], [n_ref], [n_cur], z)
        return Interval(float(lower[0]), float(upper[0]))
    value = float(each(method, r, c, n_ref, n_cur))
    reach = z * math.sqrt(1 / n_ref + 1 / n_cur) / 2  # a share's standard error is at most half of 1 / sqrt(rows)
    if method == "ks":
        return _within(value, max(reach, KOLMOGOROV_95 * math.sqrt(1 / n_ref + 1 / n_cur)), reach)
    noise = _mean_noise(_share_variance(shares(r), n_ref) + _share_variance(shares(c), n_cur)).sum() / 2
    return _within(value, float(noise) + reach, reach)


def each_interval(
    method: str, reference: ArrayLike, current: ArrayLike, n_ref: ArrayLike, n_cur: ArrayLike, z: float = Z_95
) -> tuple[Floats, Floats]:
    """Bounds of psi, js or hellinger of many tables at once, (tables, cells) in: all lower ones, all upper ones.

    NaN stands where a side holds no rows.

    >>> [end.round(3).tolist() for end in each_interval("psi", [[100, 100]], [[140, 60]], [200], [200])]
    [[0.045], [0.37]]
    """
    r, c = checked_counts(reference), checked_counts(current)
    n, m = (np.asarray(rows, dtype=np.float64) for rows in (n_ref, n_cur))
    held = (n >= 1) & (m >= 1) & r.any(axis=-1) & c.any(axis=-1)
    lower, upper = np.full(len(r), np.nan), np.full(len(r), np.nan)
    if held.any():
        lower[held], upper[held] = _chi_square_intervals(method, r[held], c[held], n[held], m[held], z)
    return lower, upper


def wasserstein_interval(
    reference: ArrayLike,
    current: ArrayLike,
    n_ref: float,
    n_cur: float,
    positions: ArrayLike,
    scale: float = 1.0,
    z: float = Z_95,
) -> Interval | NotEnoughData:
    """Bounds of `wasserstein`, in units of `scale`; as a norm, see `_within`.

    Two places 2 apart, a quarter of the mass moved of 200 rows each: 0.5, the noise's mean 0.075 and reach 0.183.

    >>> ends = wasserstein_interval([100, 100], [50, 150], 200, 200, positions=[0, 2])
    >>> [round(end, 3) for end in ends]
    [0.242, 0.683]
    """
    value = wasserstein(reference, current, positions, scale)
    r, c, at = (
        checked_counts(reference),
        checked_counts(current),
        np.asarray(positions, dtype=np.float64) / (scale or 1),
    )
    lacking = _lacking(r, n_ref, "reference") or _lacking(c, n_cur, "current window")
    if lacking:
        return lacking
    if isinstance(value, NotEnoughData):
        return value
    below = [np.cumsum(shares(counts))[:-1] for counts in (r, c)]
    noise = _mean_noise(_share_variance(below[0], n_ref) + _share_variance(below[1], n_cur))
    reach = z * math.sqrt(_variance(shares(r), at) / n_ref + _variance(shares(c), at) / n_cur)
    return _within(value, float((noise * np.diff(at)).sum()) + reach, reach, math.inf)


def calibration_error_interval(
    weight: ArrayLike, score: ArrayLike, label: ArrayLike, rows: float, z: float = Z_95
) -> Interval | NotEnoughData:
    """Bounds of `calibration_error` of these sums by score cell, on effective rows; as a norm, see `_within`.

    The truth is the error over the same cells. A label varies about its score by no more than rate (1 - rate) in its
    cell, taken with half a label of each kind added. Rates 0.3 and 0.6 where 0.2 and 0.8 were said, 1,000 rows
    each: 0.15, noise 0.012, reach 0.022.

    >>> ends = calibration_error_interval([1000, 1000], [200, 800], [300, 600], 2000)
    >>> [round(end, 3) for end in ends]
    [0.116, 0.172]
    """
    value = calibration_error(weight, score, label)
    sums = [checked_counts(part) for part in (weight, score, label)]
    lacking = _lacking(sums[0], rows, "window")
    if lacking:
        return lacking
    if isinstance(value, NotEnoughData):
        return value
    held = sums[0] > 0
    share, said, rate = shares(sums[0])[held], (sums[1][held] / sums[0][held]), (sums[2][held] / sums[0][held])
    wary = (rate * share * rows + 0.5) / (share * rows + 1)
    square = share * (wary * (1 - wary) + (rate - said) ** 2)  # of one row's difference, where its cell is this one
    noise = _mean_noise(np.maximum(square - (share * (rate - said)) ** 2, 0.0) / rows)
    reach = z * math.sqrt(float(square.sum()) / rows)
    return _within(value, float(noise.sum()) + reach, reach)


def _within(value: float, below: float, above: float, top: float = 1.0) -> Interval:
    """Bounds of a norm |d| whose estimate is |d + noise|, a convex function of noise around 0.

    Upwards: by Jensen the estimate is on average no smaller than |d|, so only its own spread counts: `above`, z times
    the largest standard deviation of any one direction of the noise. Downwards: by the triangle the estimate exceeds
    |d| by no more than |noise|: `below`, that norm's mean and z times the same deviation, about which it concentrates
    (Borell's inequality). Nothing is resampled.
    """
    return Interval(max(0.0, value - below), min(top, value + above))


def _chi_square_intervals(method: str, r: Floats, c: Floats, n: Floats, m: Floats, z: float) -> tuple[Floats, Floats]:
    """Lower and upper bounds, (tables,) each, of tables of shape (tables, cells) that all hold rows."""
    power, unit = CHI_SQUARES[method], 1 / n + 1 / m
    value = each(method, r, c, n, m)
    statistic = power.factor * value**power.exponent / unit
    near = 2 * np.sqrt(statistic)  # the standard deviation by the law; the derivatives' may be larger
    bias, variance = _jackknife(method, shares(r), shares(c), n, m)
    widening = np.where(near > 0, np.sqrt(variance) / unit / np.where(near > 0, near, 1.0), 1.0)
    occupied = ((r > 0) | (c > 0)).sum(axis=-1)
    # fmax: the jackknife knows nothing (NaN) where a single row holds a whole side
    df = np.fmax(np.maximum(1.0, occupied - 1.0), bias / unit)
    ends = _noncentrality(statistic, df, z * np.fmax(1.0, widening))
    lower, upper = ((np.maximum(0.0, end) * unit / power.factor) ** (1 / power.exponent) for end in ends)
    return np.minimum(lower, value), np.maximum(value, upper if method == "psi" else np.minimum(1.0, upper))


def _noncentrality(statistic: Floats, df: Floats, z: Floats) -> tuple[Floats, Floats]:
    """Of noncentral chi-square laws that gave `statistic`, which is not taken for less than what noise gives."""
    least = np.maximum(statistic, df)
    lower = np.maximum(0.0, np.maximum(0.0, np.sqrt(statistic) - z) ** 2 - (df - 1))
    upper = (np.sqrt(least) + z) ** 2 - (df - 1)
    exact = (least <= EXACT_BELOW) & (z <= NORMAL_ABOVE)
    upper[exact] = _inverse(least[exact], df[exact], -z[exact])
    lower[exact] = 0.0
    inner = exact & (chdtrc(df, statistic) < ndtr(-z))  # none else gives as much
    lower[inner] = _inverse(statistic[inner], df[inner], z[inner])
    return lower, upper


def _inverse(statistic: Floats, df: Floats, deviation: Floats) -> Floats:
    """The noncentralities whose law puts `statistic` so many standard deviations, as of a normal law, up; (tables,).

    That deviation falls by about 1 as the root of noncentrality and df - 1 rises by 1, so secants meet in three or four
    steps, where scipy's own inverse takes some twenty.
    """

    def noncentrality(root: Floats) -> Floats:
        return np.maximum(0.0, root**2 - (df - 1))

    def error(root: Floats) -> Floats:
        result: Floats = ndtri(chndtr(statistic, df, noncentrality(root))) - deviation
        return result

    least = np.sqrt(df - 1)
    before = np.maximum(np.sqrt(statistic) - deviation, least)
    off = error(before)
    root = np.maximum(before + off, least)
    for _ in range(MOST_STEPS):
        now = error(root)
        far = np.abs(now) >= CLOSE  # what is close stays, so that no table's answer depends on which others are there
        if not far.any():
            break
        moved, fallen = root - before, off - now
        steep = np.where(fallen * moved > 0, fallen / np.where(moved != 0, moved, 1.0), 1.0)
        further = np.maximum(root + now / np.maximum(steep, LEAST_SLOPE), least)
        before, off, root = root, now, np.where(far, further, root)
    return noncentrality(root)


def _jackknife(method: str, p: Floats, q: Floats, n: Floats, m: Floats) -> tuple[Floats, Floats]:
    """Bias and variance of the powered distance, from what one row less in each cell of either side makes of it."""
    bias, variance = np.zeros(len(p)), np.zeros(len(p))
    for share, other, rows, others in ((p, q, n, m), (q, p, m, n)):
        step = np.maximum(1 / rows, LEAST_STEP)
        moves = CHI_SQUARES[method].scale * _moves(CHI_SQUARES[method].parts, share, other, rows, others)
        bias += (share * moves).sum(axis=-1) / step**2 / rows
        variance += _variance(share, moves) / step**2 / rows
    return bias, variance


def _moves(parts: Kernel, share: Floats, other: Floats, rows: Floats, others: Floats) -> Floats:
    """By how much the sum of `parts` moves when one row of each cell in turn is taken from `share`; (tables, cells).

    The row's cell loses it and all others grow alike: the sum over all grown cells is one for the whole table, but for
    cells that hold less than a row, and only the row's own part is put right.
    """
    step = np.maximum(1 / rows, LEAST_STEP)[:, None]
    left = np.where(share - step > step * ROUNDING, share - step, 0.0)
    taken = share - left
    with np.errstate(divide="ignore", invalid="ignore"):  # where a single row holds the whole side, nothing is known
        usual, growth = 1 / (1 - step), 1 / (1 - taken)
        grown, own = parts(share * usual, other, rows, others), parts(left * growth, other, rows, others)
        moves = grown.sum(axis=-1, keepdims=True) - grown + own
        table, cell = np.nonzero((share > 0) & (np.abs(taken - step) > CLOSE * step))
        lone = parts(share[table] * growth[table, cell, None], other[table], rows[table], others[table])
        moves[table, cell] = lone.sum(axis=-1) - lone[np.arange(len(lone)), cell] + own[table, cell]
    at = parts(share, other, rows, others).sum(axis=-1, keepdims=True)
    return np.where(share > 0, moves - at, 0.0)


def _variance(share: Floats, values: Floats) -> Floats:
    """Of `values` that stand with probability `share`, along the last axis."""
    mean = (share * values).sum(axis=-1, keepdims=True)
    result: Floats = (share * (values - mean) ** 2).sum(axis=-1)
    return result


def _share_variance(share: Floats, rows: float) -> Floats:
    """Of shares seen on `rows`, with half a row of each kind added."""
    wary = (share * rows + 0.5) / (rows + 1)
    result: Floats = wary * (1 - wary) / rows
    return result


def _mean_noise(variance: Floats) -> Floats:
    """The mean absolute value of normal noise."""
    result: Floats = np.sqrt(variance * (2 / math.pi))
    return result


def _lacking(counts: Floats, rows: float, side: str) -> NotEnoughData | None:
    if not (math.isfinite(rows) and rows >= 0):
        raise ValueError("effective rows must be finite numbers, 0 or above")
    if rows < 1 or not counts.any():
        return NotEnoughData(rows if counts.any() else 0.0, 1.0, f"the {side} holds no rows")
    return None


INTERVALS = (*CHI_SQUARES, "ks", "total_variation")
"""The distances that `drift_interval` knows; `wasserstein_interval` asks for more."""
