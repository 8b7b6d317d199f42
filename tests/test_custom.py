"""A user's own statistics: the documented example at work, what is refused at the start, none that hides another."""

import itertools
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter import cli, custom, names
from exporter.collector import cut, render
from exporter.config import load_config
from exporter.custom import MOST_SERIES, Made, Statistic, Window, load_statistics, statistic
from exporter.errors import ConfigError
from exporter.evaluate import evaluate
from exporter.forecast import forecast_series
from exporter.history.backfill import snapshots
from exporter.history.replay import Grid
from exporter.measures import MEASURES, Sample
from exporter.monitor import Monitor
from exporter.service import Exporter
from exporter.snapshot import take_snapshot
from exporter.stats.result import NotEnoughData
from tests.exporters import series, step, write
from tests.strategies import binary_rows, built, measured, model_of, value_of
from tests.test_evaluate import LATEST
from tests.world import CONFIG, START, outcome, prediction, text, world

MODEL = model_of()
BASELINE = built(MODEL, binary_rows(1, 400))
SCOPE = measured(MODEL, BASELINE, binary_rows(2, 300, shift=0.5))[1]
EXAMPLE = textwrap.dedent(str(custom.__doc__).partition("\n\n")[2].partition("\n\nSaved as")[0])
Module = Callable[[str], str]
numbered = itertools.count()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Module]:
    """Saves a module in a folder on Python's path; its name, which no other test has."""
    folder = tmp_path / "python"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    made = []

    def save(source: str) -> str:
        made.append(f"measures_{next(numbered)}")
        (folder / f"{made[-1]}.py").write_text(source)
        return made[-1]

    yield save
    for name in made:
        sys.modules.pop(name, None)


def configured(folder: Path, *paths: str) -> Path:
    return world(folder, CONFIG.replace("state: state", f"state: state\nstatistics: [{', '.join(paths)}]"))


def monitored(folder: Path, *paths: str) -> Monitor:
    path = configured(folder, *paths)
    return Monitor.load(load_config(path), str(path))


def log(folder: Path) -> None:
    write(folder, text([*(prediction(n) for n in range(100)), *(outcome(n) for n in range(50))]))


def test_the_documented_example_has_at_most_ten_lines() -> None:
    assert 0 < len([line for line in EXAMPLE.splitlines() if line]) <= 10


