"""The dashboard of all models: is anything wrong, where, since when; each row leads to its model."""

from typing import Any, Unpack

from dashboards import links
from dashboards.alerts import STATES, firing, firing_table, marks, most_alerting, since, state
from dashboards.colors import BAD, CALM, NOTE, OTHER, WARN
from dashboards.limits import Limit, classifiers, fixed, limit, steps
from dashboards.looks import Column, Look, Query, describe
from dashboards.panels import Panel, dashboard, place, row, stat, table, timeline, trend
from dashboards.queries import BY_MODEL, MODEL_LEGEND, VARIABLES, by, everywhere, leading
from dashboards.variables import datasource, refresh, span, window
from exporter import names
from exporter.config import Config, parse_duration

SHOWN = 12  # models in one graph; the table lists all
LEAST_COMPLETE = f"{names.LEAST_COMPLETENESS}{{{VARIABLES[names.WINDOW]}}}"
NO_ERRORS = "No request failed in this time range"
SHOWN_STATES = 20  # bands that are still high enough to read
OF_SERIES = f"${{__field.labels.{names.MODEL_NAME}:percentencode}}"


def fleet_dashboard(config: Config) -> Any:
    """The page of all models for `config`, as a grafanalib object."""
    return dashboard(
        title="Model fleet",
        uid=links.FLEET,
        description="All models on one page: is anything wrong, where, since when. Generated; change the code.",
        tags=["prediction-exporter", "machine-learning"],
        refresh=refresh(config),
        span=span(config),
        variables=[datasource(), window(config)],
        annotations=marks(config),
        links=links.outside(config),
        panels=place(
            [
                *_numbers(config),
                _models(config),
                _states(config),
                firing_table(config, links=_from_alerts(), size=(24, 8)),
                row("Over time, the models that stand out"),
                _quality(config),
                _drifted(config),
                _errors(config),
                _latency(config),
                _completeness(config),
            ]
        ),
    )


def _from_alerts() -> dict[str, str]:
    feature = links.to_feature(model=links.row("Model"), version=links.row("Version"))
    return {"Model": links.to_model(), "Feature": feature}


def _numbers(config: Config) -> list[Panel]:
    return [_count(), _troubled("critical", BAD), _troubled("warning", WARN), _own(), _age(config), _requests()]


def _count() -> Panel:
    text = describe(
        "Models that the scraped exporters watch.",
        good="As many as are in production.",
        bad="Fewer: an exporter is not scraped, or a model was never configured.",
        do="Compare with the list of models in production; look at Prometheus's targets.",
    )
    return stat("Models", text, f"count({by('group', names.MODEL_INFO.name, BY_MODEL)})", decimals=0, size=(4, 4))


def _troubled(severity: str, color: str) -> Panel:
    text = describe(
        f"Models with a firing {severity} alert.",
        good="0.",
        bad="1 or more. 0 is also what Prometheus says when the alerting rules are not loaded.",
        do="The table below names them; a name opens the model.",
    )
    alerts = by("group", firing(f'{names.MODEL_NAME}!=""', severity=severity), BY_MODEL)
    line = fixed(severity, 1, color)
    return stat(f"With {severity} alerts", text, f"count({alerts}) or vector(0)", decimals=0, size=(4, 4), limit=line)


def _own() -> Panel:
    text = describe(
        "Firing alerts about the exporters themselves, which concern every model.",
        good="0.",
        bad="1 or more: numbers on this page may be old or missing, however good they look.",
        do="See the firing alerts below, and the last row of any model's page.",
    )
    own = by("group", firing(f'{names.MODEL_NAME}=""'), ("alertname",))
    return stat("Exporter's alerts", text, f"count({own}) or vector(0)", decimals=0, size=(4, 4), limit=fixed("own", 1))


def _age(config: Config) -> Panel:
    text = describe(
        "Time since the slowest exporter last computed its statistics. Windowed numbers are as old as this.",
        good=f"About one evaluation interval ({config.evaluation.interval}).",
        bad=f"More than {config.evaluation.max_age}: some numbers stand still.",
        do="Open a model's page, row The exporter itself, then the exporter's log.",
    )
    expr = f"time() - {by('min', names.LAST_EVALUATION_TIMESTAMP_SECONDS.name)}"
    aged = fixed("too old", parse_duration(config.evaluation.max_age))
    return stat("Freshness", text, expr, unit="s", decimals=0, size=(4, 4), limit=aged)


