"""Row 1, model performance: on predictions whose outcome has arrived, against the limits and the baseline."""

from dashboards.colors import BAD, MUTED, NOTE, OTHER, WARN
from dashboards.limits import Limit, classifiers, limit, steps
from dashboards.looks import Column, Look, Query, bound, describe, hue
from dashboards.panels import Panel, heatmap, table, trend
from dashboards.queries import BY_VERSION, VERSION_LEGEND, any_of, by, per_second, select
from dashboards.segments import segments
from dashboards.versions import comparison
from exporter import names
from exporter.config import Config
from exporter.names import Family

NO_OUTCOMES = "Too few outcomes in this time range"
NO_SCORES = "Too few outcomes in this time range, or a regression"
NO_ERRORS = "Too few outcomes in this time range, or a classifier"
NO_ESTIMATE = "No scores in this time range, or a baseline without labels"
SCORES = (names.MODEL_ACCURACY, names.MODEL_AUC, names.MODEL_PRECISION, names.MODEL_RECALL, names.MODEL_F1)
ESTIMATES = (names.MODEL_ESTIMATED_ACCURACY, names.MODEL_ESTIMATED_AUC)
LOWER = (
    names.MODEL_ACCURACY_LOWER,
    names.MODEL_AUC_LOWER,
    names.MODEL_CALIBRATION_ERROR_LOWER,
    names.MODEL_ESTIMATED_ACCURACY_LOWER,
    names.MODEL_ESTIMATED_AUC_LOWER,
)
UPPER = (
    names.MODEL_ACCURACY_UPPER,
    names.MODEL_AUC_UPPER,
    names.MODEL_CALIBRATION_ERROR_UPPER,
    names.MODEL_ESTIMATED_ACCURACY_UPPER,
    names.MODEL_ESTIMATED_AUC_UPPER,
)
LOSSES = (names.MODEL_LOG_LOSS, names.MODEL_BRIER_SCORE, names.MODEL_CALIBRATION_ERROR)
OF_REGRESSION = (names.MODEL_MAE, names.MODEL_RMSE, names.MODEL_R2)
METRIC = "metric"


def performance(config: Config) -> list[Panel]:
    """The row's panels; those of a task stand only where the configuration has a model of it."""
    return [*_by_task(config), _every_metric(config), _labelled(), _delay(), *segments(config), comparison()]


def _by_task(config: Config) -> list[Panel]:
    classifies = bool(classifiers(config))
    regresses = len(classifiers(config)) < len(config.models)
    if not classifies:
        return [*_regression((6, 8)), _baseline(config, (6, 8)), _outcomes((6, 8))]
    panels = [_accuracy(config), _auc(config), _baseline(config, (8, 8)), _precision_and_recall(), _losses()]
    estimated = [_estimated_accuracy((24, 8))]
    if any(of.task == "binary" for of in config.models):
        estimated = [_estimated_accuracy((12, 8)), _estimated_auc()]
    return [*panels, _outcomes((8, 8)), *estimated, *(_regression((12, 8)) if regresses else [])]


def _regression(size: tuple[int, int]) -> list[Panel]:
    return [_r2(size), _regression_errors(size)]


def bounded(value: Family, lower: Family, upper: Family, *more: str) -> list[Query]:
    """A value by version and the ends of its interval; `more` are further matchers."""
    return [
        Query(by("max", select(value, *more), BY_VERSION), VERSION_LEGEND),
        Query(by("max", select(lower, *more), BY_VERSION), f"{VERSION_LEGEND} from", bound()),
        Query(by("max", select(upper, *more), BY_VERSION), f"{VERSION_LEGEND} to", bound()),
    ]


def _accuracy(config: Config) -> Panel:
    text = describe(
        "Share of labelled predictions in the window that were right, by version. Dotted: its 95 % interval.",
        good="Above the dashed line, with the whole interval.",
        bad="Below it. A wide interval means few outcomes: wait before acting.",
        do="Compare with AUC. If only accuracy fell, the share of positives or the decision threshold moved.",
    )
    queries = bounded(names.MODEL_ACCURACY, names.MODEL_ACCURACY_LOWER, names.MODEL_ACCURACY_UPPER)
    line = limit(classifiers(config), ("accuracy limit", BAD, lambda of: of.accuracy), below=True)
    return trend("Accuracy", text, queries, unit="percentunit", limit=line, empty=NO_SCORES)


def _auc(config: Config) -> Panel:
    text = describe(
        "Area under the ROC curve in the window, by version: 1 ranks perfectly, 0.5 is chance. Dotted: 95 % interval.",
        good="Above the dashed line.",
        bad="Below it: the model ranks worse, whatever the decision threshold.",
        do="Look for drift in the features it relies on; retrain when their distributions have moved.",
    )
    queries = bounded(names.MODEL_AUC, names.MODEL_AUC_LOWER, names.MODEL_AUC_UPPER)
    line = limit(classifiers(config), ("AUC limit", BAD, lambda of: of.auc), below=True)
    return trend("AUC", text, queries, decimals=3, limit=line, empty=NO_SCORES)


