"""Could it be noise? Effective sample sizes, p-values of distances under no drift, correction for many features.

In go the counts behind a distance and the effective rows of both sides; out comes the probability of a value at least
this high when both sides are drawn, row by row, from one distribution. Rows that depend on each other (visits,
hours, users) move more than that: such a p-value is then too small, and calibration on reference windows is the cure.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc, kolmogorov

from exporter.stats.distances import Floats, checked_counts, chi2_kernel, js_kernel, ks, psi_kernel, shares
from exporter.stats.result import NotEnoughData, Value

EXPECTED_ROWS = 5.0  # Cochran (1954): below five expected rows a cell's count is too skewed for a chi-square law

Statistic: TypeAlias = Callable[[Floats, Floats, float, float], float]


def effective_sample_size(sum_w: float, sum_w2: float) -> float:
    """Rows of equal weight that would carry as much information: (sum w)^2 / sum w^2.

    0 without rows, and when the sums are not finite. At most the number of records; equal to it when all weights are
    alike. Ten records of weight 1 and one of weight 10 are worth 400 / 110 rows.

    >>> round(effective_sample_size(20, 110), 6)
    3.636364
    >>> effective_sample_size(0, 0)
    0.0

    Kish, L. (1965). Survey Sampling. Wiley.
    """
    if math.isnan(sum_w) or math.isnan(sum_w2) or sum_w < 0 or sum_w2 < 0:
        raise ValueError("sums of weights must be numbers, 0 or above")
    if sum_w2 == 0 or math.isinf(sum_w):
        return 0.0
    return float(sum_w) / float(sum_w2) * float(sum_w)


def psi_pvalue(reference: ArrayLike, current: ArrayLike, n_ref: float, n_cur: float) -> Value:
    """P-value of `psi`: PSI / (1/n + 1/m) follows a chi-square law with (cells - 1) degrees of freedom.

    That law is the limit. With few rows in a cell the logarithm makes the index run higher, while Pearson's statistic
    of the same table keeps its law: the p-value is the larger of the two, which differ only there. Cells are pooled as
    in `chi2_pvalue`. An index of 0.170 of 200 against 200 rows is 16.95 over one degree of freedom:

    >>> round(psi_pvalue([100, 100], [140, 60], 200, 200) * 1e5, 1)
    4.5

    Yurdakul, B. and Naranjo, J. (2020). Statistical properties of the population stability index.
    Journal of Risk Model Validation 14.
    """
    return _pvalue(_scaled_psi, reference, current, n_ref, n_cur)


def js_pvalue(reference: ArrayLike, current: ArrayLike, n_ref: float, n_cur: float) -> Value:
    """P-value of `js`: 8 ln 2 JS^2 / (1/n + 1/m) follows a chi-square law with (cells - 1) degrees of freedom.

    For near shares the divergence in nats is an eighth of the sum of (q - p)^2 / p, which is what Pearson's statistic
    sums. Few rows in a cell are dealt with as in `psi_pvalue`.

    >>> js_pvalue([100, 100], [100, 100], 200, 200)
    1.0
    >>> js_pvalue([100, 100], [140, 60], 200, 200) < 1e-4
    True
    """
    return _pvalue(_scaled_js, reference, current, n_ref, n_cur)


def chi2_pvalue(reference: ArrayLike, current: ArrayLike, n_ref: float, n_cur: float) -> Value:
    """P-value of `chi2` on counts scaled to effective rows (the first-order correction of Rao and Scott).

    Cells with fewer than five expected rows on the smaller side are pooled into one; they are chosen by the sum of
    both sides, which tells nothing about their difference. NotEnoughData when fewer than two cells are left.
    A statistic of 8/3 on one degree of freedom:

    >>> round(chi2_pvalue([10, 10], [15, 5], 20, 20), 4)
    0.1025

    Rao, J. N. K. and Scott, A. J. (1981). JASA 76; Cochran, W. G. (1954). Biometrics 10.
    """
    return _pvalue(_chi2, reference, current, n_ref, n_cur)


def ks_pvalue(reference: ArrayLike, current: ArrayLike, n_ref: float, n_cur: float) -> Value:
    """P-value of `ks` by Kolmogorov's limit law on n m / (n + m) effective rows.

    The law is that of unbinned values, so on cells the p-value is never too small in the limit, and for few cells
    clearly too large: a conservative test.

    >>> ks_pvalue([50, 50], [50, 50], 100, 100)
    1.0
    >>> ks_pvalue([50, 50], [80, 20], 100, 100) < 1e-3
    True

    Smirnov, N. (1948). Annals of Mathematical Statistics 19.
    """
    lacking = _lacking_rows(n_ref, n_cur)
    distance = ks(reference, current)
    if lacking or isinstance(distance, NotEnoughData):
        return lacking or distance
    return float(kolmogorov(distance / math.sqrt(1 / n_ref + 1 / n_cur)))


def benjamini_hochberg(pvalues: ArrayLike) -> Floats:
    """Adjusted p-values: calling all that are at most q drift keeps the expected share of false calls at most q.

    NaN (no p-value) stays NaN and does not count as a test. ValueError outside 0..1.

    >>> benjamini_hochberg([0.01, 0.04, float("nan"), 0.02]).round(6).tolist()
    [0.03, 0.04, nan, 0.03]

    Benjamini, Y. and Hochberg, Y. (1995). J. Royal Statistical Society B 57.
    """
    given = np.asarray(pvalues, dtype=np.float64)
    known = ~np.isnan(given)
    tested = given[known]
    if ((tested < 0) | (tested > 1)).any():
        raise ValueError("p-values must lie between 0 and 1")
    order = np.argsort(tested)
    stepped = tested[order] * (tested.size / np.arange(1, tested.size + 1))
    adjusted = np.empty_like(tested)
    adjusted[order] = np.minimum.accumulate(stepped[::-1])[::-1]
    result = np.full_like(given, np.nan)
    result[known] = np.minimum(adjusted, 1.0)
    return result


def _pvalue(statistic: Statistic, reference: ArrayLike, current: ArrayLike, n_ref: float, n_cur: float) -> Value:
    """The chi-square law's upper tail at `statistic` of the pooled table, or at Pearson's where that is smaller."""
    r, c = checked_counts(reference), checked_counts(current)
    if r.ndim != 1 or r.shape != c.shape:
        raise ValueError(f"both sides must be counted over the same row of cells, not {r.shape} and {c.shape}")
    lacking = _lacking_rows(n_ref if r.any() else 0.0, n_cur if c.any() else 0.0)
    if lacking:
        return lacking
    p, q = _pooled(shares(r), shares(c), n_ref, n_cur)
    if p.size < 2:
        return NotEnoughData(float(p.size), 2.0, "fewer than two cells hold the five expected rows that a test needs")
    smaller = min(statistic(p, q, n_ref, n_cur), _chi2(p, q, n_ref, n_cur))
    return float(chdtrc(p.size - 1, smaller))


def _lacking_rows(n_ref: float, n_cur: float) -> NotEnoughData | None:
    for rows, side in ((n_ref, "reference"), (n_cur, "current window")):
        if not (math.isfinite(rows) and rows >= 0):
            raise ValueError("effective rows must be finite numbers, 0 or above")
        if rows == 0:
            return NotEnoughData(0.0, 1.0, f"the {side} holds no rows")
    return None


def _pooled(p: Floats, q: Floats, n: float, m: float) -> tuple[Floats, Floats]:
    """Shares with the sparse cells summed into one, which takes in the next cell too if it is still sparse."""
    expected = _common(p, q, n, m) * min(n, m)
    enough = EXPECTED_ROWS * (1 - 1e-9)  # else rounding, which depends on the split, would choose among cells of just 5
    order = np.argsort(expected, kind="stable")
    order = order[expected[order] > 0]
    sparse = int((expected < enough)[order].sum())
    if 0 < sparse < order.size and expected[order[:sparse]].sum() < enough:
        sparse += 1
    starts = np.r_[0, np.arange(max(sparse, 1), order.size)]
    return np.add.reduceat(p[order], starts), np.add.reduceat(q[order], starts)


def _common(p: Floats, q: Floats, n: float, m: float) -> Floats:
    """The shares of both sides taken together, which no drift makes both sides' own."""
    weight = 1 / (1 + m / n)
    return weight * p + (1 - weight) * q


def _chi2(p: Floats, q: Floats, n: float, m: float) -> float:
    return float(chi2_kernel(p, q, np.asarray(n), np.asarray(m)))


def _scaled_psi(p: Floats, q: Floats, n: float, m: float) -> float:
    return float(psi_kernel(p, q, np.asarray(n), np.asarray(m))) / (1 / n + 1 / m)


def _scaled_js(p: Floats, q: Floats, n: float, m: float) -> float:
    distance = float(js_kernel(p, q, np.asarray(n), np.asarray(m)))
    return 8 * math.log(2) * distance**2 / (1 / n + 1 / m)
