"""Every query of every panel of the committed dashboards, asked of the Prometheus that watched the flights."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.demo.flights import MODEL_NAME

from .receiver import Json
from .stack import Moment, Stack

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
DASHBOARDS = [
    path
    for folder in ("deploy/flights/dashboards", "dashboards/generated")
    for path in sorted((ROOT / folder).glob("*.json"))
]
FEATURE = "temp"

RESPONDER = (
    "Responder",
    "Oldest unacknowledged",
    "Deliveries waiting",
    "Judged false",
    "Actions",
    "Actions pending",
    "Response time",
)
EMPTY = {
    "prediction-fleet": {},
    "prediction-model": {
        "Champion and challengers": "one version flies the whole year",
        "Drift over its usual limit": "January, the reference, holds a single window of 28 days",
        "Records rejected": "the flights' records are all well formed",
        **dict.fromkeys(RESPONDER, "no responder runs beside this stack"),
        **dict.fromkeys(("Intake: requests", "Intake: records", "Intake: spool"), "the flights come in files"),
        **dict.fromkeys(("Archive", "Archiving"), "the demo archives nothing"),
        "History": "the flights hold nothing against a past period",
        "Prediction anomaly": "January holds one window of 28 days, and a usual range takes two",
    },
    "prediction-feature": {
        "Of its usual limit": "January, the reference, holds a single window of 28 days",
        "PSI": "and so there is no calibrated threshold",
        "Unseen categories": "a temperature is a number",
    },
}
"""By dashboard, panels with a query that has nothing to show, and why."""


def panels(dashboard: Json) -> Iterator[Json]:
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panels(panel)
        else:
            yield panel


def asked(target: Json, seconds: float) -> str:
    """The expression as Grafana sends it, with the dashboard's variables filled in."""
    filled = {
        "$__rate_interval": "5s",
        "$__interval": "1s",
        "$__range": f"{seconds:.0f}s",
        '"$model"': f'"{MODEL_NAME}"',
        '"$version"': '".*"',
        '"$window"': '"28d"',
        '"$feature"': f'"{FEATURE}"',
    }
    expr: str = target["expr"]
    for variable, value in filled.items():
        expr = expr.replace(variable, value)
    assert "$" not in expr.replace('"$1"', ""), expr
    return expr


def has_data(stack: Stack, target: Json, start: float, end: float) -> bool:
    """At any instant between the two: what a panel asks of the present may fall into a night without flights."""
    found = stack.query_range(asked(target, end - start), start, end)
    return any(math.isfinite(float(value)) for series in found for _, value in series["values"])


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_query_of_every_panel_returns_data(path: Path, stack: Stack, calm: Moment, drifted: Moment) -> None:
    found = list(panels(json.loads(path.read_text())))
    assert len(found) > 12
    silent = {
        panel["title"]: target["expr"]
        for panel in found
        for target in panel["targets"]
        if not has_data(stack, target, calm.time, drifted.time)
    }
    assert silent.keys() == EMPTY[path.stem].keys(), silent