def _estimated_accuracy(size: tuple[int, int]) -> Panel:
    text = describe(
        "Accuracy to expect by the scores alone, before any outcome arrives; grey: the realised one. Dotted: where "
        "the realised one will lie, 95 % of the time, while scores mean what they did in the reference.",
        good="Estimated and realised together.",
        bad="The estimate falls: the model meets harder cases. It stays while the realised one falls: concept drift, "
        "to which an estimate is blind by design.",
        do="Outcomes not here yet: act on the estimate. Realised below the interval: look at concept drift; retrain.",
    )
    ends = (names.MODEL_ESTIMATED_ACCURACY_LOWER, names.MODEL_ESTIMATED_ACCURACY_UPPER)
    queries = _estimated(names.MODEL_ESTIMATED_ACCURACY, ends, names.MODEL_ACCURACY)
    return trend("Estimated accuracy", text, queries, size=size, unit="percentunit", empty=NO_ESTIMATE)


def _estimated_auc() -> Panel:
    text = describe(
        "AUC to expect by the scores alone, before any outcome arrives; grey: the realised one. Dotted: where the "
        "realised one will lie, 95 % of the time, while scores mean what they did in the reference.",
        good="Estimated and realised together.",
        bad="The estimate falls: scores crowd in the middle. The realised one falls further: scores no longer mean "
        "what they did (concept drift), to which an estimate is blind by design.",
        do="Believe the realised one where the two part, and look at concept drift.",
    )
    ends = (names.MODEL_ESTIMATED_AUC_LOWER, names.MODEL_ESTIMATED_AUC_UPPER)
    queries = _estimated(names.MODEL_ESTIMATED_AUC, ends, names.MODEL_AUC)
    return trend("Estimated AUC", text, queries, size=(12, 8), decimals=3, empty=NO_ESTIMATE)


def _estimated(value: Family, ends: tuple[Family, Family], realised: Family) -> list[Query]:
    known = Query(by("max", select(realised), BY_VERSION), f"{VERSION_LEGEND} realised", hue(MUTED))
    return [*bounded(value, *ends), known]


def _baseline(config: Config, size: tuple[int, int]) -> Panel:
    text = describe(
        "Each metric in the window over its value on the reference data; inverted for errors: lower is always worse. "
        "The worst of the chosen versions.",
        good="Near 100 %.",
        bad="Below the dashed line: decay since training.",
        do="One metric alone points at its cause (calibration, threshold); all of them together ask for retraining.",
    )
    expr = by("min", select(names.MODEL_PERFORMANCE_BASELINE_RATIO), (METRIC,))
    look: Look = {
        "size": size,
        "unit": "percentunit",
        "limit": _baseline_limit(config),
        "calcs": (),
        "empty": NO_OUTCOMES,
    }
    return trend("Performance against the baseline", text, [Query(expr, f"{{{{{METRIC}}}}}")], **look)


def _baseline_limit(config: Config) -> Limit:
    return limit(config.models, ("baseline limit", BAD, lambda of: of.baseline_ratio), below=True)


def _precision_and_recall() -> Panel:
    text = describe(
        "Precision: share of positive predictions that were right. Recall: share of positives that were found. "
        "F1: their harmonic mean.",
        good="Steady, in the balance that was chosen with the decision threshold.",
        bad="Precision falls: false alarms. Recall falls: missed cases. Both fall: the model itself.",
        do="When they part while AUC holds, move the decision threshold; else look at drift.",
    )
    of = (
        (names.MODEL_PRECISION, "precision", NOTE),
        (names.MODEL_RECALL, "recall", WARN),
        (names.MODEL_F1, "F1", OTHER),
    )
    return trend("Precision, recall, F1", text, _named(of), unit="percentunit", calcs=(), empty=NO_SCORES)


def _losses() -> Panel:
    text = describe(
        "How honest the probabilities are. Log loss: surprise, in nats. Brier: mean squared error. "
        "Calibration error: mean gap between promised and observed rates.",
        good="Low and steady.",
        bad="Rising while AUC holds: the ranking is fine, the probabilities are not.",
        do="Recalibrate on recent outcomes; retrain when AUC falls as well.",
    )
    of = (
        (names.MODEL_LOG_LOSS, "log loss", NOTE),
        (names.MODEL_BRIER_SCORE, "Brier", WARN),
        (names.MODEL_CALIBRATION_ERROR, "calibration error", OTHER),
    )
    return trend("Log loss, Brier score, calibration", text, _named(of), decimals=3, floor=0, calcs=(), empty=NO_SCORES)


def _r2(size: tuple[int, int]) -> Panel:
    text = describe(
        "Coefficient of determination of a regression in the window: share of the label's variance that is explained.",
        good="Near its value on the reference data.",
        bad="Falling; below 0 the mean would predict better.",
        do="Look for drift in the inputs and in the outcome.",
    )
    queries = _named(((names.MODEL_R2, "R²", NOTE),))
    return trend("R² (regression)", text, queries, size=size, decimals=3, empty=NO_ERRORS)


