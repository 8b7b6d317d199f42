"""The fleet: a table that sorts the gravest model first, and states that are only called ok where rules run."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter import names

from .configs import FLEET, Json, built, drawn, titled

FIRING = 'ALERTS{app="prediction_exporter",alertstate="firing",alertname="%s",severity="%s"%s}'
INFO = 'prediction_exporter_model_info{model_name="%s",task="binary",baseline="x"}'


def column(table: Json, title: str) -> dict[str, Any]:
    """The look of a column."""
    [found] = [one for one in table["fieldConfig"]["overrides"] if one["matcher"]["options"] == title]
    return {one["id"]: one["value"] for one in found["properties"]}


def test_the_gravest_model_stands_first_and_its_name_opens_it() -> None:
    table = titled(built("production", FLEET), "Models", "table")
    assert table["options"]["sortBy"] == [{"displayName": "State", "desc": True}]
    [link] = column(table, "Model")["links"]
    assert link["url"].startswith("/d/prediction-model?")
    assert link["url"].endswith("&var-model=${__value.raw:percentencode}")


def test_an_alert_leads_to_its_feature_in_its_model() -> None:
    [link] = column(titled(built("production", FLEET), "Firing alerts", "table"), "Feature")["links"]
    assert "var-model=${__data.fields.Model:percentencode}" in link["url"]
    assert link["url"].endswith("var-feature=${__value.raw:percentencode}")


def test_a_line_in_a_row_holds_all_values_of_its_model() -> None:
    table = titled(built("production", FLEET), "Models", "table")
    lines = [one for one in table["transformations"] if one["id"] == "groupBy"]
    refs = [one["filter"]["options"] for one in lines]
    asked = {target["refId"]: target for target in table["targets"]}
    assert len(refs) == 2
    for line, ref in zip(lines, refs, strict=True):
        assert asked[ref]["range"]
        assert line["options"]["fields"] == {
            names.MODEL_NAME: {"aggregations": [], "operation": "groupby"},
            f"Value #{ref}": {"aggregations": ["allValues"], "operation": "aggregate"},
        }
    assert sum(target["range"] for target in asked.values()) == 2


def test_no_limit_of_one_model_is_drawn_for_all() -> None:
    for panel in drawn(built("mixed", FLEET)):
        assert all("$model" not in target["expr"] for target in panel["targets"]), panel["title"]


@pytest.mark.parametrize(
    ("alerts", "expected"),
    [
        ([FIRING % ("Watchdog", "none", "")], {"a": 0, "b": 0}),
        ([], {"a": 1, "b": 1}),
        (
            [
                FIRING % ("Watchdog", "none", ""),
                FIRING % ("One", "warning", ',model_name="a",feature="x"'),
                FIRING % ("Two", "critical", ',model_name="a"'),
                FIRING % ("Own", "critical", ""),
            ],
            {"a": 4, "b": 0},
        ),
    ],
    ids=["calm", "no rules", "alerts"],
)
def test_a_model_s_state_is_its_gravest_alert(alerts: list[str], expected: dict[str, int], tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; scripts/install-prometheus installs it")
    expr = titled(built("production", FLEET), "Models", "table")["targets"][0]["expr"]
    wanted = [{"labels": f'{{model_name="{model}"}}', "value": value} for model, value in expected.items()]
    series = [{"series": one, "values": "1x5"} for one in [*alerts, INFO % "a", INFO % "b"]]
    path = tmp_path / "test.yml"
    case = {"expr": expr, "eval_time": "2m", "exp_samples": wanted}
    path.write_text(yaml.safe_dump({"tests": [{"input_series": series, "promql_expr_test": [case]}]}))
    tested = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout + tested.stderr