def _requests() -> Panel:
    text = describe(
        "Requests served a second, all models together.",
        good="The usual shape of the day.",
        bad="A fall without a reason.",
        do="The table below says which model's predictions fell.",
    )
    expr = by("sum", f"rate({names.PREDICTION_REQUESTS_TOTAL.name}[$__rate_interval])")
    return stat("Requests", text, expr, unit="reqps", size=(4, 4))


def _models(config: Config) -> Panel:
    text = describe(
        "Every model with its gravest firing alert, since when the oldest one holds, and the worst case over its "
        "versions in the chosen window. Lines: performance against the baseline and drifted features in this time "
        "range. A click on a heading sorts, on a name opens the model.",
        good="ok in every row. Unknown: no alerting rules run that could tell.",
        bad="critical: act now. warning: a ticket. A falling line before any alert.",
        do="Begin at the top; open the model, then the feature.",
    )
    columns = [
        Column("Model", label=names.MODEL_NAME, url=links.to_model(), width=150),
        Column("State", state(), words=STATES, width=80),
        Column("Since", since(f'{names.MODEL_NAME}!=""', labels=BY_MODEL), unit="dateTimeFromNow", width=116),
        Column("Alerts", by("count", firing(f'{names.MODEL_NAME}!=""'), BY_MODEL), decimals=0, width=62),
        *_measured(config),
        Column("Performance", _ratio(), shape="line", color=NOTE),
        Column("Drift", _most_drifted(), shape="line", color=OTHER),
    ]
    height = min(max(len(config.models) + 2, 6), 22)  # a row is about a line high; what is beyond scrolls
    return table("Models", text, columns, size=(24, height), empty="No model is watched", sort="State", descending=True)


def _measured(config: Config) -> list[Column]:
    info, newest = names.MODEL_INFO.name, names.LAST_RECORD_TIMESTAMP_SECONDS.name
    errors = _recorded_or_zero(names.ERROR_RATIO)
    seen = "dateTimeFromNow" if config.evaluation.clock == "wall" else "dateTimeAsIso"
    return [
        Column("Of baseline", _ratio(), unit="percentunit", decimals=1, colors=_colors(_baseline(config)), width=95),
        *_ranking(config),
        Column("Drifted", _most_drifted(), decimals=0, colors=_colors(_features(config)), width=72),
        Column("Errors", errors, unit="percentunit", decimals=2, colors=_colors(_error(config)), width=70),
        Column("p95", by("max", names.LATENCY_P95, BY_MODEL), unit="s", colors=_colors(_slow(config)), width=75),
        Column("Predictions", by("sum", _one_replica(), BY_MODEL), unit="short", width=95),
        Column("Newest record", f"1000 * {by('max', newest, BY_MODEL)}", unit=seen, width=155),
        Column("Configured", by("group", info, BY_MODEL), hidden=True),
    ]


def _ranking(config: Config) -> list[Column]:
    """AUC, where a model classifies; R², where one regresses."""
    families = [("AUC", names.MODEL_AUC)] if classifiers(config) else []
    if len(classifiers(config)) < len(config.models):
        families.append(("R²", names.MODEL_R2))
    return [Column(title, by("min", everywhere(family), BY_MODEL), decimals=3, width=62) for title, family in families]


def _one_replica() -> str:
    return by("max", everywhere(names.PREDICTIONS_IN_WINDOW), (*BY_MODEL, names.MODEL_VERSION))


def _ratio() -> str:
    return by("min", everywhere(names.MODEL_PERFORMANCE_BASELINE_RATIO), BY_MODEL)


def _most_drifted() -> str:
    return by("max", everywhere(names.DRIFTED_FEATURES), BY_MODEL)


def _recorded_or_zero(name: str) -> str:
    served = by("sum", f"rate({names.PREDICTION_REQUESTS_TOTAL.name}[$__rate_interval])", BY_MODEL)
    return f"{by('max', name, BY_MODEL)} or 0 * ({served} > 0)"


