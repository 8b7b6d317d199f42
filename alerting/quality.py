"""Alerts on inputs and on serving: incomplete, broken, invalid and missing features; latency and errors."""

from alerting.alert import RATE, STATISTIC, Alert, Runbook
from alerting.drift import OF_FEATURE, WHO
from alerting.durations import Pace
from alerting.promql import Level, compare, either, grouped, number, select, told
from exporter import names
from exporter.config import BROKEN_BELOW, Config, parse_duration
from exporter.names import FEATURE, MODEL, WINDOW, WINDOWED

# A fifth of the rows, all moved into one tenth of the reference, makes a PSI of 0.22; a smaller gap explains no drift
# that anyone acts on.
EXPLAINS_BELOW = 0.8


def quality_alerts(config: Config) -> tuple[Alert, ...]:
    """Inputs, from one broken feature to the model's whole input."""
    return (
        _broken(config),
        _recovering(config),
        _incomplete(config),
        _invalid(config),
        _missing(config),
        _log_incomplete(config),
    )


def operations_alerts(config: Config) -> tuple[Alert, ...]:
    """Serving."""
    return (_latency(config), _errors(config))


def shortest_window(config: Config) -> str:
    """The window that shows a break first."""
    return min(config.evaluation.windows, key=parse_duration)


def _broken(config: Config) -> Alert:
    window = shortest_window(config)
    return Alert(
        name="PredictionFeatureBroken",
        severity="critical",
        expr=either(map(_broken_expr, grouped(config, lambda model: (model.drift.min_rows, window)))),
        hold=STATISTIC,
        labels=OF_FEATURE,
        summary=f"{{{{ $labels.feature }}}} of {WHO} is mostly missing",
        description=(
            "Only {{ $value | humanizePercentage }} of the predictions over {{ $labels.window }} carry "
            f"{{{{ $labels.feature }}}}; below {BROKEN_BELOW:.0%} its source is taken for broken."
        ),
        runbook=Runbook(
            "A feature's source has broken. What follows from it (drift of the feature and of the output, lower "
            "performance) is silenced while this fires.",
            "Row 4 of the dashboard: when completeness fell, and which other features fell with it.",
            "Mend the pipeline that feeds the feature; roll back its last release. Do not retrain on this data.",
        ),
        pages=True,  # callers are answered without it now; the outcomes that would show it come later
    )


def _broken_expr(enough: Level) -> str:
    return (
        f"{enough.select(names.FEATURE_COMPLETENESS)} < {BROKEN_BELOW}\n"
        f"and ignoring ({FEATURE}) {enough.select(names.PREDICTIONS_IN_WINDOW)} >= {number(enough.value)}"
    )


def _recovering(config: Config) -> Alert:
    pace = Pace(config.alerting.speed)
    return Alert(
        name="PredictionFeatureRecovering",
        severity="info",
        expr=either(
            _recovering_expr(level, pace) for level in grouped(config, lambda m: (EXPLAINS_BELOW, m.drift.window))
        ),
        hold=STATISTIC,
        labels=OF_FEATURE,
        summary=f"{{{{ $labels.feature }}}} of {WHO} was broken, and the drift window still holds that time",
        description=(
            "{{ $value | humanizePercentage }} of the predictions over {{ $labels.window }} carry "
            "{{ $labels.feature }}, for it was mostly missing within that time; drift and performance over "
            "{{ $labels.window }} still count what was predicted without it."
        ),
        runbook=Runbook(
            "PredictionFeatureBroken has ended and the gap is no news, but it is wide enough to make the drift window "
            "differ from the reference by itself. Until it has passed out of the window, what follows from it (drift "
            "of the feature and of the output, lower performance) stays silenced, and nothing is retrained on it.",
            "Row 4 of the dashboard: that completeness over the shortest window is back.",
            "Nothing, if it is. Leave the gap out of the next training data.",
        ),
    )


def _recovering_expr(level: Level, pace: Pace) -> str:
    page = select(names.ALERTS, level.models, alertname="PredictionFeatureBroken", alertstate="firing")
    own = f"{WINDOW}, alertname, alertstate, severity, app, page"  # what tells the page from the feature
    lately = f"max_over_time({page}[{pace.range(parse_duration(level.window))}])"
    return f"{level.select(names.FEATURE_COMPLETENESS)} < {number(level.value)}\nand ignoring ({own}) {lately}"


def _incomplete(config: Config) -> Alert:
    return Alert(
        name="PredictionFeatureIncomplete",
        severity="warning",
        expr=compare(config, names.FEATURE_COMPLETENESS, "<", lambda t: t.completeness),
        hold=STATISTIC,
        labels=OF_FEATURE,
        summary=f"{{{{ $labels.feature }}}} of {WHO} is {{{{ $value | humanizePercentage }}}} complete",
        description=(
            "{{ $value | humanizePercentage }} of the predictions over {{ $labels.window }} carry "
            f"{{{{ $labels.feature }}}}; less than {told(config, lambda t: t.completeness, percent=True)} warns."
        ),
        runbook=Runbook(
            "Too many predictions lack the feature. Its minor and moderate drift is silenced meanwhile.",
            "Row 4 of the dashboard: since when, and whether other features of the same source lack it too.",
            "Mend the source. If the feature was as incomplete when the model was trained, that is its nature: lower "
            "`thresholds.completeness` for the model.",
        ),
    )


