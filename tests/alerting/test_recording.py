"""Recorded series, by promtool: what is taken together and what stays apart."""

from pathlib import Path

import pytest
import yaml

from alerting.recording import recordings
from exporter import names
from exporter.config import parse_config

from .promtool import run_promtool

CONFIG = parse_config("log: [{path: logs/}]\nmodels: [{name: m, task: binary, baseline: b.json}]\n")
SERIES = {
    'feature_completeness{model_name="m",model_version="v",window="%s",feature="%s",instance="%s"}': {
        ("1d", "a", "one"): 0.75,
        ("1d", "b", "one"): 0.25,
        ("1d", "b", "two"): 0.5,
        ("7d", "a", "one"): 1.0,
    },
    'feature_drift_score{model_name="m",model_version="v",window="%s",feature="%s",method="%s"}': {
        ("1d", "a", "psi"): 0.3,
        ("1d", "b", "psi"): 0.2,
        ("1d", "a", "js"): 0.9,
    },
    'feature_drift_threshold{model_name="m",model_version="v",window="%s",feature="%s",method="%s"}': {
        ("1d", "a", "psi"): 0.15,
    },
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (names.LEAST_COMPLETENESS, {'window="1d"': 0.25, 'window="7d"': 1.0}),
        (names.MEAN_COMPLETENESS, {'window="1d"': 0.5, 'window="7d"': 1.0}),
        (names.DRIFT_OVER_THRESHOLD, {'window="1d",feature="a",method="psi"': 2.0}),
    ],
)
def test_a_recorded_series_is_what_its_name_says(name: str, expected: dict[str, float], tmp_path: Path) -> None:
    [rule] = [one.rule() for one in recordings(CONFIG) if one.name == name]
    series = [
        {"series": text % labels, "values": f"{value}x3"}
        for text, values in SERIES.items()
        for labels, value in values.items()
    ]
    wanted = [
        {"labels": f'{name}{{model_name="m",model_version="v",{labels}}}', "value": value}
        for labels, value in expected.items()
    ]
    case = {"expr": name, "eval_time": "2m", "exp_samples": wanted}
    rules = yaml.safe_dump({"groups": [{"name": "recorded", "rules": [rule]}]})
    run_promtool(tmp_path, rules, [{"input_series": series, "promql_expr_test": [case]}])
