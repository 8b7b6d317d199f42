"""Every measure against the same number from the raw rows, computed by other people's code."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats
from scipy.spatial.distance import jensenshannon
from sklearn import metrics as oracle

from exporter import names
from exporter.baseline import Baseline, NumericFeature
from exporter.config import Costs
from exporter.measures import Sample
from exporter.measures.distribution import equal_groups
from exporter.profile.layout import LATENCY_BOUNDS
from tests.strategies import C, Row, baseline_of, binary_rows, built, measured, model_of, prediction, value_of

ROWS = 3_000


def weighted(rows: list[Row], seed: int) -> list[Row]:
    """The rows with weights from 0.5 to 20."""
    weights = np.random.default_rng(seed).choice([0.5, 1.0, 3.0, 20.0], len(rows)).tolist()
    return [{**row, "weight": weight} for row, weight in zip(rows, weights, strict=True)]


def frame(rows: list[Row]) -> pd.DataFrame:
    table = pd.DataFrame(rows)
    table["weight"] = table["weight"].astype(float) if "weight" in table else 1.0
    features = pd.DataFrame(list(table["features"]))
    return pd.concat([table.drop(columns="features"), features], axis=1)


MODEL = model_of()
REFERENCE = binary_rows(11, ROWS)
BINARY = {"plain": binary_rows(12, ROWS, shift=0.3), "weighted": weighted(binary_rows(12, ROWS, shift=0.3), 13)}
BASELINES = {"plain": built(MODEL, REFERENCE), "weighted": built(MODEL, weighted(REFERENCE, 14))}


@pytest.fixture(params=["plain", "weighted"])
def case(request: pytest.FixtureRequest) -> tuple[list[Sample], pd.DataFrame, pd.DataFrame, Baseline]:
    kind = request.param
    samples, _ = measured(MODEL, BASELINES[kind], BINARY[kind])
    reference = REFERENCE if kind == "plain" else weighted(REFERENCE, 14)
    return samples, frame(BINARY[kind]), frame(reference), BASELINES[kind]


def test_performance_of_a_binary_model_is_scikit_learns(case: Any) -> None:
    samples, rows, _, _ = case
    truth, said, score, w = rows["label"], rows["prediction"], rows["score"], rows["weight"]
    low, high = score.clip(1e-15, 1), (1 - score).clip(1e-15, 1)
    expected = {
        names.MODEL_ACCURACY: oracle.accuracy_score(truth, said, sample_weight=w),
        names.MODEL_PRECISION: oracle.precision_score(truth, said, sample_weight=w),
        names.MODEL_RECALL: oracle.recall_score(truth, said, sample_weight=w),
        names.MODEL_F1: oracle.f1_score(truth, said, sample_weight=w),
        names.MODEL_LOG_LOSS: -np.average(np.where(truth == 1, np.log(low), np.log(high)), weights=w),
        names.MODEL_BRIER_SCORE: oracle.brier_score_loss(truth, score, sample_weight=w),
        names.LABELLED_PREDICTIONS_TOTAL: w.sum(),
        names.CORRECT_PREDICTIONS_TOTAL: w[truth == said].sum(),
        names.MODEL_OUTCOME_COVERAGE_RATIO: 1.0,
    }
    for family, value in expected.items():
        assert value_of(samples, family) == pytest.approx(value, rel=1e-9), family.name
    area = oracle.roc_auc_score(truth, score, sample_weight=w)
    assert value_of(samples, names.MODEL_AUC) == pytest.approx(area, abs=1e-3)
    cells = np.minimum((score * 10).astype(int), 9)
    error = sum(abs((w * (rows["label"] - score))[cells == cell].sum()) for cell in range(10)) / w.sum()
    assert value_of(samples, names.MODEL_CALIBRATION_ERROR) == pytest.approx(error, rel=1e-9)


def test_bounds_surround_the_value_and_are_wider_for_weighted_rows(case: Any) -> None:
    samples, _, _, _ = case
    for value, low, high in (
        (names.MODEL_ACCURACY, names.MODEL_ACCURACY_LOWER, names.MODEL_ACCURACY_UPPER),
        (names.MODEL_AUC, names.MODEL_AUC_LOWER, names.MODEL_AUC_UPPER),
    ):
        inside, lower, upper = (value_of(samples, family) for family in (value, low, high))
        assert lower is not None and inside is not None and upper is not None  # noqa: PT018 - all are there
        assert lower < inside < upper
        assert 0.01 < upper - lower < 0.1


def shares_of(rows: pd.DataFrame, feature: str, baseline: Baseline, *, merged: bool) -> np.ndarray:
    """Weighted shares of the reference's cells, by pandas alone."""
    shape = next(item for item in baseline.features if item.name == feature)
    if isinstance(shape, NumericFeature):
        edges = [-np.inf, *shape.edges, np.inf]
        cell = np.asarray(pd.cut(rows["x"], edges, right=False, labels=False))
        cells = len(edges) - 1
        if merged:
            cell, cells = np.searchsorted(shape.groups, cell, side="right") - 1, len(shape.groups)
    else:
        listed = {text: place for place, text in enumerate(shape.values)}
        cells = len(listed) + 2
        cell = np.array([listed.get(text, cells - 1) for text in rows[feature]])
    total = rows["weight"].groupby(cell).sum().reindex(range(cells), fill_value=0.0)
    return (total / total.sum()).to_numpy()