def _invalid(config: Config) -> Alert:
    return Alert(
        name="PredictionInputsInvalid",
        severity="warning",
        expr=compare(config, names.INVALID_INPUT_RATIO, ">", lambda t: t.invalid_inputs),
        hold=STATISTIC,
        labels=MODEL,
        summary=f"{{{{ $value | humanizePercentage }}}} of the inputs of {WHO} are invalid",
        description=(
            "{{ $value | humanizePercentage }} of the values have a wrong type, are not finite or are categories "
            f"the model never saw; more than {told(config, lambda t: t.invalid_inputs, percent=True)} warns."
        ),
        runbook=Runbook(
            "The model is fed values it cannot have learned from.",
            f"`{names.INVALID_INPUTS_TOTAL.name}` by reason, then row 4 of the dashboard for the feature: unseen "
            "categories, values out of range.",
            "Compare the writer's schema with the baseline's. New categories that stay ask for a retraining.",
        ),
    )


def _missing(config: Config) -> Alert:
    return Alert(
        name="PredictionFeaturesMissing",
        severity="warning",
        expr=compare(config, names.MISSING_FEATURE_RATIO, ">", lambda t: t.missing_features),
        hold=STATISTIC,
        labels=MODEL,
        summary=f"{{{{ $value | humanizePercentage }}}} of the feature values of {WHO} are missing",
        description=(
            "{{ $value | humanizePercentage }} of the feature values, over all features, are null or absent; "
            f"more than {told(config, lambda t: t.missing_features, percent=True)} warns."
        ),
        runbook=Runbook(
            "Over all features together, too many values are missing. Where one feature is the reason, "
            "PredictionFeatureIncomplete names it and this alert is silenced.",
            "Row 4 of the dashboard: the features with the lowest completeness.",
            "Mend the source, or raise `thresholds.missing_features` if the model was trained with such gaps.",
        ),
    )


def _log_incomplete(config: Config) -> Alert:
    return Alert(
        name="PredictionLogIncomplete",
        severity="warning",
        expr=compare(config, names.PREDICTION_LOG_COMPLETENESS_RATIO, "<", lambda t: t.log_completeness),
        hold=STATISTIC,
        labels=WINDOWED,
        summary=f"{{{{ $value | humanizePercentage }}}} of the log of {WHO} arrives",
        description=(
            "Of the predictions that writers report over {{ $labels.window }} and did not leave out on purpose, "
            "{{ $value | humanizePercentage }} were read; less than "
            f"{told(config, lambda t: t.log_completeness, percent=True)} warns."
        ),
        runbook=Runbook(
            "Predictions are served whose records never arrive: every statistic of the model misses them.",
            f"`{names.PREDICTIONS_DROPPED_TOTAL.name}` (the writer lost them), "
            f"`{names.REJECTED_RECORDS_TOTAL.name}` by reason (the exporter refused them), "
            f"`{names.WRITERS.name}`, and whether each writer's folder is among the configured logs.",
            "Give the writer's queue or disk room, mend what makes records invalid, or add the missing path.",
        ),
    )


def _latency(config: Config) -> Alert:
    return Alert(
        name="PredictionLatencyHigh",
        severity="warning",
        expr=compare(config, names.LATENCY_P95, ">", lambda t: t.latency_p95_seconds),
        hold=RATE,
        labels=MODEL,
        summary=f"{WHO} answers slowly: p95 is {{{{ $value | humanizeDuration }}}}",
        description=(
            "One prediction in twenty takes longer than {{ $value | humanizeDuration }}; more than "
            f"{told(config, lambda t: t.latency_p95_seconds)} s warns."
        ),
        runbook=Runbook(
            "The slowest twentieth of the predictions is slower than agreed.",
            "Row 3 of the dashboard: whether the median rose too (load, a slower model) or only the tail (a slow "
            "dependency, cold starts, large requests), and whether traffic grew.",
            "Scale out under load; roll back if it began with a release.",
        ),
    )


def _errors(config: Config) -> Alert:
    return Alert(
        name="PredictionErrorsHigh",
        severity="warning",
        expr=compare(config, names.ERROR_RATIO, ">", lambda t: t.error_ratio),
        hold=RATE,
        labels=MODEL,
        summary=f"{{{{ $value | humanizePercentage }}}} of the requests to {WHO} fail",
        description=(
            "{{ $value | humanizePercentage }} of the requests fail; more than "
            f"{told(config, lambda t: t.error_ratio, percent=True)} warns."
        ),
        runbook=Runbook(
            "Requests for predictions fail.",
            f"`{names.PREDICTION_ERRORS_TOTAL.name}` by error, and the serving process's log.",
            "Mend what the error names; roll back if it began with a release.",
        ),
    )