def _regression_errors(size: tuple[int, int]) -> Panel:
    text = describe(
        "Mean absolute error and root mean squared error of a regression in the window, in the label's unit.",
        good="Low and steady, RMSE not far above MAE.",
        bad="RMSE rises away from MAE: a few predictions are far off.",
        do="Look at out-of-range inputs; retrain when both rise.",
    )
    of = ((names.MODEL_MAE, "MAE", NOTE), (names.MODEL_RMSE, "RMSE", WARN))
    return trend("MAE, RMSE (regression)", text, _named(of), size=size, floor=0, empty=NO_ERRORS)


def _named(families: tuple[tuple[Family, str, str], ...]) -> list[Query]:
    return [
        Query(by("max", select(family), BY_VERSION), f"{name} ({VERSION_LEGEND})", hue(color))
        for family, name, color in families
    ]


def _outcomes(size: tuple[int, int]) -> Panel:
    text = describe(
        "Share of the window's predictions whose outcome has arrived, and of the labels to come that the window of "
        "performance should hold by the usual delays; and of predictions of an age. Every number in this row rests on "
        "labels alone.",
        good="At its usual level; short windows lag behind when outcomes take long.",
        bad="Falling: outcomes are late or lost, and the sample may be skewed to those that come early.",
        do="Check the pipeline that reports outcomes before believing a change in accuracy; if few labels are expected "
        "yet, set outcomes.maturity.",
    )
    queries = [
        Query(by("max", select(names.MODEL_OUTCOME_COVERAGE_RATIO), BY_VERSION), VERSION_LEGEND),
        Query(
            by("max", select(names.MODEL_OUTCOME_MATURITY_RATIO), BY_VERSION), f"expected, {VERSION_LEGEND}", hue(NOTE)
        ),
        Query(by("max", select(names.MODEL_OUTCOME_COVERAGE_BY_AGE_RATIO), ("age",)), "{{age}} old", hue(MUTED)),
    ]
    return trend("Outcome coverage", text, queries, size=size, unit="percentunit", floor=0, top=1, calcs=())


def _every_metric(config: Config) -> Panel:
    text = describe(
        "All metrics of the chosen versions side by side, with the 95 % interval where one exists.",
        good="New version at least as good as the old one, intervals apart.",
        bad="Below the baseline in many rows. An empty cell: not defined for this task, or too few outcomes.",
        do="Choose versions above; the table below holds challengers against the champion.",
    )
    ratio = by("min", select(names.MODEL_PERFORMANCE_BASELINE_RATIO), (METRIC, *BY_VERSION))
    line = _baseline_limit(config)
    colors = steps(line, ok="transparent") if line.common else ()
    columns = [
        Column("Metric", label=METRIC, width=150),
        Column("Version", label=names.MODEL_VERSION),
        Column(
            "Value",
            any_of((*SCORES, *ESTIMATES, *LOSSES, *OF_REGRESSION), strip="model_(.*)", label=METRIC),
            decimals=3,
        ),
        Column("95 % from", any_of(LOWER, strip="model_(.*)_lower", label=METRIC), decimals=3),
        Column("to", any_of(UPPER, strip="model_(.*)_upper", label=METRIC), decimals=3),
        Column("Of baseline", ratio, unit="percentunit", decimals=1, colors=colors),
    ]
    return table("All metrics", text, columns, size=(12, 10), empty=NO_OUTCOMES, sort="Metric")


def _labelled() -> Panel:
    text = describe(
        "Outcomes arriving a second, those among them that proved the prediction right (classification), and "
        "labels that replaced an earlier one.",
        good="Steady, the two lines close together.",
        bad="Nothing arrives: the windows above grow old. The lines part: accuracy is falling now.",
        do="No outcomes: check the pipeline that reports them.",
    )
    queries = [
        Query(per_second(names.LABELLED_PREDICTIONS_TOTAL), "labelled", hue(MUTED)),
        Query(per_second(names.CORRECT_PREDICTIONS_TOTAL), "correct", hue(NOTE)),
        Query(per_second(names.CORRECTED_OUTCOMES_TOTAL), "corrected", hue(WARN)),
    ]
    return trend("Outcomes arriving", text, queries, size=(6, 10), unit="suffix: /s", floor=0)


def _delay() -> Panel:
    text = describe(
        "How long after the prediction its outcome arrived.",
        good="The same band every day.",
        bad="The band climbs: performance is known later and later.",
        do="Ask the owner of the outcomes; drift and estimated performance are what you have until then.",
    )
    buckets = per_second(names.MODEL_OUTCOME_DELAY_SECONDS, ("le",), suffix="_bucket")
    return heatmap("Outcome delay", text, buckets, size=(6, 10), unit="s", cells="suffix: /s")
