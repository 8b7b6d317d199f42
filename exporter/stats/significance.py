"""Could it be noise? Effective sample sizes, p-values of distances under no drift, correction for many features.

In go the counts behind a distance and the effective rows of both sides; out comes the probability of a value at least
this high when both sides are drawn, row by row, from one distribution. Rows that depend on each other (visits,
hours, users) move more than that: such a p-value is then too small, and calibration on reference windows is the cure.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, kolmogorov

from exporter.stats.distances import Floats, checked_counts, chi2_kernel, each, js_kernel, psi_kernel, shares
from exporter.stats.result import NotEnoughData, Value

EXPECTED_ROWS = 5.0  # Cochran (1954): below five expected rows a cell's count is too skewed for a chi-square law

Statistic: TypeAlias = Callable[[Floats, Floats, Floats, Floats], Floats]


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
    return _pvalue("psi", reference, current, n_ref, n_cur)


def js_pvalue(reference: ArrayLike, current: ArrayLike, n_ref: float, n_cur: float) -> Value:
    """P-value of `js`: 8 ln 2 JS^2 / (1/n + 1/m) follows a chi-square law with (cells - 1) degrees of freedom.

    For near shares the divergence in nats is an eighth of the sum of (q - p)^2 / p, which is what Pearson's statistic
    sums. Few rows in a cell are dealt with as in `psi_pvalue`.

    >>> js_pvalue([100, 100], [100, 100], 200, 200)
    1.0
    >>> js_pvalue([100, 100], [140, 60], 200, 200) < 1e-4
    True
    """
    return _pvalue("js", reference, current, n_ref, n_cur)


def chi2_pvalue(reference: ArrayLike, current: ArrayLike, n_ref: float, n_cur: float) -> Value:
    """P-value of `chi2` on counts scaled to effective rows (the first-order correction of Rao and Scott).

    Cells with fewer than five expected rows on the smaller side are pooled into one; they are chosen by the sum of
    both sides, which tells nothing about their difference. NotEnoughData when fewer than two cells are left.
    A statistic of 8/3 on one degree of freedom:

    >>> round(chi2_pvalue([10, 10], [15, 5], 20, 20), 4)
    0.1025

    Rao, J. N. K. and Scott, A. J. (1981). JASA 76; Cochran, W. G. (1954). Biometrics 10.
    """
    return _pvalue("chi2", reference, current, n_ref, n_cur)


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
    return _pvalue("ks", reference, current, n_ref, n_cur)


TESTED = ("psi", "js", "chi2", "ks")
"""The distances whose law without drift is known."""


def each_pvalue(method: str, reference: ArrayLike, current: ArrayLike, n_ref: ArrayLike, n_cur: ArrayLike) -> Floats:
    """P-values of `method` (psi, js, chi2, ks) for many tables at once: (tables, cells) in, (tables,) out.

    NaN stands where a side holds no rows, or the table too few cells for the test.

    >>> each_pvalue("chi2", [[10, 10], [0, 0]], [[15, 5], [9, 9]], [20, 0], [20, 18]).round(4).tolist()
    [0.1025, nan]
    """
    r, c = checked_counts(reference), checked_counts(current)
    if r.ndim != 2 or r.shape != c.shape:
        raise ValueError(f"both sides must be tables counted over the same cells, not {r.shape} and {c.shape}")
    n, m = (np.asarray(rows, dtype=np.float64) for rows in (n_ref, n_cur))
    if not ((n >= 0) & (m >= 0) & np.isfinite(n) & np.isfinite(m)).all():
        raise ValueError("effective rows must be finite numbers, 0 or above")
    held = (n > 0) & (m > 0) & r.any(axis=-1) & c.any(axis=-1)
    result = np.full(len(r), np.nan)
    if held.any():
        result[held] = _tails(method, shares(r[held]), shares(c[held]), n[held], m[held])
    return result


class ChiSquareTest(NamedTuple):
    """What the p-value of a table is read from: shares of both sides in the `cells` left, and a chi-square statistic.

    The p-value is the upper tail of a chi-square law with `cells` - 1 degrees of freedom.
    """

    reference: Floats
    current: Floats
    cells: int
    statistic: float


def chi_square_test(method: str, reference: ArrayLike, current: ArrayLike, n_ref: float, n_cur: float) -> ChiSquareTest:
    """What `psi_pvalue`, `js_pvalue` and `chi2_pvalue` compute with; both sides must hold rows.

    >>> chi_square_test("chi2", [10, 10, 1], [15, 5, 1], 21, 21).cells
    2
    """
    p, q = (shares(checked_counts(counts))[None] for counts in (reference, current))
    n, m = np.array([n_ref], dtype=np.float64), np.array([n_cur], dtype=np.float64)
    p, q, cells = _pooled(p, q, n, m)
    held = (p[0] > 0) | (q[0] > 0)
    return ChiSquareTest(p[0][held], q[0][held], int(cells[0]), float(_smaller(method, p, q, n, m)[0]))


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


def _pvalue(method: str, reference: ArrayLike, current: ArrayLike, n_ref: float, n_cur: float) -> Value:
    r, c = checked_counts(reference), checked_counts(current)
    if r.ndim != 1 or r.shape != c.shape:
        raise ValueError(f"both sides must be counted over the same row of cells, not {r.shape} and {c.shape}")
    for rows, counts, side in ((n_ref, r, "reference"), (n_cur, c, "current window")):
        if rows == 0 or not counts.any():
            return NotEnoughData(0.0, 1.0, f"the {side} holds no rows")
    pvalue = float(each_pvalue(method, [r], [c], [n_ref], [n_cur])[0])
    if math.isnan(pvalue):
        return NotEnoughData(1.0, 2.0, "fewer than two cells hold the five expected rows that a test needs")
    return pvalue


def _tails(method: str, p: Floats, q: Floats, n: Floats, m: Floats) -> Floats:
    """Upper tails of Kolmogorov's law, or of chi-square's at the pooled table's statistic or Pearson's if smaller."""
    if method == "ks":
        distance = each("ks", p, q)
        law: Floats = kolmogorov(distance / np.sqrt(1 / n + 1 / m))
        return law
    p, q, cells = _pooled(p, q, n, m)
    statistic = _smaller(method, p, q, n, m)
    return np.where(cells < 2, np.nan, chdtrc(np.maximum(cells - 1, 1), statistic))


def _smaller(method: str, p: Floats, q: Floats, n: Floats, m: Floats) -> Floats:
    return np.minimum(_SCALED[method](p, q, n, m), chi2_kernel(p, q, n, m))


def _pooled(p: Floats, q: Floats, n: Floats, m: Floats) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Shares with the sparse cells summed into the first, and how many cells that leaves; the rest are 0.

    The sum takes in the next cell too if it is still sparse.
    """
    expected = _common(p, q, n, m) * np.minimum(n, m)[:, None]
    expected[expected <= 0] = np.inf  # to the end of the order
    order = np.argsort(expected, axis=-1, kind="stable")
    p, q, expected = (np.take_along_axis(side, order, axis=-1) for side in (p, q, expected))
    enough = EXPECTED_ROWS * (1 - 1e-9)  # else rounding, which depends on the split, would choose among cells of just 5
    occupied, sparse = np.isfinite(expected).sum(axis=-1), (expected < enough).sum(axis=-1)
    pooled = np.arange(expected.shape[-1]) < sparse[:, None]
    short = np.where(pooled, expected, 0.0).sum(axis=-1) < enough
    sparse = sparse + ((sparse > 0) & (sparse < occupied) & short)
    first = np.arange(expected.shape[-1]) < np.maximum(sparse, 1)[:, None]
    for side in (p, q):
        side[:, 0] = np.where(first, side, 0.0).sum(axis=-1)
        side[:, 1:][first[:, 1:]] = 0.0
    return p, q, occupied - np.maximum(sparse - 1, 0)


def _common(p: Floats, q: Floats, n: Floats, m: Floats) -> Floats:
    """The shares of both sides taken together, which no drift makes both sides' own."""
    weight = (1 / (1 + m / n))[:, None]
    result: Floats = weight * p + (1 - weight) * q
    return result


def _scaled_psi(p: Floats, q: Floats, n: Floats, m: Floats) -> Floats:
    return psi_kernel(p, q, n, m) / (1 / n + 1 / m)


def _scaled_js(p: Floats, q: Floats, n: Floats, m: Floats) -> Floats:
    return 8 * math.log(2) * js_kernel(p, q, n, m) ** 2 / (1 / n + 1 / m)


_SCALED: dict[str, Statistic] = {"psi": _scaled_psi, "js": _scaled_js, "chi2": chi2_kernel}
"""What follows a chi-square law without drift."""
