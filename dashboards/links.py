"""Ways from one dashboard to another: data source, window and time range go along, encoded by Grafana."""

from typing import Any

from dashboards.panels import link, sibling
from exporter import names
from exporter.config import Config

FLEET, MODEL, FEATURE = "prediction-fleet", "prediction-model", "prediction-feature"

_KEPT = "${__url_time_range}&${datasource:queryparam}&${window:queryparam}"
CELL = "${__value.raw:percentencode}"
OF_SERIES = f"${{__field.labels.{names.FEATURE}:percentencode}}"


def row(title: str) -> str:
    """The value in the column called `title` of the row that is clicked."""
    return f"${{__data.fields.{title}:percentencode}}"


def to_model(model: str = CELL) -> str:
    """The model dashboard, of all the versions of `model`."""
    return f"/d/{MODEL}?{_KEPT}&var-model={model}"


def to_feature(feature: str = CELL, *, model: str = "", version: str = "") -> str:
    """The feature dashboard; the chosen model and versions stay where none is given."""
    of = f"var-model={model}" if model else "${model:queryparam}"
    which = f"var-version={version}" if version else "${version:queryparam}"
    return f"/d/{FEATURE}?{_KEPT}&{of}&{which}&var-feature={feature}"


def to_fleet() -> Any:
    """The link to the fleet at the top of a dashboard."""
    return sibling("Fleet", FLEET, tooltip="All models on one page")


def to_the_model() -> Any:
    """The link to the chosen model at the top of a dashboard."""
    return sibling("Model", MODEL, tooltip="The chosen model, in five rows")


def to_features() -> Any:
    """The link to the features of the chosen model at the top of a dashboard."""
    return sibling("Features", FEATURE, tooltip="One feature of the chosen model")


def outside(config: Config) -> list[Any]:
    """Links that every dashboard has."""
    alerting = config.alerting
    return [
        link("Runbook", alerting.runbook_url, icon="doc", tooltip="What each alert means and what to do"),
        link("Alerts", "/alerting/list", icon="bolt", tooltip="All alert rules and their state"),
        link("Exporter", alerting.exporter_url, icon="info", tooltip="The exporter's own pages"),
    ]
