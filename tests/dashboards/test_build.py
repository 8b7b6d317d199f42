"""The command line and its files: fresh, deterministic, and clear about what is wrong."""

import json
import sys
from pathlib import Path

import pytest

from dashboards.build import dashboard_files
from dashboards.cli import main
from exporter.config import load_config

from .configs import FLIGHTS, GENERATED, OF_FLIGHTS, PRODUCTION, UIDS, configs


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    """The command's exit status."""
    monkeypatch.setattr(sys, "argv", ["prediction-dashboards", "build", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    assert isinstance(left.value.code, int)
    return left.value.code


committed = pytest.mark.parametrize(("config", "folder"), [(PRODUCTION, GENERATED), (FLIGHTS, OF_FLIGHTS)])


@committed
def test_the_committed_dashboards_are_fresh(monkeypatch: pytest.MonkeyPatch, config: Path, folder: Path) -> None:
    assert run(monkeypatch, "--config", config, "--out", folder, "--check") == 0


@committed
def test_nothing_else_lies_beside_the_committed_dashboards(config: Path, folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == set(dashboard_files(load_config(config)))


def test_building_twice_writes_the_same_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written = []
    for folder in (tmp_path / "one", tmp_path / "deep/two"):
        assert run(monkeypatch, "--config", PRODUCTION, "--out", folder) == 0
        written.append((folder / "prediction-model.json").read_bytes())
    assert written[0] == written[1]


def test_a_file_is_sorted_json_that_ends_in_a_newline() -> None:
    for text in dashboard_files(configs()["production"]).values():
        assert text == json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def test_a_file_is_of_grafana_s_current_schema() -> None:
    files = dashboard_files(configs()["flights"])
    assert list(files) == [f"{uid}.json" for uid in UIDS]
    for name, text in files.items():
        dashboard = json.loads(text)
        assert (dashboard["schemaVersion"], f"{dashboard['uid']}.json") == (42, name)
        assert not {"__inputs", "rows", "style", "hideControls", "sharedCrosshair", "gnetId"} & set(dashboard)


def test_a_stale_file_fails_the_check_and_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prediction-model.json").write_text("{}\n")
    assert run(monkeypatch, "--config", PRODUCTION, "--out", tmp_path, "--check") == 1
    told = capsys.readouterr().err
    assert f"{tmp_path / 'prediction-model.json'}: differs from the configuration" in told
    assert "without --check" in told
    assert (tmp_path / "prediction-model.json").read_text() == "{}\n"


def test_a_missing_file_fails_the_check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run(monkeypatch, "--config", PRODUCTION, "--out", tmp_path, "--check") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_bad_configuration_is_refused_with_its_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text(PRODUCTION.read_text() + "dashbord: {}\n")
    assert run(monkeypatch, "--config", bad, "--out", tmp_path / "out") == 2
    assert f"{bad}: dashbord: unknown key" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_missing_option_is_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch) == 2


def test_a_folder_that_cannot_be_made_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert run(monkeypatch, "--config", PRODUCTION, "--out", tmp_path / "file" / "out") == 1
    assert f"{tmp_path / 'file' / 'out'}: Not a directory; choose a folder" in capsys.readouterr().err
