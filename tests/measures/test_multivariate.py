"""Multivariate drift and changes of correlation, from raw rows to series: oracles, quiet without drift, edges."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from exporter import names, reference_moments
from exporter.baseline import Baseline
from exporter.measures import Sample
from exporter.reference import ReferenceData, build_baseline
from exporter.reference_moments import told
from tests.strategies import Row, measured, model_of, prediction, value_of

Floats = NDArray[np.float64]
MODEL = model_of()
ROWS = 4_000
BOUNDS = (names.MULTIVARIATE_DRIFT_SCORE_LOWER, names.MULTIVARIATE_DRIFT_SCORE_UPPER)


def correlated(seed: int, rows: int, r: float = 0.8, tails: float = 30.0) -> Floats:
    """Four numbers of Student's law, of which the first two go together."""
    rng = np.random.default_rng(seed)
    values = rng.standard_t(tails, (rows, 4))
    values[:, 1] = r * values[:, 0] + np.sqrt(1 - r**2) * values[:, 1]
    return values * [1, 10, 0.01, 1] + [0, 5, 1e3, -1]


def rows_of(values: Floats, weights: Floats | None = None) -> list[Row]:
    named = [{f"n{place}": None if np.isnan(x) else x for place, x in enumerate(row)} for row in values.tolist()]
    rows = [prediction(features={**features, "c": "a"}) for features in named]
    return rows if weights is None else [{**row, "weight": w} for row, w in zip(rows, weights.tolist(), strict=True)]


def built(values: Floats, weights: Floats | None = None) -> Baseline:
    """The baseline of values, column by column: rows of Python objects would take seconds."""
    columns = {f"features.n{place}": np.ascontiguousarray(column) for place, column in enumerate(values.T)}
    facts = {"score": np.full(len(values), 0.75)} | ({} if weights is None else {"weight": weights})
    table = pa.table({name: pa.array(column, from_pandas=True) for name, column in {**columns, **facts}.items()})
    return build_baseline(MODEL, ReferenceData(table, "r", "d"), 0.0)


REFERENCE = correlated(1, ROWS)
BASELINE = built(REFERENCE)


def series(samples: list[Sample], places: range = range(4)) -> dict[str, Any]:
    changes = [value_of(samples, names.FEATURE_CORRELATION_CHANGE, "1d", f"n{place}") for place in places]
    score = value_of(samples, names.MULTIVARIATE_DRIFT_SCORE)
    return {"score": score, "bounds": [value_of(samples, of) for of in BOUNDS], "changes": changes}


def of(baseline: Baseline, values: Floats, weights: Floats | None = None) -> dict[str, Any]:
    samples, _ = measured(MODEL, baseline, rows_of(values, weights))
    return series(samples, range(values.shape[1]))


def winsorised(values: Floats, reference: Floats) -> Floats:
    return np.clip(values, *np.quantile(reference, [0.01, 0.99], axis=0, method="inverted_cdf"))


def test_scores_are_those_of_scikit_learn_and_numpy_on_the_raw_rows_cut_off_at_the_ends() -> None:
    current = correlated(3, 1_500, r=-0.2)
    before, after = winsorised(REFERENCE, REFERENCE), winsorised(current, REFERENCE)
    mean, deviation = before.mean(axis=0), before.std(axis=0)
    pca = PCA(n_components=0.65, svd_solver="full").fit((before - mean) / deviation)
    errors = [
        float(((z - pca.inverse_transform(pca.transform(z))) ** 2).sum(axis=1).mean())
        for z in ((side - mean) / deviation for side in (before, after))
    ]
    found = of(BASELINE, current)
    assert found["score"] == pytest.approx(errors[1] / errors[0] - 1, abs=0.02)
    change = np.abs(np.corrcoef(after.T) - np.corrcoef(before.T))
    assert found["changes"] == [pytest.approx(change[0, 1], abs=0.01)] * 2 + [0.0] * 2
    assert found["changes"][0] > 0.9


def test_a_relation_that_broke_shows_though_no_single_feature_drifted() -> None:
    values = correlated(3, 1_000)
    values[:, 1] = np.random.default_rng(4).permutation(values[:, 1])
    samples, _ = measured(MODEL, BASELINE, rows_of(values))
    assert value_of(samples, names.DRIFTED_FEATURES) == 0
    found = series(samples)
    assert found["bounds"][0] > 0.3
    assert found["changes"][:2] == [pytest.approx(0.8, abs=0.1)] * 2
    assert found["changes"][2:] == [0.0, 0.0]


