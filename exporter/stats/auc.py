"""Does a higher score mean a likelier positive? Area under the ROC curve from counts in ordered score cells.

In go the (weighted) counts of positive and negative labels over the same cells, lowest score first. Pairs within a
cell cannot be told apart and count half, so the value on cells is off by at most `auc_error_bound`.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from exporter.stats.distances import Floats, checked_counts, shares
from exporter.stats.result import Z_95, Interval, NotEnoughData, Value


def auc(positive: ArrayLike, negative: ArrayLike) -> Value:
    """Probability that a random positive scores above a random negative, ties counting half; 0 to 1, 0.5 is chance.

    NotEnoughData unless both classes occur. Positives in cells 1 and 2, negatives in cells 0 and 1: of four pairs
    three are in order and one is tied.

    >>> auc([0, 1, 1], [1, 1, 0])
    0.875

    Hanley, J. A. and McNeil, B. J. (1982). The meaning and use of the area under a ROC curve. Radiology 143.
    """
    sides = _sides(positive, negative)
    if isinstance(sides, NotEnoughData):
        return sides
    p, q = sides
    below = np.cumsum(q) - q
    return min(1.0, float((p * (below + q / 2)).sum()))


def auc_error_bound(positive: ArrayLike, negative: ArrayLike) -> Value:
    """The most by which `auc` on these cells can differ from the one on the scores: half the share of tied pairs.

    Reached only if the pairs of every cell stand in one order; where scores are smooth within cells the error is
    smaller by orders of magnitude.

    >>> auc_error_bound([0, 1, 1], [1, 1, 0])
    0.125
    """
    sides = _sides(positive, negative)
    return sides if isinstance(sides, NotEnoughData) else float((sides[0] * sides[1]).sum()) / 2


def delong_interval(
    positive: ArrayLike, negative: ArrayLike, n_positive: float, n_negative: float, z: float = Z_95
) -> Interval | NotEnoughData:
    """DeLong's interval of the `auc` of these counts, on effective numbers of positives and negatives; within 0 to 1.

    The variance comes from the counts themselves: how much the share of the other class below (above) varies over
    the positives (negatives). So it holds its level where one class is rare, as Hanley and McNeil's does not. It is
    never narrower than theirs for half a pair short of perfect order, else few rows in perfect order would claim
    certainty. Placements 0.75 and 1, ten of each, on both sides: variance 2 / 64 / 19, so 0.875 -+ 0.0795.

    >>> [round(end, 4) for end in delong_interval([0, 10, 10], [10, 10, 0], 20, 20)]
    [0.7955, 0.9545]

    DeLong, E. R., DeLong, D. M. and Clarke-Pearson, D. L. (1988). Biometrics 44.
    """
    sides = _sides(positive, negative)
    if isinstance(sides, NotEnoughData):
        return sides
    lacking = _lacking_rows(n_positive, n_negative)
    if lacking:
        return lacking
    p, q = sides
    below, above = np.cumsum(q) - q / 2, np.cumsum(p[::-1])[::-1] - p / 2
    area = min(1.0, float((p * below).sum()))
    variance = _placement_variance(p, below, n_positive) + _placement_variance(q, above, n_negative)
    floor = _standard_error(1 - 0.5 / n_positive / n_negative, n_positive, n_negative)
    return _around(area, z * max(math.sqrt(variance), floor))


def hanley_mcneil_interval(
    area: float, n_positive: float, n_negative: float, z: float = Z_95
) -> Interval | NotEnoughData:
    """Hanley and McNeil's interval of an AUC seen on effective numbers of positives and negatives; within 0 to 1.

    Needs no counts, but supposes exponentially distributed scores: on normal ones with one class rare (60 against
    3,000) it covers the truth in 98 % of cases, or in 89 %, depending on which. An AUC of 0 or 1 is taken for half
    a pair short of it.
    Area 0.85 on 50 and 50 rows: Q1 = 0.7391, Q2 = 0.7811, variance 0.001525, so 0.85 -+ 0.0765.

    >>> [round(end, 4) for end in hanley_mcneil_interval(0.85, 50, 50)]
    [0.7735, 0.9265]

    Hanley, J. A. and McNeil, B. J. (1982). Radiology 143.
    """
    if not 0 <= area <= 1:
        raise ValueError("an AUC lies between 0 and 1")
    lacking = _lacking_rows(n_positive, n_negative)
    if lacking:
        return lacking
    half_pair = 0.5 / n_positive / n_negative
    return _around(area, z * _standard_error(min(max(area, half_pair), 1 - half_pair), n_positive, n_negative))


def _around(area: float, half: float) -> Interval:
    return Interval(max(0.0, area - half), min(1.0, area + half))


def _placement_variance(share: Floats, placement: Floats, n: float) -> float:
    """Variance of the mean of `placement` over `n` rows; over n - 1 as in a sample, but over no less than one row."""
    centred = placement - (share * placement).sum()
    return float((share * centred**2).sum()) / max(n - 1, 1.0)


def _standard_error(area: float, n_positive: float, n_negative: float) -> float:
    """Hanley and McNeil's, in their symbols."""
    q1 = area / (2 - area)  # two random positives both score above one negative
    q2 = 2 * area**2 / (1 + area)  # one positive scores above two random negatives
    spread = (n_positive - 1) * (q1 - area**2) + (n_negative - 1) * (q2 - area**2)
    return math.sqrt(max(0.0, area * (1 - area) + spread) / n_positive / n_negative)


def _lacking_rows(n_positive: float, n_negative: float) -> NotEnoughData | None:
    for rows, name in ((n_positive, "positive"), (n_negative, "negative")):
        if not (math.isfinite(rows) and rows >= 0):
            raise ValueError("effective rows must be finite numbers, 0 or above")
        if rows < 1:
            return NotEnoughData(rows, 1.0, f"fewer than one effective {name} label")
    return None


def _sides(positive: ArrayLike, negative: ArrayLike) -> tuple[Floats, Floats] | NotEnoughData:
    p, q = checked_counts(positive), checked_counts(negative)
    if p.ndim != 1 or p.shape != q.shape:
        raise ValueError(f"both classes must be counted over the same cells, not {p.shape} and {q.shape}")
    for counts, name in ((p, "positive"), (q, "negative")):
        if not counts.any():
            return NotEnoughData(0.0, 1.0, f"no {name} labels")
    return shares(p), shares(q)
