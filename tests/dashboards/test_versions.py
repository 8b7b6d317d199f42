"""Champion and challengers, by promtool: who is the champion, who leads, and what is told apart."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from .configs import built, titled

LABELS = '{model_name="some",model_version="%s",window="some"}'
# Version 1 carries most traffic; 2 is better by AUC, worse by log loss, and by accuracy has too few outcomes to tell.
SERIES = {
    "predictions_in_window": (900, 100),
    "model_auc": (0.8, 0.9),
    "model_auc_lower": (0.79, 0.85),
    "model_auc_upper": (0.81, 0.95),
    "model_accuracy": (0.8, 0.82),
    "model_accuracy_lower": (0.79, 0.7),
    "model_accuracy_upper": (0.81, 0.94),
    "model_log_loss": (0.4, 0.5),
}
EXPECTED: dict[str, dict[str, float]] = {
    "Champion": {"auc": 0.8, "accuracy": 0.8, "log_loss": 0.4},
    "Value": {"auc": 0.9, "accuracy": 0.82, "log_loss": 0.5},
    "Advantage": {"auc": 0.1, "accuracy": 0.02, "log_loss": -0.1},
    "Told apart": {"auc": 1, "accuracy": 0},
    "Of traffic": {"auc": 0.1, "accuracy": 0.1, "log_loss": 0.1},
}


def asked() -> dict[str, str]:
    """Each column's expression, rounded, with the variables filled in."""
    table = titled(built("production"), "Champion and challengers", "table")
    filled = {"$model": "some", "$version": ".*", "$window": "some"}
    exprs = {}
    for title, target in zip(EXPECTED, table["targets"], strict=True):
        expr = target["expr"]
        for variable, value in filled.items():
            expr = expr.replace(variable, value)
        exprs[title] = f"round({expr}, 0.0001)"
    return exprs


@pytest.mark.parametrize("title", EXPECTED)
def test_the_challenger_is_held_against_the_version_with_most_traffic(title: str, tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; scripts/install-prometheus installs it")
    series = [
        {"series": name + LABELS % version, "values": f"{value}x3"}
        for name, values in SERIES.items()
        for version, value in zip("12", values, strict=True)
    ]
    wanted = [
        {"labels": f'{{metric="{metric}",model_version="2"}}', "value": value}
        for metric, value in EXPECTED[title].items()
    ]
    case = {"expr": asked()[title], "eval_time": "2m", "exp_samples": wanted}
    path = tmp_path / "test.yml"
    path.write_text(yaml.safe_dump({"tests": [{"input_series": series, "promql_expr_test": [case]}]}))
    tested = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout + tested.stderr
