"""The table of alerts: for each, series that fire it at a minute, and nearby ones that never do."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from exporter import names
from exporter.names import Family

TARGET = {"job": "prediction", "instance": "exporter:9750"}
MODEL = {"model_name": "churn & co", "model_version": "v2"}
WINDOWED = {**MODEL, "window": "1d"}
FEATURE = {**WINDOWED, "feature": "temp"}
ORIGIN = {"segment": "origin", "value": 'J"FK'}

Labels = dict[str, str]


@dataclass(frozen=True)
class Rate:
    """A counter that grows by `step` a minute."""

    step: float


@dataclass(frozen=True)
class Series:
    """One input series: constant, or a counter."""

    name: str
    labels: Labels
    value: float | Rate

    def key(self) -> str:
        return f"{self.name}{{{','.join(f'{key}={json.dumps(value)}' for key, value in self.labels.items())}}}"


@dataclass(frozen=True)
class Case:
    """Series that fire `alert` at minute `at` but not before, and nearby ones that never do."""

    alert: str
    at: int
    fires: tuple[Series, ...]
    calm: tuple[Series, ...]
    labels: Labels
    value: str = ""  # how the annotations write the alert's value
    memory: int = 0  # minutes that the expression looks back over what has ended


def gauge(family: Family | str, labels: Labels, value: float | Rate) -> Series:
    return Series(family if isinstance(family, str) else family.name, TARGET | labels, value)


def simple(alert: str, at: int, family: Family | str, labels: Labels, bad: float, good: float, value: str = "") -> Case:
    """An alert on one gauge."""
    found = TARGET | labels
    return Case(alert, at, (gauge(family, labels, bad),), (gauge(family, labels, good),), found, value)


def feature_drift(degree: str, bad: float, good: float) -> Case:
    def series(psi: float) -> tuple[Series, ...]:
        return (
            gauge(names.FEATURE_DRIFT_SCORE, FEATURE | {"method": "psi"}, psi),
            gauge(names.FEATURE_DRIFTED, FEATURE, 1),
        )

    found = TARGET | FEATURE | {"method": "psi"}
    return Case(f"PredictionFeatureDrift{degree}", 10, series(bad), series(good), found, f"{bad:.3f}")


def unusual(score: float) -> tuple[Series, ...]:
    labels = FEATURE | {"method": "psi"}
    return (gauge(names.FEATURE_DRIFT_SCORE, labels, score), gauge(names.FEATURE_DRIFT_THRESHOLD, labels, 0.04))


def segment(upper: float, whole: float, window: str = "1d") -> tuple[Series, ...]:
    labels = {**MODEL, "window": window}
    return (
        gauge(names.SEGMENT_ACCURACY_UPPER, labels | ORIGIN, upper),
        gauge(names.MODEL_ACCURACY_LOWER, labels, whole),
    )


def part_of(part: Family, whole: Family, more: Labels, share: float) -> tuple[Series, ...]:
    return (gauge(part, MODEL | more, Rate(6000 * share)), gauge(whole, MODEL, Rate(6000)))


def ratio(alert: str, at: int, of: tuple[Family, Family, Labels], value: str, bad: float, good: float) -> Case:
    return Case(alert, at, part_of(*of, bad), part_of(*of, good), JOB | MODEL, value, memory=60 if at > 10 else 5)


def latency(fast: float) -> tuple[Series, ...]:
    counts = {"0.1": 100 * fast, "0.25": 100, "+Inf": 100}
    bucket = f"{names.PREDICTION_LATENCY_SECONDS.name}_bucket"
    return tuple(gauge(bucket, MODEL | {"le": le}, Rate(count)) for le, count in counts.items())


def slow(share: float) -> tuple[Series, ...]:
    name = names.PREDICTION_LATENCY_SECONDS.name
    bucket = gauge(f"{name}_bucket", MODEL | {"le": "0.1"}, Rate(6000 * (1 - share)))
    return (bucket, gauge(f"{name}_count", MODEL, Rate(6000)))


def wrong(share: float) -> tuple[Series, ...]:
    right = gauge(names.CORRECT_PREDICTIONS_TOTAL, MODEL, Rate(6000 * (1 - share)))
    return (right, gauge(names.LABELLED_PREDICTIONS_TOTAL, MODEL, Rate(6000)))


def wrong_soon(share: float, soon: float = 0.5) -> tuple[Series, ...]:
    """Outcomes of which a `share` proves the prediction wrong, and `soon` is the share that comes within six hours."""
    delay = names.MODEL_OUTCOME_DELAY_SECONDS.name
    within = gauge(f"{delay}_bucket", MODEL | {"le": "21600.0"}, Rate(6000 * soon))
    return (*wrong(share), within, gauge(f"{delay}_count", MODEL, Rate(6000)))


def burn(
    objective: str, degree: str, bad: float, good: float, series: Callable[[float], tuple[Series, ...]], memory: int = 0
) -> Case:
    """Only the longer pair of windows burns: beyond it, both would, and a case tells one alert."""
    window, at, forgets = {"Fast": ("6h", 3, 35), "Slow": ("3d", 61, 365)}[degree]
    labels = JOB | NAMED | {"objective": objective, "burn_window": window}
    alert = f"Prediction{objective.title().replace('_', '')}Burn{degree}"
    return Case(alert, at, series(bad), series(good), labels, f"{100 * bad:.3g}%", memory or forgets)


def promises(count: int) -> tuple[Series, ...]:
    """The events of the first `count` of the four objectives."""
    kinds = (wrong(0.01), part_of(*FAILED, 0.001), slow(0.01), part_of(*INVALID, 0.001))
    return tuple(one for kind in kinds[:count] for one in kind)


def unheard(a_minute: float) -> tuple[Series, ...]:
    """Outcomes that stand still, or grow."""
    labelled = gauge(names.LABELLED_PREDICTIONS_TOTAL, MODEL, Rate(a_minute) if a_minute else 5)
    return (labelled, gauge(names.PREDICTIONS_LOGGED_TOTAL, MODEL, Rate(10)))


def recovering(share: float, state: str = "firing") -> tuple[Series, ...]:
    """A feature whose page fires, or waits to; its labels are the rule's own too."""
    page = {"alertname": "PredictionFeatureBroken", "alertstate": state, "severity": "critical", "page": "true"}
    page |= {"app": names.ALERT_APP, "window": "1h"}
    return (gauge(names.FEATURE_COMPLETENESS, FEATURE, share), gauge(names.ALERTS, FEATURE | page, 1))