def effective(rows: pd.DataFrame) -> float:
    return float(rows["weight"].sum() ** 2 / (rows["weight"] ** 2).sum())


@pytest.mark.parametrize("feature", ["x", "c"])
def test_feature_drift_is_that_of_the_raw_rows(case: Any, feature: str) -> None:
    samples, rows, reference, baseline = case
    p, q = (shares_of(side, feature, baseline, merged=True) for side in (reference, rows))
    n, m = effective(reference), effective(rows)
    both = (p > 0) & (q > 0)
    assert ((p > 0) == (q > 0)).all()
    psi = float(((q - p)[both] * np.log(q[both] / p[both])).sum())
    table = np.array([p * n, q * m])[:, both]
    chi2 = scipy_stats.chi2_contingency(table, correction=False)
    expected = {"psi": psi, "js": jensenshannon(p, q, base=2), "chi2": chi2.statistic / chi2.dof}
    if feature == "x":
        fine = (shares_of(side, feature, baseline, merged=False) for side in (reference, rows))
        expected["ks"] = max(abs(np.cumsum(next(fine)) - np.cumsum(next(fine))))
    for method, value in expected.items():
        found = value_of(samples, names.FEATURE_DRIFT_SCORE, "1d", feature, method)
        assert found == pytest.approx(value, rel=1e-9, abs=1e-12), method
    assert value_of(samples, names.FEATURE_DRIFT_PVALUE, "1d", feature, "chi2") == pytest.approx(chi2.pvalue, rel=1e-6)
    assert (value_of(samples, names.FEATURE_DRIFT_SCORE, "1d", feature, "ks") is None) == (feature == "c")


def test_ks_on_the_fine_cells_is_close_to_that_of_the_values() -> None:
    samples, _ = measured(MODEL, BASELINES["plain"], BINARY["plain"])
    exact = scipy_stats.ks_2samp(frame(REFERENCE)["x"], frame(BINARY["plain"])["x"]).statistic
    assert value_of(samples, names.FEATURE_DRIFT_SCORE, "1d", "x", "ks") == pytest.approx(exact, abs=0.011)


