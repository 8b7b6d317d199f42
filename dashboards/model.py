"""The dashboard of one model: a line that says whether anything is wrong, five rows that say what, and the programs.

A pure function of the configuration: the same configuration gives the same dashboard. It serves every exporter whose
thresholds are the same, for models, versions and windows are asked for when it is opened.
"""

from typing import Any

from dashboards import links
from dashboards.alerts import OF_MODEL, marks
from dashboards.cost import cost
from dashboards.drift import drift
from dashboards.health import health
from dashboards.objectives import objectives
from dashboards.operations import operations
from dashboards.overview import overview
from dashboards.panels import dashboard, place, row
from dashboards.performance import performance
from dashboards.quality import quality
from dashboards.queries import VARIABLES
from dashboards.responder import responder
from dashboards.variables import datasource, model, refresh, span, versions, window
from exporter import names
from exporter.config import Config


def model_dashboard(config: Config) -> Any:
    """The five-row dashboard for `config`, as a grafanalib object."""
    this = VARIABLES[names.MODEL_NAME]
    return dashboard(
        title="Model monitoring",
        uid=links.MODEL,
        description="Performance, drift, operations, data quality and cost of one model. Generated; change the code.",
        tags=["prediction-exporter", "machine-learning"],
        refresh=refresh(config),
        span=span(config),
        variables=[datasource(), model(), versions(), window(config, this)],
        annotations=marks(config, this, *OF_MODEL),
        links=[links.to_fleet(), links.to_features(), *links.outside(config)],
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
