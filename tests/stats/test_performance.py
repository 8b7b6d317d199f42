"""Classification and regression metrics against scikit-learn and plain loops, their laws, and their edges."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats as scipy_stats
from sklearn import metrics as sk

from exporter.stats import performance
from exporter.stats.result import Interval, NotEnoughData, Value, ratio

Floats = NDArray[np.float64]


@st.composite
def confusions(draw: st.DrawFn) -> Floats:
    classes = draw(st.integers(2, 6))
    cells = st.one_of(st.just(0.0), st.floats(0.01, 1e4))
    flat = draw(st.lists(cells, min_size=classes**2, max_size=classes**2))
    return np.array(flat).reshape(classes, classes)


def _rows(seed: int, classes: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, Floats]:
    """Labels, predictions, weights, and their weighted confusion matrix counted in a loop."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, 500)
    predicted = np.where(rng.random(500) < 0.6, labels, rng.integers(0, classes, 500))
    weights = rng.choice([1.0, 2.5, 10.0], 500)
    table = np.zeros((classes, classes))
    for label, prediction, weight in zip(labels, predicted, weights, strict=True):
        table[label, prediction] += weight
    return labels, predicted, weights, table


# Oracles


@pytest.mark.parametrize("seed", range(10))
def test_binary_metrics_are_scikit_learns_on_the_weighted_rows(seed: int) -> None:
    labels, predicted, weights, table = _rows(seed, 2)
    for ours, theirs in (
        (performance.accuracy, sk.accuracy_score),
        (performance.precision, sk.precision_score),
        (performance.recall, sk.recall_score),
        (performance.f1, sk.f1_score),
    ):
        assert ours(table) == pytest.approx(theirs(labels, predicted, sample_weight=weights), rel=1e-9)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("unpredicted", [False, True])
def test_multiclass_metrics_are_scikit_learns_with_undefined_classes_left_out(seed: int, *, unpredicted: bool) -> None:
    labels, predicted, weights, _ = _rows(seed, 5)
    if unpredicted:
        predicted = np.where(predicted == 3, 1, predicted)
    table = sk.confusion_matrix(labels, predicted, sample_weight=weights)
    for ours, theirs in (
        (performance.precision_by_class, sk.precision_score),
        (performance.recall_by_class, sk.recall_score),
        (performance.f1_by_class, sk.f1_score),
    ):
        options = {"sample_weight": weights, "zero_division": math.nan}
        by_class = theirs(labels, predicted, average=None, **options)
        for value, oracle in zip(ours(table), by_class, strict=True):
            assert isinstance(value, NotEnoughData) if np.isnan(oracle) else value == pytest.approx(oracle, rel=1e-9)
        macro = theirs(labels, predicted, average="macro", **options)
        assert performance.macro(ours(table)) == pytest.approx(macro, rel=1e-9)


@pytest.mark.parametrize("offset", [0.0, 37.0, -1e4])
@pytest.mark.parametrize("seed", range(5))
def test_regression_metrics_are_scikit_learns_whatever_the_offset(seed: int, offset: float) -> None:
    rng = np.random.default_rng(seed)
    y = rng.normal(40, 5, 400)
    predicted, w = y + rng.normal(0.3, 2, 400), rng.choice([1.0, 4.0, 10.0], 400)
    error, centred = predicted - y, y - offset
    assert performance.mae(w.sum(), (w * np.abs(error)).sum()) == pytest.approx(
        sk.mean_absolute_error(y, predicted, sample_weight=w), rel=1e-9
    )
    assert performance.rmse(w.sum(), (w * error**2).sum()) == pytest.approx(
        sk.root_mean_squared_error(y, predicted, sample_weight=w), rel=1e-9
    )
    ours = performance.r2(w.sum(), (w * error**2).sum(), (w * centred).sum(), (w * centred**2).sum())
    assert ours == pytest.approx(sk.r2_score(y, predicted, sample_weight=w), abs=1e-8)