@pytest.mark.parametrize("tails", [30.0, 2.5])
def test_without_drift_all_is_quiet_whatever_the_tails(tails: float) -> None:
    baseline = built(correlated(1, ROWS, tails=tails))
    windows = [of(baseline, correlated(seed, 250, tails=tails)) for seed in range(100, 160)]
    noisy = sum(any(window["changes"]) for window in windows)
    outside = sum(not window["bounds"][0] <= 0 <= window["bounds"][1] for window in windows)
    assert noisy <= 8  # of 60, at 5 %: 3 to be expected, 9 once in 400 times
    assert outside <= 8
    assert np.mean([window["score"] for window in windows]) == pytest.approx(0, abs=0.06)  # the reference's noise, too


def test_one_wild_value_makes_no_correlation_and_hides_none() -> None:
    wild = correlated(5, 1_000)
    wild[0] = 1e300
    plain, found = of(BASELINE, correlated(5, 1_000)), of(BASELINE, wild)
    assert found["changes"] == plain["changes"] == [0.0] * 4
    assert found["score"] == pytest.approx(plain["score"], abs=0.05)


def test_values_missing_at_random_and_a_missing_column_are_no_drift() -> None:
    values, rng = correlated(6, 2_000), np.random.default_rng(7)
    holed = np.where(rng.random(values.shape) < 0.3, np.nan, values)
    found = of(BASELINE, holed)
    assert found["changes"] == [0.0] * 4
    assert found["bounds"][0] < 0 < found["bounds"][1]
    holed[:, 2] = np.nan
    found = of(BASELINE, holed)
    assert found["changes"] == [0.0, 0.0, None, 0.0]
    assert found["score"] == pytest.approx(0, abs=0.1)


def test_a_sampled_window_reads_as_its_stream() -> None:
    rng, values = np.random.default_rng(8), correlated(9, 20_000, r=0.5)
    kept = (often := values[:, 0] > 1) | (rng.random(len(values)) < 0.1)
    weights = np.where(often, 1.0, 10.0)[kept]
    full, sampled, naive = of(BASELINE, values), of(BASELINE, values[kept], weights), of(BASELINE, values[kept])
    assert sampled["bounds"][0] < full["score"] < sampled["bounds"][1]
    assert not naive["bounds"][0] < full["score"] < naive["bounds"][1]
    assert sampled["changes"][0] == pytest.approx(full["changes"][0], abs=0.06)


def test_weights_that_are_all_alike_change_nothing_but_for_rounding() -> None:
    values = correlated(10, 500, r=0.3)
    values[::7, 2] = np.nan
    plain = of(BASELINE, values)
    for weight in (1e12, 0.1, 1e-12):
        scaled = of(BASELINE, values, np.full(500, weight))
        assert scaled["score"] == pytest.approx(plain["score"], rel=1e-9)
        assert scaled["changes"] == [pytest.approx(change, rel=1e-9) for change in plain["changes"]]


@pytest.mark.parametrize(("rows", "known"), [(199, False), (200, True)])
def test_too_few_rows_give_nothing(*, rows: int, known: bool) -> None:
    found = of(BASELINE, correlated(11, rows))
    assert (found["score"] is not None) == known
    assert all((value is not None) == known for value in (*found["bounds"], *found["changes"]))


def test_a_heavy_row_leaves_too_few_effective_ones() -> None:
    assert of(BASELINE, correlated(11, 500), np.r_[1e12, np.ones(499)])["score"] is None


def constant(values: Floats, *places: int) -> Floats:
    result = values.copy()
    result[:, list(places)] = 7.0
    return result


def test_a_feature_that_does_not_vary_in_the_reference_is_left_aside() -> None:
    known = built(constant(REFERENCE, 2)).moments
    assert known is not None
    assert [feature.name for feature in known.features] == ["n0", "n1", "n3"]
    for places in ((0, 1, 2), (0, 1, 2, 3)):
        baseline = built(constant(REFERENCE, *places))
        assert baseline.moments is None
        assert of(baseline, correlated(12, 300))["score"] is None
    assert built(np.where([True, True, False, False], REFERENCE, np.nan)).moments is not None


