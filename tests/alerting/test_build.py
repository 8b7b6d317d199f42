"""The command line: what it writes, what it finds stale, and how it says so."""

import shutil
import sys
from pathlib import Path

import pytest

from alerting.build import NOTICE, generated
from alerting.cli import main

from .promtool import COMMITTED, ROOT

PRODUCTION = ROOT / "deploy/prediction-exporter.yml"
OUTPUTS = [
    (PRODUCTION, "alerting/generated"),
    (ROOT / "deploy/flights/prediction-exporter.yml", "deploy/flights/alerting"),
]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> "Run":
    return Run(monkeypatch, capsys)


class Run:
    """Runs the command as a person would: exit status, standard output, standard error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: str | Path) -> tuple[int, str, str]:
        self._monkeypatch.setattr(sys, "argv", ["prediction-alerting", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = self._capsys.readouterr()
        assert isinstance(left.value.code, int)
        return left.value.code, out, err


@pytest.mark.parametrize(("config", "folder"), OUTPUTS)
def test_the_committed_files_are_what_the_configuration_gives(run: Run, config: Path, folder: str) -> None:
    assert run("build", "--config", config, "--out", ROOT / folder, "--check") == (0, "", "")


def test_building_twice_gives_the_same_files_and_they_are_fresh(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    status, printed, _ = run("build", "--config", PRODUCTION, "--out", out)
    assert (status, printed.split()) == (0, [str(out / name) for name in generated(COMMITTED)])
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    run("build", "--config", PRODUCTION, "--out", out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first
    assert run("build", "--config", PRODUCTION, "--out", out, "--check")[0] == 0


@pytest.mark.parametrize("name", list(generated(COMMITTED)))
@pytest.mark.parametrize("change", ["edited", "missing"])
def test_a_stale_file_is_named_with_the_command_that_mends_it(run: Run, tmp_path: Path, name: str, change: str) -> None:
    shutil.copytree(ROOT / "alerting/generated", tmp_path, dirs_exist_ok=True)
    path = tmp_path / name
    if change == "edited":
        path.write_text(path.read_text() + "\n")
    else:
        path.unlink()
    status, printed, complaint = run("build", "--config", PRODUCTION, "--out", tmp_path, "--check")
    command = f"prediction-alerting build --config {PRODUCTION} --out {tmp_path}"
    assert (status, printed, complaint) == (1, "", f"{path}: stale; run `{command}`\n")
    assert path.exists() == (change == "edited")


@pytest.mark.parametrize("form", ["prometheusrule", "arm"])
def test_the_rules_alone_go_to_a_file_or_are_printed(run: Run, tmp_path: Path, form: str) -> None:
    path = tmp_path / "new" / "rules"
    command = ("build", "--config", PRODUCTION, "--format", form, "--out")
    assert run(*command, path) == (0, f"{path}\n", "")
    assert run(*command, "-") == (0, path.read_text(), "")
    assert run(*command, path, "--check") == (0, "", "")
    path.write_text("")
    mend = f"prediction-alerting build --config {PRODUCTION} --out {path} --format {form}"
    assert run(*command, path, "--check") == (1, "", f"{path}: stale; run `{mend}`\n")


@pytest.mark.parametrize("more", [("--format", "arm", "--check"), ()])
def test_what_cannot_be_printed_is_refused(run: Run, more: tuple[str, ...]) -> None:
    status, printed, complaint = run("build", "--config", PRODUCTION, "--out", "-", *more)
    assert (status, printed) == (2, "")
    assert "standard output takes one file" in complaint


def test_every_file_says_that_it_is_generated() -> None:
    for text in generated(COMMITTED).values():
        assert NOTICE in "".join(text.splitlines()[:2])


def test_every_problem_of_the_configuration_is_told(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bad.yml"
    path.write_text("log: [{path: logs/}]\nmodels: [{name: a, task: bin, baseline: a.json}]\nalertin: {}\n")
    status, printed, complaint = run("build", "--config", path, "--out", tmp_path / "out")
    assert (status, printed) == (2, "")
    assert f"{path}: models[0].task:" in complaint
    assert f"{path}: alertin: unknown key" in complaint
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments", [(), ("build",), ("built",), ("build", "--config", "a.yml", "--out", "b", "more")]
)
def test_wrong_usage_ends_with_status_2(run: Run, arguments: tuple[str, ...]) -> None:
    status, printed, complaint = run(*arguments)
    assert status == 2
    assert printed + complaint


def test_a_folder_that_cannot_be_made_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, _, complaint = run("build", "--config", PRODUCTION, "--out", tmp_path / "file")
    assert status == 1
    assert complaint.startswith(f"{tmp_path / 'file'}: ")
