"""The choices at the top of the dashboards, and how often and over which span they look."""

from typing import Any

from dashboards.panels import NUMERIC, sources, variable
from dashboards.queries import VARIABLES
from exporter import names
from exporter.config import Config, parse_duration

FASTEST_REFRESH = "5s"  # Grafana's own default minimum
ALL = {"selected": True, "text": ["All"], "value": ["$__all"]}
_MODEL = VARIABLES[names.MODEL_NAME]


def refresh(config: Config) -> str:
    """As often as there are new statistics."""
    return max(config.evaluation.interval, FASTEST_REFRESH, key=parse_duration)


def span(config: Config) -> str:
    """The time range first shown; a replay is watched as it runs."""
    return "now-24h" if config.alerting.speed == 1 else "now-15m"


def datasource() -> Any:
    """Which Prometheus."""
    return sources()


def model() -> Any:
    """One model."""
    return variable("model", "Model", f"label_values({names.MODEL_INFO.name}, {names.MODEL_NAME})")


def versions() -> Any:
    """Some or all versions of the model."""
    log = names.PREDICTIONS_LOGGED_TOTAL.name
    return variable("version", "Version", f"label_values({log}{{{_MODEL}}}, {names.MODEL_VERSION})", many=True, now=ALL)


def window(config: Config, of: str = "") -> Any:
    """One window of those that the model, or any model, has; first the one that alerts judge."""
    first = config.models[0].drift.window
    query = f"label_values({names.PREDICTIONS_IN_WINDOW.name}{f'{{{of}}}' if of else ''}, {names.WINDOW})"
    return variable("window", "Window", query, sort=NUMERIC, now={"selected": True, "text": first, "value": first})


def feature() -> Any:
    """One feature of the model."""
    family = names.FEATURE_COMPLETENESS.name
    return variable("feature", "Feature", f"label_values({family}{{{_MODEL}}}, {names.FEATURE})")