@pytest.mark.parametrize(("right", "n"), [(0, 10), (1, 10), (85, 100), (100, 100), (49_000, 50_000)])
def test_wilson_interval_is_scipys(right: int, n: int) -> None:
    oracle = scipy_stats.binomtest(right, n).proportion_ci(method="wilson")
    assert performance.wilson_interval(right / n, n) == pytest.approx((oracle.low, oracle.high), abs=1e-9)


def test_wilson_interval_covers_the_truth_nineteen_times_in_twenty() -> None:
    rng = np.random.default_rng(5)
    runs, truth, n = 4_000, 0.9, 150
    hits = 0
    for right in rng.binomial(n, truth, runs):
        interval = performance.wilson_interval(right / n, n)
        assert isinstance(interval, Interval)
        hits += interval.lower <= truth <= interval.upper
    assert hits / runs == pytest.approx(0.95, abs=0.02)


# Laws


@given(confusions(), st.floats(1e-3, 1e3))
def test_scaling_the_weights_changes_no_metric(table: Floats, factor: float) -> None:
    for metric in (performance.precision_by_class, performance.recall_by_class, performance.f1_by_class):
        for plain, scaled in zip(metric(table), metric(table * factor), strict=True):
            assert _same(plain, scaled)
    assert _same(performance.accuracy(table), performance.accuracy(table * factor))


@given(confusions(), st.randoms(use_true_random=False))
def test_renaming_the_classes_renames_their_metrics_and_keeps_the_averages(table: Floats, random: object) -> None:
    order = np.arange(len(table))
    random.shuffle(order)  # type: ignore[attr-defined]  # hypothesis types its random as object
    renamed = table[np.ix_(order, order)]
    for metric in (performance.precision_by_class, performance.recall_by_class, performance.f1_by_class):
        plain, moved = metric(table), metric(renamed)
        assert all(_same(plain[order[i]], moved[i]) for i in range(len(order)))
        assert _same(performance.macro(plain), performance.macro(moved))
    assert _same(performance.accuracy(table), performance.accuracy(renamed))


@given(confusions())
def test_metrics_are_shares_and_f1_lies_between_precision_and_recall(table: Floats) -> None:
    columns = performance.precision_by_class(table), performance.recall_by_class(table), performance.f1_by_class(table)
    for precision, recall, f1 in zip(*columns, strict=True):
        for value in (precision, recall, f1):
            assert isinstance(value, NotEnoughData) or 0 <= value <= 1
        if isinstance(precision, float) and isinstance(recall, float):
            assert isinstance(f1, float)
            assert min(precision, recall) - 1e-9 <= f1 <= max(precision, recall) + 1e-9


@given(confusions())
def test_swapping_labels_and_predictions_swaps_precision_and_recall(table: Floats) -> None:
    for precision, recall in zip(
        performance.precision_by_class(table), performance.recall_by_class(table.T), strict=True
    ):
        if isinstance(precision, NotEnoughData):
            assert isinstance(recall, NotEnoughData)
        else:
            assert _same(precision, recall)


@given(st.floats(0, 1), st.floats(0.5, 1e7))
def test_wilson_interval_holds_the_share_and_narrows_with_rows(share: float, n: float) -> None:
    few, many = performance.wilson_interval(share, n), performance.wilson_interval(share, 4 * n)
    assert isinstance(few, Interval)
    assert isinstance(many, Interval)
    assert -1e-12 <= few.lower - 1e-12 <= share <= few.upper + 1e-12 <= 1 + 1e-12
    assert many.upper - many.lower < few.upper - few.lower


def _same(a: Value, b: Value) -> bool:
    if isinstance(a, NotEnoughData) or isinstance(b, NotEnoughData):
        return a == b
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)


# Edges


def _reason(value: object) -> str:
    assert isinstance(value, NotEnoughData)
    assert value.have < value.need
    return value.why


def test_without_rows_every_metric_says_so() -> None:
    nothing = np.zeros((2, 2))
    assert _reason(performance.accuracy(nothing)) == "no labelled predictions"
    assert _reason(performance.precision(nothing)) == "the class was never predicted"
    assert _reason(performance.recall(nothing)) == "the class occurs in no label"
    assert _reason(performance.f1(nothing)) == "the class was neither labelled nor predicted"
    assert _reason(performance.macro(performance.f1_by_class(nothing))) == "the metric is defined for no class"
    assert _reason(performance.accuracy(np.zeros((0, 0)))) == "no labelled predictions"
    assert _reason(performance.mae(0, 0)) == "no labelled predictions"
    assert _reason(performance.rmse(0, 0)) == "no labelled predictions"
    assert _reason(performance.r2(0, 0, 0, 0)) == "no labelled predictions"
    assert _reason(performance.wilson_interval(0.5, 0)) == "no labelled predictions"