def test_output_drift_is_that_of_scores_and_labels(case: Any) -> None:
    samples, rows, reference, _ = case
    sides = []
    for side in (reference, rows):
        total = side["weight"].groupby(side["label"]).sum()
        sides.append((total / total.sum()).to_numpy())
    js = jensenshannon(*sides, base=2)
    assert value_of(samples, names.OUTCOME_DRIFT_SCORE, "1d", "js") == pytest.approx(js, rel=1e-9)
    psi, ks = (value_of(samples, names.PREDICTION_DRIFT_SCORE, "1d", method) for method in ("psi", "ks"))
    assert psi is not None
    assert psi < 0.02
    scores = [side.sort_values("score") for side in (reference, rows)]
    grid = np.linspace(0, 1, 2_001)
    shares = [
        np.concatenate([[0], side["weight"].cumsum() / side["weight"].sum()])[np.searchsorted(side["score"], grid)]
        for side in scores
    ]
    assert ks == pytest.approx(max(abs(shares[0] - shares[1])), abs=0.01)


def test_quality_counts_what_the_raw_rows_hold() -> None:
    values: list[Any] = [0.25, -1.5, 2.0, 7.0, None, float("inf"), "abc", 1.0]
    texts: list[Any] = ["a", "z", "q", None, ["a"], "1", "b", "y"]
    rows = [
        prediction(features={"x": x, "c": c}, weight=weight)
        for x, c, weight in zip(values, texts, [1.0, 2, 4, 8, 16, 32, 64, 128], strict=True)
    ]
    scope_samples, scope = measured(MODEL, baseline_of(), rows)
    assert value_of(scope_samples, names.FEATURE_COMPLETENESS, "x") == pytest.approx(239 / 255)
    assert value_of(scope_samples, names.FEATURE_COMPLETENESS, "c") == pytest.approx(247 / 255)
    assert value_of(scope_samples, names.FEATURE_UNSEEN_CATEGORY_RATIO, "c") == pytest.approx(130 / (255 - 8 - 16))
    assert value_of(scope_samples, names.FEATURE_VALUES_TOTAL) == 510
    assert value_of(scope_samples, names.MISSING_FEATURES_TOTAL) == 24
    for reason, weight in {"wrong_type": 64 + 16, "non_finite": 32, "unseen_category": 130}.items():
        assert value_of(scope_samples, names.INVALID_INPUTS_TOTAL, reason) == weight
    assert value_of(scope_samples, names.FEATURE_OUT_OF_RANGE_RATIO, "x") is None
    assert scope.reference.part("feature:x").sum() == 0


def test_out_of_range_is_a_share_of_the_numbers() -> None:
    rows = [prediction(features={"x": x, "c": "a"}) for x in (-9.0, 0.0, 0.1, 9.0, None, float("nan"), "abc")]
    reference = built(MODEL, [prediction(features={"x": x, "c": "a"}) for x in np.linspace(-1, 1, 50).tolist()])
    samples, _ = measured(MODEL, reference, rows)
    assert value_of(samples, names.FEATURE_OUT_OF_RANGE_RATIO, "x") == 0.5


def test_an_incomplete_list_of_categories_knows_no_unseen_ones() -> None:
    open_list = baseline_of(features=(C.model_copy(update={"complete": False}),))
    samples, scope = measured(MODEL, open_list, [prediction(features={"c": "never seen"})])
    assert value_of(samples, names.FEATURE_UNSEEN_CATEGORY_RATIO, "c") is None
    assert value_of(samples, names.INVALID_INPUTS_TOTAL, "unseen_category") == 0
    assert scope.totals.part("feature:c").tolist() == [0, 0, 0, 1, 0, 0, 0]