def test_evaluate_prints_the_documented_example(
    tmp_path: Path, module: Module, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = configured(tmp_path, f"{module(EXAMPLE)}:mode_share")
    log(tmp_path)
    arguments = ["evaluate", "--config", str(path), "--log", str(tmp_path / "logs")]
    monkeypatch.setattr(sys, "argv", ["prediction-exporter", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("feature_mode_share_change{")]
    assert len(lines) == 3 * 2  # windows and features
    assert 'feature="colour",model_name="churn",model_version="v1",window="1d"' in " ".join(lines)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_to_say_about_the_documented_example(tmp_path: Path, module: Module) -> None:
    monitor = monitored(tmp_path, f"{module(EXAMPLE)}:mode_share")
    log(tmp_path)
    exposition, _ = render(evaluate(monitor, [str(tmp_path / "logs")], None, LATEST).snapshot().samples)
    assert b"# HELP feature_mode_share_change Change of the share of its fullest bin. Recomputed" in exposition
    checked = subprocess.run(["promtool", "check", "metrics"], input=exposition, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_backfill_writes_it(tmp_path: Path, module: Module) -> None:
    monitor = monitored(tmp_path, f"{module(EXAMPLE)}:mode_share")
    log(tmp_path)
    grid = Grid.of(monitor, START + 86_400, START + 86_400, 86_400)
    [snapshot] = snapshots(monitor, [str(tmp_path / "logs")], grid, LATEST)
    assert "feature_mode_share_change" in {sample.family.name for sample in snapshot.samples}


def test_serving_exports_it_and_a_reload_takes_it_up(tmp_path: Path, module: Module) -> None:
    exporter = Exporter(world(tmp_path))
    log(tmp_path)
    step(exporter)
    assert ("feature_mode_share_change", "age", "churn", "v1", "1d") not in series(exporter)
    configured(tmp_path, f"{module(EXAMPLE)}:mode_share")
    exporter.start()
    assert exporter.reload() == ()
    exporter.stop()
    exporter._open(exporter._monitor)
    step(exporter)
    assert ("feature_mode_share_change", "age", "churn", "v1", "1d") in series(exporter)
    assert series(exporter)[names.STATISTIC_SUCCESS.name, "churn", "feature_mode_share_change"] == 1
    exporter.stop()


def made(*found: Made, labels: tuple[str, ...] = (), most: int | None = None) -> Statistic:
    """A statistic that makes the same of every window."""

    def compute(_: Window) -> Iterable[Made]:
        return found

    return statistic("mine", help="Mine.", labels=labels, series=most)(compute)


def samples_of(one: Statistic) -> list[tuple[Any, ...]]:
    return [(*sample.labels, sample.value) for sample in one.measure(SCOPE)]


def test_numbers_and_labels_become_series() -> None:
    assert samples_of(made(0.5)) == [("m", "v", "1d", 0.5)]
    assert samples_of(made(np.float64(1), NotEnoughData(0, 1, "none"))) == [("m", "v", "1d", 1.0)]
    assert samples_of(made((1, "a"), (2.0, "b"), (NotEnoughData(0, 1, "none"), "c"), labels=("kind",))) == [
        ("m", "v", "1d", "a", 1.0), ("m", "v", "1d", "b", 2.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (made(float("nan")), "mine: nan is no finite number; yield nothing where there is none"),
        (made("0.5"), "mine: '0.5' is no finite number"),  # type: ignore[arg-type]  # what users do
        (made((0.5, "a")), r"mine: \('a',\) are not the labels \(\); yield value, label, ..."),
        (made(0.5, labels=("kind",)), r"mine: \(\) are not the labels \('kind',\)"),
        (made((0.5, 1.0), labels=("kind",)), r"mine: \(1.0,\) are not the labels"),
        (made((0.5, "a"), (0.6, "a"), labels=("kind",)), r"mine: the labels \('a',\) twice in one window"),
        (made(0.5, 0.6), r"mine: the labels \(\) twice in one window"),
        (made((0.5, "a"), (0.6, "b"), labels=("kind",), most=1), "mine: more than 1 series in one window"),
    ],
)
def test_what_cannot_be_exported_is_a_failure_of_the_statistic_alone(one: Statistic, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        samples_of(one)
    both = {"mine": one.measure, "performance": MEASURES["performance"]}
    taken = take_snapshot([SCOPE], 0.0, lambda: 0.0, both)
    assert value_of(taken.samples, names.STATISTIC_SUCCESS, "m", "mine") == 0
    assert value_of(taken.samples, names.STATISTIC_SUCCESS, "m", "performance") == 1
    assert not [sample for sample in taken.samples if sample.family.name == "mine"]
    assert render(taken.samples)


def test_one_that_never_ends_is_stopped_at_its_number_of_series() -> None:
    def endless(_: Window) -> Iterator[Made]:
        for number in itertools.count():
            yield 1.0, str(number)

    with pytest.raises(ValueError, match=f"more than {MOST_SERIES} series"):
        list(statistic("mine", help="Mine.", labels=("kind",))(endless).measure(SCOPE))


def test_one_that_raises_is_counted_and_hides_nothing(tmp_path: Path, module: Module) -> None:
    raising = module(EXAMPLE.replace("window.features", "window.nothing"))
    fine = module(EXAMPLE.replace("feature_mode_share_change", "feature_fine_ratio"))
    monitor = monitored(tmp_path, f"{raising}:mode_share", f"{fine}:mode_share")
    log(tmp_path)
    snapshot = evaluate(monitor, [str(tmp_path / "logs")], None, LATEST).snapshot()
    assert {failure.statistic for failure in snapshot.failures} == {"feature_mode_share_change"}
    found = {family.name for family in text_string_to_metric_families(render(snapshot.samples)[0].decode())}
    assert {"feature_fine_ratio", names.MODEL_ACCURACY.name} <= found
    assert value_of(snapshot.samples, names.STATISTIC_SUCCESS, "churn", "feature_mode_share_change") == 0


def test_a_window_shows_the_counts_the_reference_and_the_bins_and_lets_nobody_change_them() -> None:
    window = Window("m", "v", "1d", SCOPE.windows["1d"], SCOPE.reference)
    assert window.task == "binary"
    assert [feature.name for feature in window.features] == ["c", "x"]
    assert window.output_bins is None
    assert {"rows", "output", "feature:x"} <= set(window.parts)
    np.testing.assert_array_equal(window.part("rows"), SCOPE.windows["1d"].part("rows"))
    np.testing.assert_array_equal(window.reference_part("rows"), SCOPE.reference.part("rows"))
    x = window.features[1]
    assert len(window.counts("x")) == len(window.reference_counts("x")) == x.placed
    assert (window.counts("x").sum(), window.reference_counts("x").sum()) == (300, 400)
    with pytest.raises(ValueError, match="read-only"):
        window.counts("x")[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        window.part("rows")[0] = 1.0
    with pytest.raises(KeyError):
        window.part("none")


def test_a_decorated_function_is_still_called_as_before() -> None:
    assert made(0.5)(Window("m", "v", "1d", SCOPE.windows["1d"], SCOPE.reference)) == (0.5,)


@pytest.mark.parametrize(
    ("name", "labels", "why"),
    [
        ("Mine", (), "no name for a metric; use small letters"),
        ("a:b", (), "no name for a metric"),
        (names.MODEL_AUC.name, (), "is a metric of the exporter itself; choose another name"),
        ("mine_total", (), "means something else; choose one without such a beginning or end"),
        (f"{names.PREDICTION_LATENCY_SECONDS.name}_bucket", (), "means something else"),
        ("process_mine", (), "means something else"),
        ("performance", (), "means something else"),
        ("mine", ("window",), "cannot have the label 'window'; choose another one"),
        ("mine", ("__kind",), "cannot have the label '__kind'"),
        ("mine", ("kind", "kind"), "has a label twice; remove one"),
    ],
)
def test_names_that_cannot_be_are_refused(name: str, labels: tuple[str, ...], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        statistic(name, help="Mine.", labels=labels)


def test_a_statistic_says_what_it_measures() -> None:
    with pytest.raises(ValueError, match="mine has no help; say what it measures, and its unit"):
        statistic("mine", help=" ")


def test_every_problem_is_told_at_the_start_with_its_module_and_remedy(tmp_path: Path, module: Module) -> None:
    fine, syntax, leaving = module(EXAMPLE), module("def broken(:"), module("raise SystemExit(3)")
    plain, taken = module("def mine(window): return ()"), module(EXAMPLE)
    foreign = module("import nowhere_at_all")
    ours = module(EXAMPLE.replace("feature_mode_share_change", names.MODEL_AUC.name))
    paths = [f"{fine}:mode_share", "not_there.at_all:mine", f"{fine}:mine", f"{syntax}:mine", f"{leaving}:mine",
             f"{plain}:mine", f"{taken}:mode_share", f"{ours}:mode_share", f"{foreign}:mine"]  # fmt: skip
    with pytest.raises(ConfigError) as raised:
        monitored(tmp_path, *paths)
    problems = [problem.removeprefix(f"statistics[{place}]: {paths[place]}: ")
                for place, problem in enumerate(raised.value.problems, start=1)]  # fmt: skip
    assert problems == [
        "no module not_there; put the folder that holds it on PYTHONPATH",
        "the module has no mine; name a function that it defines",
        f"importing it raised SyntaxError: invalid syntax ({syntax}.py, line 1); mend the module",
        "importing it raised SystemExit: 3; mend the module",
        "no statistic; decorate it with `statistic` of exporter.custom",
        "a metric feature_mode_share_change is there already; remove one, or give it another name",
        (f"importing it raised ValueError: {names.MODEL_AUC.name} is a metric of the exporter itself; "
         "choose another name; mend the module"),
        "no module nowhere_at_all; put the folder that holds it on PYTHONPATH",
    ]  # fmt: skip


def test_a_path_names_a_module_and_a_name_in_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"statistics\[0\]: string should match pattern"):
        load_config(configured(tmp_path, "my_measures.py"))
    assert load_statistics(()) == ({}, [])


def test_the_forecast_counts_it_and_a_full_snapshot_loses_it_first(tmp_path: Path, module: Module) -> None:
    name = f"{module(EXAMPLE)}:mode_share"
    with_it, without = forecast_series(monitored(tmp_path, name)), forecast_series(monitored(tmp_path))
    assert with_it - without == 2 * (2 + 3 * MOST_SERIES)  # models; success and duration; windows
    extra = [Sample(made(0.5).family, ("m", "v", "1d"), 0.5)]
    kept, dropped = cut([*extra, Sample(names.MODEL_AUC, ("m", "v", "1d"), 0.5)], 1)
    assert ([sample.family for sample in kept], dropped) == ([names.MODEL_AUC], 1)
