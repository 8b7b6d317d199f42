"""Drift against the same numbers from the raw rows, computed by other people's code."""

from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.spatial.distance import jensenshannon

from exporter import names
from exporter.measures.distribution import equal_groups
from tests.measures.raw import BASELINES, BINARY, MODEL, REFERENCE, effective, frame, shares_of
from tests.strategies import measured, value_of


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
