"""Drift against the same numbers from the raw rows, computed by other people's code."""

from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.spatial.distance import jensenshannon

from exporter import names
from exporter.baseline import NumericFeature
from exporter.measures.distribution import equal_groups
from tests.measures.raw import BASELINES, BINARY, MODEL, REFERENCE, ROWS, effective, frame, shares_of, weighted
from tests.strategies import binary_rows, built, measured, model_of, prediction, value_of


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


@pytest.mark.parametrize(("counts", "groups", "starts"), [
    ([1, 1, 1, 1], 2, [0, 2]), ([0, 0, 1], 10, [0, 2]), ([5, 1, 1, 1, 1, 1], 2, [0, 1]),
    ([1], 10, [0]), ([0.1] * 10, 10, list(range(10))),
])  # fmt: skip
def test_equal_groups_start_where_their_share_is_reached(counts: list[float], groups: int, starts: list[int]) -> None:
    assert equal_groups(np.array(counts, dtype=float), groups) == starts


ALL = model_of(drift={"methods": ["psi", "js", "ks", "chi2", "hellinger", "tv", "wasserstein"]})


@pytest.mark.parametrize("feature", ["x", "c"])
@pytest.mark.parametrize("kind", ["plain", "weighted"])
def test_the_methods_to_be_chosen_are_those_of_the_raw_rows(kind: str, feature: str) -> None:
    baseline = BASELINES[kind]
    reference = frame(REFERENCE if kind == "plain" else weighted(REFERENCE, 14))
    samples, _ = measured(ALL, baseline, BINARY[kind])
    p, q = (shares_of(side, feature, baseline, merged=True) for side in (reference, frame(BINARY[kind])))
    found = {
        method: value_of(samples, names.FEATURE_DRIFT_SCORE, "1d", feature, method)
        for method in ("hellinger", "tv", "wasserstein")
    }
    assert found["hellinger"] == pytest.approx(np.linalg.norm(np.sqrt(p) - np.sqrt(q)) / np.sqrt(2))
    assert found["tv"] == pytest.approx(abs(p - q).sum() / 2)
    assert (found["wasserstein"] is None) == (feature == "c")
    for method in found:
        assert value_of(samples, names.FEATURE_DRIFT_PVALUE, "1d", feature, method) is None


@pytest.mark.parametrize("kind", ["plain", "weighted"])
def test_wasserstein_is_that_of_values_moved_to_the_middle_of_their_bins(kind: str) -> None:
    baseline = BASELINES[kind]
    reference, rows = frame(REFERENCE if kind == "plain" else weighted(REFERENCE, 14)), frame(BINARY[kind])
    samples, _ = measured(ALL, baseline, BINARY[kind])
    [feature] = [one for one in baseline.features if isinstance(one, NumericFeature)]
    edges = np.array(feature.edges)
    at = np.array([edges[0], *(edges[:-1] + edges[1:]) / 2, edges[-1]])
    one, other = (at[np.searchsorted(edges, side["x"], side="right")] for side in (reference, rows))
    distance = scipy_stats.wasserstein_distance(one, other, reference["weight"], rows["weight"])
    deviation = np.sqrt(np.cov(one, aweights=reference["weight"], ddof=0))
    found = value_of(samples, names.FEATURE_DRIFT_SCORE, "1d", "x", "wasserstein")
    assert found == pytest.approx(distance / deviation)
    exact = scipy_stats.wasserstein_distance(reference["x"], rows["x"], reference["weight"], rows["weight"])
    assert found == pytest.approx(exact / np.sqrt(np.cov(reference["x"], aweights=reference["weight"])), abs=0.02)


def test_wasserstein_of_scores_is_close_to_that_of_the_scores_themselves() -> None:
    rows = [{**row, "score": row["score"] ** 2} for row in binary_rows(15, ROWS)]
    samples, _ = measured(ALL, BASELINES["plain"], rows)
    reference = frame(REFERENCE)["score"]
    exact = scipy_stats.wasserstein_distance(reference, frame(rows)["score"]) / reference.std()
    assert value_of(samples, names.PREDICTION_DRIFT_SCORE, "1d", "wasserstein") == pytest.approx(exact, rel=0.01)
    assert value_of(samples, names.OUTCOME_DRIFT_SCORE, "1d", "wasserstein") is None


@pytest.mark.parametrize("values", [[7.0], [-1.7e308, 1.7e308], [0.0, 5e-324], [1e9, 1e9 + 1]])
def test_wasserstein_bears_constant_and_extreme_values(values: list[float]) -> None:
    rows = [prediction(features={"x": value, "c": "a"}) for value in values * 200]
    moved = [prediction(features={"x": values[-1], "c": "a"}) for _ in range(300)]
    samples, _ = measured(ALL, built(ALL, rows), moved)
    found = value_of(samples, names.FEATURE_DRIFT_SCORE, "1d", "x", "wasserstein")
    if len(values) == 1:
        assert found is None  # a reference that does not vary has no unit
    else:
        assert found == pytest.approx(1.0)  # half of the mass moved by two deviations


def test_bounds_of_drift_surround_the_score_and_exclude_nought_where_it_moved(case: Any) -> None:
    samples, _, _, _ = case
    lower, score, upper = (
        value_of(samples, family, "1d", "x", "psi")
        for family in (names.FEATURE_DRIFT_SCORE_LOWER, names.FEATURE_DRIFT_SCORE, names.FEATURE_DRIFT_SCORE_UPPER)
    )
    assert lower is not None and score is not None and upper is not None  # noqa: PT018 - all are there
    assert 0 < lower < score < upper
    assert lower < population_psi(0.3) < upper
    assert value_of(samples, names.FEATURE_DRIFT_SCORE_LOWER, "1d", "c", "psi") == pytest.approx(0.0, abs=1e-3)
    methods = {s.labels[-1] for s in samples if s.family in {
        names.FEATURE_DRIFT_SCORE_LOWER, names.FEATURE_DRIFT_SCORE_UPPER,
        names.PREDICTION_DRIFT_SCORE_LOWER, names.PREDICTION_DRIFT_SCORE_UPPER,
    }}  # fmt: skip
    assert methods == {"psi"}


def population_psi(shift: float) -> float:
    """Of a normal law moved by `shift`, over tenths of the law itself."""
    inner = scipy_stats.norm.ppf(np.arange(1, 10) / 10)
    q = np.diff([0, *scipy_stats.norm.cdf(inner - shift), 1])
    return float(((q - 0.1) * np.log(q / 0.1)).sum())


def test_bounds_are_absent_with_their_score() -> None:
    samples, _ = measured(MODEL, BASELINES["plain"], binary_rows(16, 199))
    bounded = (names.FEATURE_DRIFT_SCORE_UPPER, names.PREDICTION_DRIFT_SCORE_UPPER, names.FEATURE_DRIFT_SCORE)
    assert not {sample.family for sample in samples} & set(bounded)