def broken(share: float, predictions: float = 200) -> tuple[Series, ...]:
    labels = {**MODEL, "window": "1h"}
    return (
        gauge(names.FEATURE_COMPLETENESS, labels | {"feature": "temp"}, share),
        gauge(names.PREDICTIONS_IN_WINDOW, labels, predictions),
    )


def cost(alert: str, component: str, limit: float) -> Case:
    labels = {"component": component}
    return simple(alert, 60, names.MONITORING_COST_USD, labels, limit + 0.01, limit, f"{limit + 0.01:.2f}")


def notifications(a_minute: float) -> tuple[Series, ...]:
    labels = {"integration": "slack", "job": "alertmanager"}
    return (gauge(names.ALERTMANAGER_NOTIFICATIONS_TOTAL, labels, Rate(a_minute)),)


def responses(seconds: float) -> tuple[Series, ...]:
    name = names.ALERT_RESPONSE_SECONDS.name
    return (gauge(f"{name}_sum", {}, Rate(seconds)), gauge(f"{name}_count", {}, Rate(1)))


def reviews(false: float) -> tuple[Series, ...]:
    verdicts = {"false": false, "true": 100 - false}
    return tuple(gauge(names.ALERTS_REVIEWED_TOTAL, {"verdict": v}, Rate(n)) for v, n in verdicts.items())


BUILD = gauge(names.BUILD_INFO, {"version": "0.1.0"}, 1)
DRY_RUN = gauge(names.RESPONDER_DRY_RUN, {}, 0)
RETRYING = {"action": "retrain", "standing": "retrying"}
INFO = gauge(names.MODEL_INFO, {"model_name": MODEL["model_name"]}, 1)
NAMED = {"model_name": MODEL["model_name"]}
PROMISED = gauge(names.MODEL_INFO, NAMED, 1)
JOB = {"job": "prediction"}
FAILED = (names.PREDICTION_ERRORS_TOTAL, names.PREDICTION_REQUESTS_TOTAL, {"error": "timeout"})
INVALID = (names.INVALID_INPUTS_TOTAL, names.FEATURE_VALUES_TOTAL, {"reason": "wrong_type"})
BASELINE = {**WINDOWED, "metric": "auc"}
OUTPUT = {**WINDOWED, "method": "psi"}
STATISTIC = {**NAMED, "statistic": "drift"}
DAY = 86_400

