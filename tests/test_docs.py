"""What the pages say is so: their snippets and commands run, their records are accepted, their links lead somewhere."""

import json
import math
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from exporter.config import Model, Task, parse_config
from exporter.config.model import DriftMethod
from exporter.forecast import forecast_series
from exporter.ingest.ndjson import LineReader
from exporter.ingest.records import sort_records
from exporter.ingest.schema import FeatureSchema
from exporter.monitor import REJECTIONS, Monitor
from exporter.names import FAMILIES
from exporter.reference import ReferenceData, build_baseline
from tests.exporters import wait_until
from tests.markdown import NOT_RUN, OURS, PAGES, ROOT, Block, blocks, commands, of_kind, scripts, tokens
from tests.served import free_port
from tests.world import START, outcome, prediction, text

FEATURES = FeatureSchema(frozenset({"age", "rooms"}), frozenset({"plan", "district"}))
MODELS: dict[str, Task] = {
    "churn": "binary",
    "churn_predictor": "binary",
    "house_price": "regression",
    "iris": "multiclass",
    "plan_chooser": "multiclass",
}
CONFIG: str = next(block.text for block in of_kind("yaml") if "models:" in block.text)  # the README's
SECONDS = 120  # in which a command ends, on a busy machine
SHELL = [block for page in PAGES for block in blocks(page) if commands(block)]


def reference() -> pa.Table:
    """January of the pages' model: when all was well, with labels."""
    random = np.random.default_rng(7)
    score = random.uniform(0.01, 0.99, 500)
    return pa.table({
        "ts": START - random.uniform(0, 86_400, 500), "model": ["churn_predictor"] * 500, "score": score,
        "features.age": random.normal(40, 10, 500), "features.plan": random.choice(["basic", "gold"], 500).tolist(),
        "label": (random.uniform(size=500) < score).astype(np.int64),
    })  # fmt: skip


def prepared(folder: Path) -> None:
    """The folder that the pages' commands and snippets are told in."""
    (folder / "prediction-exporter.yml").write_text(CONFIG)
    for name in ("january.parquet", "february.parquet"):
        pq.write_table(reference(), folder / name)
    (folder / "logs").mkdir()
    mine = {"model": "churn_predictor", "features": {"age": 41, "plan": "basic"}}
    records = [*(prediction(number, **mine) for number in range(50)), outcome(1, model="churn_predictor")]
    (folder / "logs/x.ndjson").write_bytes(text(records))


