"""The command line: what it prints, its exit status, and that a person's mistake ends in a sentence."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from exporter import measures, names
from tests.commands import Ended, Run
from tests.world import CONFIG, START, _reference, outcome, prediction, text, world

CONFIG_FILE = "prediction-exporter.yml"


def log() -> None:
    Path("logs/x.ndjson").write_bytes(
        text([*(prediction(number) for number in range(100)), *(outcome(number) for number in range(50))])
    )


def test_a_good_configuration_is_fine_and_its_series_are_forecast(run: Run) -> None:
    ended = run("check-config", CONFIG_FILE)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith(f"{CONFIG_FILE}: fine; about ")


def test_every_problem_of_a_configuration_is_told_at_once(run: Run) -> None:
    world(Path(), CONFIG.replace("task: binary", "task: guessing").replace("7d]", "7y]") + "colour: blue\n")
    ended = run("check-config", CONFIG_FILE)
    assert (ended.status, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 3
    assert f"{CONFIG_FILE}: models[0].task" in ended.err


def test_every_problem_of_the_baselines_is_told_at_once(run: Run) -> None:
    Path("churn.json").write_text("{}")
    Path("price.json").unlink()
    ended = run("check-config", CONFIG_FILE)
    assert ended.status == 2
    assert "models[0].baseline: churn.json: not a usable baseline" in ended.err
    assert "models[1].baseline: price.json: no such file or directory; build it with" in ended.err


def test_more_series_than_are_allowed_are_refused(run: Run) -> None:
    world(Path(), CONFIG.replace("{versions: 3}", "{series: 100}"))
    ended = run("check-config", CONFIG_FILE)
    assert ended.status == 2
    assert "limits.series: about " in ended.err


def test_the_schema_is_json(run: Run) -> None:
    ended = run("check-config", "--schema")
    assert ended.status == 0
    assert json.loads(ended.out)["title"] == "Config"


def test_without_a_file_the_usage_is_wrong(run: Run) -> None:
    ended = run("check-config")
    assert ended.status == 2
    assert "give the configuration file" in ended.err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: Path(CONFIG_FILE).unlink(), "No such file or directory; give the path"),
        (lambda: Path(CONFIG_FILE).write_text("models: [\n"), "not valid YAML"),
        (lambda: Path(CONFIG_FILE).write_bytes(b"\xff"), "not UTF-8 text"),
        (lambda: Path(CONFIG_FILE).write_text("- 1"), "expected a mapping"),
        (lambda: Path("churn.json").unlink(), "no such file or directory; build it with"),
        (lambda: Path("churn.json").write_bytes(b"\xff"), "not UTF-8 text"),
        (lambda: Path("churn.json").write_text("nonsense"), "not a usable baseline"),
        (lambda: Path("churn.json").write_text(Path("price.json").read_text()), "built for model 'price', not 'churn'"),
        (lambda: world(Path(), CONFIG.replace("task: binary", "task: multiclass")), "built for task binary"),
        (
            lambda: world(Path(), CONFIG.replace("task: binary", "task: binary, decision_threshold: 0.9")),
            "built with another positive_label, decision_threshold",
        ),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ("check-config", CONFIG_FILE),
        ("evaluate", "--config", CONFIG_FILE, "--log", "logs"),
        ("serve", "--config", CONFIG_FILE, "--web.listen-address", "127.0.0.1:0"),
    ],
    ids=lambda command: command[0],
)
def test_what_cannot_be_used_is_wrong_configuration_everywhere(
    run: Run, command: tuple[str, ...], change: Callable[[], object], message: str
) -> None:
    log()
    change()
    ended = run(*command)
    assert (ended.status, ended.out) == (2, "")
    assert message in ended.err


def test_evaluate_prints_openmetrics(run: Run) -> None:
    log()
    ended = run("evaluate", "--config", CONFIG_FILE, "--log", "logs")
    assert (ended.status, ended.err) == (0, "")
    families = {family.name: family for family in text_string_to_metric_families(ended.out)}  # type: ignore[no-untyped-call]  # the library leaves it untyped
    assert families[names.PREDICTIONS_LOGGED_TOTAL.name.removesuffix("_total")].samples[0].value == 100


def test_evaluate_prints_json(run: Run) -> None:
    log()
    ended = run("evaluate", "--config", CONFIG_FILE, "--log", "logs", "--format", "json")
    assert ended.status == 0
    [logged] = [row for row in json.loads(ended.out) if row["name"] == names.PREDICTIONS_LOGGED_TOTAL.name]
    assert logged == {
        "name": names.PREDICTIONS_LOGGED_TOTAL.name,
        "labels": {"model_name": "churn", "model_version": "v1"},
        "value": 100.0,
    }


@pytest.mark.parametrize(
    "instant", [str(START + 300), f"{START + 300:.3f}", "2023-11-15T00:05:00Z", "2023-11-15T01:05:00+01:00"]
)
def test_evaluate_takes_an_instant_in_seconds_or_rfc_3339(run: Run, instant: str) -> None:
    log()
    ended = run("evaluate", "--config", CONFIG_FILE, "--log", "logs/*.ndjson", "--at", instant)
    assert ended.status == 0
    assert f'{names.PREDICTIONS_LOGGED_TOTAL.name}{{model_name="churn",model_version="v1"}} 11.0' in ended.out


@pytest.mark.parametrize("instant", ["yesterday", "nan", "inf", "", "2023-13-01T00:00:00Z"])
def test_what_is_no_instant_is_wrong_usage(run: Run, instant: str) -> None:
    log()
    ended = run("evaluate", "--config", CONFIG_FILE, "--log", "logs", "--at", instant)
    assert (ended.status, ended.out) == (2, "")
    assert "is no time; give Unix seconds or RFC 3339" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [("evaluate",), ("evaluate", "--config", CONFIG_FILE), ("evaluate", "--format", "xml"), ("serve",), ("colour",),
     ("serve", "--config", CONFIG_FILE, "--log-level", "loud"),
     ("serve", "--config", CONFIG_FILE, "--web.listen-address", "nonsense")],
)  # fmt: skip
def test_wrong_usage_has_its_own_status(run: Run, arguments: tuple[str, ...]) -> None:
    ended = run(*arguments)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err


def test_a_log_without_records_fails(run: Run) -> None:
    ended = run("evaluate", "--config", CONFIG_FILE, "--log", "nowhere/*.ndjson")
    assert ended == Ended(1, "", "no file at nowhere/*.ndjson; give files, globs, directories or URLs that exist\n")
    Path("logs/x.ndjson").write_bytes(b"broken\n")
    assert run("evaluate", "--config", CONFIG_FILE, "--log", "logs").err == (
        "no usable record in logs; refused: 1 malformed\n"
    )


def test_a_statistic_that_fails_is_told_beside_the_others(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("no luck")

    monkeypatch.setitem(measures.MEASURES, "quality", broken)
    log()
    ended = run("evaluate", "--config", CONFIG_FILE, "--log", "logs")
    assert ended.status == 1
    assert ended.err == "churn: quality failed: ZeroDivisionError('no luck')\n"
    assert names.MODEL_ACCURACY.name in ended.out


def build(run: Run, **options: str) -> Ended:
    arguments = {"config": CONFIG_FILE, "model": "churn", "data": "january.parquet", "out": "out/churn.json"} | options
    return run("baseline", "build", *(word for name, value in arguments.items() for word in (f"--{name}", value)))


def test_a_baseline_is_built_whole(run: Run) -> None:
    pq.write_table(_reference("churn").table, "january.parquet")
    ended = build(run)
    assert (ended.status, ended.out) == (0, "")
    assert "no calibrated drift thresholds for windows of 1d: whole windows with rows" in ended.err
    assert "baseline" in ended.err
    built = json.loads(Path("out/churn.json").read_text())
    assert built["model"] == "churn"
    assert list(built["usual"]) == [
        "3600"
    ]  # of the configured windows, the day of data holds several of the hour alone
    assert [path.name for path in Path("out").iterdir()] == ["churn.json"]


def test_a_baseline_that_cannot_be_built_says_why(run: Run) -> None:
    assert "january.parquet: cannot be read" in build(run).err
    assert "no model called 'colour'; it has churn, price" in build(run, model="colour").err
    pq.write_table(_reference("churn").table, "january.parquet")
    Path("file").touch()
    ended = build(run, out="file/churn.json")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err == "--out file/churn.json: File exists; give a file that can be written\n"
    Path("folder").mkdir()
    assert build(run, out="folder").err == "--out folder: Is a directory; give a file that can be written\n"
    assert not list(Path().glob(".folder*"))


def test_a_port_in_use_ends_serving_before_it_begins(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("serve", "--config", CONFIG_FILE, "--web.listen-address", f"127.0.0.1:{port}")
    assert ended.status == 1
    assert "Address already in use" in ended.err
    assert "choose another address" in ended.err


def test_a_state_that_cannot_be_used_ends_serving_before_it_begins(run: Run) -> None:
    Path("state").touch()
    ended = run("serve", "--config", CONFIG_FILE, "--web.listen-address", "127.0.0.1:0")
    assert ended.status == 2
    assert "state/state.duckdb: cannot be used" in ended.err


def test_who_reads_only_the_beginning_gets_no_traceback(tmp_path: Path, run: Run) -> None:
    del run  # it made the world
    log()
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", "from exporter.cli import main; main()", "evaluate", "--config", CONFIG_FILE]
    ended = subprocess.run(
        [*command, "--log", "logs"], cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, "")
