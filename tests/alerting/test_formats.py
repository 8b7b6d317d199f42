"""Other forms of the rules: the same rules are read back, and what the platforms ask of their shape holds."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from alerting import build, formats
from alerting.rules import rules
from exporter.config import Config, parse_config

from .promtool import COMMITTED, checked
from .test_rules import ODD, REPLAY

every_config = pytest.mark.parametrize("config", [COMMITTED, REPLAY, ODD], ids=["production", "replay", "odd"])

TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
PROMETHEUS_DURATION = {
    "type": "string",
    "pattern": "^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$",
}
# What the operator's CRD (0.82) says of a rule, and Kubernetes of names and labels.
KUBERNETES = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "monitoring.coreos.com/v1"},
        "kind": {"const": "PrometheusRule"},
        "metadata": {
            "required": ["name"],
            "properties": {
                "name": {"type": "string", "pattern": "^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"},
                "labels": {
                    "additionalProperties": {"type": "string", "pattern": "^[A-Za-z0-9]([\\w.-]{0,61}[A-Za-z0-9])?$"}
                },
            },
        },
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "groups": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "additionalProperties": False,
                        "properties": {
                            "name": {"type": "string", "minLength": 1},
                            "rules": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "required": ["expr"],
                                    "oneOf": [{"required": ["alert"]}, {"required": ["record"]}],
                                    "additionalProperties": False,
                                    "properties": {
                                        "alert": {"type": "string"},
                                        "record": {"type": "string"},
                                        "expr": {"type": "string"},
                                        "for": PROMETHEUS_DURATION,
                                        "keep_firing_for": PROMETHEUS_DURATION,
                                        "labels": TEXTS,
                                        "annotations": TEXTS,
                                    },
                                },
                            },
                        },
                    },
                }
            },
        },
    },
}
ISO_DURATION = {"type": "string", "pattern": "^P([0-9]+D|T([0-9]+H)?([0-9]+M)?([0-9]+S)?)$"}
# What the API 2023-03-01 says of a rule group.
AZURE = {
    "type": "object",
    "required": ["type", "apiVersion", "name", "location", "properties"],
    "additionalProperties": False,
    "properties": {
        "type": {"const": "Microsoft.AlertsManagement/prometheusRuleGroups"},
        "apiVersion": {"const": "2023-03-01"},
        "name": {"type": "string", "pattern": "^[^:@/#{}%&+*<>?]+$"},
        "location": {"type": "string"},
        "properties": {
            "type": "object",
            "required": ["scopes", "rules"],
            "additionalProperties": False,
            "properties": {
                "scopes": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 1},
                "enabled": {"type": "boolean"},
                "interval": {"enum": [f"PT{minutes}M" for minutes in range(1, 16)]},
                "rules": {
                    "type": "array",
                    "maxItems": 20,
                    "items": {
                        "type": "object",
                        "required": ["expression"],
                        "oneOf": [{"required": ["alert"]}, {"required": ["record"]}],
                        "additionalProperties": False,
                        "properties": {
                            "alert": {"type": "string"},
                            "record": {"type": "string"},
                            "expression": {"type": "string"},
                            "labels": TEXTS,
                            "annotations": TEXTS,
                            "severity": {"type": "integer", "minimum": 0, "maximum": 4},
                            "for": ISO_DURATION,
                            "actions": {"const": "[parameters('actions')]"},
                            "resolveConfiguration": {
                                "type": "object",
                                "required": ["autoResolved", "timeToResolve"],
                                "properties": {"autoResolved": {"type": "boolean"}, "timeToResolve": ISO_DURATION},
                            },
                        },
                    },
                },
            },
        },
    },
}


def kubernetes(config: Config) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(build.single(config, "prometheusrule"))
    return data


def azure(config: Config) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(build.single(config, "arm"))
    return data


@every_config
def test_kubernetes_gets_the_very_rules(config: Config, tmp_path: Path) -> None:
    data = kubernetes(config)
    jsonschema.validate(data, KUBERNETES)
    assert data["spec"] == rules(config)
    names = [group["name"] for group in data["spec"]["groups"]]
    assert len(set(names)) == len(names), "groups are a map by name"
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump(data["spec"]))
    checked("promtool", "check", "rules", "--lint=all", "--lint-fatal", path)


def prometheus_duration(iso: str) -> str:
    return re.sub(r"^PT?(\d+)([DHMS])$", lambda found: found[1] + found[2].lower(), iso)


def read_back(rule: dict[str, Any]) -> dict[str, Any]:
    """An Azure rule as Prometheus would write it."""
    found = {"expr": rule["expression"], "labels": rule["labels"]}
    if "record" in rule:
        return found | {"record": rule["record"]}
    keep = rule.get("resolveConfiguration", {}).get("timeToResolve")
    kept = {"keep_firing_for": prometheus_duration(keep)} if keep else {}
    told = {"alert": rule["alert"], "annotations": rule["annotations"], "for": prometheus_duration(rule["for"])}
    return found | told | kept


@every_config
def test_azure_gets_the_very_rules(config: Config) -> None:
    data, expected = azure(config), rules(config)
    for resource in data["resources"]:
        jsonschema.validate(resource, AZURE)
    groups: Any = expected["groups"]
    assert [resource["name"] for resource in data["resources"]] == [group["name"] for group in groups]
    assert [[read_back(rule) for rule in resource["properties"]["rules"]] for resource in data["resources"]] == [
        [{"labels": {}} | rule for rule in group["rules"]] for group in groups
    ]


def test_azure_grades_alerts_by_number() -> None:
    alerts = [rule for resource in azure(COMMITTED)["resources"] for rule in resource["properties"]["rules"]]
    assert {(rule["labels"]["severity"], rule["severity"]) for rule in alerts if "alert" in rule} == {
        ("critical", 0),
        ("warning", 2),
        ("info", 3),
        ("none", 4),
    }


def test_a_group_too_large_for_azure_is_cut_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = azure(COMMITTED)["resources"]
    monkeypatch.setattr(formats, "RULES_OF_A_GROUP", 6)
    parts = azure(COMMITTED)["resources"]
    assert max(len(part["properties"]["rules"]) for part in parts) == 6
    assert {"prediction-exporter-1", "prediction-exporter-2", "prediction-quality"} <= {part["name"] for part in parts}
    assert len({part["name"] for part in parts}) == len(parts)
    assert [rule for part in parts for rule in part["properties"]["rules"]] == [
        rule for group in whole for rule in group["properties"]["rules"]
    ]


@pytest.mark.parametrize("config", [COMMITTED, parse_config("""
log: [{path: logs/}]
models: [{name: "[concat('a')]", task: binary, baseline: a.json}, {name: b, task: binary, baseline: b.json,
          thresholds: {auc: 0.5}}]
""")], ids=["production", "brackets"])  # fmt: skip
def test_azure_takes_no_text_of_ours_for_an_expression(config: Config) -> None:
    """Azure evaluates a text that begins with a bracket."""
    for resource in azure(config)["resources"]:
        for rule in resource["properties"]["rules"]:
            texts = [rule["expression"], *rule["labels"].values(), *rule.get("annotations", {}).values()]
            assert not any(text.startswith("[") for text in texts)
