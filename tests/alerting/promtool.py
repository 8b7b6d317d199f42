"""promtool's unit tests for rules, written from the table of cases and run for real."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
import yaml

from alerting.rules import alerts, rules
from exporter.config import Config, load_config

from .cases import Case, Labels, Rate, Series

ROOT = Path(__file__).parents[2]
COMMITTED = load_config(ROOT / "deploy/prediction-exporter.yml")
# A silence of a week would take ten thousand minutes of every rule to test.
TESTED = COMMITTED.model_copy(update={"outcomes": COMMITTED.outcomes.model_copy(update={"max_age": "1h"})})


def values(value: float | Rate, count: int, start: int = 0) -> str:
    if isinstance(value, Rate):
        return f"{start}+{value.step}x{count}"
    return " ".join(["NaN" if value != value else repr(float(value))] * (count + 1))  # noqa: PLR0124 - NaN is unlike itself


def inputs(series: tuple[Series, ...], count: int) -> list[dict[str, str]]:
    return [{"series": one.key(), "values": values(one.value, count)} for one in series]


def nobody(alert: str, minute: int) -> dict[str, Any]:
    return {"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": []}


def somebody(minute: int, *cases: Case) -> dict[str, Any]:
    """promtool's assertion that the alert of `cases`, all of one, fires for each of them and for nothing else."""
    expected = [
        {"exp_labels": case.labels | fixed_labels(case.alert), "exp_annotations": texts(case)} for case in cases
    ]
    return {"eval_time": f"{minute}m", "alertname": cases[0].alert, "exp_alerts": expected}


def fixed_labels(alert: str) -> Labels:
    """The labels that the rule adds, but for the alert's name."""
    rule: Any = SHIPPED[alert].rule(TESTED.alerting)
    labels: Labels = rule["labels"]
    return labels


def texts(case: Case) -> Labels:
    """The alert's annotations as Prometheus must render them for the case's labels and value."""

    def label(match: re.Match[str]) -> str:
        value = case.labels[match[1]]
        return quote_plus(value) if match[2] else value

    rule: Any = SHIPPED[case.alert].rule(TESTED.alerting)
    return {
        key: re.sub(r"{{ \$value[^}]*}}", case.value, re.sub(r"{{ \$labels\.(\w+)( \| urlquery)? }}", label, text))
        for key, text in rule["annotations"].items()
    }


SHIPPED = {alert.name: alert for alert in alerts(TESTED)}


def checked(*command: str | Path) -> str:
    """What a Prometheus tool prints; the test fails with its words if it complains, and is skipped without it."""
    program = shutil.which(command[0])
    if program is None:
        pytest.skip(f"{command[0]} is not installed; scripts/install-prometheus installs it")
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def run_promtool(folder: Path, rules: str, tests: list[dict[str, Any]], step: str = "1m", evaluation: str = "") -> None:
    """Run `tests` against the text of a rule file, evaluated every `evaluation` or at every `step` of the series."""
    (folder / "rules.yml").write_text(rules, encoding="utf-8")
    suite = {
        "rule_files": ["rules.yml"],
        "group_eval_order": [group["name"] for group in yaml.safe_load(rules)["groups"]],  # recorded series first
        "evaluation_interval": evaluation or step,
        "tests": [{"interval": step, **test} for test in tests],
    }
    path = folder / "tests.yml"
    path.write_text(yaml.safe_dump(suite, sort_keys=False, allow_unicode=True), encoding="utf-8")
    checked("promtool", "test", "rules", path)


def shipped_rules() -> str:
    """The rule file of the production configuration."""
    return yaml.safe_dump(rules(TESTED), sort_keys=False)


def rules_of(*names: str, config: Config = TESTED) -> str:
    """Some alerts or recorded series alone, and the recorded series that they read, for promtool to be quick."""
    data: Any = rules(config)
    every = [rule for group in data["groups"] for rule in group["rules"]]
    kept = [rule for rule in every if rule.get("alert", rule.get("record")) in names]
    for rule in reversed([rule for rule in every if "record" in rule and rule not in kept]):
        read = " ".join(reader["expr"] for reader in kept)
        if rule["record"] in read and all(f'="{value}"' in read for value in rule.get("labels", {}).values()):
            kept.insert(0, rule)
    return yaml.safe_dump({"groups": [{"name": "tested", "rules": kept}]}, sort_keys=False)


def firing(selector: str, minute: str, *found: Labels) -> dict[str, Any]:
    """promtool's assertion that exactly the alerts `found` fire."""
    return {
        "expr": f'max by ({", ".join(found[0]) if found else "alertname"}) (ALERTS{{alertstate="firing",{selector}}})',
        "eval_time": minute,
        "exp_samples": [{"labels": Series("", labels, 0).key(), "value": 1} for labels in found],
    }
