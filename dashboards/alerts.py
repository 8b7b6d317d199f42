"""Alerts on dashboards: which fire, since when, and the moments at which something began, as marks in the graphs."""

from collections.abc import Mapping
from typing import Any

from dashboards.colors import BAD, GOOD, NOTE, OTHER, WARN
from dashboards.looks import Column, describe
from dashboards.panels import Panel, annotation, table
from dashboards.queries import BY_MODEL, MODEL_LEGEND, VARIABLES, VERSION_LEGEND, by
from exporter import names
from exporter.config import Config

SEVERITIES = {"2": ("info", NOTE), "3": ("warning", WARN), "4": ("critical", BAD)}
STATES = {"0": ("ok", GOOD), "1": ("unknown", NOTE), **SEVERITIES}
OF_MODEL = (VARIABLES[names.MODEL_NAME], f'{names.MODEL_NAME}=""')  # the exporter's own alerts name no model
METRIC = "metric"
LISTED = ("alertname", names.MODEL_NAME, names.FEATURE, METRIC, names.MODEL_VERSION, names.WINDOW)
_ANY = "|".join(word for word, _ in SEVERITIES.values())


def firing(*whose: str, severity: str = _ANY, offset: str = "") -> str:
    """The firing alerts that one of the matchers `whose` finds; all, without one.

    Of no severity is only the heartbeat that always fires.
    """
    return _either(names.ALERTS, f'alertstate="firing",{_ours(severity)}', whose, offset)


def ranked(*whose: str) -> str:
    """Firing alerts, the value being the rank of their severity."""
    return " or ".join(f"{rank} * {firing(*whose, severity=word)}" for rank, (word, _) in SEVERITIES.items())


def since(*whose: str, labels: tuple[str, ...] = LISTED) -> str:
    """When the condition of the oldest firing alert began, in Unix milliseconds."""
    started = _either("ALERTS_FOR_STATE", _ours(_ANY), whose)
    return f"1000 * {by('min', f'{started} and ignoring (alertstate) {firing(*whose)}', labels)}"


def state() -> str:
    """Each model's gravest alert, as ranked; 0 where none fires, 1 where no alerting rules run that could tell."""
    known = by("group", names.MODEL_INFO.name, BY_MODEL)
    watched = f"count({firing(severity='none')})"
    calm = f"(0 * {known} and on () {watched}) or 1 * {known}"
    return f"{by('max', ranked(), BY_MODEL)} and {known} or {calm}"


def most_alerting(count: int) -> str:
    """The models with the longest firing alerts in the time range, all together; those without any come last."""
    lasted = f"count_over_time({firing(offset='[$__range] @ end()')})"
    known = by("group", f"{names.MODEL_INFO.name} @ end()", BY_MODEL)
    return f"topk({count}, {by('sum', lasted, BY_MODEL)} and {known} or 0 * {known})"


ABOUT = {
    "Model": names.MODEL_NAME,
    "Version": names.MODEL_VERSION,
    "Feature": names.FEATURE,
    "Metric": METRIC,
    "Window": names.WINDOW,
}


def firing_table(
    config: Config, *whose: str, about: Mapping[str, str] = ABOUT, links: Mapping[str, str], size: tuple[int, int]
) -> Panel:
    """Every firing alert, gravest first, and what it is `about`: labels by title; `links` are the URLs of columns."""
    text = describe(
        "Every alert that fires here or for the exporter itself, also those that a graver one silences; a name opens "
        "its runbook. Since: when its condition began.",
        good="An empty table.",
        bad="A critical alert pages; a warning asks for a ticket; info is for reading when there is time.",
        do="Begin at the top.",
    )
    columns = [
        Column("Severity", by("max", ranked(*whose), LISTED), words=SEVERITIES, width=110),
        Column("Alert", label="alertname", width=250, url=f"{config.alerting.runbook_url}#${{__value.raw}}"),
        *(Column(title, label=label, url=links.get(title, "")) for title, label in about.items()),
        Column("Since", since(*whose), unit="dateTimeFromNow", width=150),
    ]
    nothing = "No alert is firing"
    return table("Firing alerts", text, columns, size=size, empty=nothing, sort="Severity", descending=True)


def marks(config: Config, model: str = "", *whose: str) -> list[dict[str, Any]]:
    """Where alerts began, versions appeared and baselines changed; `model` is a matcher, `whose` are those of alerts.

    Only beginnings are marked: shaded for as long as they last, several alerts would hide the graphs. Something counts
    as begun for `fresh`, which the step must not exceed, or beginnings would fall between two steps.
    """
    fresh, step = ("5m", "60s") if config.alerting.speed == 1 else ("5s", "5s")
    labels = ("alertname", "severity", names.MODEL_NAME, names.MODEL_VERSION)
    now, before = (by("max", firing(*whose, offset=offset), labels) for offset in ("", f" offset {fresh}"))
    info, log = names.MODEL_INFO.name, names.PREDICTIONS_LOGGED_TOTAL.name
    # A model that was not seen before either is news to Prometheus, not to the model: a restart, a first scrape.
    known = f"and on ({names.MODEL_NAME}) {info}{{{model}}} offset {fresh}"
    version = _new(f"{log}{{{model}}}", (names.MODEL_NAME, names.MODEL_VERSION), fresh)
    baseline = _new(f"{info}{{{model}}}", (names.MODEL_NAME, "baseline"), fresh)
    deployed, based = f"{MODEL_LEGEND} {VERSION_LEGEND}", f"{MODEL_LEGEND} {{{{baseline}}}}"
    return [
        annotation("Alerts", f"{now} unless {before}", title="{{alertname}}", text=f"{{{{severity}}}} {deployed}",
                   color=OTHER, step=step),
        annotation("Deployments", f"{version} {known}", title="New version", text=deployed, color=NOTE, step=step),
        annotation("Baselines", f"{baseline} {known}", title="New baseline", text=based, color=WARN, step=step),
    ]  # fmt: skip


def _new(series: str, labels: tuple[str, ...], fresh: str) -> str:
    """What was not there before, the value being 1."""
    return f"({by('group', series, labels)} unless {by('group', f'{series} offset {fresh}', labels)})"


def _ours(severity: str) -> str:
    return f'app="{names.ALERT_APP}",severity=~"{severity}"'


def _either(name: str, matchers: str, whose: tuple[str, ...], offset: str = "") -> str:
    selectors = (f"{name}{{{','.join(filter(None, (matchers, who)))}}}{offset}" for who in whose or ("",))
    return f"({' or '.join(selectors)})"
