"""grafanalib 0.7.1 writes for Grafana 6 to 9; this turns its JSON into schema 42 in one place.

In goes the dashboard as grafanalib encodes it, out comes a new dict. Only keys that Grafana still knows are kept, so
that a legacy key never starts one of its migrations; what grafanalib cannot say at all is added.
"""

from collections.abc import Iterable, Mapping
from typing import Any

PLUGIN_VERSION = "11.0.0"  # any value from 10 on keeps Grafana from taking a stat for one of version 6

_DASHBOARD = [
    "annotations",
    "description",
    "editable",
    "graphTooltip",
    "links",
    "panels",
    "refresh",
    "schemaVersion",
    "tags",
    "templating",
    "time",
    "timepicker",
    "timezone",
    "title",
    "uid",
    "version",
]
_PANEL = [
    "id",
    "type",
    "title",
    "description",
    "gridPos",
    "datasource",
    "targets",
    "fieldConfig",
    "options",
    "transformations",
    "links",
    "transparent",
]
_ROW = ("id", "type", "title", "collapsed", "gridPos", "panels")
_TARGET = ("refId", "expr", "legendFormat", "format", "instant", "datasource")
_VARIABLE = [
    "name",
    "label",
    "type",
    "query",
    "datasource",
    "current",
    "refresh",
    "regex",
    "sort",
    "multi",
    "includeAll",
    "allValue",
    "hide",
    "options",
]
_OPTIONS_OF_VERSION_6 = ("fieldOptions", "showThresholdLabels", "showThresholdMarkers")
_OWN_ANNOTATIONS = {
    "builtIn": 1,
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "enable": True,
    "hide": True,
    "iconColor": "rgba(0, 211, 255, 1)",
    "name": "Annotations & Alerts",
    "type": "dashboard",
}


def repair(dashboard: Mapping[str, Any]) -> dict[str, Any]:
    """The encoded grafanalib `dashboard` as a dashboard of schema 42."""
    good = _keep(dashboard, _DASHBOARD)
    good["panels"] = [_panel(panel) for panel in dashboard["panels"]]
    good["templating"] = {"list": [_variable(variable) for variable in dashboard["templating"]["list"]]}
    good["annotations"] = {"list": [_OWN_ANNOTATIONS, *dashboard["annotations"]["list"]]}
    good["timepicker"] = {}
    good["fiscalYearStartMonth"] = 0
    good["preload"] = False
    pruned: dict[str, Any] = _prune(good)
    return pruned


def _panel(panel: Mapping[str, Any]) -> dict[str, Any]:
    if panel["type"] == "row":
        return _keep(panel, _ROW) | {"panels": [_panel(inner) for inner in panel["panels"]]}
    good = _keep(panel, _PANEL) | {"pluginVersion": PLUGIN_VERSION}
    good["options"] = {key: value for key, value in panel["options"].items() if key not in _OPTIONS_OF_VERSION_6}
    good["fieldConfig"].setdefault("overrides", [])
    good["fieldConfig"]["defaults"].get("custom", {}).pop("displayMode", None)  # became cellOptions.type
    if panel["type"] == "text":
        return {key: value for key, value in good.items() if key not in ("targets", "datasource")}
    good["targets"] = [_target(target) for target in panel["targets"]]
    return good


def _target(target: Mapping[str, Any]) -> dict[str, Any]:
    return _keep(target, _TARGET) | {"range": not target["instant"], "editorMode": "code"}


def _variable(variable: Mapping[str, Any]) -> dict[str, Any]:
    good = _keep(variable, _VARIABLE) | {"regex": ""}
    if variable["type"] == "datasource":
        return {key: value for key, value in good.items() if key not in ("datasource", "sort")} | {"current": {}}
    text = variable["query"]
    query = {"qryType": 1, "query": text, "refId": "PrometheusVariableQueryEditor-VariableQuery"}
    return good | {"definition": text, "query": query}


def _keep(source: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: source[key] for key in keys if key in source}


def _prune(value: Any) -> Any:
    """Leave out what is None; except a threshold's value, where None is minus infinity."""
    if isinstance(value, dict):
        return {key: _prune(inner) for key, inner in value.items() if inner is not None or key == "value"}
    return [_prune(inner) for inner in value] if isinstance(value, list) else value
