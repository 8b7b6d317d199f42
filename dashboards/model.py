"""The dashboard of one model: a line that says whether anything is wrong, five rows that say what, and the programs.

A pure function of the configuration: the same configuration gives the same dashboard. It serves every exporter whose
thresholds are the same, for models, versions and windows are asked for when it is opened.
"""

from typing import Any

from dashboards.colors import OTHER
from dashboards.cost import cost
from dashboards.drift import drift
from dashboards.health import health
from dashboards.objectives import objectives
from dashboards.operations import operations
from dashboards.overview import firing, overview
from dashboards.panels import NUMERIC, annotation, dashboard, link, place, row, sources, variable
from dashboards.performance import performance
from dashboards.quality import quality
from dashboards.queries import VARIABLES, VERSION_LEGEND, by
from dashboards.responder import responder
from exporter import names
from exporter.config import Config, parse_duration

UID = "prediction-model"
FASTEST_REFRESH = "5s"  # Grafana's own default minimum
ALL = {"selected": True, "text": ["All"], "value": ["$__all"]}


def model_dashboard(config: Config) -> Any:
    """The five-row dashboard for `config`, as a grafanalib object."""
    return dashboard(
        title="Model monitoring",
        uid=UID,
        description="Performance, drift, operations, data quality and cost of one model. Generated; change the code.",
        tags=["prediction-exporter", "machine-learning"],
        refresh=_refresh(config),
        span="now-24h" if config.alerting.speed == 1 else "now-15m",  # a replay is watched as it runs
        variables=_variables(config),
        annotations=[_alerts(config)],
        links=_links(config),
        panels=place(
            [
                *overview(config),
                row("Model performance"),
                *performance(config),
                *objectives(config),
                row("Drift detection"),
                *drift(config),
                row("Operational metrics"),
                *operations(config),
                row("Data quality"),
                *quality(config),
                row("Cost and resource usage"),
                *cost(config),
                row("The exporter itself", health(config), collapsed=True),
                row("The alert responder", responder(config), collapsed=True),
            ]
        ),
    )


def _refresh(config: Config) -> str:
    interval = config.evaluation.interval
    return max(interval, FASTEST_REFRESH, key=parse_duration)


def _variables(config: Config) -> list[Any]:
    model = VARIABLES[names.MODEL_NAME]
    window = config.models[0].drift.window
    return [
        sources(),
        variable("model", "Model", f"label_values({names.MODEL_INFO.name}, {names.MODEL_NAME})"),
        variable(
            "version",
            "Version",
            f"label_values({names.PREDICTIONS_LOGGED_TOTAL.name}{{{model}}}, {names.MODEL_VERSION})",
            many=True,
            now=ALL,
        ),
        variable(
            "window",
            "Window",
            f"label_values({names.PREDICTIONS_IN_WINDOW.name}{{{model}}}, {names.WINDOW})",
            sort=NUMERIC,
            now={"selected": True, "text": window, "value": window},
        ),
    ]


def _alerts(config: Config) -> dict[str, Any]:
    """The moments at which alerts began: shaded for as long as they last, several would hide the graphs.

    An alert counts as begun for `fresh`, which the step must not exceed, or beginnings would fall between two steps.
    """
    fresh, step = ("5m", "60s") if config.alerting.speed == 1 else ("5s", "5s")
    now = by("max", firing(), ("alertname", "severity", names.MODEL_VERSION))
    before = by("max", firing(offset=f" offset {fresh}"), ("alertname", "severity", names.MODEL_VERSION))
    title, text = "{{alertname}}", f"{{{{severity}}}} {VERSION_LEGEND}"
    return annotation("Alerts firing", f"{now} unless {before}", title=title, text=text, color=OTHER, step=step)


def _links(config: Config) -> list[Any]:
    alerting = config.alerting
    return [
        link("Runbook", alerting.runbook_url, icon="doc", tooltip="What each alert means and what to do"),
        link("Alerts", "/alerting/list", icon="bolt", tooltip="All alert rules and their state"),
        link("Exporter", alerting.exporter_url, icon="info", tooltip="The exporter's own pages"),
    ]
