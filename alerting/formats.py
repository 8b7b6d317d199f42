"""The rules in the forms that platforms take instead of a rule file: a Kubernetes object, an Azure template.

Both hold the very rules of `rules(config)`; only their wrapping and the spelling of durations differ.
"""

from collections.abc import Iterator
from typing import Any

from alerting.rules import rules
from exporter.config import Config

NAME = "prediction-exporter"
RULES_OF_A_GROUP = 20  # Azure Monitor refuses more
SEVERITIES = {"critical": 0, "warning": 2, "info": 3, "none": 4}  # Azure's Critical, Warning, Informational, Verbose


def prometheus_rule(config: Config) -> dict[str, object]:
    """A PrometheusRule of the Prometheus operator; its labels are those that kube-prometheus selects rules by."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {
            "name": NAME,
            "labels": {"app.kubernetes.io/name": NAME, "prometheus": "k8s", "role": "alert-rules"},
        },
        "spec": rules(config),
    }


def arm_template(config: Config) -> dict[str, object]:
    """An Azure template of Microsoft.AlertsManagement/prometheusRuleGroups.

    A group there holds at most 20 rules and is evaluated every minute at the soonest. `keep_firing_for` becomes the
    time to resolve. Who is told is the template's parameter `actions`, for Azure routes by itself.
    """
    data: Any = rules(config)
    return {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {
            "azureMonitorWorkspace": _parameter("string", "Resource id of the Azure Monitor workspace."),
            "location": _parameter("string", "Where the workspace is.", "[resourceGroup().location]"),
            "actions": _parameter("array", "Objects with the actionGroupId of whom alerts are told.", []),
        },
        "resources": [_resource(name, part) for group in data["groups"] for name, part in _parts(group)],
    }


def _parameter(kind: str, meaning: str, default: object = None) -> dict[str, object]:
    known = {} if default is None else {"defaultValue": default}
    return {"type": kind, **known, "metadata": {"description": meaning}}


def _parts(group: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    members = group["rules"]
    for start in range(0, len(members), RULES_OF_A_GROUP):
        number = f"-{start // RULES_OF_A_GROUP + 1}" if len(members) > RULES_OF_A_GROUP else ""
        yield group["name"] + number, members[start : start + RULES_OF_A_GROUP]


def _resource(name: str, members: list[dict[str, Any]]) -> dict[str, object]:
    return {
        "type": "Microsoft.AlertsManagement/prometheusRuleGroups",
        "apiVersion": "2023-03-01",
        "name": name,
        "location": "[parameters('location')]",
        "properties": {
            "scopes": ["[parameters('azureMonitorWorkspace')]"],
            "enabled": True,
            "interval": "PT1M",
            "rules": [_alert(rule) if "alert" in rule else _record(rule) for rule in members],
        },
    }


def _record(rule: dict[str, Any]) -> dict[str, object]:
    return {"record": rule["record"], "expression": rule["expr"], "labels": rule.get("labels", {})}


def _alert(rule: dict[str, Any]) -> dict[str, object]:
    keep = rule.get("keep_firing_for")
    resolve = {"resolveConfiguration": {"autoResolved": True, "timeToResolve": _iso(keep)}} if keep else {}
    return {
        "alert": rule["alert"],
        "expression": rule["expr"],
        "for": _iso(rule["for"]),
        "severity": SEVERITIES[rule["labels"]["severity"]],
        "labels": rule["labels"],
        "annotations": rule["annotations"],
        **resolve,
        "actions": "[parameters('actions')]",
    }


def _iso(duration: str) -> str:
    """A Prometheus duration of one unit as ISO 8601 writes it.

    >>> [_iso(duration) for duration in ("0s", "10m", "2h", "1d")]
    ['PT0S', 'PT10M', 'PT2H', 'P1D']
    """
    return f"P{duration.upper()}" if duration.endswith("d") else f"PT{duration.upper()}"