@pytest.mark.thorough
@pytest.mark.parametrize("script", scripts().values(), ids=scripts().keys())
def test_python_runs_in_a_process_of_its_own_and_what_it_logs_is_accepted(script: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert (done.returncode, done.stderr) == (0, "")
    accepted, rejected = sorted_lines(b"".join(path.read_bytes() for path in (tmp_path / "logs").glob("*.ndjson")))
    # Of predictions there may be none, where the script samples.
    assert (accepted["counts"] > 0) == ("PredictionLog(" in script)
    assert rejected == {}


def sorted_lines(lines: bytes) -> tuple[Counter[str], Counter[str]]:
    """How many records were accepted by kind, and refused by reason."""
    models = [Model(name=name, task=task, baseline=Path("b.json")) for name, task in MODELS.items()]
    several, refused = LineReader(FEATURES).read(lines)
    accepted: Counter[str] = Counter()
    for records in several:
        result = sort_records(records, models, math.inf)
        accepted, refused = accepted + result.accepted, refused + result.rejected
    return accepted, refused


@pytest.mark.parametrize("block", of_kind("json"), ids=lambda block: block.place)
def test_every_record_shown_is_accepted(block: Block) -> None:
    records = [line for line in block.text.splitlines() if "kind" in json.loads(line)]
    accepted, rejected = sorted_lines("\n".join(records).encode())
    assert accepted.total() == len(records)
    assert rejected == {}


@pytest.mark.parametrize("block", of_kind("yaml"), ids=lambda block: block.place)
def test_every_piece_of_configuration_is_accepted(block: Block) -> None:
    models = [{"name": name, "task": task, "baseline": "b.json"} for name, task in MODELS.items()]
    whole = yaml.safe_load(CONFIG) | {"models": models} | yaml.safe_load(block.text)
    parse_config(json.dumps(whole))


def test_only_programs_with_a_reason_are_not_run() -> None:
    foreign = {words[0]: block.place for block in SHELL for words in commands(block) if words[0] not in OURS}
    assert {program: place for program, place in foreign.items() if program not in NOT_RUN} == {}


def test_blocks_that_are_not_run_say_so() -> None:
    fenced = [block for block in SHELL if block.info]
    assert [block.place for block in fenced
            if (block.info == "sh norun") != any(words[0] in NOT_RUN for words in commands(block))] == []  # fmt: skip


@pytest.mark.thorough
@pytest.mark.e2e
@pytest.mark.parametrize("page", sorted({block.page for block in SHELL}), ids=lambda page: page.stem)
def test_commands_run_in_the_order_of_the_page(page: Path, tmp_path: Path) -> None:
    prepared(tmp_path)
    for block in blocks(page):
        for words in commands(block):
            if words[0] in OURS:
                ended(words, tmp_path)


def ended(words: list[str], folder: Path) -> None:
    """Run a command of ours to its end; a server is asked to end once it is healthy."""
    port = free_port()
    program = [sys.executable, "-c", f"from {OURS[words[0]]} import main; main()"]
    arguments = [f"127.0.0.1:{port}" if re.fullmatch(r":\d+", word) else word for word in words[1:]]
    with (folder / "told.txt").open("wb") as told:
        process = subprocess.Popen([*program, *arguments], cwd=folder, stdout=told, stderr=told)
    try:
        if arguments[0] == "serve":
            wait_until(lambda: process.poll() is not None or is_healthy(port))
            process.terminate()
        assert process.wait(SECONDS) == 0, f"{words}: {(folder / 'told.txt').read_text()}"
    finally:
        process.kill()
        process.wait(SECONDS)


def is_healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/-/healthy", timeout=10).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    inner = [child for token in tokens(page) for child in token.children or ()]
    found = [str(child.attrs[name]) for child in inner for name in ("href", "src") if name in child.attrs]
    ours = [link.partition("#")[0] for link in found if not re.match(r"https?:|#", link)]
    assert [link for link in ours if not (page.parent / link).exists()] == []


SIZES: list[tuple[int, int, dict[str, Any], dict[str, Any]]] = [
    (1, 0, {}, {}),
    (10, 0, {}, {}),
    (0, 10, {}, {}),
    (40, 10, {}, {}),
    (40, 10, {"distributions": False}, {}),
    (40, 10, {"distributions": False, "methods": ["psi"]}, {}),
    (40, 10, {"distributions": False, "methods": ["psi"]}, {"windows": ["1d"]}),
]


@pytest.mark.thorough
def test_the_series_of_the_page_are_within_a_twentieth_of_the_forecast(tmp_path: Path) -> None:
    table = re.findall(r"^\|.*(?:defaults|`) \| ([\d,]+) \|$", (ROOT / "docs/sizing.md").read_text(), re.MULTILINE)
    told = [int(cell.replace(",", "")) for cell in table]
    assert told == pytest.approx([series_of(tmp_path, *size) for size in SIZES], rel=0.05)


def series_of(folder: Path, numbers: int, categories: int, drift: dict[str, Any], evaluation: dict[str, Any]) -> int:
    """The forecast for a model of so many features."""
    model = {"name": "churn", "task": "binary", "baseline": "churn.json", "drift": drift}
    text = json.dumps({"log": [{"path": "logs"}], "evaluation": evaluation, "models": [model]})
    config, random = parse_config(text, folder=folder), np.random.default_rng(7)
    columns: dict[str, Any] = {"score": random.uniform(size=1_000), "label": random.integers(0, 2, 1_000)}
    columns |= {f"features.n{place}": random.normal(size=1_000) for place in range(numbers)}
    columns |= {f"features.c{place}": random.choice(list("abcdefghij"), 1_000).tolist() for place in range(categories)}
    data = ReferenceData(pa.table(columns), "x.parquet", "0" * 64)
    (folder / "churn.json").write_text(build_baseline(config.models[0], data, 0.0).to_json())
    return forecast_series(Monitor.load(config, "x.yml"))


def test_every_field_of_a_record_and_every_refusal_is_told() -> None:
    page = (ROOT / "docs/logging.md").read_text()
    lines = "".join(block.text for block in of_kind("json")).splitlines()
    fields = {name for record in map(json.loads, lines) if "kind" in record for name in record}
    assert "kind" in fields
    assert [word for word in (*REJECTIONS, *sorted(fields)) if f"`{word}`" not in page] == []


def test_every_method_of_drift_is_told() -> None:
    page = (ROOT / "docs/drift.md").read_text()
    assert [method for method in get_args(DriftMethod) if f"`{method}`" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_metrics_that_a_page_names_exist(page: Path) -> None:
    known = {family.name for family in FAMILIES}
    named = re.findall(
        r"`((?:feature|model|prediction|prediction_exporter)_[a-z_]+_(?:score|ratio|total|seconds|rows))\b",
        page.read_text(),
    )
    assert sorted(set(named) - known) == []
