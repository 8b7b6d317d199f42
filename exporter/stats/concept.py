"""Did labels come to mean something else? Change of P(label | score) from labelled counts by score cell.

In go the window's (weighted) positive and negative labels over score cells and the reference's map from score to
chance (`estimation.calibration_map`). Scores may move as they like: rows are held against the chance of their own
cell, in at most ten groups of equal mass. Labels must be a fair sample of their cells, and the chance must rise with
the score, as the map assumes; where it does not, a large window shows the misfit as drift.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc

from exporter.stats.distances import Floats, checked_counts, shares
from exporter.stats.estimation import CalibrationMap
from exporter.stats.result import NotEnoughData, Value
from exporter.stats.significance import EXPECTED_ROWS

GROUPS = 10  # as Hosmer and Lemeshow's deciles of risk


@dataclass(frozen=True, slots=True)
class _Residuals:
    """By group: its share of the rows, observed minus expected rate, and that difference's covariance without drift."""

    share: Floats
    difference: Floats
    covariance: Floats


def concept_drift(positive: ArrayLike, negative: ArrayLike, calibration: CalibrationMap, rows: float) -> Value:
    """By how much the rates of positives left those that the reference's map expects, root mean square; 0 to 1.

    Noise is taken off: from the mean square goes what `rows` effective labels and the reference's finite rows give
    without drift (see CalibrationMap), and what is left below zero reads 0. So the square has no bias in small
    windows (unlike a plain calibration error), and about half of the windows without drift read 0. NotEnoughData
    below five expected labels of each class, counted in effective rows.
    Chance 0.25 and 0.75 on 400 rows each, rates now 0.5 and 0.5: each differs by 0.25, of which noise (0.1875 / 400
    for the window, 0.1875 / 40,000 for the map) is next to nothing.

    >>> from exporter.stats.estimation import calibration_map
    >>> learned = calibration_map([10_000, 30_000], [30_000, 10_000], mids=[0.25, 0.75])
    >>> round(concept_drift([200, 200], [200, 200], learned, 800), 3)
    0.249

    Kumar, A., Liang, P. and Ma, T. (2019). Verified uncertainty calibration. NeurIPS 32.
    """
    return concept_test(positive, negative, calibration, rows)[0]


def concept_pvalue(positive: ArrayLike, negative: ArrayLike, calibration: CalibrationMap, rows: float) -> Value:
    """Probability of differences at least as large while P(label | score) is the reference's.

    The differences, weighed by their covariance, follow a chi-square law with as many degrees of freedom as groups
    (Hosmer and Lemeshow's test of a model on rows that it was not fitted to); the map's own uncertainty is part of
    the covariance. Groups depend on scores and map only, never on labels, and hold five expected labels of each class.

    >>> from exporter.stats.estimation import calibration_map
    >>> learned = calibration_map([10_000, 30_000], [30_000, 10_000], mids=[0.25, 0.75])
    >>> concept_pvalue([100, 300], [300, 100], learned, 800)
    1.0
    >>> concept_pvalue([130, 300], [270, 100], learned, 800) < 0.01
    True

    Hosmer, D. W. and Lemeshow, S. (1980). Communications in Statistics A9.
    """
    return concept_test(positive, negative, calibration, rows)[1]


def concept_test(
    positive: ArrayLike, negative: ArrayLike, calibration: CalibrationMap, rows: float
) -> tuple[Value, Value]:
    """`concept_drift` and `concept_pvalue` of the same labels, looked at once."""
    found = _residuals(positive, negative, calibration, rows)
    if isinstance(found, NotEnoughData):
        return found, found
    squares = float((found.share * (found.difference**2 - np.diag(found.covariance))).sum())
    distance = found.difference @ np.linalg.solve(found.covariance, found.difference)
    return math.sqrt(max(0.0, squares)), float(chdtrc(found.share.size, max(0.0, float(distance))))


def _residuals(
    positive: ArrayLike, negative: ArrayLike, calibration: CalibrationMap, rows: float
) -> _Residuals | NotEnoughData:
    sides = np.stack([checked_counts(positive), checked_counts(negative)])
    if sides.shape[1:] != calibration.chance.shape:
        raise ValueError(f"labels must be counted over the map's cells, {calibration.chance.shape}, not {sides.shape}")
    if not (math.isfinite(rows) and rows >= 0):
        raise ValueError("effective rows must be a finite number, 0 or above")
    sides, rows = shares(sides.ravel()).reshape(2, -1), min(rows, calibration.rows)
    by_cell = sides.sum(axis=0)
    starts = _groups(by_cell, calibration.chance, rows)
    if isinstance(starts, NotEnoughData):
        return starts
    share = np.add.reduceat(by_cell, starts)
    member = np.repeat(np.eye(starts.size), np.diff([*starts, by_cell.size]), axis=1)
    weights = member * by_cell / share[:, None]
    observed = np.add.reduceat(sides[0], starts) / share
    noise = weights @ calibration.label_variance / (share * rows)
    covariance = np.diag(noise) + calibration.covariance(weights)
    return _Residuals(share, observed - weights @ calibration.chance, covariance)


def _groups(by_cell: Floats, chance: Floats, rows: float) -> np.ndarray[tuple[int], np.dtype[np.intp]] | NotEnoughData:
    """Where each group of cells starts: equal mass, then neighbours joined up to the expected labels of a test."""
    expected = np.stack([by_cell * chance, by_cell * (1 - chance)]) * rows
    scarcer = float(expected.sum(axis=1).min())
    enough = EXPECTED_ROWS * (1 - 1e-9)  # rounding must not choose
    if scarcer < enough:
        return NotEnoughData(scarcer, EXPECTED_ROWS, "too few labels are expected of one class")
    middle = np.cumsum(by_cell) - by_cell / 2
    group = np.minimum((middle * GROUPS).astype(np.intp), GROUPS - 1)
    first = np.r_[0, np.flatnonzero(np.diff(group)) + 1]
    starts, gathered = [0], np.zeros(2)
    for start, held in zip(first, np.add.reduceat(expected, first, axis=1).T, strict=True):
        if (gathered >= enough).all():
            starts.append(int(start))
            gathered = np.zeros(2)
        gathered = gathered + held
    if len(starts) > 1 and (gathered < enough).any():
        starts.pop()  # the last group lacks labels: it joins the one before
    return np.array(starts, dtype=np.intp)