def test_operations_and_cost_add_up() -> None:
    rows = [
        prediction(score=0.55, weight=10, latency_seconds=0.1, cost_usd=0.5),
        prediction(score=0.45, latency_seconds=0.02),
        prediction(score=0.6, weight=0.5),  # just sure enough
        prediction(score=0.9, weight=4),
        prediction(score=None, error="timeout", weight=2),
        prediction(score=None, prediction=1),
    ]
    costs = Costs(serving_usd_per_1000_predictions=2.0)
    samples, _ = measured(MODEL, baseline_of(), rows, costs=costs)
    assert value_of(samples, names.PREDICTION_REQUESTS_TOTAL) == 18.5
    assert value_of(samples, names.LOW_CONFIDENCE_RATIO) == pytest.approx(11 / 15.5)
    assert value_of(samples, names.PREDICTIONS_IN_WINDOW) == 18.5
    assert value_of(samples, names.SERVING_COST_USD) == pytest.approx(10 * 0.5 + 8.5 * 0.002)
    assert value_of(samples, names.SERVING_COST_PER_1000_USD) == pytest.approx((5 + 0.017) / 18.5 * 1000)
    assert value_of(samples, names.PREDICTIONS_LOGGED_TOTAL) == 6
    [latency] = [sample.value for sample in samples if sample.family is names.PREDICTION_LATENCY_SECONDS]
    assert not isinstance(latency, float)
    by_bound = dict(zip(latency.bounds, latency.cumulative, strict=False))
    assert (by_bound[0.01], by_bound[0.025], by_bound[0.05], by_bound[0.1]) == (0, 1, 1, 11)
    assert latency.cumulative[-1] == 11
    assert latency.total == pytest.approx(10 * 0.1 + 0.02)


def test_counts_records_speak_for_requests_and_latency_where_there_are_any() -> None:
    report = {"kind": "counts", "ts": 1.0, "model": "m", "version": "v", "requests": 50, "skipped": 40, "dropped": 3,
              "latency_buckets": {str(LATENCY_BOUNDS[0]): 50}, "latency_sum": 0.01}  # fmt: skip
    samples, _ = measured(MODEL, baseline_of(), [prediction(latency_seconds=5.0), report, report])
    assert value_of(samples, names.PREDICTION_REQUESTS_TOTAL) == 100
    assert value_of(samples, names.PREDICTIONS_SKIPPED_TOTAL) == 80
    assert value_of(samples, names.PREDICTIONS_DROPPED_TOTAL) == 6
    [latency] = [sample.value for sample in samples if sample.family is names.PREDICTION_LATENCY_SECONDS]
    assert not isinstance(latency, float)
    assert latency.cumulative == (100.0,) * (len(LATENCY_BOUNDS) + 1)


def test_a_score_on_the_threshold_is_positive_and_a_named_class_wins_over_it() -> None:
    samples, _ = measured(
        MODEL, baseline_of(), [prediction(score=0.5, label=1), prediction(score=0.9, prediction=0, label=0)]
    )
    assert value_of(samples, names.MODEL_ACCURACY) == 1.0


@pytest.mark.parametrize("weighting", [False, True])
def test_performance_of_a_multiclass_model_is_scikit_learns(*, weighting: bool) -> None:
    rng = np.random.default_rng(21)
    truth = rng.choice(["a", "b", "c"], ROWS, p=[0.6, 0.3, 0.1])
    said = np.where(rng.random(ROWS) < 0.7, truth, rng.choice(["a", "b", "c"], ROWS))
    rows = [prediction(score=None, prediction=p, label=y) for p, y in zip(said.tolist(), truth.tolist(), strict=True)]
    rows = weighted(rows, 22) if weighting else rows
    w = frame(rows)["weight"]
    model = model_of("multiclass")
    samples, _ = measured(model, built(model, rows), rows)
    options: dict[str, Any] = {"average": "macro", "sample_weight": w}
    expected = {
        names.MODEL_ACCURACY: oracle.accuracy_score(truth, said, sample_weight=w),
        names.MODEL_PRECISION: oracle.precision_score(truth, said, **options),
        names.MODEL_RECALL: oracle.recall_score(truth, said, **options),
        names.MODEL_F1: oracle.f1_score(truth, said, **options),
        names.CORRECT_PREDICTIONS_TOTAL: w[truth == said].sum(),
    }
    for family, value in expected.items():
        assert value_of(samples, family) == pytest.approx(value, rel=1e-9), family.name
    assert value_of(samples, names.PREDICTION_DRIFT_SCORE, "psi") == 0.0
    for metric in ("accuracy", "precision", "recall", "f1"):
        assert value_of(samples, names.MODEL_PERFORMANCE_BASELINE_RATIO, metric) == pytest.approx(1.0)


