"""Did features come to move together otherwise? Correlations and reconstruction error from additive second moments.

In go sums over rows of numeric features on any scale z near the reference's mean: of weights, of z and of products of
pairs, with how much weight held both. Missing values enter as 0 and are told apart by the pairs' weight, so what is
missing moves nothing here as long as it is missing at random.
"""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from exporter.stats.distances import LARGEST_COUNT, Floats
from exporter.stats.performance import LOST_VARIANCE
from exporter.stats.result import Z_95, Interval, NotEnoughData, Value, ratio

# The share of the variance that the kept components explain: NannyML's default for data reconstruction with PCA.
EXPLAINED = 0.65
REFERENCES = 64  # remembered by identity; a process has one for each model, and those of a reload
OVERFLOWED = NotEnoughData(0.0, 1.0, "a sum behind the value is not finite")


@dataclass(frozen=True, eq=False)
class Moments:
    """Additive sums over rows of k features; a missing value counts as z = 0.

    `weight`: sum w. `sums` (k,): sum w z. `products` (k, k): sum w z_i z_j. `pairs` (k, k): sum w of the rows that
    hold both i and j. ValueError unless all are finite (up to 1e300) and shaped alike, weights 0 or above. What one
    side alone decides is computed once for it.
    """

    weight: float
    sums: Floats
    products: Floats
    pairs: Floats

    def __post_init__(self) -> None:
        k = self.sums.size
        if self.sums.shape != (k,) or not self.products.shape == self.pairs.shape == (k, k):
            raise ValueError(f"{k} features have {k} x {k} products and pairs")
        for values in (np.asarray(self.weight), self.sums, self.products, self.pairs):
            if not (np.abs(values) <= LARGEST_COUNT).all():
                raise ValueError("moments must be finite numbers up to 1e300")
        if self.weight < 0 or (self.pairs < 0).any():
            raise ValueError("weights must be 0 or above")

    @classmethod
    def of(cls, weight: float, sums: ArrayLike, products: ArrayLike, pairs: ArrayLike) -> "Moments":
        """The moments from anything array-like."""
        arrays = (np.asarray(values, dtype=np.float64) for values in (sums, products, pairs))
        return cls(float(weight), *arrays)

    @cached_property
    def means(self) -> Floats:
        """The mean of w z_i z_j over the rows that hold both, (k, k), symmetric; NaN for pairs never held."""
        return _over(_symmetric(self.products), _symmetric(self.pairs))

    @cached_property
    def places(self) -> tuple[Floats, Floats]:
        """Each feature's mean and standard deviation over the rows that hold it; a deviation that drowned is NaN."""
        mean, square = _over(self.sums, np.diag(self.pairs)), np.diag(self.means)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is not finite, so unknown
            variance = square - mean**2
            varies = np.isfinite(variance) & (variance > LOST_VARIANCE * square)
        return mean, np.sqrt(np.where(varies, variance, np.nan))

    @cached_property
    def correlation(self) -> Floats:
        """As `correlation` gives it."""
        centre, deviation = self.places
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is not finite, so unknown below
            covariance = self.means - np.outer(centre, centre)
            result = np.clip(covariance / deviation[:, None] / deviation[None, :], -1.0, 1.0)
        result[np.diag_indices_from(result)] = np.where(np.isfinite(deviation), 1.0, np.nan)
        return np.where(np.isfinite(result), result, np.nan)

    @cached_property
    def usual(self) -> Floats:
        """`standard_moments` of this side by itself, (k, k), with 0 where they are unknown."""
        own = standard_moments(self, self)
        return np.where(np.isfinite(own), own, 0.0)


