"""From one good configuration, one thing broken at a time: the exact problems, all of them at once."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from exporter.config import Config, config_schema, load_config, parse_config, parse_duration
from exporter.errors import ConfigError

GOOD = """\
state: state/
log: [{path: logs/*.ndjson}]
evaluation: {interval: 1m, windows: [1h, 1d], clock: wall}
models:
  - name: m
    task: binary
    baseline: baselines/m.json
    thresholds: {feature_drift: {minor: 0.1, moderate: 0.2, severe: 0.3}}
"""


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as raised:
        parse_config(text, source="c.yml")
    assert raised.value.source == "c.yml"
    assert str(raised.value) == "\n".join(f"c.yml: {problem}" for problem in raised.value.problems)
    assert raised.value.exit_status == 2
    return raised.value.problems


def test_the_good_one_is_good() -> None:
    config = parse_config(GOOD, folder=Path("/etc/x"))
    assert config.model("m").drift.methods == ("psi", "js", "ks", "chi2")
    assert config.resolve("logs") == Path("/etc/x/logs")
    assert config.resolve("/var/log") == Path("/var/log")
    with pytest.raises(KeyError):
        config.model("n")
    jsonschema.validate(yaml.safe_load(GOOD), config_schema())


MODEL = "models[0]"
LEVELS = f"{MODEL}.thresholds.feature_drift"
DURATION = "expected a duration such as 30s, 5m, 1h or 7d"
BROKEN: dict[str, tuple[str, str, str]] = {
    "an unknown key": ("state: state/", "states: state/", "states: unknown key; remove it or correct its spelling"),
    "a misspelled inner key": ("minor: 0.1", "minnor: 0.1",
                               f"{LEVELS}.minnor: unknown key; remove it or correct its spelling"),
    "no log": ("log: [{path: logs/*.ndjson}]\n", "", "log: required key is missing; add it"),
    "an empty log": ("[{path: logs/*.ndjson}]", "[]",
                     "log: empty; add an item"),
    "no name": ("name: m", "", "models[0].name: required key is missing; add it"),
    "an empty name": ("name: m", "name: ''", "models[0].name: string should have at least 1 character (found '')"),
    "another task": ("task: binary", "task: ranking",
                     "models[0].task: input should be 'binary', 'multiclass' or 'regression' (found 'ranking')"),
    "an interval without unit": ("interval: 1m", "interval: 60", f"evaluation.interval: {DURATION}"),
    "an interval of nothing": ("interval: 1m", "interval: 0m", f"evaluation.interval: {DURATION}"),
    "a window in months": ("[1h, 1d]", "[1h, 1d, 1M]", f"evaluation.windows[2]: {DURATION}"),
    "equal windows": ("[1h, 1d]", "[60m, 1h, 1d]", "evaluation: windows must differ in length"),
    "a window between buckets": ("[1h, 1d]", "[7m, 1d]",
                                 "evaluation: windows must be whole multiples of 5m, the width of a time bucket"),
    "a long window between hours": ("[1h, 1d]", "[1d, 2885m]",
                                    "evaluation: windows longer than 2d must be whole hours"),
    "a drift window that is none": ("baselines/m.json", "baselines/m.json\n    drift: {window: 7d}",
                                    (f"{MODEL}.drift.window: 7d is not among evaluation.windows (1h, 1d); "
                                     "add it there or choose one of them")),
    "falling levels": ("moderate: 0.2", "moderate: 0.4",
                       f"{LEVELS}: levels must increase: minor < moderate < severe"),
    "a level of nought": ("minor: 0.1", "minor: 0",
                          f"{LEVELS}.minor: input should be greater than 0 (found 0)"),
    "a share above one": ("thresholds: {", "thresholds: {auc: 1.5, ",
                          f"{MODEL}.thresholds.auc: input should be less than or equal to 1 (found 1.5)"),
    "severe below warning": ("thresholds: {", "thresholds: {prediction_drift: 0.5, ",
                             f"{MODEL}.thresholds: prediction_drift must lie below prediction_drift_severe"),
    "no psi": ("baselines/m.json", "baselines/m.json\n    drift: {methods: [ks]}",
               f"{MODEL}.drift: methods must hold psi: verdicts and alerts stand on it"),
    "a window longer than memory": ("state: state/", "limits: {retention: 2h}",
                                    "limits.retention: 2h is shorter than the window 1d; raise it or drop the window"),
    "a period twice": ("baselines/m.json", "baselines/m.json\n    drift: {periods: [previous, previous]}",
                       f"{MODEL}.drift: periods must differ"),
    "a threshold of one": ("task: binary", "task: binary\n    decision_threshold: 1",
                           f"{MODEL}.decision_threshold: input should be less than 1 (found 1)"),
    "a channel without secret": ("state: state/", "alerting: {slack: {channel: '#ml'}}",
                                 "alerting.slack.api_url_file: required key is missing; add it"),
    "a URL without scheme": ("state: state/", "alerting: {dashboard_url: grafana}",
                             "alerting.dashboard_url: expected an http:// or https:// URL"),
    "a text for a list": ("log: [{path: logs/*.ndjson}]", "log: logs/",
                          "log: input should be a valid tuple (found 'logs/')"),
    "a key twice": ("state: state/", "state: a\nstate: b",
                    "line 2, column 1: not valid YAML: the key 'state' stands twice; remove one"),
    "a bracket left open": ("[1h, 1d]", "[1h, 1d",
                            "line 3, column 57: not valid YAML: expected ',' or ']', but got '}'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_one_thing_broken_is_named_with_its_path(name: str) -> None:
    before, after, problem = BROKEN[name]
    assert before in GOOD
    assert problems(GOOD.replace(before, after, 1)) == (problem,)


def test_all_problems_are_named_at_once() -> None:
    text = GOOD.replace("task: binary", "task: ranking").replace("1m", "soon").replace("state:", "states:")
    assert problems(text) == (
        f"evaluation.interval: {DURATION}",
        "models[0].task: input should be 'binary', 'multiclass' or 'regression' (found 'ranking')",
        "states: unknown key; remove it or correct its spelling",
    )


def test_periods_must_lie_outside_the_window_and_within_memory() -> None:
    data = yaml.safe_load(GOOD)
    data["models"][0]["drift"] = {"window": "1d", "periods": ["previous", "last_week"]}
    assert parse_config(yaml.safe_dump(data)).models[0].drift.reach == 8 * 86_400
    assert problems(yaml.safe_dump({**data, "limits": {"retention": "8d"}})) == (
        (
            "limits.retention: 8d must be longer than the 192 h that models[0].drift.periods look back; "
            "raise it or drop the period"
        ),
    )
    data["evaluation"]["windows"] = ["7d"]
    data["models"][0]["drift"]["window"] = "7d"
    assert problems(yaml.safe_dump(data)) == (
        "models[0].drift: periods: last_week needs a window shorter than 7d; name previous instead",
    )


def test_two_models_of_one_name_are_refused() -> None:
    model = yaml.safe_load(GOOD)["models"][0]
    text = yaml.safe_dump({**yaml.safe_load(GOOD), "models": [model, model]})
    assert problems(text) == ("models: the name 'm' stands twice; give each model a name of its own",)


@pytest.mark.parametrize("text", ["", "[]", "hello", "5"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    assert problems(text) == ("expected a mapping with the keys log and models at the top",)


@pytest.mark.parametrize("key", ["[1]", "{a: 1}"])
def test_a_key_that_is_no_text_is_refused(key: str) -> None:
    [problem] = problems(GOOD + f"? {key}\n: 1\n")
    assert problem.startswith("line 9, column 3: not valid YAML: found unhashable key")


def test_a_number_for_a_key_is_refused() -> None:
    assert problems(GOOD + "5: 1\n") == ("[5]: keys should be strings (found 5)",)


def replaced(path: Path) -> None:
    path.unlink()
    path.mkdir()


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    path = tmp_path / "c.yml"
    for prepare, problem in (
        (lambda: None, "No such file or directory; give the path of an existing YAML file"),
        (lambda: path.write_bytes(b"state: \xff"), "not UTF-8 text at byte 7; save it as UTF-8"),
        (lambda: replaced(path), "Is a directory; give the path of an existing YAML file"),
    ):
        prepare()
        with pytest.raises(ConfigError) as raised:
            load_config(path)
        assert raised.value.problems == (problem,)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("1h", 3_600), ("7d", 604_800), ("2w", 1_209_600)]
)
def test_durations_are_seconds(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "0s", "-1h", "1h30m", "1.5h", "1 h", " 1h", "1H", "٣m", 5, None])
def test_what_is_no_duration_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match=DURATION):
        parse_duration(text)


@pytest.mark.parametrize(("label", "spelling"), [(1, "1"), (True, "1"), ("1.0", "1"), ("yes", "yes"), ("007", "007")])
def test_a_positive_label_is_spelled_as_labels_are(label: Any, spelling: str) -> None:
    data = yaml.safe_load(GOOD)
    data["models"][0]["positive_label"] = label
    assert Config.model_validate(data).models[0].positive_label == spelling
