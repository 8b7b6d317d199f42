"""Reloading: a good configuration is taken over whole, a bad one leaves the old one in force."""

import json
import os
from pathlib import Path

import pytest

from exporter import names, service
from exporter.errors import ConfigError
from exporter.service import Exporter
from tests.exporters import Make, predictions, series, some, step, wait_until, write
from tests.world import CONFIG, other_baseline, world


@pytest.fixture
def running(tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> Exporter:
    monkeypatch.setattr(service, "POLL_SECONDS", 0.01)
    write(tmp_path, some(0, 10))
    exporter = make()
    exporter.start()
    wait_until(lambda: exporter.ready() and predictions(exporter) == 10)
    return exporter


def reloaded(exporter: Exporter) -> float:
    return series(exporter)[names.CONFIG_LAST_RELOAD_SUCCESSFUL.name,]


def test_a_good_file_is_taken_over(tmp_path: Path, running: Exporter) -> None:
    world(tmp_path, CONFIG.replace("[1h, 1d, 7d]", "[1h, 1d, 14d]"))
    assert running.reload() == ()
    wait_until(lambda: (names.PREDICTIONS_IN_WINDOW.name, "churn", "v1", "14d") in series(running))
    assert predictions(running) == 10
    write(tmp_path, some(10, 15))
    wait_until(lambda: predictions(running) == 15)


def test_a_bad_file_leaves_the_old_one_in_force(tmp_path: Path, running: Exporter) -> None:
    world(tmp_path, CONFIG.replace("task: binary", "task: guessing") + "colour: blue\n")
    problems = running.reload()
    assert len(problems) == 2
    assert any("colour: unknown key" in problem for problem in problems)
    wait_until(lambda: reloaded(running) == 0)
    write(tmp_path, some(10, 15))
    wait_until(lambda: predictions(running) == 15)
    world(tmp_path)
    assert running.reload() == ()
    wait_until(lambda: reloaded(running) == 1)


def test_a_state_that_cannot_be_used_leaves_the_old_one_in_force(tmp_path: Path, running: Exporter) -> None:
    (tmp_path / "file").touch()
    world(tmp_path, CONFIG.replace("state: state", "state: file/state"))
    [problem] = running.reload()
    assert "cannot be used" in problem
    wait_until(lambda: reloaded(running) == 0)
    write(tmp_path, some(10, 15))
    wait_until(lambda: predictions(running) == 15)
    assert running.alive()


def test_another_baseline_starts_the_windows_of_its_model_anew(tmp_path: Path, running: Exporter) -> None:
    (tmp_path / "churn.json").write_text(other_baseline())
    assert running.reload() == ()
    wait_until(lambda: (names.PREDICTIONS_LOGGED_TOTAL.name, "churn", "v1") not in series(running))
    write(tmp_path, some(10, 15))
    wait_until(lambda: series(running).get((names.PREDICTIONS_LOGGED_TOTAL.name, "churn", "v1")) == 5)
    assert predictions(running) == 15


def test_a_file_rotated_away_during_a_reload_is_read_to_its_end(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, some(0, 10))
    exporter = make()
    step(exporter)
    write(tmp_path, some(10, 15))
    path.rename(tmp_path / "rotated-away")
    monkeypatch.setattr(exporter, "_asked", service._Reload(exporter._monitor))
    exporter._swap_if_asked()
    step(exporter)
    assert predictions(exporter) == 15


def test_a_busy_exporter_says_so_and_takes_no_late_configuration(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_RELOAD_SECONDS", 0.01)
    exporter = make()  # nobody works
    assert exporter.reload() == ["the exporter was busy for 0.01 s; try again"]
    before = exporter._store
    exporter._swap_if_asked()
    assert exporter._store is before


def test_a_configuration_that_cannot_be_used_at_the_start_is_refused(tmp_path: Path) -> None:
    path = world(tmp_path)
    os.truncate(tmp_path / "price.json", 10)
    with pytest.raises(ConfigError, match=r"models\[1\]\.baseline: .*price\.json: not a usable baseline"):
        Exporter(path)


def test_a_baseline_that_only_learned_how_windows_stray_keeps_them_and_adds_thresholds(
    tmp_path: Path, running: Exporter
) -> None:
    threshold = (names.FEATURE_DRIFT_THRESHOLD.name, "age", "psi", "churn", "v1", "1d")
    assert threshold not in series(running)
    places = {"strays": [[0.02, 5e-5, 1e-7]], "usual": [[0, 0, 0]], "seen": [30], "season": 0, "aligned": 1}
    age = {"degrees": 9, "rows": 500, "windows": 29, "freedom": 29, "overlapping": 40, **places}
    content = json.loads((tmp_path / "churn.json").read_text())
    content["spreads"] = {"window": "1d", "cycle": 1, "features": {"age": age}}
    (tmp_path / "churn.json").write_text(json.dumps(content))
    assert running.reload() == ()
    wait_until(lambda: threshold in series(running))
    assert predictions(running) == 10
