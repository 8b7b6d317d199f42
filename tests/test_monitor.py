"""What is surely not meant is said where a person looks: a drift window that the baseline has no thresholds for."""

import logging
from pathlib import Path

import pytest

from exporter.baseline import Baseline
from exporter.service import Exporter
from exporter.spreads import FeatureSpread, Spreads
from tests.commands import Run
from tests.world import CONFIG, baselines, world

WEEKLY = CONFIG.replace("drift: {min_rows: 5}", "drift: {min_rows: 5, window: 7d}", 1)
WARNING = (
    "prediction-exporter.yml: models[0].drift.window: 7d, but the baseline learned its calibrated thresholds for 1d, "
    "so there are none; build the baseline again"
)


def with_thresholds(folder: Path, window: str = "1d") -> None:
    """Gives the baseline of churn a spread, as a reference of weeks would."""
    spread = FeatureSpread(degrees=9, rows=1e3, windows=28, freedom=20, strays=((1, 1, 1),), usual=((0, 0, 0),),
                           seen=(4,), season=0, aligned=1, overlapping=1)  # fmt: skip
    known = Spreads(window=window, cycle=1, features={"age": spread})
    baseline = Baseline.from_json(baselines()["churn"], "churn").model_copy(update={"spreads": known})
    (folder / "churn.json").write_text(baseline.to_json())


def test_check_config_says_that_a_changed_drift_window_has_no_thresholds(run: Run, tmp_path: Path) -> None:
    world(tmp_path, WEEKLY)
    with_thresholds(tmp_path)
    ended = run("check-config", "prediction-exporter.yml")
    assert (ended.status, ended.err) == (0, WARNING + "\n")
    with_thresholds(tmp_path, "7d")
    assert run("check-config", "prediction-exporter.yml").err == ""


def test_thresholds_that_never_were_are_not_missed(run: Run, tmp_path: Path) -> None:
    world(tmp_path, WEEKLY)
    assert run("check-config", "prediction-exporter.yml").err == ""


def test_the_exporter_logs_it_when_it_starts_and_when_it_reloads(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.service._RELOAD_SECONDS", 0.0)  # nobody works here
    path = world(tmp_path, WEEKLY)
    with_thresholds(tmp_path)
    exporter = Exporter(path)
    for _ in range(2):
        assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
            f"{tmp_path}/{WARNING}"
        ]
        caplog.clear()
        exporter.reload()
    exporter.stop()
