"""Row 1: how right the model was on labelled predictions, how right it is expected to be, and against its baseline."""

from collections.abc import Iterator, Mapping

from exporter import names
from exporter.measures.base import Sample, Scope, effective_rows, labels_by_score, share
from exporter.profile.layout import Profile
from exporter.stats import auc, bounds, calibration, estimation, performance
from exporter.stats.result import NotEnoughData, Value


def performance_of(profile: Profile) -> dict[str, Value]:
    """Every performance metric of the profile's task, by the name that `baseline_ratio` gives it."""
    if profile.layout.baseline.task == "regression":
        weight, absolute, squared, centred, centred2 = profile.part("losses")
        return {
            "mae": performance.mae(weight, absolute),
            "rmse": performance.rmse(weight, squared),
            "r2": performance.r2(weight, squared, centred, centred2),
        }
    outcome = profile.part("outcome")
    if profile.layout.baseline.task == "multiclass":
        return {
            "accuracy": performance.accuracy(outcome),
            "precision": performance.macro(performance.precision_by_class(outcome)),
            "recall": performance.macro(performance.recall_by_class(outcome)),
            "f1": performance.macro(performance.f1_by_class(outcome)),
        }
    confusion = outcome.sum(axis=2)
    weight, log_loss, squared = profile.part("losses")
    weights, scores, labels = profile.part("calibration").T
    negative, positive = labels_by_score(profile)
    return {
        "accuracy": performance.accuracy(confusion),
        "precision": performance.precision(confusion),
        "recall": performance.recall(confusion),
        "f1": performance.f1(confusion),
        "auc": auc.auc(positive, negative),
        "log_loss": calibration.log_loss(weight, log_loss),
        "brier_score": calibration.brier(weight, squared),
        "calibration_error": calibration.calibration_error(weights, scores, labels),
    }


METRICS = {
    "accuracy": names.MODEL_ACCURACY,
    "precision": names.MODEL_PRECISION,
    "recall": names.MODEL_RECALL,
    "f1": names.MODEL_F1,
    "auc": names.MODEL_AUC,
    "log_loss": names.MODEL_LOG_LOSS,
    "brier_score": names.MODEL_BRIER_SCORE,
    "calibration_error": names.MODEL_CALIBRATION_ERROR,
    "mae": names.MODEL_MAE,
    "rmse": names.MODEL_RMSE,
    "r2": names.MODEL_R2,
}
_ESTIMATED = {
    "accuracy": (
        names.MODEL_ESTIMATED_ACCURACY,
        names.MODEL_ESTIMATED_ACCURACY_LOWER,
        names.MODEL_ESTIMATED_ACCURACY_UPPER,
    ),
    "auc": (names.MODEL_ESTIMATED_AUC, names.MODEL_ESTIMATED_AUC_LOWER, names.MODEL_ESTIMATED_AUC_UPPER),
}
LOWER_IS_BETTER = frozenset({"log_loss", "brier_score", "mae", "rmse"})
_NO_RATIO = frozenset({"calibration_error"})  # near 0 on the reference, so its ratio is noise


def measure_performance(scope: Scope) -> Iterator[Sample]:
    """Row 1: how right the model was, how sure that is, and against its baseline."""
    for window, profile in scope.labelled.items():
        values = performance_of(profile)
        for metric, value in values.items():
            yield from scope.gauge(METRICS[metric], value, window)
            ratio = baseline_ratio(metric, value, scope.totals.layout.baseline.performance)
            yield from scope.gauge(names.MODEL_PERFORMANCE_BASELINE_RATIO, ratio, window, metric)
        yield from _bounds(scope, window, profile, values)


def baseline_ratio(metric: str, value: Value, baseline: Mapping[str, float]) -> Value:
    """The window's value over the baseline's, inverted for errors; NotEnoughData where either lacks it."""
    reference = baseline.get(metric)
    if isinstance(value, NotEnoughData) or reference is None or metric in _NO_RATIO:
        return NotEnoughData(0.0, 1.0, "the baseline or the window lacks the metric")
    return share(reference, value) if metric in LOWER_IS_BETTER else share(value, reference)


def _bounds(scope: Scope, window: str, profile: Profile, values: Mapping[str, Value]) -> Iterator[Sample]:
    accuracy, area = values.get("accuracy"), values.get("auc")
    if isinstance(accuracy, float):
        rows = effective_rows(profile, "labelled", float(profile.part("labelled")[1]))
        families = (names.MODEL_ACCURACY_LOWER, names.MODEL_ACCURACY_UPPER)
        yield from scope.interval(families, performance.wilson_interval(accuracy, rows), window)
    if isinstance(area, float):
        sides = labels_by_score(profile)  # as the area is
        rows_of = [effective_rows(profile, "labelled", float(side.sum())) for side in sides]
        interval = auc.delong_interval(sides[1], sides[0], rows_of[1], rows_of[0])
        yield from scope.interval((names.MODEL_AUC_LOWER, names.MODEL_AUC_UPPER), interval, window)
    if isinstance(values.get("calibration_error"), float):
        weights, scores, labels = profile.part("calibration").T
        rows = effective_rows(profile, "labelled", float(weights.sum()))
        interval = bounds.calibration_error_interval(weights, scores, labels, rows)
        families = (names.MODEL_CALIBRATION_ERROR_LOWER, names.MODEL_CALIBRATION_ERROR_UPPER)
        yield from scope.interval(families, interval, window)


def measure_estimation(scope: Scope) -> Iterator[Sample]:
    """Row 1: how good a classifier is expected to be, by its scores alone and the baseline's labels."""
    match scope.model.task:
        case "binary":
            yield from _binary_estimates(scope)
        case "multiclass":
            yield from _class_estimates(scope)


def _binary_estimates(scope: Scope) -> Iterator[Sample]:
    if isinstance(scope.calibration, NotEnoughData):
        return
    for window, profile in scope.windows.items():
        counts = profile.part("output")[:, :-1]
        rows = effective_rows(profile, "rows", float(counts.sum()))
        for metric, (value, lower, upper) in _ESTIMATED.items():
            estimate, interval = estimation.estimated(metric, counts, scope.calibration, rows)
            yield from scope.gauge(value, estimate, window)
            yield from scope.interval((lower, upper), interval, window)


def _class_estimates(scope: Scope) -> Iterator[Sample]:
    maps = scope.class_maps
    if isinstance(maps, NotEnoughData):
        return
    value, lower, upper = _ESTIMATED["accuracy"]
    for window, profile in scope.windows.items():
        counts = profile.part("output")[:, :-1]
        rows = effective_rows(profile, "rows", float(counts.sum()))
        yield from scope.gauge(value, estimation.estimated_class_accuracy(counts, maps), window)
        yield from scope.interval((lower, upper), estimation.estimated_class_interval(counts, maps, rows), window)
