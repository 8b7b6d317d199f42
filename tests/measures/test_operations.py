"""Operations and cost against the same numbers from the raw rows, computed by other people's code."""

import pytest

from exporter import names
from exporter.config import Costs
from exporter.names import LATENCY_BOUNDS
from tests.measures.raw import MODEL
from tests.strategies import baseline_of, measured, prediction, value_of


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