def test_a_window_that_does_not_vary_has_a_score_and_no_correlations() -> None:
    found = of(BASELINE, np.tile(REFERENCE[:1], (300, 1)))
    assert found["score"] is not None
    assert found["changes"] == [None] * 4


def test_features_that_determine_each_other_have_changes_and_no_score() -> None:
    values = REFERENCE[:, [0, 0]]
    baseline = built(values)
    assert baseline.moments is not None
    assert baseline.moments.error_variance is None
    found = of(baseline, correlated(13, 300)[:, [0, 0]])
    assert (found["score"], found["changes"]) == (None, [0.0, 0.0])
    broken = correlated(14, 300)[:, [0, 3]]
    assert of(baseline, broken)["changes"] == [pytest.approx(1, abs=0.15)] * 2


def test_of_more_features_than_the_most_the_first_by_name_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(BASELINE) is None
    monkeypatch.setattr(reference_moments, "MOST", 2)
    few = built(REFERENCE)
    assert few.moments is not None
    assert [feature.name for feature in few.moments.features] == ["n0", "n1"]
    assert told(few) == (
        "m: multivariate drift and changes of correlation look at 2 of 4 numeric features; n2 to n3 are left out"
    )
    assert of(few, correlated(15, 300))["changes"] == [0.0, 0.0, None, None]


HARD = {
    "mostly one value": np.where(np.random.default_rng(20).random(ROWS) < 0.995, 0.0, 1.0),
    "the largest numbers": 1.7e308 * np.linspace(-1, 1, ROWS),
    "the smallest numbers": np.linspace(0, 1e-310, ROWS),
    "far from nought": 1e12 + np.random.default_rng(21).normal(size=ROWS),
    "with infinities": np.where(np.arange(ROWS) % 5 == 0, np.inf, np.random.default_rng(22).normal(size=ROWS)),
}


@pytest.mark.parametrize("what", HARD)
def test_hard_references_give_finite_answers_and_no_drift_against_themselves(what: str) -> None:
    values = REFERENCE.copy()
    values[:, 2] = HARD[what]
    samples, _ = measured(MODEL, baseline := built(values), [])
    assert series(samples)["score"] is None
    window = values[::4] if what != "with infinities" else np.where(np.isinf(values[::4]), np.nan, values[::4])
    found = of(baseline, window)
    assert found["score"] == pytest.approx(0, abs=0.2)
    assert not any(found["changes"])


def test_a_baseline_comes_back_from_its_file() -> None:
    assert Baseline.from_json(BASELINE.to_json(), "b") == BASELINE
    assert BASELINE.moments is not None
    assert len(BASELINE.moments.spread) == 10
    assert min(BASELINE.moments.spread) >= 1


def test_windows_whose_rows_resemble_each_other_are_judged_by_how_the_references_own_windows_stray() -> None:
    rng, day = np.random.default_rng(30), 86_400

    def days(count: int) -> Floats:
        """Rows of some days, each of which lies about a place of its own."""
        places = rng.normal(0, 0.5, (count, 4))
        return (places[:, None, :] + rng.normal(0, 1, (count, 300, 4))).reshape(-1, 4)

    columns = {f"features.n{place}": pa.array(column.copy()) for place, column in enumerate(days(40).T)}
    table = pa.table(
        {"ts": pa.array(np.arange(40 * 300) * (day / 300)), "score": pa.array(np.full(12_000, 0.75))} | columns
    )
    baseline = build_baseline(MODEL, ReferenceData(table, "r", "d"), 0.0, (), (day,))
    usual, noisy = [], 0
    for _ in range(30):
        samples, _ = measured(MODEL, baseline, rows_of(days(1)))
        lower, upper = series(samples)["bounds"]
        noisy += not lower <= 0 <= upper
        usual.append(value_of(samples, names.PREDICTION_ANOMALY_SCORE, "1d", "multivariate_drift") or 0.0)
    assert noisy >= 6  # of 30: the bounds of independent rows are not for these
    assert max(usual) < 4
    samples, _ = measured(MODEL, baseline, rows_of(6 * days(1)))
    assert (value_of(samples, names.PREDICTION_ANOMALY_SCORE, "1d", "multivariate_drift") or 0.0) > 3.5
