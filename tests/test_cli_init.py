"""`init`: what it asks, what it guesses, and that what it writes is accepted once its baseline is built."""

import io
import shlex
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.cli.init import TaskName
from exporter.config import Task, load_config, parse_config
from exporter.first_config import first_config, guessed, to_yaml
from tests.commands import Ended, Run
from tests.world import _reference

OUT = "first.yml"


@pytest.fixture
def answer(run: Run, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `init` on the lines that a person types."""

    def answered(*lines: str, arguments: tuple[str, ...] = ()) -> Ended:
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        return run("init", "--out", OUT, *arguments)

    return answered


def reference(**columns: list[Any]) -> None:
    rows = len(next(iter(columns.values())))
    pq.write_table(pa.table({"features.age": list(range(rows)), **columns}), "data.parquet")


def test_the_tasks_to_choose_from_are_those_of_the_configuration() -> None:
    assert tuple(TaskName) == get_args(Task)


@pytest.mark.parametrize("model", ["churn", "price"])
def test_its_two_next_commands_run_and_the_configuration_is_fine(run: Run, model: str) -> None:
    pq.write_table(_reference(model).table, "january.parquet")
    ended = run("init", "--data", "january.parquet", "--model", model, "--out", f"new/{OUT}", "--yes")
    assert (ended.status, ended.err) == (0, "")
    written, *commands = ended.out.splitlines()
    assert written == f"new/{OUT}: written; next:"
    build, check = (shlex.split(command)[1:] for command in commands)
    assert run(*build).status == 0
    checked = run(*check)
    assert (checked.status, checked.err) == (0, "")
    assert checked.out.startswith(f"new/{OUT}: fine")


def test_questions_offer_what_the_data_tell(answer: Any) -> None:
    reference(model=["churn"] * 3, label=[1, 0, 1])
    ended = answer("data.parquet", "", "", "", "s3://logs/")
    assert ended.status == 0
    assert "Name of the model [churn]:" in ended.err
    config = load_config(Path(OUT))
    [model] = config.models
    assert (model.name, model.task, model.positive_label, config.log[0].path) == ("churn", "binary", "1", "s3://logs/")
    assert "--data data.parquet --out baselines/churn.json" in ended.out


def test_a_task_that_is_none_is_asked_for_again(answer: Any) -> None:
    ended = answer("", "price", "guessing", "regression", "")
    assert ended.status == 0
    assert "guessing" in ended.err
    assert "--data REFERENCE.parquet" in ended.out
    assert load_config(Path(OUT)).models[0].task == "regression"


def test_a_flag_is_not_asked_for(answer: Any) -> None:
    arguments = ("--model", "churn", "--task", "binary", "--positive-label", "yes", "--log", "logs")
    assert answer("", arguments=arguments).status == 0
    assert load_config(Path(OUT)).models[0].positive_label == "yes"


def test_questions_that_nobody_answers_write_nothing(answer: Any) -> None:
    assert answer("", "churn").status == 1
    assert not Path(OUT).exists()


def test_a_file_that_is_there_stays_as_it_is(answer: Any) -> None:
    Path(OUT).write_text("mine")
    ended = answer()
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == f"--out {OUT}: is there already, and may be edited; give another name, or remove it\n"
    assert Path(OUT).read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--yes",), "--model"),
        (("--yes", "--model", "churn"), "--task"),
        (("--data", "data.parquet", "--yes", "--model", "churn"), "--positive-label"),
        (("--data", "none.parquet", "--yes"), "none.parquet: cannot be read"),
        (("--yes", "--model", "m" * 129, "--task", "regression"), "models[0].name"),
        (("--yes", "--model", "m", "--task", "guessing"), "guessing"),
    ],
)
def test_what_is_not_known_without_questions_is_wrong_usage(run: Run, arguments: tuple[str, ...], message: str) -> None:
    reference(label=["yes", "no"])
    ended = run("init", "--out", OUT, *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert message in ended.err
    assert not Path(OUT).exists()


@pytest.mark.parametrize(
    ("columns", "task", "positive"),
    [
        ({"label": [True, False]}, "binary", "1"),
        ({"label": ["good", "bad"]}, "binary", None),
        ({"label": [1, 2, 3]}, "multiclass", "1"),
        ({"label": ["a", "b", "c"]}, "multiclass", None),
        ({"label": [0.5, 1.0, 2.5]}, "regression", "1"),
        ({"label": list(range(11))}, "regression", "1"),
        ({"label": [None, None], "prediction": [0.5, 2.5]}, "binary", None),
        ({"prediction": ["a", "b", "c"]}, "multiclass", None),
        ({"score": [0.5, 0.7]}, "binary", "1"),
        ({"probabilities": [{"a": 0.5, "b": 0.5}], "label": ["a"]}, "multiclass", None),
        ({"features.age": [1]}, None, "1"),
    ],
)
def test_a_task_is_guessed_from_labels(columns: dict[str, list[Any]], task: str | None, positive: str | None) -> None:
    guesses = guessed(pa.table(columns))
    assert (guesses.name, guesses.task, guesses.positive_label) == (None, task, positive)


def test_two_models_in_one_file_tell_no_name() -> None:
    assert guessed(pa.table({"model": ["a", "b"]})).name is None


@example(name="churn", task="binary", log="logs", label="0\x850")
@given(name=st.text(min_size=1, max_size=128), task=st.sampled_from(TaskName), log=st.text(min_size=1), label=st.text())
def test_what_is_written_reads_back_the_same(name: str, task: str, log: str, label: str) -> None:
    config = first_config(name, task, log, label, "the answers")
    assert parse_config(to_yaml(config)) == config
