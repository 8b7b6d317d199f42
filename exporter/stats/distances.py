"""Distances between two distributions counted over the same cells: how far the current rows moved from the reference.

In go two arrays of (weighted) counts, out comes one number. All distances except `wasserstein` and `chi2` are free of
units and of sample size; `significance` says whether a number could be noise. Cells may be bins or categories; `ks`
and `wasserstein` ask that they stand in order. Counts are numbers from 0 to 1e300, else ValueError; a side without
rows gives NotEnoughData. At given effective rows, multiplying a side's weights by a constant changes nothing.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlog1py

from exporter.stats.result import NotEnoughData, Value, ratio

Floats: TypeAlias = NDArray[np.float64]
Kernel: TypeAlias = Callable[[Floats, Floats, Floats, Floats], Floats]

LARGEST_COUNT = 1e300  # sums of fewer than 1e8 such cells stay below the largest float64, 1.8e308


def checked_counts(counts: ArrayLike) -> Floats:
    """The counts as float64; ValueError unless all are numbers from 0 to 1e300."""
    array = np.asarray(counts, dtype=np.float64)
    if array.ndim == 0 or not ((array >= 0) & (array <= LARGEST_COUNT)).all():
        raise ValueError("counts must be an array of finite numbers from 0 to 1e300")
    return array


def merge_cells(counts: ArrayLike, groups: ArrayLike) -> Floats:
    """Sums of adjacent cells: `groups` holds where each coarse cell starts, from 0, increasing; shape (..., groups).

    >>> merge_cells([1, 2, 3, 4, 5], [0, 2, 4]).tolist()
    [3.0, 7.0, 5.0]
    """
    fine, starts = checked_counts(counts), np.asarray(groups, dtype=np.intp)
    if starts.ndim != 1 or starts.size == 0 or starts[0] != 0 or (np.diff(starts) <= 0).any():
        raise ValueError("groups must start at 0 and increase")
    if starts[-1] >= fine.shape[-1]:
        raise ValueError(f"groups must start below the number of cells, {fine.shape[-1]}")
    merged: Floats = np.add.reduceat(fine, starts, axis=-1)
    return merged


def shares(counts: Floats) -> Floats:
    """Counts over their sum along the last axis; zeros where there is nothing to share."""
    largest = counts.max(axis=-1, keepdims=True, initial=0.0)
    scaled = counts / np.where(largest > 0, largest, 1.0)
    total = scaled.sum(axis=-1, keepdims=True)
    result: Floats = scaled / np.where(total > 0, total, 1.0)
    return result


def occupied_cells(reference: ArrayLike, current: ArrayLike) -> int:
    """The number of cells that hold rows on at least one side; the others say nothing about drift.

    >>> occupied_cells([5, 0, 0], [5, 1, 0])
    2
    """
    r, c = _pair(reference, current)
    return int(((r > 0) | (c > 0)).sum())


def psi(reference: ArrayLike, current: ArrayLike, n_ref: float | None = None, n_cur: float | None = None) -> Value:
    """Population stability index: the sum over cells of (q - p) ln(q / p), in nats; 0 (alike) and up, symmetric.

    A cell that is empty on one side reads as half a row there (0.5 / n), but never as more than the other side's
    share. So the index stays finite, the same rule serves both sides, the effect dies out as rows come, identical
    counts give exactly 0, tables without such cells follow the plain definition, and a rare category that a
    small sample happens to miss adds nothing. `n_ref` and `n_cur` are the effective rows, by default the sums.
    Two cells at 50 and 50, then 80 and 20, give 0.3 ln 1.6 + 0.3 ln 2.5.

    >>> round(psi([50, 50], [80, 20]), 6)
    0.415888
    >>> psi([5, 3, 0], [5, 3, 0])
    0.0

    Siddiqi, N. (2006). Credit Risk Scorecards. Wiley.
    """
    return _value(psi_kernel, reference, current, n_ref, n_cur)


def js(reference: ArrayLike, current: ArrayLike) -> Value:
    """Jensen-Shannon distance, the square root of the divergence to base 2; 0 (alike) to 1 (no common cell), symmetric.

    >>> js([1, 0], [0, 1])
    1.0
    >>> js([1, 2], [10, 20])
    0.0

    Lin, J. (1991). Divergence measures based on the Shannon entropy. IEEE Trans. Inf. Theory 37(1).
    """
    return _value(js_kernel, reference, current)


def ks(reference: ArrayLike, current: ArrayLike) -> Value:
    """Kolmogorov-Smirnov distance on ordered cells: the largest difference of cumulative shares; 0 to 1, symmetric.

    Never above the distance of the unbinned values.

    >>> ks([1, 1, 2], [2, 1, 1])
    0.25
    """
    return _value(_ks, reference, current)


def chi2(reference: ArrayLike, current: ArrayLike, n_ref: float | None = None, n_cur: float | None = None) -> Value:
    """Pearson's chi-square of homogeneity of the two-row table, without continuity correction; 0 and up, symmetric.

    Grows with the rows. `n_ref` and `n_cur` scale weighted counts to their effective rows (by default the sums).
    (10, 10) against (15, 5): four cells are 2.5 off their expected 12.5 and 7.5.

    >>> round(chi2([10, 10], [15, 5]), 6)
    2.666667

    Pearson, K. (1900). Philosophical Magazine 50; effective rows: Rao and Scott (1981), JASA 76.
    """
    return _value(chi2_kernel, reference, current, n_ref, n_cur)


def chi2_per_df(
    reference: ArrayLike, current: ArrayLike, n_ref: float | None = None, n_cur: float | None = None
) -> Value:
    """`chi2` over its degrees of freedom (occupied cells - 1): about 1 without drift, however many cells.

    NotEnoughData with fewer than two occupied cells.

    >>> round(chi2_per_df([10, 10, 0], [15, 5, 0]), 6)
    2.666667
    """
    statistic = chi2(reference, current, n_ref, n_cur)
    cells = occupied_cells(reference, current)
    if isinstance(statistic, NotEnoughData):
        return statistic
    if cells < 2:
        return NotEnoughData(float(cells), 2.0, "all rows of both sides stand in one cell")
    return statistic / (cells - 1)


def hellinger(reference: ArrayLike, current: ArrayLike) -> Value:
    """Hellinger distance, sqrt(sum of (sqrt p - sqrt q)^2 / 2); 0 (alike) to 1 (no common cell), symmetric.

    >>> hellinger([1, 0], [0, 1])
    1.0
    """
    return _value(_hellinger, reference, current)


def total_variation(reference: ArrayLike, current: ArrayLike) -> Value:
    """Total variation, half the sum of |p - q|: the share of rows that would have to move; 0 to 1, symmetric.

    >>> total_variation([1, 1, 2], [2, 1, 1])
    0.25
    """
    return _value(_total_variation, reference, current)


def wasserstein(reference: ArrayLike, current: ArrayLike, positions: ArrayLike, scale: float = 1.0) -> Value:
    """First Wasserstein (earth mover's) distance in units of `scale`, the reference's standard deviation; 0 and up.

    `positions` holds where each cell lies on the feature's axis, in order. A reference that does not vary
    (scale 0) gives NotEnoughData. Half the mass moved over 2 units of a deviation of 4 is 0.25.

    >>> wasserstein([1, 1], [0, 2], positions=[10, 12], scale=4)
    0.25
    """
    at = np.asarray(positions, dtype=np.float64)
    if at.shape != np.shape(reference) or not (np.abs(at) <= LARGEST_COUNT).all() or (np.diff(at) < 0).any():
        raise ValueError("positions must be finite, stand in order, and be as many as the cells")
    if not (np.isfinite(scale) and scale >= 0):
        raise ValueError("scale must be a finite standard deviation, 0 or above")

    def kernel(p: Floats, q: Floats, _n: Floats, _m: Floats) -> Floats:
        return np.asarray((np.abs(np.cumsum(p - q))[:-1] * np.diff(at)).sum())

    moved = _value(kernel, reference, current)
    if isinstance(moved, NotEnoughData):
        return moved
    return ratio(moved, scale, "the reference does not vary, so its standard deviation is no unit")


def each(
    method: str,
    reference: ArrayLike,
    current: ArrayLike,
    n_ref: ArrayLike | None = None,
    n_cur: ArrayLike | None = None,
) -> Floats:
    """The distance `method` (a key of KERNELS) of many tables at once: (..., cells) in, (...) out.

    NaN stands where a side holds no rows. For resampling, where thousands of tables are compared.

    >>> each("ks", [[1, 1], [1, 3]], [[1, 1], [3, 1]]).tolist()
    [0.0, 0.5]
    """
    return _distances(KERNELS[method], *_pair(reference, current), n_ref, n_cur)


def psi_parts(p: Floats, q: Floats, n: Floats, m: Floats) -> Floats:
    """What each cell adds to PSI: shares (..., cells) of n and m (...) rows in, (..., cells) out."""
    reference = np.where(p > 0, p, np.minimum(0.5 / n[..., None], q))
    current = np.where(q > 0, q, np.minimum(0.5 / m[..., None], p))
    both = (reference > 0) & (current > 0)
    logs = np.log(np.where(both, current, 1.0)) - np.log(np.where(both, reference, 1.0))
    result: Floats = (current - reference) * logs
    return result


def js_parts(p: Floats, q: Floats, _n: Floats, _m: Floats) -> Floats:
    """What each cell adds to the divergence in nats; in t = (p - q) / (p + q), which keeps its digits near 0."""
    total = p + q
    t = (p - q) / np.where(total > 0, total, 1.0)
    result: Floats = total * (xlog1py(1 + t, t) + xlog1py(1 - t, -t)) / 4
    return result


def hellinger_parts(p: Floats, q: Floats, _n: Floats, _m: Floats) -> Floats:
    """What each cell adds to the square of Hellinger's distance."""
    result: Floats = (np.sqrt(p) - np.sqrt(q)) ** 2 / 2
    return result


def psi_kernel(p: Floats, q: Floats, n: Floats, m: Floats) -> Floats:
    """PSI of shares p and q of n and m rows, along the last axis."""
    result: Floats = psi_parts(p, q, n, m).sum(axis=-1)
    return result


def js_kernel(p: Floats, q: Floats, n: Floats, m: Floats) -> Floats:
    """Jensen-Shannon distance of shares."""
    nats = js_parts(p, q, n, m).sum(axis=-1)
    result: Floats = np.sqrt(np.clip(nats / np.log(2), 0.0, 1.0))
    return result


def chi2_kernel(p: Floats, q: Floats, n: Floats, m: Floats) -> Floats:
    """Chi-square of the table with rows n p and m q, in a form that neither multiplies nor adds large counts."""
    variance = p / m[..., None] + q / n[..., None]
    result: Floats = ((p - q) ** 2 / np.where(variance > 0, variance, 1.0)).sum(axis=-1)
    return result


def _ks(p: Floats, q: Floats, _n: Floats, _m: Floats) -> Floats:
    result: Floats = np.abs(np.cumsum(p - q, axis=-1)).max(axis=-1, initial=0.0)
    return np.minimum(result, 1.0)


def _hellinger(p: Floats, q: Floats, n: Floats, m: Floats) -> Floats:
    result: Floats = np.sqrt(hellinger_parts(p, q, n, m).sum(axis=-1))
    return np.minimum(result, 1.0)


def _total_variation(p: Floats, q: Floats, _n: Floats, _m: Floats) -> Floats:
    result: Floats = np.abs(p - q).sum(axis=-1) / 2
    return np.minimum(result, 1.0)


KERNELS: dict[str, Kernel] = {
    "psi": psi_kernel,
    "js": js_kernel,
    "ks": _ks,
    "chi2": chi2_kernel,
    "hellinger": _hellinger,
    "total_variation": _total_variation,
}


def _pair(reference: ArrayLike, current: ArrayLike) -> tuple[Floats, Floats]:
    r, c = checked_counts(reference), checked_counts(current)
    if r.shape != c.shape:
        raise ValueError(f"both sides must be counted over the same cells: {r.shape} and {c.shape} differ")
    return r, c


def _rows(counts: Floats, given: ArrayLike | None) -> Floats:
    """Effective rows by table: as given, else the sums of the counts; 1 where there is nothing, to divide by."""
    rows = counts.sum(axis=-1) if given is None else np.asarray(given, dtype=np.float64)
    if not (np.isfinite(rows) & (rows >= 0)).all():
        raise ValueError("effective rows must be finite numbers, 0 or above")
    return np.where(rows > 0, rows, 1.0)


def _distances(kernel: Kernel, r: Floats, c: Floats, n_ref: ArrayLike | None, n_cur: ArrayLike | None) -> Floats:
    values = kernel(shares(r), shares(c), _rows(r, n_ref), _rows(c, n_cur))
    return np.where(r.any(axis=-1) & c.any(axis=-1), values, np.nan)


def _value(
    kernel: Kernel,
    reference: ArrayLike,
    current: ArrayLike,
    n_ref: float | None = None,
    n_cur: float | None = None,
) -> Value:
    r, c = _pair(reference, current)
    if r.ndim != 1:
        raise ValueError("one table has one row of cells for each side; `each` takes many tables")
    for counts, side in ((r, "reference"), (c, "current window")):
        if not counts.any():
            return NotEnoughData(0.0, 1.0, f"the {side} holds no rows")
    return float(_distances(kernel, r, c, n_ref, n_cur))
