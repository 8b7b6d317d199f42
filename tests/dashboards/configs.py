"""The configurations that dashboards are tested with, and ways to walk a dashboard's JSON."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from dashboards.build import dashboards
from exporter.config import Config, load_config, parse_config

ROOT = Path(__file__).parents[2]
PRODUCTION = ROOT / "deploy/prediction-exporter.yml"
FLIGHTS = ROOT / "deploy/flights/prediction-exporter.yml"
GENERATED = ROOT / "dashboards/generated"
OF_FLIGHTS = ROOT / "deploy/flights/dashboards"
HEAD = "log: [{path: logs/*.ndjson}]\nmodels:\n"
MIXED = (
    HEAD
    + """
  - {name: delay, task: binary, baseline: b.json, segments: [origin], drift: {periods: [previous]}}
  - {name: topic-1.0, task: multiclass, baseline: b.json, thresholds: {auc: 0.8, feature_drift: {severe: 0.5}}}
  - {name: 'pri"ce', task: regression, baseline: b.json, thresholds: {accuracy: 0.1}}
"""
)
REGRESSION = HEAD + "  - {name: price, task: regression, baseline: b.json}\n"

Json = dict[str, Any]


def configs() -> dict[str, Config]:
    """By name: the two shipped ones, one of all tasks whose models differ, one of a regression alone."""
    return {
        "production": load_config(PRODUCTION),
        "flights": load_config(FLIGHTS),
        "mixed": parse_config(MIXED),
        "regression": parse_config(REGRESSION),
    }


FLEET, MODEL, FEATURE = UIDS = ("prediction-fleet", "prediction-model", "prediction-feature")


def built(name: str, uid: str = MODEL) -> Json:
    """A dashboard of a configuration, as Grafana gets it."""
    return _built(name)[uid]


@cache
def _built(name: str) -> dict[str, Json]:
    return {one["uid"]: one for one in dashboards(configs()[name])}


def panels(dashboard: Json) -> Iterator[Json]:
    """Every panel, those of collapsed rows and the rows themselves included."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", ())


def drawn(dashboard: Json) -> Iterator[Json]:
    """Every panel but the rows."""
    return (panel for panel in panels(dashboard) if panel["type"] != "row")


def titled(dashboard: Json, title: str, kind: str) -> Json:
    """The one panel of that title and type."""
    [panel] = [panel for panel in drawn(dashboard) if (panel["title"], panel["type"]) == (title, kind)]
    return panel


def expressions(dashboard: Json) -> list[str]:
    """Every PromQL expression: panels' and annotations'."""
    asked = [target["expr"] for panel in drawn(dashboard) for target in panel["targets"]]
    marked = [one["target"]["expr"] for one in dashboard["annotations"]["list"] if "target" in one]
    return asked + marked


def plain(expr: str) -> str:
    """The expression with Grafana's variables filled in, as Prometheus receives it."""
    filled = expr.replace("$__rate_interval", "5m").replace("$__range", "1d").replace("$__interval", "1m")
    return re.sub(r"\$(model|version|window|feature)\b", "some", filled)
