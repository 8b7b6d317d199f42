"""The top of the dashboard: one line that says whether anything is wrong, and the alerts that say what."""

from dashboards import links
from dashboards.alerts import ABOUT, LISTED, OF_MODEL, firing, firing_table
from dashboards.colors import BAD
from dashboards.limits import Limit, classifiers, fixed, limit
from dashboards.looks import describe
from dashboards.panels import Panel, stat
from dashboards.queries import VARIABLES, by, select, select_recorded, zero_where
from exporter import names
from exporter.config import Config, parse_duration


def overview(config: Config) -> list[Panel]:
    """Eight numbers, worst case over the chosen versions, and the firing alerts."""
    return [
        _alerts(),
        _age(config),
        _quality(config),
        _against_baseline(config),
        _drifted(config),
        _errors(config),
        _latency(config),
        _completeness(config),
        _firing(config),
    ]


def _alerts() -> Panel:
    text = describe(
        "Alerts firing at this moment, for this model or for the exporter itself, of any severity.",
        good="0.",
        bad="1 or more. 0 is also what Prometheus says when the alerting rules are not loaded.",
        do="Read the table below, gravest first, and open the runbook of each.",
    )
    expr = f"count({by('group', firing(*OF_MODEL), LISTED)}) or vector(0)"
    return stat("Alerts firing", text, expr, limit=fixed("firing", 1), decimals=0)


def _age(config: Config) -> Panel:
    text = describe(
        "Time since the exporter last computed its statistics. All windowed numbers here are as old as this.",
        good=f"About one evaluation interval ({config.evaluation.interval}).",
        bad=f"More than {config.evaluation.max_age}: every other number stands still, however good it looks.",
        do="Open the row on the exporter at the bottom, then its log.",
    )
    expr = f"time() - {by('min', select(names.LAST_EVALUATION_TIMESTAMP_SECONDS))}"
    aged = fixed("too old", parse_duration(config.evaluation.max_age))
    return stat("Freshness", text, expr, unit="s", decimals=0, limit=aged)


def _quality(config: Config) -> Panel:
    classifies = any(model.task != "regression" for model in config.models)
    regresses = any(model.task == "regression" for model in config.models)
    auc, r2 = (by("min", select(family)) for family in (names.MODEL_AUC, names.MODEL_R2))
    text = describe(
        "How well the model ranks (AUC; R² for a regression) in the window, on predictions whose outcome is known.",
        good="Above the line that the configuration draws.",
        bad="Below it: the model no longer tells apart what it was built to tell apart.",
        do="See which of accuracy, calibration and drift moved with it in the rows below.",
    )
    title = "AUC or R²" if classifies and regresses else "AUC" if classifies else "R²"
    expr = f"{auc} or {r2}" if classifies and regresses else auc if classifies else r2
    line = Limit() if regresses else limit(classifiers(config), ("AUC", BAD, lambda of: of.auc), below=True)
    return stat(title, text, expr, decimals=3, floor=0, top=1, limit=line)


def _against_baseline(config: Config) -> Panel:
    text = describe(
        "The worst of the model's metrics, as a share of what it reached on the reference data.",
        good="Near or above 100 %.",
        bad="Below the line: performance has decayed since training.",
        do="Find the metric under Model performance; if drift rose too, plan a retraining.",
    )
    expr = by("min", select(names.MODEL_PERFORMANCE_BASELINE_RATIO))
    line = limit(config.models, ("baseline", BAD, lambda of: of.baseline_ratio), below=True)
    return stat("Vs baseline", text, expr, unit="percentunit", floor=0, top=1, decimals=1, limit=line)


def _drifted(config: Config) -> Panel:
    text = describe(
        "Features whose inputs in the window differ from the reference by size and by significance.",
        good="0. One or two are ordinary where inputs have seasons.",
        bad="At the limit or above: the model sees a world it was not trained on.",
        do="Sort the table of features under Drift detection by PSI and ask what changed upstream.",
    )
    line = limit(config.models, ("drifted", BAD, lambda of: float(of.drifted_features)))
    return stat("Drifted", text, by("max", select(names.DRIFTED_FEATURES)), decimals=0, floor=0, limit=line)


def _errors(config: Config) -> Panel:
    text = describe(
        "Share of requests that failed in the last minutes.",
        good="0 %, or what is usual for this service.",
        bad="Above the limit: callers go without predictions.",
        do="Look at the errors by kind under Operational metrics; roll back if it began with a release.",
    )
    expr = zero_where(by("max", select_recorded(names.ERROR_RATIO)), names.PREDICTION_REQUESTS_TOTAL)
    line = limit(config.models, ("errors", BAD, lambda of: of.error_ratio))
    return stat("Error ratio", text, expr, unit="percentunit", floor=0, top=1, decimals=2, limit=line)


def _latency(config: Config) -> Panel:
    text = describe(
        "95 of 100 predictions in the last minutes were faster than this.",
        good="Below the limit.",
        bad="Above it: callers wait, and may time out.",
        do="See under Operational metrics whether all requests slowed down or only a tail.",
    )
    line = limit(config.models, ("p95", BAD, lambda of: of.latency_p95_seconds))
    expr = by("max", select_recorded(names.LATENCY_P95))
    return stat("Latency p95", text, expr, unit="s", floor=0, limit=line)


def _completeness(config: Config) -> Panel:
    text = describe(
        "The share of predictions that carry the feature, for the feature that is missing most often.",
        good="Above the limit, or where it has always been.",
        bad="Below it: a source has stopped filling a field, and the model guesses.",
        do="Find the feature under Data quality and ask its owner.",
    )
    expr = by("min", select_recorded(names.LEAST_COMPLETENESS, VARIABLES[names.WINDOW]))
    line = limit(config.models, ("completeness", BAD, lambda of: of.completeness), below=True)
    return stat("Complete", text, expr, unit="percentunit", floor=0, top=1, decimals=1, limit=line)


def _firing(config: Config) -> Panel:
    about = {title: label for title, label in ABOUT.items() if label != names.MODEL_NAME}
    to_feature = links.to_feature(version=links.row("Version"))
    return firing_table(config, *OF_MODEL, about=about, links={"Feature": to_feature}, size=(24, 8))
