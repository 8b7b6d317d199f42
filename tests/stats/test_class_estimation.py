"""Accuracy of several classes without labels: maps against scikit-learn, intervals against simulated labels, edges."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from exporter.stats import estimation
from exporter.stats.result import NotEnoughData

Floats = NDArray[np.float64]
MIDS = (np.arange(20) + 0.5) / 20


def judged(rng: np.random.Generator, rows: int, floors: Floats, a: float = 2.0) -> tuple[Floats, Floats]:
    """Right and wrong predictions by class and confidence cell; confidences say too much by what `floors` take off."""
    predicted = rng.choice(len(floors), rows, p=np.arange(1, len(floors) + 1) / np.arange(1, len(floors) + 1).sum())
    confidence = rng.beta(a, 1.5, rows)
    right = rng.random(rows) < np.clip(confidence - np.asarray(floors)[predicted], 0.02, 0.98)
    tables = np.zeros((2, len(floors), 20))
    np.add.at(tables, (right.astype(int), predicted, np.minimum((confidence * 20).astype(int), 19)), 1)
    return tables[1], tables[0]


def test_the_accuracy_of_classes_is_the_mean_of_scikit_learns_isotonic_chances() -> None:
    rng = np.random.default_rng(31)
    right, wrong = judged(rng, 3_000, np.array([0.0, 0.2, 0.4]))
    window = np.add(*judged(rng, 500, np.array([0.0, 0.2, 0.4]), a=4.0))
    maps = estimation.class_maps(right, wrong, 3_000, MIDS)
    assert not isinstance(maps, NotEnoughData)
    chances = []
    for good, bad in zip(right, wrong, strict=True):
        held = good + bad > 0
        oracle = IsotonicRegression(out_of_bounds="clip")
        oracle.fit(MIDS[held], good[held] / (good + bad)[held], sample_weight=(good + bad)[held])
        chances.append(oracle.predict(MIDS))
    expected = float((window * np.array(chances)).sum() / window.sum())
    assert estimation.estimated_class_accuracy(window, maps) == pytest.approx(expected, rel=1e-9)


def test_the_realised_accuracy_of_classes_lies_within_its_interval_as_often_as_it_says() -> None:
    rng, floors = np.random.default_rng(32), np.array([0.0, 0.2, 0.4])
    held = 0
    for _ in range(300):
        maps = estimation.class_maps(*judged(rng, 2_000, floors), 2_000, MIDS)
        right, wrong = judged(rng, 400, floors, a=3.0)
        assert not isinstance(maps, NotEnoughData)
        interval = estimation.estimated_class_interval(right + wrong, maps, 400)
        assert not isinstance(interval, NotEnoughData)
        held += interval.lower <= right.sum() / (right + wrong).sum() <= interval.upper
    assert held / 300 >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 300)


def test_a_class_without_both_kinds_of_labels_has_the_map_of_all() -> None:
    right, wrong = judged(np.random.default_rng(33), 1_000, np.array([0.1, 0.1, 0.1]))
    right[0] += wrong[0]
    wrong[0] = 0
    right[1] = wrong[1] = 0
    maps = estimation.class_maps(right, wrong, 1_000, MIDS)
    assert not isinstance(maps, NotEnoughData)
    assert maps[0] is maps[1]
    assert maps[2] is not maps[0]


def test_the_edges_of_estimates_of_classes() -> None:
    right, wrong = judged(np.random.default_rng(34), 1_000, np.array([0.1, 0.1]))
    nothing = np.zeros_like(right)
    for sides in ((right, nothing), (nothing, wrong), (nothing, nothing)):
        assert isinstance(estimation.class_maps(*sides, 1_000, MIDS), NotEnoughData)
    assert isinstance(estimation.class_maps(right, wrong, 0, MIDS), NotEnoughData)
    maps = estimation.class_maps(right, wrong, 1_000, MIDS)
    assert not isinstance(maps, NotEnoughData)
    assert isinstance(estimation.estimated_class_accuracy(nothing, maps), NotEnoughData)
    assert isinstance(estimation.estimated_class_interval(nothing, maps, 5), NotEnoughData)
    assert isinstance(estimation.estimated_class_interval(right, maps, 0), NotEnoughData)
    with pytest.raises(ValueError, match="2 classes"):
        estimation.estimated_class_accuracy(right[:1], maps)
    with pytest.raises(ValueError, match="finite numbers"):
        estimation.estimated_class_accuracy(np.full_like(right, math.nan), maps)
    scaled = estimation.estimated_class_accuracy(right * 1e12, maps)
    assert scaled == pytest.approx(estimation.estimated_class_accuracy(right, maps))
