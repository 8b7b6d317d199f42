"""Backfill and backtest with the real promtool and Prometheus: the commands, from a log to a failed budget."""

import json
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from exporter import names
from exporter.history.backtest import backtest
from exporter.history.openmetrics import Lines, create_blocks
from exporter.history.rulefile import load_rules
from exporter.history.server import serve_history
from exporter.measures import Sample
from tests.alerting.promtool import run_promtool
from tests.world import START, outcome, prediction, text, world

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("promtool") is None or shutil.which("prometheus") is None, reason="no Prometheus"),
]

SCORE = names.PREDICTION_DRIFT_SCORE
MINUTES = 300
RULES: list[dict[str, Any]] = [
    {"record": "high:count", "expr": "count(recorded:score > 0.5)"},
    {"record": "recorded:score", "expr": f"avg_over_time({SCORE.name}[3m])"},
    {"alert": "Plain", "expr": f"{SCORE.name} > 0.4", "labels": {"severity": "critical", "page": "true"}},
    {"alert": "Waits", "expr": f"{SCORE.name} > 0.4", "for": "3m"},
    {"alert": "Keeps", "expr": f"{SCORE.name} > 0.6", "for": "1m", "keep_firing_for": "4m"},
    {"alert": "Recorded", "expr": "high:count > 1", "for": "1m"},
]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = Path(sysconfig.get_path("scripts")) / "prediction-exporter"
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def walk(seed: int) -> list[float]:
    """A score that wanders, as sixteenths, which every format prints alike."""
    return [float(step) / 16 for step in np.random.default_rng(seed).integers(0, 17, MINUTES)]


