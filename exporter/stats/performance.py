"""Was the model right? Classification from a confusion matrix, regression from additive sums.

`confusion[label, predicted]` holds (weighted) counts of labelled predictions, K x K; a binary model's positive class
is index 1. Counts are numbers from 0 to 1e300, else ValueError. What the data leaves undefined (no rows, no such
class, no predicted positives) is NotEnoughData with the reason.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from exporter.stats.distances import Floats, checked_counts
from exporter.stats.result import Z_95, Interval, NotEnoughData, Value, ratio

POSITIVE = 1

# Rounding in sums of float64 leaves an error of some 1e-16 of sum y^2; a variance below this share of it has lost
# ten of its sixteen digits.
LOST_VARIANCE = 1e-10


def accuracy(confusion: ArrayLike) -> Value:
    """The share of labelled predictions that were right; 0 to 1.

    >>> accuracy([[50, 10], [5, 35]])
    0.85
    """
    table = _square(confusion)
    return ratio(float(np.trace(table)), float(table.sum()), "no labelled predictions")


def wilson_interval(share: float, n: float, z: float = Z_95) -> Interval | NotEnoughData:
    """Wilson's score interval for a share (accuracy, precision, recall) seen on `n` effective rows; within 0 to 1.

    Unlike share +- z standard errors it has width on shares of 0 and 1 and holds its level on few rows.

    >>> [round(end, 4) for end in wilson_interval(0.85, 100)]
    [0.7672, 0.9069]

    Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference. JASA 22.
    """
    if not 0 <= share <= 1:
        raise ValueError("a share lies between 0 and 1")
    if not (math.isfinite(n) and n >= 0):
        raise ValueError("effective rows must be a finite number, 0 or above")
    if n == 0:
        return NotEnoughData(0.0, 1.0, "no labelled predictions")
    shrink = 1 / (1 + z * z / n)
    centre = (share + z * z / (2 * n)) * shrink
    half = z * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2) * shrink
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def precision(confusion: ArrayLike, positive: int = POSITIVE) -> Value:
    """Of the predictions of class `positive`, the share that was right: TP / (TP + FP); 0 to 1.

    >>> precision([[50, 10], [5, 30]])
    0.75
    """
    return precision_by_class(confusion)[positive]


def recall(confusion: ArrayLike, positive: int = POSITIVE) -> Value:
    """Of the labels of class `positive`, the share that was predicted: TP / (TP + FN); 0 to 1.

    >>> recall([[50, 10], [10, 30]])
    0.75
    """
    return recall_by_class(confusion)[positive]


def f1(confusion: ArrayLike, positive: int = POSITIVE) -> Value:
    """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN); 0 to 1.

    Defined when the class was labelled or predicted at all: a model that no longer predicts a class which occurs
    has F1 0 in truth.

    >>> f1([[50, 10], [10, 30]])
    0.75
    >>> f1([[50, 0], [10, 0]])
    0.0
    """
    return f1_by_class(confusion)[positive]


def precision_by_class(confusion: ArrayLike) -> tuple[Value, ...]:
    """Precision of each class; NotEnoughData for a class that was never predicted.

    >>> precision_by_class([[3, 0], [1, 0]])
    (0.75, NotEnoughData(have=0.0, need=1.0, why='the class was never predicted'))
    """
    table = _square(confusion)
    return _ratios(np.diag(table), table.sum(axis=0), "the class was never predicted")


def recall_by_class(confusion: ArrayLike) -> tuple[Value, ...]:
    """Recall of each class; NotEnoughData for a class that no label holds.

    >>> recall_by_class([[3, 1], [0, 0]])
    (0.75, NotEnoughData(have=0.0, need=1.0, why='the class occurs in no label'))
    """
    table = _square(confusion)
    return _ratios(np.diag(table), table.sum(axis=1), "the class occurs in no label")


def f1_by_class(confusion: ArrayLike) -> tuple[Value, ...]:
    """F1 of each class; NotEnoughData for a class neither labelled nor predicted.

    >>> f1_by_class([[3, 1], [1, 3]])
    (0.75, 0.75)
    """
    table = _square(confusion)
    both = table.sum(axis=0) + table.sum(axis=1)
    return _ratios(2 * np.diag(table), both, "the class was neither labelled nor predicted")


def macro(by_class: Sequence[Value]) -> Value:
    """The mean over the classes for which the metric is defined, each counting alike; NotEnoughData if none is.

    >>> macro(recall_by_class([[3, 1, 0], [1, 1, 0], [0, 0, 0]]))
    0.625
    """
    known = [value for value in by_class if not isinstance(value, NotEnoughData)]
    return ratio(math.fsum(known), len(known), "the metric is defined for no class")


def mae(sum_w: float, sum_abs_error: float) -> Value:
    """Mean absolute error from sum w and sum w |e|, in the label's unit; 0 (perfect) and up.

    >>> mae(sum_w=4, sum_abs_error=6)
    1.5
    """
    return ratio(sum_abs_error, sum_w, "no labelled predictions")


def rmse(sum_w: float, sum_squared_error: float) -> Value:
    """Root mean squared error from sum w and sum w e^2, in the label's unit; 0 (perfect) and up, at least `mae`.

    >>> rmse(sum_w=4, sum_squared_error=9)
    1.5
    """
    mean = ratio(sum_squared_error, sum_w, "no labelled predictions")
    return mean if isinstance(mean, NotEnoughData) else math.sqrt(mean)


def r2(sum_w: float, sum_squared_error: float, sum_y: float, sum_y2: float) -> Value:
    """Coefficient of determination, 1 - sum w e^2 / sum w (y - mean)^2; 1 is perfect, 0 no better than the mean.

    `sum_y` and `sum_y2` are sums of w (y - offset) and w (y - offset)^2 about any one offset, which drops out. Take one
    near the labels, such as the reference's mean: far from them the variance drowns in rounding, and then, as when
    labels do not vary, this is NotEnoughData. Labels 1, 2, 3 about 2, with errors 0, 1, 0:

    >>> r2(sum_w=3, sum_squared_error=1, sum_y=0, sum_y2=2)
    0.5
    """
    mean = ratio(sum_y, sum_w, "no labelled predictions")
    if isinstance(mean, NotEnoughData):
        return mean
    variation = float(sum_y2) - mean * float(sum_y)
    if not variation > LOST_VARIANCE * sum_y2:
        return NotEnoughData(0.0, 1.0, "the labels do not vary, as far as sums about this offset can tell")
    unexplained = ratio(sum_squared_error, variation, "the labels do not vary")
    return unexplained if isinstance(unexplained, NotEnoughData) else 1 - unexplained


def _square(confusion: ArrayLike) -> Floats:
    table = checked_counts(confusion)
    if table.ndim != 2 or table.shape[0] != table.shape[1]:
        raise ValueError(f"a confusion matrix is square, labels by predictions, not {table.shape}")
    return table


def _ratios(numerators: Floats, denominators: Floats, why: str) -> tuple[Value, ...]:
    return tuple(ratio(float(n), float(d), why) for n, d in zip(numerators, denominators, strict=True))
