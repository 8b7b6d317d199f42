"""Estimated performance on the flights: it needs no outcomes, and does not see that scores lost their meaning."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter import names
from exporter.config import load_config
from exporter.demo.flights import DAY, MODEL_NAME, reference
from exporter.demo.workspace import DEPLOY
from exporter.evaluate import evaluate
from exporter.monitor import Monitor
from exporter.names import Family
from exporter.reference import ReferenceData, build_baseline

pytestmark = pytest.mark.thorough

JANUARY, MARCH = 1_357_016_400 + 31 * DAY, 1_357_016_400 + 59 * DAY  # where 31 and 59 days of New York's 2013 end

Values = dict[tuple[str, ...], float]


@pytest.fixture(scope="module")
def at_ends(scored: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Values]:
    """By the instant: what the shipped configuration makes of the flights up to then, over 28 days."""
    config = load_config(DEPLOY / "flights/prediction-exporter.yml")
    model = config.model(MODEL_NAME)
    data = ReferenceData(pa.Table.from_pandas(reference(scored), preserve_index=False), "january.parquet", "d")
    baseline = build_baseline(model, data, 0.0, windows=[DAY, 7 * DAY, 28 * DAY])
    columns = [*reference(scored).columns]
    answered = scored[scored["score"].notna() & (scored["ts"] < MARCH)]
    log = answered[columns].assign(kind="prediction", model=MODEL_NAME, version="v1")
    path = tmp_path_factory.mktemp("log") / "flights.parquet"
    pq.write_table(pa.Table.from_pandas(log, preserve_index=False), path)
    return {at: values(Monitor(config, {MODEL_NAME: baseline}), path, at) for at in (JANUARY, MARCH)}


def values(monitor: Monitor, path: Path, at: int) -> Values:
    snapshot = evaluate(monitor, [str(path)], at - 1.0, at).snapshot()
    assert snapshot.failures == ()
    return {(s.family.name, *s.labels[2:]): s.value for s in snapshot.samples if isinstance(s.value, float)}


def fall(at_ends: dict[int, Values], family: Family) -> float:
    return at_ends[JANUARY][family.name, "28d"] - at_ends[MARCH][family.name, "28d"]


def test_in_january_the_estimates_are_what_is_realised(at_ends: dict[int, Values]) -> None:
    found = at_ends[JANUARY]
    for estimated, realised in (
        (names.MODEL_ESTIMATED_AUC, names.MODEL_AUC),
        (names.MODEL_ESTIMATED_ACCURACY, names.MODEL_ACCURACY),
    ):
        assert found[estimated.name, "28d"] == pytest.approx(found[realised.name, "28d"], abs=0.01)
    assert found[names.CONCEPT_DRIFT_SCORE.name, "28d"] < 0.02


def test_in_february_estimated_auc_falls_less_than_the_realised_one(at_ends: dict[int, Values]) -> None:
    assert fall(at_ends, names.MODEL_AUC) > 0.15
    assert fall(at_ends, names.MODEL_ESTIMATED_AUC) < fall(at_ends, names.MODEL_AUC) / 2
    found = at_ends[MARCH]
    assert found[names.MODEL_AUC.name, "28d"] < found[names.MODEL_ESTIMATED_AUC_LOWER.name, "28d"]


def test_what_the_estimate_does_not_see_is_told_by_concept_drift(at_ends: dict[int, Values]) -> None:
    assert at_ends[MARCH][names.CONCEPT_DRIFT_SCORE.name, "28d"] > 0.05
    assert at_ends[MARCH][names.CONCEPT_DRIFT_PVALUE.name, "28d"] < 1e-6


def test_the_anomaly_of_a_day_and_a_week_is_known_and_that_of_28_days_is_not(at_ends: dict[int, Values]) -> None:
    name = names.PREDICTION_ANOMALY_SCORE.name
    windows = {key[1] for key in at_ends[JANUARY] if key[0] == name}
    assert windows == {"1d", "7d"}
    assert at_ends[JANUARY][name, "7d", "volume"] < 3
