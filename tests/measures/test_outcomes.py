"""Outcomes: how many came, how late, and how many are still to come."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import names
from exporter.measures.outcomes import maturity_ratio, measure_outcomes
from exporter.names import DELAY_BOUNDS
from exporter.stats.result import NotEnoughData
from tests.measures.raw import MODEL
from tests.strategies import Counting, baseline_of, measured, prediction, scope_of, value_of

DELAYS = st.lists(st.integers(0, 50), min_size=len(DELAY_BOUNDS) + 1, max_size=len(DELAY_BOUNDS) + 1)
ages = st.floats(0, 90 * 86_400.0)


@given(DELAYS, ages, st.floats(60, 30 * 86_400.0))
def test_maturity_is_the_mean_share_of_labels_that_have_come(counts: list[int], young: float, length: float) -> None:
    delays = np.array(counts, dtype=np.float64)
    ratio = maturity_ratio(delays, young, young + length)
    if isinstance(ratio, NotEnoughData):
        assert not delays.sum()
        return
    at = np.linspace(young, young + length, 20_001)
    come = np.interp(at, [0.0, *DELAY_BOUNDS], [0.0, *np.cumsum(delays[:-1])]) / delays.sum()
    assert ratio == pytest.approx(come.mean(), abs=2e-3)
    assert 0 <= ratio <= 1
    older = maturity_ratio(delays, young + 3_600, young + length + 3_600)
    assert not isinstance(older, NotEnoughData)
    assert older >= ratio - 1e-9


def test_coverage_by_age_is_of_each_age_and_failures_wait_for_no_outcome() -> None:
    rows = [prediction(label=1), prediction(), prediction(error="oom", score=None)]
    baseline = baseline_of()
    profile = Counting.of(MODEL, baseline).of_rows(rows)
    samples = list(measure_outcomes(replace(scope_of(MODEL, baseline, profile), aged={"1h": profile})))
    assert value_of(samples, names.MODEL_OUTCOME_COVERAGE_RATIO) == 0.5
    [aged] = [sample for sample in samples if sample.family is names.MODEL_OUTCOME_COVERAGE_BY_AGE_RATIO]
    assert (aged.labels[-1], aged.value) == ("1h", 0.5)


def test_labels_that_came_with_their_predictions_have_no_delay_to_learn_from() -> None:
    samples, _ = measured(MODEL, baseline_of(), [prediction(label=1)])
    assert value_of(samples, names.LABELLED_PREDICTIONS_TOTAL) == 1
    assert value_of(samples, names.CORRECTED_OUTCOMES_TOTAL) == 0
    assert value_of(samples, names.MODEL_OUTCOME_MATURITY_RATIO) is None