CASES = (
    feature_drift("Severe", 0.3, 0.299),
    feature_drift("Moderate", 0.2, 0.199),
    feature_drift("Minor", 0.1, 0.099),
    simple("PredictionDriftSevere", 10, names.PREDICTION_DRIFT_SCORE, OUTPUT, 0.3, 0.299, "0.300"),
    simple("PredictionDriftModerate", 10, names.PREDICTION_DRIFT_SCORE, OUTPUT, 0.15, 0.149, "0.150"),
    simple("PredictionFeaturesDrifted", 10, names.DRIFTED_FEATURES, WINDOWED, 3, 2, "3"),
    Case(
        "PredictionFeatureDriftUnusual",
        10,
        unusual(0.041),
        unusual(0.04),
        TARGET | FEATURE | {"method": "psi"},
        "0.041",
    ),
    simple("PredictionAccuracyLow", 10, names.MODEL_ACCURACY, WINDOWED, 0.8475, 0.85, "84.75%"),
    simple("PredictionAucLow", 10, names.MODEL_AUC, WINDOWED, 0.899, 0.9, "0.899"),
    simple(
        "PredictionPerformanceBelowBaseline",
        10,
        names.MODEL_PERFORMANCE_BASELINE_RATIO,
        BASELINE,
        0.949,
        0.95,
        "94.9%",
    ),
    burn("accuracy", "Fast", 0.95, 0.899, wrong_soon, memory=365),
    burn("accuracy", "Slow", 0.2, 0.149, wrong, memory=4325),
    burn("availability", "Fast", 0.1, 0.0599, partial(part_of, *FAILED)),
    burn("availability", "Slow", 0.02, 0.0099, partial(part_of, *FAILED)),
    burn("latency", "Fast", 0.5, 0.299, slow),
    burn("latency", "Slow", 0.1, 0.0499, slow),
    burn("valid_inputs", "Fast", 0.1, 0.0599, partial(part_of, *INVALID)),
    burn("valid_inputs", "Slow", 0.02, 0.0099, partial(part_of, *INVALID)),
    Case(
        "PredictionObjectiveUnmeasured",
        60,
        (PROMISED, *promises(3)),
        (PROMISED, *promises(4)),
        TARGET | NAMED | {"objective": "valid_inputs"},
    ),
    Case(
        "PredictionSegmentAccuracyLow",
        10,
        segment(0.8, 0.875),
        segment(0.8125, 0.8625),
        TARGET | WINDOWED | ORIGIN,
        "80%",
    ),
    Case("PredictionFeatureRecovering", 10, recovering(0.5), recovering(0.8), TARGET | FEATURE, "50%", memory=1440),
    Case("PredictionFeatureBroken", 10, broken(0.25), broken(0.5), TARGET | FEATURE | {"window": "1h"}, "25%"),
    simple("PredictionFeatureIncomplete", 10, names.FEATURE_COMPLETENESS, FEATURE, 0.9875, 0.99, "98.75%"),
    ratio(
        "PredictionInputsInvalid",
        11,
        INVALID,
        "2%",
        0.02,
        0.01,
    ),
    ratio(
        "PredictionFeaturesMissing",
        11,
        (names.MISSING_FEATURES_TOTAL, names.FEATURE_VALUES_TOTAL, {}),
        "0.2%",
        0.002,
        0.001,
    ),
    simple("PredictionLogIncomplete", 10, names.PREDICTION_LOG_COMPLETENESS_RATIO, WINDOWED, 0.98, 0.99, "98%"),
    Case("PredictionLatencyHigh", 6, latency(0), latency(0.96), JOB | MODEL, "242.5ms", memory=5),
    ratio(
        "PredictionErrorsHigh",
        6,
        FAILED,
        "2%",
        0.02,
        0.01,
    ),
    cost("PredictionLogStorageCostHigh", "log_storage", 100),
    cost("PredictionMonitoringComputeCostHigh", "compute", 50),
    # At c a minute, minute t has seen c * t in the last day: 0.15 c t USD a month. 100 a minute cross 20 USD at 2.
    Case(
        "PredictionNotificationCostHigh",
        62,
        notifications(100),
        notifications(1.8),
        {"job": "alertmanager"},
        "930.00",
        1440,
    ),
    Case("PredictionAlertResponseSlow", 61, responses(1860), responses(1799), JOB, "31m 0s", 1440),
    Case("PredictionFalseAlertsHigh", 61, reviews(6), reviews(4), JOB, "6%", 10_080),
    Case(
        "PredictionNotificationCostHigh",
        60,
        (gauge(names.MONITORING_COST_USD, {"component": "notifications"}, 20.01),),
        (gauge(names.MONITORING_COST_USD, {"component": "notifications"}, 20),),
        TARGET | {"component": "notifications"},
        "20.01",
    ),
    Case("PredictionResponderDown", 5, (DRY_RUN, gauge(names.UP, {}, 0)), (DRY_RUN, gauge(names.UP, {}, 1)), TARGET),
    simple("PredictionResponderStuck", 5, names.RESPONDER_UNPLANNED_DELIVERIES, {}, 1, 0, "1"),
    simple("PredictionResponderTargetFailing", 15, names.RESPONDER_PENDING_ACTIONS, RETRYING, 2, 0, "2"),
    simple(
        "PredictionAlertUnacknowledged",
        5,
        names.RESPONDER_OLDEST_UNACKNOWLEDGED_TIMESTAMP_SECONDS,
        {},
        -1860,
        -600,
        "36m 0s",
    ),
    Case("PredictionExporterAbsent", 5, (), (BUILD,), {}),
    Case("PredictionExporterDown", 5, (BUILD, gauge(names.UP, {}, 0)), (BUILD, gauge(names.UP, {}, 1)), TARGET),
    simple("PredictionIngestionFailed", 5, names.INGESTION_SUCCESS, {}, 0, 1),
    simple("PredictionArchiveFailed", 5, names.ARCHIVE_SUCCESS, {}, 0, 1),
    simple("PredictionDriftCheckStale", 6, names.LAST_EVALUATION_TIMESTAMP_SECONDS, {}, -DAY, 9 * DAY, "1d 0h 6m 0s"),
    Case(
        "PredictionDriftCheckAbsent",
        10,
        (BUILD,),
        (BUILD, gauge(names.LAST_EVALUATION_TIMESTAMP_SECONDS, {}, 0)),
        TARGET | {"version": "0.1.0"},
    ),
    simple("PredictionRecordsStale", 11, names.LAST_RECORD_TIMESTAMP_SECONDS, NAMED, -3600, 9 * DAY),
    Case(
        "PredictionRecordsAbsent",
        10,
        (INFO,),
        (INFO, gauge(names.LAST_RECORD_TIMESTAMP_SECONDS, NAMED, 0)),
        TARGET | NAMED,
    ),
    Case("PredictionOutcomesStale", 70, unheard(0), unheard(1), TARGET | MODEL, "5", memory=5),
    simple("PredictionStatisticFailed", 5, names.STATISTIC_SUCCESS, STATISTIC, 0, 1),
    Case(
        "PredictionStatisticNaN",
        10,
        (gauge(names.MODEL_AUC, WINDOWED, float("nan")),),
        (gauge(names.MODEL_AUC, WINDOWED, 0.9),),
        TARGET | WINDOWED | {"family": names.MODEL_AUC.name},
    ),
    Case(
        "PredictionSeriesDropped",
        6,
        (gauge(names.SERIES_DROPPED_TOTAL, {}, Rate(1)),),
        (gauge(names.SERIES_DROPPED_TOTAL, {}, Rate(0)),),
        TARGET,
        memory=60,
    ),
    simple("PredictionConfigReloadFailed", 5, names.CONFIG_LAST_RELOAD_SUCCESSFUL, {}, 0, 1),
    Case(
        "PredictionIntakeFailing",
        6,
        (gauge(names.INTAKE_REQUESTS_TOTAL, {"code": "503"}, Rate(1)),),
        (gauge(names.INTAKE_REQUESTS_TOTAL, {"code": "503"}, Rate(0)),),
        TARGET | {"code": "503"},
        memory=5,
    ),
    simple("PredictionIntakeSpoolHigh", 5, names.INTAKE_SPOOL_BYTES, {}, 0.875 * 2**30, 0.75 * 2**30, "896Mi"),
)
