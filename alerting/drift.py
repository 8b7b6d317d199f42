"""Alerts on drift: of single features, of their number, and of the model's output."""

from alerting.alert import STATISTIC, Alert, Runbook, Severity
from alerting.promql import Threshold, compare, either, grouped, levels, number, told
from exporter import names
from exporter.config import Config
from exporter.names import FEATURE, METHOD, MODEL_NAME, MODEL_VERSION, WINDOWED

WHO = f"{{{{ $labels.{MODEL_NAME} }}}} {{{{ $labels.{MODEL_VERSION} }}}}"
OF_FEATURE = (*WINDOWED, FEATURE)


def drift_alerts(config: Config) -> tuple[Alert, ...]:
    """Gravest first, as inhibition has it."""
    return (
        _feature_drift(config, "Severe", "critical", lambda t: t.feature_drift.severe, _RETRAIN),
        _feature_drift(config, "Moderate", "warning", lambda t: t.feature_drift.moderate, _INVESTIGATE),
        _feature_drift(config, "Minor", "info", lambda t: t.feature_drift.minor, _NOTE),
        _prediction_drift(config, "Severe", "critical", lambda t: t.prediction_drift_severe, _OUTPUT_RETRAIN),
        _prediction_drift(config, "Moderate", "warning", lambda t: t.prediction_drift, _OUTPUT_INVESTIGATE),
        _drifted_features(config),
        _unusual(config),
    )


def _feature_drift(config: Config, degree: str, severity: Severity, threshold: Threshold, act: str) -> Alert:
    expr = either(
        f"{level.select(names.FEATURE_DRIFT_SCORE, method='psi')} >= {number(level.value)}\n"
        f"and ignoring ({METHOD}) {level.select(names.FEATURE_DRIFTED)} == 1"
        for level in levels(config, threshold)
    )
    return Alert(
        name=f"PredictionFeatureDrift{degree}",
        severity=severity,
        expr=expr,
        hold=STATISTIC,
        labels=OF_FEATURE,
        summary=f"{{{{ $labels.feature }}}} of {WHO} has drifted ({degree.lower()})",
        description=(
            'PSI of {{ $labels.feature }} over {{ $labels.window }} is {{ $value | printf "%.3f" }}; '
            f"{degree.lower()} drift starts at {told(config, threshold)}. There were enough rows, and the drift is "
            "significant after correction for the number of features."
        ),
        runbook=Runbook(_FEATURE_MEANS, _FEATURE_LOOK, act),
    )


_FEATURE_MEANS = (
    "The feature's distribution in the window differs from the reference that the model's baseline was built on. PSI "
    "measures by how much; the alert also asks for enough rows and for significance after correction for the number of "
    "features, so chance is not the reason."
)
_FEATURE_LOOK = (
    "Row 2 of the dashboard: since when, and what else moved with it. Row 4: its completeness, values out of "
    "range and unseen categories, for a broken pipeline looks like drift. Row 1: whether accuracy followed."
)
_NOTE = "Nothing yet. Note it, and look again if it grows or if performance falls."
_INVESTIGATE = (
    "Open an investigation: did the source, its unit or the population change? Mend the source if it is broken; if the "
    "world changed, check the model on recent labelled data."
)
_RETRAIN = (
    "If the inputs are sound, retrain on recent data, make its baseline (`prediction-exporter baseline build`), "
    "and deploy both together. If they are not, mend the source first: a model retrained on broken inputs is worse."
)


def _prediction_drift(config: Config, degree: str, severity: Severity, threshold: Threshold, act: str) -> Alert:
    return Alert(
        name=f"PredictionDrift{degree}",
        severity=severity,
        expr=compare(config, names.PREDICTION_DRIFT_SCORE, ">=", threshold, method="psi"),
        hold=STATISTIC,
        labels=WINDOWED,
        summary=f"The output of {WHO} has drifted ({degree.lower()})",
        description=(
            'PSI of the predictions over {{ $labels.window }} is {{ $value | printf "%.3f" }}; '
            f"{degree.lower()} drift starts at {told(config, threshold)}."
        ),
        runbook=Runbook(
            "The model's outputs in the window are distributed otherwise than on the reference data.",
            "Row 2 of the dashboard: which features drifted at the same time, and whether outcomes moved too. A new "
            "model version in traffic changes its output on purpose; compare the versions.",
            act,
        ),
    )


_OUTPUT_INVESTIGATE = "Find the drifted feature behind it, or the release. Compare with the outcomes as they arrive."
_OUTPUT_RETRAIN = (
    "Treat its decisions with care now: move the decision threshold or roll back if a release caused it, retrain and "
    "build a new baseline if the world did."
)


def _drifted_features(config: Config) -> Alert:
    return Alert(
        name="PredictionFeaturesDrifted",
        severity="warning",
        expr=compare(config, names.DRIFTED_FEATURES, ">=", lambda t: t.drifted_features),
        hold=STATISTIC,
        labels=WINDOWED,
        summary=f"{{{{ $value }}}} features of {WHO} have drifted",
        description=(
            "{{ $value }} features have drifted over {{ $labels.window }}; "
            f"{told(config, lambda t: t.drifted_features)} or more warn."
        ),
        runbook=Runbook(
            "Several features drifted together: a change of population, season or source rather than of one field.",
            "Row 2 of the dashboard: the features that drifted and since when. A common start points to one cause, "
            "such as a release of the pipeline that feeds them.",
            "Trace what the features have in common: their table, join, service. If the population changed, check the "
            "model on recent labelled data and plan a retraining.",
        ),
    )


def _unusual(config: Config) -> Alert:
    score, limit = names.FEATURE_DRIFT_SCORE, names.FEATURE_DRIFT_THRESHOLD
    expr = either(
        f"{level.select(score, method='psi')} > {level.select(limit, method='psi')}"
        for level in grouped(config, lambda model: (0.0, model.drift.window))
    )
    return Alert(
        name="PredictionFeatureDriftUnusual",
        severity="info",  # unusual is not large: of the size, and so of what to do, the fixed levels speak
        expr=expr,
        hold=STATISTIC,
        labels=OF_FEATURE,
        summary=f"{{{{ $labels.feature }}}} of {WHO} strays more than it used to",
        description=(
            'PSI of {{ $labels.feature }} over {{ $labels.window }} is {{ $value | printf "%.3f" }}, more than the '
            "reference's own windows make likely at this number of rows."
        ),
        runbook=Runbook(
            "The feature's PSI is above its calibrated threshold. That one comes from how windows of the reference "
            "stray from each other, with their hours and weekdays, so that chance and the usual seasons pass it no "
            "oftener than `drift.false_alarms_per_month` allows, all features of the model together. It says that "
            "something is new, not that it is large.",
            "Row 2 of the dashboard: the score over its threshold, since when, and which features went with it.",
            "Note it. Just below a fixed level and growing, it is an early word of PredictionFeatureDriftMinor; far "
            "below, and performance stays: leave it. If it comes every season, the reference is too short: build the "
            "baseline from data that holds one.",
        ),
    )
