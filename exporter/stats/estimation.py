"""How good is a classifier while no labels have come? Confidence-based estimation from scores in ordered cells.

On labelled reference rows one learns how often each score was followed by a positive label. If that still holds, a
row of score s that was predicted positive is right with probability P(1 | s), else with 1 - P(1 | s), whatever the
scores' distribution has become; so sums of these probabilities over a window's (weighted) counts are its expected
confusion matrix. Of several classes, one learns by predicted class how often each confidence was right, which gives
the accuracy. What changes P(label | score) itself, concept drift, is not seen by design: see `concept`.
NannyML made the idea known as CBPE.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from exporter.profile.scorebins import score_mids
from exporter.stats import performance
from exporter.stats.auc import auc
from exporter.stats.distances import Floats, checked_counts, shares
from exporter.stats.result import Z_95, Interval, NotEnoughData, Value

NO_PREDICTIONS = NotEnoughData(0.0, 1.0, "no predictions with a score")


@dataclass(frozen=True, slots=True)
class CalibrationMap:
    """P(label = 1 | score cell), non-decreasing over the cells, and how sure the reference makes it.

    The map is one rate for each block of pooled cells; `spread` (cells, blocks) says which rates make up a cell's
    chance. Variances are those of a label in a cell and of a block's rate, with half a label of each kind added, so
    that a block without positives does not claim certainty (Jeffreys' prior). `rows` are the reference's effective
    ones: what is told of larger windows is no surer than of such with as many, since within a block the map is flat
    where the truth rises, an error of the size of the block's own.
    """

    chance: Floats
    spread: Floats
    label_variance: Floats
    rate_variance: Floats
    rows: float

    def covariance(self, weights: Floats) -> Floats:
        """Covariance of the sums `weights @ chance` that the reference's finite rows leave: (k, cells) to (k, k)."""
        by_rate = weights @ self.spread
        result: Floats = (by_rate * self.rate_variance) @ by_rate.T
        return result


def calibration_map(
    positive: ArrayLike, negative: ArrayLike, rows: float | None = None, mids: ArrayLike | None = None
) -> CalibrationMap | NotEnoughData:
    """The map that the reference's labels draw, by (weighted) counts over score cells, lowest score first.

    Isotonic least squares: neighbours whose rates fall are pooled until none does, so over the reference the chances
    add up to its positives. A cell without labels lies on the line between its neighbours that have some, at its
    mid (`mids`, by default those of the score cells), and beyond the outermost it keeps their chance. `rows` are the
    effective ones, by default the sum. NotEnoughData unless both classes occur. Rates 0, 0.5, 0.25, none, 1:

    >>> learned = calibration_map([0, 2, 1, 0, 4], [4, 2, 3, 0, 0], mids=[0.1, 0.3, 0.5, 0.7, 0.9])
    >>> learned.chance.tolist()
    [0.0, 0.375, 0.375, 0.6875, 1.0]

    Ayer, M. et al. (1955), Annals of Mathematical Statistics 26; Zadrozny, B. and Elkan, C. (2002), KDD.
    """
    sides = np.stack([checked_counts(positive), checked_counts(negative)])
    at = score_mids() if mids is None else np.asarray(mids, dtype=np.float64)
    if at.shape != sides.shape[1:] or not np.isfinite(at).all() or (np.diff(at) <= 0).any():
        raise ValueError(f"mids must be finite, increase, and be as many as the cells: {at.shape}, {sides.shape[1:]}")
    for counts, name in zip(sides, ("positive", "negative"), strict=True):
        if not counts.any():
            return NotEnoughData(0.0, 1.0, f"no {name} labels")
    n = _rows(float(sides.sum()) if rows is None else rows)
    return n if isinstance(n, NotEnoughData) else _learned(shares(sides.ravel()).reshape(2, -1), n, at)


def expected_confusion(counts: ArrayLike, calibration: CalibrationMap) -> Floats:
    """The confusion matrix to expect, [label, predicted], of predictions counted by predicted class and score cell.

    Feed it to `performance`. Rows without a score are no part of `counts` (2, cells).

    >>> learned = calibration_map([1, 3], [3, 1], mids=[0.25, 0.75])
    >>> expected_confusion([[8, 0], [0, 4]], learned).tolist()
    [[6.0, 1.0], [2.0, 3.0]]
    """
    table = _table(counts, calibration)
    return np.array([table @ (1 - calibration.chance), table @ calibration.chance])


def estimated_accuracy(counts: ArrayLike, calibration: CalibrationMap) -> Value:
    """The share of predictions expected to be right; 0 to 1.

    >>> estimated_accuracy([[8, 0], [0, 4]], calibration_map([1, 3], [3, 1], mids=[0.25, 0.75]))
    0.75
    """
    return _of_confusion(performance.accuracy, counts, calibration)


def estimated_precision(counts: ArrayLike, calibration: CalibrationMap) -> Value:
    """Of the predicted positives, the share expected to be right; 0 to 1; NotEnoughData without any."""
    return _of_confusion(performance.precision, counts, calibration)


def estimated_recall(counts: ArrayLike, calibration: CalibrationMap) -> Value:
    """Expected true positives over expected positives; 0 to 1. Off the expected recall by the order of 1 / rows."""
    return _of_confusion(performance.recall, counts, calibration)


def estimated_f1(counts: ArrayLike, calibration: CalibrationMap) -> Value:
    """F1 of the expected confusion matrix; 0 to 1. Off the expected F1 by the order of 1 / rows."""
    return _of_confusion(performance.f1, counts, calibration)


def estimated_auc(counts: ArrayLike, calibration: CalibrationMap) -> Value:
    """AUC of the expected positives and negatives in each cell; 0 to 1. Classes do not matter, only their sum.

    NotEnoughData where the map expects one class alone. Expected positives 1, 3 and negatives 3, 1: of sixteen
    pairs nine are in order and six tied.

    >>> estimated_auc([[4, 0], [0, 4]], calibration_map([1, 3], [3, 1], mids=[0.25, 0.75]))
    0.75
    """
    table = _table(counts, calibration)
    if not table.any():
        return NO_PREDICTIONS
    by_cell = shares(table.ravel()).reshape(table.shape).sum(axis=0)
    return auc(by_cell * calibration.chance, by_cell * (1 - calibration.chance))


def estimated_interval(
    metric: str, counts: ArrayLike, calibration: CalibrationMap, rows: float, z: float = Z_95
) -> Interval | NotEnoughData:
    """Where the realised `metric` (a key of ESTIMATES) of these predictions will lie, 95 % of the time; within 0 to 1.

    By the delta method, from both things that chance leaves open: the labels of the window's `rows` effective rows,
    and the map, known from the reference's rows only. Holds while P(label | score) is the reference's, and with some
    tens of expected positives on both sides; with fewer, the map is too steep (AUC a few hundredths too high).
    300 right of 400 to be expected; a label varies by 0.1875, the learned rates (400 rows each) by as much again:

    >>> learned = calibration_map([100, 300], [300, 100], mids=[0.25, 0.75])
    >>> [round(end, 3) for end in estimated_interval("accuracy", [[200, 0], [0, 200]], learned, 400)]
    [0.698, 0.802]
    """
    return estimated(metric, counts, calibration, rows, z)[1]


def estimated(
    metric: str, counts: ArrayLike, calibration: CalibrationMap, rows: float, z: float = Z_95
) -> tuple[Value, Interval | NotEnoughData]:
    """The estimate of `metric` with its `estimated_interval`."""
    estimate, gradient = ESTIMATES[metric]
    value, n = estimate(counts, calibration), _rows(rows)
    if isinstance(value, NotEnoughData):
        return value, value
    if isinstance(n, NotEnoughData):
        return value, n
    table = _table(counts, calibration)
    share = shares(table.ravel()).reshape(table.shape)
    slope = gradient(share, calibration.chance, value)
    labels = float((share * slope**2 * calibration.label_variance).sum()) / min(n, calibration.rows)
    learned = float(calibration.covariance((share * slope).sum(axis=0)[None, :])[0, 0])
    half = z * math.sqrt(labels + learned)
    return value, Interval(max(0.0, value - half), min(1.0, value + half))


def class_maps(
    right: ArrayLike, wrong: ArrayLike, rows: float, mids: ArrayLike
) -> tuple[CalibrationMap, ...] | NotEnoughData:
    """By predicted class, the chance that a prediction of each confidence is right; counts are (classes, cells).

    A class whose labelled predictions are all right, all wrong or none has the map of all classes together, one and
    the same object. `rows` are the effective ones of all. NotEnoughData where that map cannot be drawn.

    >>> maps = class_maps([[1, 3], [0, 2]], [[3, 1], [0, 0]], 10, mids=[0.25, 0.75])
    >>> [learned.chance.round(3).tolist() for learned in maps]
    [[0.25, 0.75], [0.25, 0.833]]
    """
    good, bad = checked_counts(right), checked_counts(wrong)
    overall = calibration_map(good.sum(axis=0), bad.sum(axis=0), rows, mids)
    if isinstance(overall, NotEnoughData):
        return overall
    share = shares((good + bad).ravel()).reshape(good.shape).sum(axis=1)
    sides = zip(good, bad, share, strict=True)
    own = [calibration_map(yes, no, rows * float(of), mids) for yes, no, of in sides]
    return tuple(overall if isinstance(learned, NotEnoughData) else learned for learned in own)


def estimated_class_accuracy(counts: ArrayLike, maps: Sequence[CalibrationMap]) -> Value:
    """The share expected to be right of predictions counted by predicted class and confidence cell; 0 to 1.

    >>> maps = class_maps([[1, 3], [0, 2]], [[3, 1], [0, 0]], 10, mids=[0.25, 0.75])
    >>> estimated_class_accuracy([[2, 2], [0, 0]], maps)
    0.5
    """
    table = _class_table(counts, maps)
    if not table.any():
        return NO_PREDICTIONS
    share = shares(table.ravel()).reshape(table.shape)
    return min(1.0, float((share * [learned.chance for learned in maps]).sum()))


def estimated_class_interval(
    counts: ArrayLike, maps: Sequence[CalibrationMap], rows: float, z: float = Z_95
) -> Interval | NotEnoughData:
    """Where the realised accuracy of these predictions will lie, 95 % of the time; within 0 to 1.

    As `estimated_interval`, map by map: chances of classes that share a map err together, those of others apart.
    """
    value, n = estimated_class_accuracy(counts, maps), _rows(rows)
    if isinstance(value, NotEnoughData):
        return value
    if isinstance(n, NotEnoughData):
        return n
    table = _class_table(counts, maps)
    share = shares(table.ravel()).reshape(table.shape)
    variance = 0.0
    for learned in {id(learned): learned for learned in maps}.values():
        held = share[[other is learned for other in maps]].sum(axis=0)
        part = float(held.sum())
        if part > 0:
            labels = float((held * learned.label_variance).sum())
            variance += labels * part / min(n * part, learned.rows) + float(learned.covariance(held[None, :])[0, 0])
    half = z * math.sqrt(variance)
    return Interval(max(0.0, value - half), min(1.0, value + half))


def _class_table(counts: ArrayLike, maps: Sequence[CalibrationMap]) -> Floats:
    table = checked_counts(counts)
    if table.shape != (len(maps), maps[0].chance.size):
        raise ValueError(f"predictions are counted by {len(maps)} classes and the maps' cells, not {table.shape}")
    return table


def _learned(sides: Floats, rows: float, at: Floats) -> CalibrationMap:
    labelled = sides.sum(axis=0)
    held = np.flatnonzero(labelled > 0)
    block = _pooled(sides[0, held] / labelled[held], labelled[held])
    weight = np.bincount(block, labelled[held])
    rate = np.minimum(np.bincount(block, sides[0, held]) / weight, 1.0)
    place = np.interp(at, at[held], np.arange(held.size))  # where a cell lies among those that hold labels
    left, right = np.floor(place).astype(np.intp), np.ceil(place).astype(np.intp)
    spread, cells = np.zeros((at.size, rate.size)), np.arange(at.size)
    spread[cells, block[left]] += 1 - (place - left)
    spread[cells, block[right]] += place - left
    n = weight * rows
    wary = (n * rate + 0.5) / (n + 1)
    label = spread @ wary
    chance = np.clip(spread @ rate, 0.0, 1.0)
    return CalibrationMap(chance, spread, label * (1 - label), wary * (1 - wary) / (n + 1), rows)


def _pooled(rates: Floats, weights: Floats) -> NDArray[np.intp]:
    """The block of each cell when adjacent violators of rising rates are pooled."""
    blocks: list[tuple[float, float, int]] = []
    for cell_rate, cell_weight in zip(rates.tolist(), weights.tolist(), strict=True):
        rate, weight, size = cell_rate, cell_weight, 1
        while blocks and blocks[-1][0] >= rate:
            before, heavy, cells = blocks.pop()
            rate = (before * heavy + rate * weight) / (heavy + weight)
            weight, size = weight + heavy, size + cells
        blocks.append((rate, weight, size))
    return np.repeat(np.arange(len(blocks)), [size for _, _, size in blocks])


def _table(counts: ArrayLike, calibration: CalibrationMap) -> Floats:
    table = checked_counts(counts)
    if table.shape != (2, calibration.chance.size):
        raise ValueError(f"predictions are counted by 2 classes and the map's cells, not {table.shape}")
    return table


def _rows(rows: float) -> float | NotEnoughData:
    if not (math.isfinite(rows) and rows >= 0):
        raise ValueError("effective rows must be a finite number, 0 or above")
    return NotEnoughData(0.0, 1.0, "no effective rows") if rows == 0 else rows


def _of_confusion(metric: Callable[[ArrayLike], Value], counts: ArrayLike, calibration: CalibrationMap) -> Value:
    table = _table(counts, calibration)
    if not table.any():
        return NO_PREDICTIONS
    return metric(expected_confusion(shares(table.ravel()).reshape(table.shape), calibration))


# How each metric moves with the labels: its derivative by the chance of a cell, for each unit of the share of rows
# there. In: shares (2, cells) by predicted class, chances (cells,), the metric's value. Out: (2, cells).

Gradient = Callable[[Floats, Floats, float], Floats]


def _by_class(share: Floats, negative: float, positive: float) -> Floats:
    return np.broadcast_to(np.array([[negative], [positive]]), share.shape)


def _accuracy_gradient(share: Floats, _chance: Floats, _value: float) -> Floats:
    return _by_class(share, -1.0, 1.0)


def _precision_gradient(share: Floats, _chance: Floats, _value: float) -> Floats:
    return _by_class(share, 0.0, 1 / float(share[1].sum()))


def _recall_gradient(share: Floats, chance: Floats, value: float) -> Floats:
    positives = float((share @ chance).sum())
    return _by_class(share, -value / positives, (1 - value) / positives)


def _f1_gradient(share: Floats, chance: Floats, value: float) -> Floats:
    both = float(share[1].sum() + (share @ chance).sum())
    return _by_class(share, -value / both, (2 - value) / both)


def _auc_gradient(share: Floats, chance: Floats, value: float) -> Floats:
    positive, negative = share.sum(axis=0) * chance, share.sum(axis=0) * (1 - chance)
    below = np.cumsum(negative) - negative / 2
    above = np.cumsum(positive[::-1])[::-1] - positive / 2
    p, q = positive.sum(), negative.sum()
    return np.broadcast_to((below - above - value * (q - p)) / (p * q), share.shape)


ESTIMATES: dict[str, tuple[Callable[[ArrayLike, CalibrationMap], Value], Gradient]] = {
    "accuracy": (estimated_accuracy, _accuracy_gradient),
    "precision": (estimated_precision, _precision_gradient),
    "recall": (estimated_recall, _recall_gradient),
    "f1": (estimated_f1, _f1_gradient),
    "auc": (estimated_auc, _auc_gradient),
}
"""Each estimated metric by name: its function and its derivative."""
