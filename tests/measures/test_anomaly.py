"""Usual ranges and anomaly scores against pandas and scipy on the raw rows."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats as scipy_stats

from exporter import names, reference
from exporter.baseline import Baseline, UsualRange
from exporter.config import Model
from exporter.measures import Sample
from exporter.profile.scorebins import score_codes, score_mids
from exporter.reference import ReferenceData, build_baseline
from tests.measures.raw import frame
from tests.strategies import Row, measured, model_of, prediction, value_of

DAY = 86_400
START = 1_356_998_400 + 137.0  # in the middle of a bucket
DAYS = 20
SIGNALS = ("confidence", "entropy", "low_confidence", "repeated_inputs", "volume")
MODEL = model_of()


def traffic(seed: int, days: int = DAYS, a: float = 2.0, rows: int = 150, **fields: Any) -> list[Row]:
    """Scored rows over whole days, each with a number of rows and a sharpness of its own."""
    rng = np.random.default_rng(seed)
    made = []
    for day in range(days):
        count, sharp = int(rng.poisson(rows)), a * rng.uniform(0.9, 1.1)
        offsets = np.concatenate(([0.0], np.sort(rng.uniform(0, DAY - 600, count - 1))))
        for offset, score in zip(offsets.tolist(), rng.beta(sharp, sharp, count).tolist(), strict=True):
            said = int(score >= 0.5)
            made.append(prediction(START + day * DAY + offset, score=score, prediction=said, label=said, **fields))
    made.append(prediction(START + days * DAY - 400, score=0.5, prediction=1, label=1, **fields))
    return made


def known(rows: list[Row], windows: tuple[int, ...] = (DAY,), model: Model = MODEL) -> Baseline:
    return build_baseline(model, ReferenceData(pa.Table.from_pylist(rows), "r.parquet", "d"), 0.0, (), windows)


REFERENCE = traffic(1)
BASELINE = known(REFERENCE)


def by_window(rows: list[Row], length: int = DAY) -> pd.DataFrame:
    """Each signal of each complete window, by pandas."""
    table = frame(rows)
    start = START // 300 * 300
    table["window"] = ((table["ts"] - start) // length).astype(int)
    mid = score_mids()[score_codes(table["score"].to_numpy())]
    counts = np.array(BASELINE.counts["output"]).reshape(2, -1).sum(axis=0)[:-1]
    before = np.concatenate(([0], np.cumsum(counts)[:-1])) / counts.sum()
    tenths = np.searchsorted(before, np.arange(10) / 10 - 1e-12)
    table["group"] = np.searchsorted(tenths, score_codes(table["score"].to_numpy()), side="right")
    table["confidence"] = np.maximum(mid, 1 - mid) * table["weight"]
    table["unsure"] = (np.maximum(table["score"], 1 - table["score"]) < MODEL.low_confidence) * table["weight"]
    sums = table.groupby("window")[["weight", "confidence", "unsure"]].sum()
    shares = table.pivot_table(index="window", columns="group", values="weight", aggfunc="sum").fillna(0)
    return pd.DataFrame({
        "volume": sums["weight"],
        "confidence": sums["confidence"] / sums["weight"],
        "low_confidence": sums["unsure"] / sums["weight"],
        "repeated_inputs": np.sqrt(1 - 1 / sums["weight"]),  # all inputs are one, and a row does not repeat itself
        "entropy": shares.apply(lambda row: scipy_stats.entropy(row, base=2), axis=1),
    })  # fmt: skip


def test_usual_ranges_are_means_and_deviations_over_days() -> None:
    days = by_window(REFERENCE)
    assert sorted(BASELINE.usual[DAY]) == list(SIGNALS)
    for signal, usual in BASELINE.usual[DAY].items():
        assert usual.windows == len(days) == DAYS
        assert usual.mean == pytest.approx(days[signal].mean()), signal
        assert usual.deviation == pytest.approx(days[signal].std()), signal


def scores(samples: list[Sample], window: str = "1d") -> dict[str, float]:
    found = {signal: value_of(samples, names.PREDICTION_ANOMALY_SCORE, window, signal) for signal in SIGNALS}
    return {signal: value for signal, value in found.items() if value is not None}


def test_a_score_is_the_normal_deviation_as_rare_as_students() -> None:
    rows = traffic(2, days=1, rows=260)
    samples, _ = measured(MODEL, BASELINE, rows)
    day = by_window(rows).iloc[0]
    for signal in ("volume", "confidence"):
        usual = BASELINE.usual[DAY][signal]
        width = usual.deviation * np.sqrt(1 + 1 / usual.windows)
        t = abs(day[signal] - usual.mean) / width
        rarity = scipy_stats.t.sf(t, usual.windows - 1)
        # The window's own noise may be wider than what the reference varied by, and then counts instead.
        assert scores(samples)[signal] <= scipy_stats.norm.isf(rarity) + 1e-9
    usual, noise = BASELINE.usual[DAY]["volume"], np.sqrt(len(rows))
    t = (len(rows) - usual.mean) / (max(usual.deviation, noise) * np.sqrt(1 + 1 / usual.windows))
    assert scores(samples)["volume"] == pytest.approx(scipy_stats.norm.isf(scipy_stats.t.sf(t, usual.windows - 1)))


def test_a_usual_day_is_usual_in_every_signal() -> None:
    usual = [scores(measured(MODEL, BASELINE, traffic(seed, days=1))[0]) for seed in range(10, 20)]
    assert all(sorted(day) == list(SIGNALS) for day in usual)
    assert np.mean([value > 2 for day in usual for value in day.values()]) < 0.15
    assert max(value for day in usual for value in day.values()) < 4


ODD = {
    "lost callers": (traffic(3, days=1, rows=30), {"volume"}),
    "one answer to everything": ([{**row, "score": 0.97} for row in traffic(4, days=1)], {"confidence", "entropy"}),
    "doubt": (traffic(5, days=1, a=40.0), {"confidence", "low_confidence", "entropy"}),
}


@pytest.mark.parametrize("what", ODD)
def test_an_odd_day_is_far_in_the_signals_that_it_touches(what: str) -> None:
    rows, touched = ODD[what]
    found = scores(measured(MODEL, BASELINE, rows)[0])
    assert {signal for signal, value in found.items() if value > 4} >= touched


def test_a_window_without_rows_is_far_in_volume_and_says_nothing_else() -> None:
    found = scores(measured(MODEL, BASELINE, [])[0])
    assert list(found) == ["volume"]
    assert found["volume"] > 4


def test_weights_count_as_the_predictions_that_they_stand_for() -> None:
    tenfold = known([{**row, "weight": 10.0} for row in REFERENCE])
    for signal, usual in BASELINE.usual[DAY].items():
        factor = 10 if signal == "volume" else 1
        assert tenfold.usual[DAY][signal].mean == pytest.approx(factor * usual.mean)
        assert tenfold.usual[DAY][signal].deviation == pytest.approx(factor * usual.deviation)


@pytest.mark.parametrize(("length", "windows"), [(3_600, DAYS * 24), (2 * DAY, DAYS // 2), (7 * DAY, 2)])
def test_windows_are_disjoint_and_complete(length: int, windows: int) -> None:
    assert known(REFERENCE, (length,)).usual[length]["volume"].windows == windows
    hours = by_window(REFERENCE, length).iloc[:windows]
    assert known(REFERENCE, (length,)).usual[length]["volume"].mean == pytest.approx(hours["volume"].sum() / windows)


def test_an_hour_without_rows_has_no_volume_and_no_confidence() -> None:
    rows = [row for row in REFERENCE if (row["ts"] - START) % DAY < DAY / 2]
    usual = known(rows, (3_600,)).usual[3_600]
    assert usual["confidence"].windows < 0.6 * usual["volume"].windows
    assert usual["volume"].deviation > 0.9 * usual["volume"].mean


def test_of_very_many_windows_evenly_spread_ones_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    every = known(REFERENCE, (3_600,)).usual[3_600]
    monkeypatch.setattr(reference, "MOST_WINDOWS", 100)
    some = known(REFERENCE, (3_600,)).usual[3_600]
    assert some["volume"].windows == 100
    assert some["volume"].mean == pytest.approx(every["volume"].mean, rel=0.15)


def test_a_reference_of_one_window_or_without_times_knows_no_range() -> None:
    assert known(REFERENCE, (DAYS * DAY, 30 * DAY)).usual == {}
    timeless = [{name: value for name, value in row.items() if name != "ts"} for row in REFERENCE]
    assert known(timeless).usual == {}
    assert scores(measured(MODEL, known(timeless), REFERENCE[:100])[0]) == {}


def test_a_window_of_another_length_has_no_score() -> None:
    assert scores(measured(MODEL, known(REFERENCE, (3_600,)), REFERENCE[:100])[0]) == {}


@pytest.mark.parametrize(("task", "signals"), [
    ("multiclass", list(SIGNALS)), ("regression", ["entropy", "repeated_inputs", "volume"]),
])  # fmt: skip
def test_other_tasks_have_the_signals_that_they_can_tell(task: str, signals: list[str]) -> None:
    model = model_of(task)
    rows = traffic(6)
    for row in rows:
        score = row.pop("score")
        sides = {"a": score, "b": 1 - score}
        row |= {"prediction": max(sides, key=sides.__getitem__), "label": "a", "probabilities": sides}
        if task == "regression":
            row |= {"prediction": score, "label": score}
            del row["probabilities"]
    baseline = known(rows, model=model)
    assert sorted(baseline.usual[DAY]) == signals
    today = [row for row in rows if row["ts"] < START + DAY]
    assert sorted(scores(measured(model, baseline, today)[0])) == signals


def test_ranges_come_back_from_the_file_and_leave_the_fingerprint_alone() -> None:
    again = Baseline.from_json(BASELINE.to_json(), "b")
    assert again == BASELINE
    assert isinstance(again.usual[DAY]["volume"], UsualRange)
    assert known(REFERENCE, ()).fingerprint == BASELINE.fingerprint


def test_a_baseline_of_before_there_were_ranges_is_read_and_gives_no_score() -> None:
    content = json.loads(BASELINE.to_json())
    del content["usual"]
    old = Baseline.from_json(json.dumps(content), "b")
    assert old.fingerprint == BASELINE.fingerprint
    assert scores(measured(MODEL, old, REFERENCE[:100])[0]) == {}