def correlation(moments: Moments) -> Floats:
    """Pearson's correlations over the rows that hold both features, (k, k), -1 to 1; 1 on the diagonal.

    NaN for a feature that does not vary (or is never there, or so far from the reference that its variance drowned
    in rounding) and for a pair never held together. Each feature's mean and deviation come from all rows that hold
    it, so with values missing a correlation can leave its range, and is put back on its end.
    Rows (1, 2), (-1, 0), (0, -2): variances 2/3 and 8/3, covariance 2/3.

    >>> correlation(Moments.of(3, [0, 0], [[2, 2], [2, 8]], [[3, 3], [3, 3]])).round(6).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    return moments.correlation


def correlation_change(reference: Moments, current: Moments, significant: NDArray[np.bool_]) -> tuple[Value, ...]:
    """For each feature the largest absolute change of its correlation with any other one that is no noise; 0 to 2.

    0 where correlations are known on both sides and none of the pairs in `significant` (k, k) is the feature's; see
    `change_pvalues`. NotEnoughData where no correlation is known on both sides. From 0.5 to -0.5:

    >>> pairs = [[3, 3], [3, 3]]
    >>> before = Moments.of(3, [0, 0], [[2, 2], [2, 8]], pairs)
    >>> after = Moments.of(3, [0, 0], [[2, -2], [-2, 8]], pairs)
    >>> [round(value, 6) for value in correlation_change(before, after, np.ones((2, 2), dtype=bool))]
    [1.0, 1.0]
    >>> correlation_change(before, after, np.zeros((2, 2), dtype=bool))
    (0.0, 0.0)
    """
    _alike(reference, current)
    change = np.abs(current.correlation - reference.correlation)
    np.fill_diagonal(change, np.nan)
    known = np.isfinite(change)
    largest = np.where(known & significant, change, 0.0).max(axis=1, initial=0.0)
    why = "no correlation of the feature is known on both sides"
    return tuple(
        float(value) if held else NotEnoughData(0.0, 1.0, why)
        for value, held in zip(largest, np.asarray(known.any(axis=1)), strict=True)
    )


def change_pvalues(
    reference: Moments, current: Moments, n_ref: float, n_cur: float, spread: Floats | float = 1.0
) -> Floats:
    """For each pair the probability of a change of its correlation at least this large without drift, (k, k).

    Fisher's z = artanh r has variance 1 / (rows - 3), more with values missing; a pair's effective rows are the
    side's `n_ref` or `n_cur` times the share of weight that holds both. Taken is the smaller of the moves of z and of
    r itself (over its derivative at the reference), as z has no end near r = 1. That supposes normal features; with
    others a correlation varies `spread` times as much, see `correlation_spread`. NaN on the diagonal, and where no
    correlation or not more than 3 rows are known on both sides.
    From 0.5 to -0.5 on 103 rows each: z changes by 1.0986, which is 7.77 standard deviations.

    >>> pairs = [[103, 103], [103, 103]]
    >>> before = Moments.of(103, [0, 0], [[103, 51.5], [51.5, 103]], pairs)
    >>> after = Moments.of(103, [0, 0], [[103, -51.5], [-51.5, 103]], pairs)
    >>> bool(change_pvalues(before, after, 103, 103)[0, 1] < 1e-12)
    True
    >>> change_pvalues(before, before, 103, 103).tolist()
    [[nan, 1.0], [1.0, nan]]

    Fisher, R. A. (1921). On the probable error of a coefficient of correlation. Metron 1.
    """
    _alike(reference, current)
    before, after = reference.correlation, current.correlation
    variance = spread * (_fisher_variance(reference, before, n_ref) + _fisher_variance(current, before, n_cur))
    with np.errstate(divide="ignore", invalid="ignore"):  # r of -1 and 1 have no spread: what differs does so by inf
        moved = np.abs(np.arctanh(before) - np.arctanh(after))
        straight = np.abs(before - after) / (1 - before**2)
        far = np.where(np.abs(before - after) < LOST_VARIANCE, 0.0, np.minimum(moved, straight))
        pvalues: Floats = 2 * ndtr(-far / np.sqrt(variance))
    np.fill_diagonal(pvalues, np.nan)
    return pvalues


def correlation_spread(r: Floats, fourth: Floats, third: Floats) -> Floats:
    """How many times the variance (1 - r^2)^2 / rows of normal features the correlations of others have; 1 and up.

    By the delta method, from means over rows of standardised features: `fourth` (k, k) of z_i^2 z_j^2, `third` (k, k)
    of z_i^3 z_j, and the correlations `r`. Below 1 it is put to 1, on the safe side; at r of -1 and 1 as well.
    Normal features of correlation 0.5 have 1 + 2 r^2 and 3 r:

    >>> r, third = np.array([[1.0, 0.5], [0.5, 1.0]]), np.array([[3.0, 1.5], [1.5, 3.0]])
    >>> correlation_spread(r, np.array([[3.0, 1.5], [1.5, 3.0]]), third).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    >>> correlation_spread(r, np.array([[3.0, 2.625], [2.625, 3.0]]), third).round(6).tolist()
    [[1.0, 3.25], [3.25, 1.0]]

    Isserlis, L. (1916), Biometrika 11; Steiger, J. H. and Hakstian, A. R. (1982), Br. J. Math. Stat. Psychol. 35.
    """
    alone = np.diag(fourth)
    variance = fourth + r**2 / 4 * (alone[:, None] + 2 * fourth + alone) - r * (third + third.T)
    normal = (1 - r**2) ** 2
    determined = normal < LOST_VARIANCE
    return np.maximum(np.where(determined, 1.0, variance / np.where(determined, 1.0, normal)), 1.0)


def principal_components(second_moments: Floats, explained: float = EXPLAINED) -> Floats:
    """The fewest eigenvectors, greatest first, that explain more than `explained` of the trace: (k, k) to (k, r).

    >>> principal_components(np.array([[3.0, 0.0], [0.0, 1.0]])).round(6).tolist() in ([[1.0], [0.0]], [[-1.0], [0.0]])
    True
    """
    if not 0 < explained < 1:
        raise ValueError("the share to explain lies between 0 and 1")
    values, vectors = np.linalg.eigh(_symmetric(second_moments))
    positive = np.maximum(values[::-1], 0.0)  # pairwise presence can leave a matrix slightly indefinite
    total = positive.sum()
    if total == 0:
        return np.zeros((positive.size, 0))
    kept = int(np.searchsorted(np.cumsum(positive) / total, explained, side="right")) + 1
    return vectors[:, ::-1][:, :kept]


def reconstruction_error(second_moments: Floats, components: Floats) -> float:
    """The mean squared length of what rows lose when projected on `components`: tr(C) - tr(V'CV); 0 and up.

    The whole length of (1, 2) and (3, 0) is 14 / 2; the first axis keeps 10 / 2.

    >>> reconstruction_error(np.array([[5.0, 1.0], [1.0, 2.0]]), np.array([[1.0], [0.0]]))
    2.0
    """
    kept = ((second_moments @ components) * components).sum()
    return max(0.0, float(np.trace(second_moments) - kept))


def standard_moments(moments: Moments, reference: Moments) -> Floats:
    """Mean products of features standardised by the reference's means and deviations, (k, k).

    Over the rows that hold both features; NaN for pairs never held and for features that do not vary in the reference.
    Of the reference itself these are its correlations, but for values missing. Means 1 and 2, deviations 1 and 2:

    >>> pairs = [[2, 2], [2, 2]]
    >>> side = Moments.of(2, [2, 4], [[4, 8], [8, 16]], pairs)
    >>> standard_moments(side, side).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    mean, deviation = reference.places
    centre = _over(moments.sums, np.diag(moments.pairs))
    with np.errstate(over="ignore", invalid="ignore"):
        crossed = np.outer(mean, centre)
        about = moments.means - crossed - crossed.T + np.outer(mean, mean)
        result: Floats = about / deviation[:, None] / deviation
    return result


def multivariate_drift(reference: Moments, current: Moments, explained: float = EXPLAINED) -> Value:
    """By which share the window's reconstruction error exceeds the reference's, by the reference's components.

    About 0 without drift, -1 and up. It rises when features leave the relations that the components stand for, or
    spread or move away from their means, and falls when they vary less. Features are standardised by the reference;
    a pair that the window never holds keeps the reference's moment, as nothing is known of it. Errors are squared
    lengths, where NannyML averages lengths. NotEnoughData without rows, or where the components leave no error (one
    feature; features that determine each other). A correlation of 0.5 leaves 0.5 of 2; of -0.5, 1.5:

    >>> pairs = [[4, 4], [4, 4]]
    >>> before = Moments.of(4, [0, 0], [[4, 2], [2, 4]], pairs)
    >>> round(multivariate_drift(before, Moments.of(4, [0, 0], [[4, -2], [-2, 4]], pairs)), 6)
    2.0
    """
    _alike(reference, current)
    for moments, side in ((reference, "reference"), (current, "current window")):
        if not moments.pairs.any():
            return NotEnoughData(0.0, 1.0, f"the {side} holds no numbers")
    usual, now = reference.usual, standard_moments(current, reference)
    now = np.where((reference.pairs > 0) & (current.pairs > 0) & np.isfinite(reference.places[1]), now, usual)
    if not (np.abs(now) <= LARGEST_COUNT).all():
        return OVERFLOWED
    components, error = _reconstruction(reference, explained)
    if error <= LOST_VARIANCE * np.trace(usual):
        return NotEnoughData(0.0, 1.0, "the reference's components leave no error to compare with")
    times = ratio(reconstruction_error(now, components), error, "the reference holds no numbers")
    return times if isinstance(times, NotEnoughData) else times - 1


@lru_cache(REFERENCES)
def _reconstruction(reference: Moments, explained: float) -> tuple[Floats, float]:
    """The reference's components, and the error that they leave of the reference itself."""
    components = principal_components(reference.usual, explained)
    return components, reconstruction_error(reference.usual, components)


def multivariate_interval(
    score: float, error_variance: float, n_ref: float, n_cur: float, z: float = Z_95
) -> Interval | NotEnoughData:
    """Between which values the score of endless rows lies, 95 % of the time; -1 and up.

    `error_variance` is that of a row's reconstruction error over its mean squared, in the reference, and is supposed
    to hold for the window too; `n_ref` and `n_cur` are effective rows. A variance of 2 on 200 rows each is one of 0.02
    for the ratio of two means:

    >>> [round(end, 3) for end in multivariate_interval(0.0, 2.0, 200, 200)]
    [-0.277, 0.277]
    """
    if not (math.isfinite(n_ref) and math.isfinite(n_cur) and min(n_ref, n_cur) >= 0):
        raise ValueError("effective rows must be finite numbers, 0 or above")
    if min(n_ref, n_cur) == 0:
        return NotEnoughData(0.0, 1.0, "no effective rows")
    half = z * math.sqrt(error_variance * (1 / n_ref + 1 / n_cur)) * (1 + score)
    return Interval(max(-1.0, score - half), score + half)


def _alike(reference: Moments, current: Moments) -> None:
    if reference.sums.shape != current.sums.shape:
        raise ValueError("both sides must have the same features")


def _symmetric(matrix: Floats) -> Floats:
    """Without the rounding in which matrix products of both triangles differ; halves first, so nothing overflows."""
    return matrix / 2 + matrix.T / 2


def _over(sums: Floats, weights: Floats) -> Floats:
    with np.errstate(over="ignore"):  # a tiny weight under a large sum is not finite, and the callers' to refuse
        return np.divide(sums, weights, out=np.full_like(sums, np.nan), where=weights > 0)


def _fisher_variance(moments: Moments, r: Floats, rows: float) -> Floats:
    """Variance of artanh of each pair's correlation where the true one is `r`; NaN where no rows are left.

    With n pairs among n_i and n_j rows the covariance is over other rows than the variances, whose noise then does
    not cancel: of normal features, by the delta method, the correlation varies by
    (1 + r^2) / n - 1.5 r^2 (1 / n_i + 1 / n_j) + r^4 n / (n_i n_j), which is (1 - r^2)^2 / n on complete rows.
    """
    if not (math.isfinite(rows) and rows >= 0):
        raise ValueError("effective rows must be a finite number, 0 or above")
    n = rows * np.minimum(_over(moments.pairs, np.full_like(moments.pairs, moments.weight)), 1.0)
    held = np.where(np.diag(n) > 0, np.diag(n), np.nan)
    one, other = n / held[:, None], n / held[None, :]  # the pairs' share of each feature's rows; 1 on complete ones
    with np.errstate(divide="ignore", invalid="ignore"):
        widening = (1 + r**2 - 1.5 * r**2 * (one + other) + r**4 * one * other) / (1 - r**2) ** 2
        return np.where(np.minimum(one, other) >= 1, 1.0, widening) / np.where(n > 3, n - 3, np.nan)
