"""What a baseline learns from time stamps: kept in its file, told in a line, left out where nothing can be known."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from exporter.baseline import Baseline
from exporter.config import Model
from exporter.errors import ConfigError
from exporter.profile.layout import Layout
from exporter.reference import ReferenceData, _predictions, build_baseline
from exporter.reference_spreads import MOST, _counts, _hours, cycle_of, out_of_reach, spreads_of, told
from exporter.spreads import FeatureSpread, Spreads
from exporter.stats.spread import Spread, spread
from exporter.stats.tolerance import threshold
from tests.strategies import model_of

MIDNIGHT = 1_700_006_400.0
HOURLY = 40


def table(days: float, seed: int = 1, **columns: Any) -> pa.Table:
    """A reference of a number `x`, a category `c` and a constant `k`, with `HOURLY` rows evenly in each hour."""
    rng, rows = np.random.default_rng(seed), round(days * 24 * HOURLY)
    facts = {
        "ts": MIDNIGHT + np.arange(rows) * 3_600 / HOURLY,
        "score": rng.random(rows),
        "features.x": rng.normal(size=rows),
        "features.c": pa.array(rng.choice(["a", "b"], rows).tolist()),
        "features.k": np.ones(rows),
    }
    return pa.table({**facts, **columns})


def baseline(model: Model, data: pa.Table) -> Baseline:
    return build_baseline(model, ReferenceData(data, "r.parquet", "d"), 0.0)


def learned(model: Model, data: pa.Table) -> Spreads:
    found = baseline(model, data).spreads
    assert found is not None
    return found


DAILY = model_of(drift={"window": "1d"})
MONTH = baseline(DAILY, table(30))


def test_the_file_gives_back_what_was_learned() -> None:
    loaded = Baseline.from_json(MONTH.to_json(), "b")
    assert loaded.spreads == MONTH.spreads
    assert loaded == MONTH


def test_six_digits_leave_a_threshold_where_it_was() -> None:
    counts = np.random.default_rng(2).multinomial(100, np.full(10, 0.1), size=30 * 24).astype(np.float64)
    fresh = spread(counts, 24, 7)
    assert isinstance(fresh, Spread)
    kept = FeatureSpread.model_validate_json(FeatureSpread.of(fresh).model_dump_json())
    assert threshold(kept.known, 1e-3, 2_000) == pytest.approx(threshold(fresh, 1e-3, 2_000), rel=1e-4)
    assert kept.known is kept.known


def test_spreads_leave_the_fingerprint_alone() -> None:
    weekly = baseline(model_of(drift={"window": "7d"}), table(30))
    assert weekly.spreads != MONTH.spreads
    assert weekly.fingerprint == MONTH.fingerprint == MONTH.model_copy(update={"spreads": None}).fingerprint


def test_a_file_from_before_there_were_spreads_is_read() -> None:
    old = MONTH.model_dump(mode="json", exclude={"spreads"})
    assert Baseline.model_validate(old).spreads is None
    assert Baseline.model_validate(old).fingerprint == MONTH.fingerprint


def test_spreads_whose_places_do_not_match_are_refused() -> None:
    text = MONTH.to_json()
    at = text.index('"seen":[')
    broken = f"{text[: at + 8]}1.0,{text[at + 8 :]}"
    with pytest.raises(ConfigError, match="not a usable baseline"):
        Baseline.from_json(broken, "b")


def test_a_feature_that_never_moves_has_no_spread_and_the_others_have() -> None:
    assert MONTH.spreads is not None
    assert MONTH.spreads.features.keys() == {"c", "x"}
    assert (MONTH.spreads.cycle, MONTH.spreads.why) == (7, "")
    x = MONTH.spreads.features["x"].known
    assert (x.degrees, float(x.seen.sum())) == (9, 30)
    assert x.rows == pytest.approx(24 * HOURLY)
    assert x.design_effect == pytest.approx(1, abs=0.3)


def test_what_was_learned_is_told_in_a_line() -> None:
    assert MONTH.spreads is not None
    line = told(DAILY, MONTH)
    assert line.startswith("calibrated drift thresholds for windows of 1d: 2 of 3 features")
    assert f"{MONTH.spreads.above} of 56 held-out windows above their 1-in-20 threshold, 3 expected" in line


@pytest.mark.parametrize(
    ("window", "data", "why"),
    [
        ("1d", table(13.9), "whole windows with rows, to see how they stray (13 of 14)"),
        ("7d", table(30), "whole windows with rows, to see how they stray (4 of 8)"),
        ("1d", table(30).drop_columns("ts"), "the reference has no time stamps (a column ts of differing times)"),
        ("90m", table(30), "the reference is counted by hour, and the window is no whole hours"),
    ],
    ids=["a short reference", "a long window", "no time stamps", "half an hour"],
)
def test_where_nothing_can_be_known_the_reason_is_kept_and_told(window: str, data: pa.Table, why: str) -> None:
    model = model_of(drift={"window": window})
    built = baseline(model, data)
    assert built.spreads is not None
    assert (built.spreads.features, built.spreads.why) == ({}, why)
    assert told(model, built) == f"no calibrated drift thresholds for windows of {window}: {why}"


def test_a_reference_just_long_enough_is_not_checked_and_says_so() -> None:
    built = baseline(DAILY, table(14))
    assert built.spreads is not None
    assert (len(built.spreads.features), built.spreads.held_out) == (2, 0)
    assert told(DAILY, built).endswith("; the reference is too short to check them on held-out parts")


def test_a_reference_that_drifts_is_found_out_by_its_held_out_parts() -> None:
    data = table(30)
    changed = (np.arange(data.num_rows) >= 21 * 24 * HOURLY) + data["features.x"].to_numpy()
    built = baseline(DAILY, table(30, **{"features.x": changed}))
    assert built.spreads is not None
    assert built.spreads.above >= 2 * built.spreads.expected
    assert told(DAILY, built).endswith("; the reference itself drifts, or strays by more than a normal law")


@pytest.mark.parametrize(("hours", "cycle"), [(1, 168), (6, 28), (24, 7), (48, 1), (168, 1), (720, 1)])
def test_a_season_is_a_week_of_windows_where_they_divide_it(hours: int, cycle: int) -> None:
    assert cycle_of(hours * 3_600) == cycle


@pytest.mark.parametrize(
    ("first", "length", "begin"),
    [(0, 86_400, 0), (3_599, 86_400, 0), (3_600, 86_400, 24), (5 * 3_600, 7_200, 6), (86_000, 7 * 86_400, 24)],
)
def test_windows_begin_with_the_utc_day_or_a_part_of_it(first: int, length: int, begin: int) -> None:
    ts = MIDNIGHT + np.array([first, 100 * 3_600.0])
    hours, count = _hours(ts, length)
    assert (hours[1], count) == (100 - begin, 101 - begin)
    assert hours[0] == (0 if begin * 3_600 <= first else -1 if begin > first // 3_600 else first // 3_600 - begin)


def test_a_stray_time_stamp_does_not_make_millions_of_hours() -> None:
    hours, count = _hours(np.array([0.0, MIDNIGHT, MIDNIGHT + 3_600]), 86_400)
    assert hours[0] == -1
    assert hours[2] - hours[1] == 1
    assert count <= MOST + 1


def test_hourly_counts_are_those_of_the_merged_cells_and_add_up_to_the_effective_rows() -> None:
    rng = np.random.default_rng(3)
    data = table(3)
    weight = rng.choice([1.0, 10.0], data.num_rows)
    missing = pa.array(np.where(rng.random(data.num_rows) < 0.2, np.nan, 1.0) * data["features.x"].to_numpy())
    data = data.append_column("weight", pa.array(weight)).set_column(2, "features.x", missing)
    built = baseline(DAILY, data)
    batch = _predictions(DAILY, ReferenceData(data, "r", "d"), ())
    hours, count = _hours(batch.ts, 86_400)
    x = next(feature for feature in built.features if feature.name == "x")
    counts = _counts(x, batch, hours, count)
    reference = Layout(built).slices["feature:x"]
    assert counts.shape == (72, 10)
    assert reference.stop - reference.start == x.cells
    present = ~np.isnan(missing.to_numpy())
    effective = weight.sum() ** 2 / (weight**2).sum()
    assert counts.sum() == pytest.approx(effective * weight[present].sum() / weight.sum())
    first = present & (hours == 0)
    assert counts[0].sum() / counts.sum() == pytest.approx(weight[first].sum() / weight[present].sum())


def test_a_window_of_weighted_rows_strays_as_its_effective_rows_do() -> None:
    weight = np.random.default_rng(4).choice([1.0, 20.0], round(30 * 24 * HOURLY))
    found = learned(DAILY, table(30, weight=weight))
    known = found.features["x"].known
    assert known.rows == pytest.approx(24 * HOURLY * weight.mean() ** 2 / (weight**2).mean(), rel=0.02)
    assert known.design_effect == pytest.approx(1, abs=0.3)


def test_extreme_weights_and_times_do_no_harm() -> None:
    data = table(20)
    rows = data.num_rows
    for changes in ({"weight": np.full(rows, 1e12)}, {"ts": np.full(rows, MIDNIGHT)}, {"ts": -np.arange(rows) * 90.0}):
        found = spreads_of(
            DAILY, MONTH.features, _predictions(DAILY, ReferenceData(table(20, **changes), "r", "d"), ())
        )
        assert bool(found.features) != bool(found.why)


def test_a_feature_that_is_another_every_day_is_named_since_nothing_would_be_unusual_for_it() -> None:
    rng = np.random.default_rng(5)
    data = table(30)
    daily = np.repeat(rng.normal(size=30) * 3, 24 * HOURLY) + data["features.x"].to_numpy()
    built = baseline(DAILY, table(30, **{"features.x": daily}))
    assert out_of_reach(DAILY, built) == ["x"]
    assert "no PSI is high enough for x, whose windows stray too much; lengthen the window" in told(DAILY, built)
    assert out_of_reach(DAILY, MONTH) == []


def test_a_baseline_without_spreads_has_no_thresholds_to_tell_of() -> None:
    old = MONTH.model_copy(update={"spreads": None})
    assert out_of_reach(DAILY, old) == []
    assert told(DAILY, old).endswith("the baseline was built without them")