def _colors(line: Limit) -> Any:
    return steps(line, ok="transparent") if line.common else ((CALM, None),)


def _baseline(config: Config) -> Limit:
    return limit(config.models, ("baseline limit", BAD, lambda of: of.baseline_ratio), below=True)


def _features(config: Config) -> Limit:
    return limit(config.models, ("drifted features limit", BAD, lambda of: float(of.drifted_features)))


def _complete(config: Config) -> Limit:
    return limit(config.models, ("completeness limit", BAD, lambda of: of.completeness), below=True)


def _error(config: Config) -> Limit:
    return limit(config.models, ("error limit", BAD, lambda of: of.error_ratio))


def _slow(config: Config) -> Limit:
    return limit(config.models, ("latency limit", BAD, lambda of: of.latency_p95_seconds))


def _states(config: Config) -> Panel:
    text = describe(
        f"Each model's gravest alert in time; the {SHOWN_STATES} models under alert for longest.",
        good="Bands of bluish green.",
        bad="A band of orange or vermillion; bands that begin together share a cause.",
        do="Hold the beginning against the marks: deployments, baselines.",
    )
    height = min(5 + len(config.models) // 2, 14)
    query = Query(f"({state()}) and on ({names.MODEL_NAME}) {most_alerting(SHOWN_STATES)}", MODEL_LEGEND)
    return timeline("State over time", text, query, words=STATES, size=(24, height), url=links.to_model(OF_SERIES))


def _quality(config: Config) -> Panel:
    text = describe(
        f"The worst of each model's metrics over its value on the reference data, for the {SHOWN} lowest models.",
        good="Near 100 %.",
        bad="Below the dashed line: decay since training. Several models at once: a common input.",
        do="Click a line to open its model.",
    )
    return _standing_out(
        "Performance against the baseline",
        text,
        everywhere(names.MODEL_PERFORMANCE_BASELINE_RATIO),
        _baseline(config),
        unit="percentunit",
        size=(12, 9),
    )


def _drifted(config: Config) -> Panel:
    text = describe(
        f"How many features of a model have drifted, for the {SHOWN} models with most.",
        good="0, or what the season brings.",
        bad="At the dashed line or above. Several models at once: a common source or season.",
        do="Click a line to open its model; its table of features says which.",
    )
    line = _features(config)
    return _standing_out(
        "Drifted features", text, everywhere(names.DRIFTED_FEATURES), line, decimals=0, floor=0, size=(12, 9)
    )


def _errors(config: Config) -> Panel:
    text = describe(
        f"Share of requests that failed, for the {SHOWN} models with most; recorded over five minutes.",
        good="0 %, or what is usual.",
        bad="Above the dashed line.",
        do="Click a line to open its model; roll back if it began with a deployment.",
    )
    return _standing_out(
        "Error ratio", text, names.ERROR_RATIO, _error(config), unit="percentunit", floor=0, decimals=2
    )


def _latency(config: Config) -> Panel:
    text = describe(
        f"95 of 100 predictions were faster, for the {SHOWN} slowest models; recorded over five minutes.",
        good="Below the dashed line.",
        bad="Above it: callers wait, and may time out.",
        do="Click a line to open its model; Operational metrics say whether all requests slowed down.",
    )
    return _standing_out("Latency p95", text, names.LATENCY_P95, _slow(config), unit="s", floor=0)


def _completeness(config: Config) -> Panel:
    text = describe(
        f"Share of predictions that carry the model's least complete feature, for the {SHOWN} lowest models.",
        good="Above the dashed line, or flat where it has always been lower.",
        bad="A step down: a source stopped filling a field.",
        do="Click a line to open its model; Data quality names the feature.",
    )
    return _standing_out("Least complete feature", text, LEAST_COMPLETE, _complete(config), unit="percentunit")


def _standing_out(title: str, text: str, series: str, line: Limit, **look: Unpack[Look]) -> Panel:
    """The models that are worst by `series`; a limit is drawn where all models share it."""
    queries = [Query(leading(series, series, SHOWN, lowest=line.below, labels=BY_MODEL), MODEL_LEGEND)]
    shown: Look = {"limit": line.shared, "calcs": (), "url": links.to_model(OF_SERIES)}
    look.update(shown)
    return trend(title, text, queries, **look)