def test_alerts_fire_when_prometheus_says(tmp_path: Path) -> None:
    scores = {model: walk(seed) for seed, model in enumerate(("a", "b", "c"))}
    lines = Lines(tmp_path, {"job": "j"}, 60)
    for minute in range(MINUTES):
        rows = [Sample(SCORE, (model, "v", "1d", "psi"), scores[model][minute]) for model in scores]
        lines.write(START + 60 * minute, [Sample(names.MODEL_INFO, ("a", "binary", "0"), 1.0), *rows])
    lines.flush()
    create_blocks(lines.files, tmp_path / "blocks", lines.hours)
    text = yaml.safe_dump({"groups": [{"name": "g", "rules": [RULES[1], RULES[0], *RULES[2:]]}]})
    (tmp_path / "rules.yml").write_text(text)
    with serve_history(tmp_path / "blocks") as bench:
        found = backtest(bench, load_rules([tmp_path / "rules.yml"], 60), ())
    assert (found.span.start, found.span.step, found.span.count) == (START, 60, MINUTES)
    firings = {of.rule.name: [one for told in of.notifications for one in told.firings] for of in found.verdicts}
    assert all(len(several) > 5 for several in firings.values())
    checks = []
    for minute in range(10, MINUTES):  # promtool's series begin as ours do, but ranges are full from then on
        for alert, several in firings.items():
            ts = START + 60 * minute
            count = sum(one.start <= ts and (one.end is None or ts < one.end) for one in several)
            samples = [{"labels": "{}", "value": count}] if count else []
            expr = f'count(ALERTS{{alertstate="firing",alertname="{alert}"}})'
            checks.append({"expr": expr, "eval_time": f"{minute}m", "exp_samples": samples})
    series = [
        {
            "series": f'{SCORE.name}{{model_name="{model}",model_version="v",window="1d",method="psi",job="j"}}',
            "values": " ".join(map(str, values)),
        }
        for model, values in scores.items()
    ]
    run_promtool(tmp_path, text, [{"input_series": series, "promql_expr_test": checks}])


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day of a log, backfilled by the command."""
    folder = tmp_path_factory.mktemp("history")
    config = world(folder)
    records = [prediction(number) for number in range(2_880)] + [outcome(number) for number in range(2_880)]
    (folder / "logs/all.ndjson").write_bytes(text(records))
    stretch = ("--start", str(START + 300), "--end", str(START + 86_400), "--step", "5m")
    options = ("--label", "job=shop", "--label", "instance=a:9750")
    where = ("--out", folder / "om", "--blocks", folder / "blocks")
    done = run("backfill", "--config", config, "--log", folder / "logs/*.ndjson", *stretch, *where, *options)
    assert done.returncode == 0, done.stderr
    assert "of 288 instants in 5 files" in done.stderr
    return folder / "blocks"


def write_rules(folder: Path, threshold: float) -> Path:
    labels = {"severity": "critical", "page": "true"}
    expr = f'{names.PREDICTIONS_IN_WINDOW.name}{{window="1h"}} < {threshold}'
    rules = [{"alert": "Few", "expr": expr, "for": "10m", "labels": labels}, {"alert": "Down", "expr": "up == 0"}]
    path = folder / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))
    return path


def backtested(folder: Path, blocks: Path, threshold: float, *options: str | Path) -> subprocess.CompletedProcess[str]:
    return run("backtest", "--rules", write_rules(folder, threshold), "--history", blocks, *options)


def test_a_threshold_that_would_page_too_often_fails_the_build(tmp_path: Path, blocks: Path) -> None:
    events = tmp_path / "events.yml"
    events.write_text(f"events: [{{name: opening, start: '{START:.0f}', end: '{START + 3_600:.0f}'}}]\n")
    told = ("--events", events, "--budget-pages-per-week", "1", "--format", "json")
    strict = backtested(tmp_path, blocks, 1, *told)
    assert strict.returncode == 0, strict.stderr
    loose = backtested(tmp_path, blocks, 100, *told, "--picture", tmp_path / "timeline.svg")
    assert loose.returncode == 1
    assert "7.02 pages a week, more than the budget of 1" in loose.stderr
    [few] = json.loads(loose.stdout)["alerts"]
    [one] = few["notifications"]
    labels = one["firings"][0]["labels"]
    assert (one["start"], labels["job"], labels["instance"]) == ("2023-11-15T00:15:00Z", "shop", "a:9750")
    assert json.loads(loose.stdout)["events"][0]["seconds_to_detect"] == {"Few": 900}
    assert json.loads(loose.stdout)["not_judged"] == {"Down": "the history has no up"}
    assert (tmp_path / "timeline.svg").read_text().startswith("<svg")


def test_the_recipe_for_ci_is_what_the_page_says(tmp_path: Path, blocks: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/backtest.md").read_text(encoding="utf-8")
    recipe = page.partition("## In CI")[2].partition("```sh\n")[2].partition("```")[0]
    (tmp_path / "blocks").symlink_to(blocks)
    (tmp_path / "events.yml").write_text("events: []\n")
    assert [recipe_status(tmp_path, recipe, threshold) for threshold in (1, 100)] == [0, 1]


def recipe_status(folder: Path, recipe: str, threshold: float) -> int:
    write_rules(folder, threshold)
    path = f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-ec", recipe], cwd=folder, env={**os.environ, "PATH": path}, check=False)
    return done.returncode


def test_the_history_is_left_as_it_was(tmp_path: Path, blocks: Path) -> None:
    before = {path: path.stat().st_size for path in blocks.rglob("*")}
    assert backtested(tmp_path, blocks, 1).returncode == 0
    assert {path: path.stat().st_size for path in blocks.rglob("*")} == before


def test_wrong_use_is_told(tmp_path: Path) -> None:
    config, log = world(tmp_path), tmp_path / "logs"
    stretch = ("--start", str(START), "--end", "2100-01-01T00:00:00Z")
    for options, problem in [
        (stretch, "lies in the last 3 hours"),
        (("--start", str(START), "--end", str(START), "--label", "job"), "'job' is no NAME=VALUE"),
        (("--start", "soon", "--end", str(START)), "'soon' is no time"),
    ]:
        done = run("backfill", "--config", config, "--log", log, "--out", tmp_path / "om", *options)
        assert (done.returncode, problem in done.stderr) == (2, True), done.stderr
    assert "holds no block" in backtested(tmp_path, tmp_path / "nothing", 1).stderr