def test_a_model_that_never_says_positive_has_no_precision_recall_zero_and_f1_zero() -> None:
    table = [[90, 0], [10, 0]]
    assert _reason(performance.precision(table)) == "the class was never predicted"
    assert performance.recall(table) == 0.0
    assert performance.f1(table) == 0.0
    assert performance.accuracy(table) == 0.9


def test_labels_of_one_class_leave_the_other_class_undefined_unless_predicted() -> None:
    assert _reason(performance.recall([[90, 10], [0, 0]])) == "the class occurs in no label"
    assert performance.precision([[90, 10], [0, 0]]) == 0.0
    assert _reason(performance.f1([[100, 0], [0, 0]])) == "the class was neither labelled nor predicted"
    assert performance.macro(performance.f1_by_class([[100, 0], [0, 0]])) == 1.0


def test_one_row_is_right_or_wrong() -> None:
    assert performance.accuracy([[0, 0], [0, 1]]) == 1.0
    assert performance.accuracy([[0, 1], [0, 0]]) == 0.0


def test_huge_weights_do_not_overflow() -> None:
    assert performance.accuracy(np.full((2, 2), 1e300)) == 0.5
    assert performance.f1(np.full((2, 2), 1e300)) == 0.5


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
def test_counts_that_are_no_counts_are_refused(bad: float) -> None:
    table = np.array([[1, bad], [1, 1]])
    for metric in (performance.accuracy, performance.precision, performance.recall, performance.f1):
        with pytest.raises(ValueError, match="finite numbers"):
            metric(table)


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 2, 2)])
def test_a_confusion_matrix_that_is_not_square_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="square"):
        performance.accuracy(np.ones(shape))


@pytest.mark.parametrize(("share", "n"), [(-0.1, 5), (1.1, 5), (math.nan, 5), (0.5, -1), (0.5, math.nan)])
def test_wilson_refuses_what_is_no_share_of_rows(share: float, n: float) -> None:
    with pytest.raises(ValueError, match=r"^(a share|effective rows)"):
        performance.wilson_interval(share, n)


@pytest.mark.parametrize("overflow", [math.inf, math.nan])
def test_sums_that_overflowed_give_no_value(overflow: float) -> None:
    assert "not finite" in _reason(performance.mae(3, overflow))
    assert "not finite" in _reason(performance.rmse(3, overflow))
    assert "not finite" in _reason(performance.rmse(math.inf, 3))
    assert "not finite" in _reason(performance.r2(3, overflow, 1, 2))
    _reason(performance.r2(3, 1, overflow, 2))
    _reason(performance.r2(3, 1, 1, overflow))


def test_r2_of_constant_labels_is_undefined_about_any_offset() -> None:
    for offset in (0.0, 5.0, 0.1, -3e7):
        centred = np.full(1_000, 5.0) - offset
        assert "do not vary" in _reason(performance.r2(1_000, 12.0, centred.sum(), (centred**2).sum()))


def test_r2_about_an_offset_that_drowns_the_variance_is_refused_not_guessed() -> None:
    y = np.random.default_rng(1).normal(0, 1, 1_000)
    assert isinstance(performance.r2(1_000, 500.0, y.sum(), (y**2).sum()), float)
    far = y + 1e7
    assert "about this offset" in _reason(performance.r2(1_000, 500.0, far.sum(), (far**2).sum()))


def test_r2_of_one_row_is_undefined() -> None:
    assert "do not vary" in _reason(performance.r2(1, 0.5, 3.0, 9.0))


def test_a_ratio_whose_quotient_overflows_is_no_value() -> None:
    assert "not finite" in _reason(ratio(1e300, 1e-300, "nothing"))