@pytest.mark.parametrize("weighting", [False, True])
def test_performance_of_a_regression_is_scikit_learns(*, weighting: bool) -> None:
    rng = np.random.default_rng(31)
    truth = rng.normal(1e6, 3, ROWS)
    said = truth + rng.normal(0.5, 1, ROWS)
    rows = [prediction(score=None, prediction=p, label=y) for p, y in zip(said.tolist(), truth.tolist(), strict=True)]
    rows = weighted(rows, 32) if weighting else rows
    w = frame(rows)["weight"]
    model = model_of("regression")
    samples, _ = measured(model, built(model, rows), rows)
    assert value_of(samples, names.MODEL_MAE) == pytest.approx(
        oracle.mean_absolute_error(truth, said, sample_weight=w), rel=1e-9
    )
    root = oracle.root_mean_squared_error(truth, said, sample_weight=w)
    assert value_of(samples, names.MODEL_RMSE) == pytest.approx(root, rel=1e-9)
    assert value_of(samples, names.MODEL_R2) == pytest.approx(oracle.r2_score(truth, said, sample_weight=w), rel=1e-7)
    assert value_of(samples, names.OUTCOME_DRIFT_SCORE, "psi") == 0.0
    assert value_of(samples, names.CORRECT_PREDICTIONS_TOTAL) is None


def test_weighted_statistics_of_a_sampled_log_agree_with_the_full_stream_and_unweighted_ones_do_not() -> None:
    rng = np.random.default_rng(41)
    full = binary_rows(42, 12_000)
    unsure = [abs(row["score"] - 0.5) < 0.1 for row in full]
    kept = [row if keep else {**row, "weight": 10.0}
            for row, keep in zip(full, unsure, strict=True) if keep or rng.random() < 0.1]  # fmt: skip
    plain = [{name: value for name, value in row.items() if name != "weight"} for row in kept]
    everything, sampled, naive = (measured(MODEL, BASELINES["plain"], rows)[0] for rows in (full, kept, plain))
    deviation = {  # of one row
        names.MODEL_ACCURACY: 0.5,
        names.MODEL_BRIER_SCORE: 0.15,
        names.LOW_CONFIDENCE_RATIO: 0.5,
        names.MODEL_AUC: 0.6,
    }
    rows = frame(kept)
    for family, one in deviation.items():
        error = 4 * one / np.sqrt(effective(rows))
        truth, estimate, wrong = (value_of(samples, family) for samples in (everything, sampled, naive))
        assert truth is not None
        assert estimate == pytest.approx(truth, abs=error), family.name
        assert wrong is not None
        assert abs(wrong - truth) > 1.2 * abs((estimate or 0.0) - truth), family.name
    assert value_of(sampled, names.PREDICTIONS_IN_WINDOW) == pytest.approx(12_000, rel=0.06)
    drift, naive_drift = (value_of(samples, names.PREDICTION_DRIFT_SCORE, "psi") for samples in (sampled, naive))
    assert drift is not None and naive_drift is not None  # noqa: PT018 - both are there
    assert drift < 0.05
    assert naive_drift > 0.2


@pytest.mark.parametrize(("counts", "groups", "starts"), [
    ([1, 1, 1, 1], 2, [0, 2]), ([0, 0, 1], 10, [0, 2]), ([5, 1, 1, 1, 1, 1], 2, [0, 1]),
    ([1], 10, [0]), ([0.1] * 10, 10, list(range(10))),
])  # fmt: skip
def test_equal_groups_start_where_their_share_is_reached(counts: list[float], groups: int, starts: list[int]) -> None:
    assert equal_groups(np.array(counts, dtype=float), groups) == starts
