"""Are scores probabilities? Log loss and Brier score from additive sums, calibration error from sums by score cell.

All are weighted: each sum is over labelled predictions, each times its weight. The functions do not see single
scores, so clipping (log loss) is the counting side's duty.
"""

import numpy as np
from numpy.typing import ArrayLike

from exporter.stats.distances import checked_counts
from exporter.stats.result import Value, ratio


def log_loss(sum_w: float, sum_loss: float) -> Value:
    """Mean negative log-likelihood of the labels, in nats, from sum w and sum w (-ln P(label)); 0 and up.

    Always saying 0.5 costs ln 2 = 0.693 a label.

    >>> log_loss(sum_w=4, sum_loss=2)
    0.5
    """
    return ratio(sum_loss, sum_w, "no labelled predictions with a score")


def brier(sum_w: float, sum_squared_difference: float) -> Value:
    """Mean squared difference between score and label (0 or 1), from sum w and sum w (score - label)^2; 0 to 1.

    Always saying 0.5 costs 0.25.

    >>> brier(sum_w=4, sum_squared_difference=1)
    0.25

    Brier, G. W. (1950). Monthly Weather Review 78.
    """
    return ratio(sum_squared_difference, sum_w, "no labelled predictions with a score")


def calibration_error(weight: ArrayLike, score: ArrayLike, label: ArrayLike) -> Value:
    """Expected calibration error: by how much mean score and observed rate differ, over score cells; 0 to 1.

    In go, by cell, sum w, sum w score and sum w label (1 for positive). Each cell counts by its weight, empty cells
    not at all.
    Noise alone keeps it above 0: some 0.4 / sqrt(rows in a cell) where the rate is one half. Scores 0.2 and 0.8 on ten
    rows each, with rates 0.3 and 0.6:

    >>> round(calibration_error([10, 10], [2, 8], [3, 6]), 6)
    0.15

    Naeini, M. P., Cooper, G. F. and Hauskrecht, M. (2015). Obtaining well calibrated probabilities. AAAI 29.
    """
    rows, scores, labels = checked_counts(weight), checked_counts(score), checked_counts(label)
    if not (rows.ndim == 1 and rows.shape == scores.shape == labels.shape):
        raise ValueError("weight, score and label must be sums over the same cells")
    return ratio(float(np.abs(labels - scores).sum()), float(rows.sum()), "no labelled predictions with a score")
