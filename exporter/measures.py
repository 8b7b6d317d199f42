"""From windows to samples: every metric family of one model and version, computed by the statistics.

Each measure is a generator over one `Scope`; what a window cannot support is left out. `MEASURES` lists them by the
name that `prediction_exporter_statistic_success` gives them.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from exporter import names
from exporter.baseline import CategoryFeature, NumericFeature
from exporter.config import Costs, Model
from exporter.names import Family
from exporter.profile.columns import Floats
from exporter.profile.layout import DELAY_BOUNDS, LATENCY_BOUNDS, Profile, feature_part
from exporter.stats import auc, calibration, distances, performance, significance
from exporter.stats.result import Interval, NotEnoughData, Value

GROUPS = 10  # merged bins for PSI: ten, as its customary levels were set on


@dataclass(frozen=True, slots=True)
class Histogram:
    """Cumulative counts at each bound, the last being all, and the sum."""

    bounds: tuple[float, ...]
    cumulative: tuple[float, ...]
    total: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One series: its family, label values in the family's order, and what it holds."""

    family: Family
    labels: tuple[str, ...]
    value: float | Histogram


@dataclass(frozen=True)
class Scope:
    """What is known of one model and version at an instant."""

    model: Model
    version: str
    costs: Costs
    windows: Mapping[str, Profile]
    totals: Profile
    errors: Mapping[str, float]

    @cached_property
    def reference(self) -> Profile:
        """The baseline's profile."""
        return Profile.reference(self.totals.layout)

    def gauge(self, family: Family, value: Value, *labels: str) -> Iterator[Sample]:
        """The sample, unless there is no value."""
        if not isinstance(value, NotEnoughData):
            yield Sample(family, (self.model.name, self.version, *labels), float(value))


Measure = Callable[[Scope], Iterator[Sample]]


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
    negative, positive = outcome.sum(axis=1)[:, :-1]
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


_PERFORMANCE = {
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
_LOWER_IS_BETTER = frozenset({"log_loss", "brier_score", "mae", "rmse"})
_NO_RATIO = frozenset({"calibration_error"})  # near 0 on the reference, so its ratio is noise


def measure_performance(scope: Scope) -> Iterator[Sample]:
    """Row 1: how right the model was, how sure that is, and against its baseline."""
    for window, profile in scope.windows.items():
        values = performance_of(profile)
        for metric, value in values.items():
            yield from scope.gauge(_PERFORMANCE[metric], value, window)
            ratio = _baseline_ratio(metric, value, scope.totals.layout.baseline.performance)
            yield from scope.gauge(names.MODEL_PERFORMANCE_BASELINE_RATIO, ratio, window, metric)
        yield from _bounds(scope, window, profile, values)
        output = profile.weight - float(profile.part("served")[1])
        coverage = _share(float(profile.part("labelled")[1]), output)
        yield from scope.gauge(names.MODEL_OUTCOME_COVERAGE_RATIO, coverage, window)
    labelled = scope.totals.part("labelled")
    yield from scope.gauge(names.LABELLED_PREDICTIONS_TOTAL, labelled[1])
    if scope.model.task != "regression":
        yield from scope.gauge(names.CORRECT_PREDICTIONS_TOTAL, labelled[3])
    delay = _histogram(DELAY_BOUNDS, scope.totals.part("delay"))
    yield Sample(names.MODEL_OUTCOME_DELAY_SECONDS, (scope.model.name, scope.version), delay)


def _baseline_ratio(metric: str, value: Value, baseline: Mapping[str, float]) -> Value:
    reference = baseline.get(metric)
    if isinstance(value, NotEnoughData) or reference is None or metric in _NO_RATIO:
        return NotEnoughData(0.0, 1.0, "the baseline or the window lacks the metric")
    return _share(reference, value) if metric in _LOWER_IS_BETTER else _share(value, reference)


def _bounds(scope: Scope, window: str, profile: Profile, values: Mapping[str, Value]) -> Iterator[Sample]:
    _, weight, squared, _ = profile.part("labelled")
    rows = significance.effective_sample_size(weight, squared)
    accuracy, area = values.get("accuracy"), values.get("auc")
    if isinstance(accuracy, float):
        families = (names.MODEL_ACCURACY_LOWER, names.MODEL_ACCURACY_UPPER)
        yield from _interval(scope, families, performance.wilson_interval(accuracy, rows), window)
    if isinstance(area, float):
        negative, positive = profile.part("outcome").sum(axis=1)[:, :-1]  # by score cell, as the area is
        each = rows / weight  # effective rows that a unit of weight is worth
        interval = auc.delong_interval(positive, negative, each * positive.sum(), each * negative.sum())
        yield from _interval(scope, (names.MODEL_AUC_LOWER, names.MODEL_AUC_UPPER), interval, window)


def _interval(
    scope: Scope, families: tuple[Family, Family], interval: Interval | NotEnoughData, window: str
) -> Iterator[Sample]:
    if not isinstance(interval, NotEnoughData):
        for family, end in zip(families, interval, strict=True):
            yield from scope.gauge(family, end, window)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Counts of the values that can be placed: fine cells in order, where merged ones start, effective rows."""

    fine: Floats
    groups: Sequence[int]
    ordered: bool
    rows: float

    @property
    def merged(self) -> Floats:
        """Counts in the merged cells."""
        return distances.merge_cells(self.fine, np.asarray(self.groups))


def feature_distribution(profile: Profile, feature: NumericFeature | CategoryFeature) -> Distribution:
    """The feature's present values in `profile`; missing and invalid ones have metrics of their own.

    A feature that is all missing, in the window or in the reference, has no rows here, so no drift series: its
    completeness tells. A constant one that stays as it was scores 0, and one that changes has all its mass moved.
    """
    cells = profile.part(feature_part(feature.name))[: feature.placed]
    if isinstance(feature, NumericFeature):
        return _distribution(profile, "rows", cells, feature.groups)
    return _distribution(profile, "rows", cells)


def _distribution(profile: Profile, counted: str, cells: Floats, groups: Sequence[int] | None = None) -> Distribution:
    """Cells with their share of the effective rows of the part `counted`; without `groups` they have no order."""
    _, weight, squared = profile.part(counted)[:3]
    rows = significance.effective_sample_size(weight, squared) * cells.sum() / weight if weight > 0 else 0.0
    return Distribution(cells, range(len(cells)) if groups is None else groups, groups is not None, float(rows))


def distance(method: str, reference: Distribution, current: Distribution) -> tuple[Value, Value]:
    """Score and p-value by `method`; KS needs an order and uses the fine cells, the others the merged ones."""
    if method == "ks":
        if not reference.ordered:
            nothing = NotEnoughData(0.0, 1.0, "categories have no order")
            return nothing, nothing
        pair = (reference.fine, current.fine)
    else:
        pair = (reference.merged, current.merged)
    sizes = (reference.rows, current.rows)
    match method:
        case "psi":
            return distances.psi(*pair, *sizes), significance.psi_pvalue(*pair, *sizes)
        case "js":
            return distances.js(*pair), significance.js_pvalue(*pair, *sizes)
        case "ks":
            return distances.ks(*pair), significance.ks_pvalue(*pair, *sizes)
        case "chi2":
            return distances.chi2_per_df(*pair, *sizes), significance.chi2_pvalue(*pair, *sizes)
    raise ValueError(f"unknown method {method}")


def measure_feature_drift(scope: Scope) -> Iterator[Sample]:
    """Row 2: each feature against the reference, and which of them drifted."""
    for window, profile in scope.windows.items():
        judged: dict[str, tuple[float, float]] = {}
        for feature in scope.totals.layout.features:
            pair = feature_distribution(scope.reference, feature), feature_distribution(profile, feature)
            if min(side.rows for side in pair) < scope.model.drift.min_rows:
                continue
            for method in scope.model.drift.methods:
                score, pvalue = distance(method, *pair)
                yield from scope.gauge(names.FEATURE_DRIFT_SCORE, score, window, feature.name, method)
                yield from scope.gauge(names.FEATURE_DRIFT_PVALUE, pvalue, window, feature.name, method)
                if method == "psi" and isinstance(score, float):
                    judged[feature.name] = score, pvalue if isinstance(pvalue, float) else math.nan
        yield from _verdicts(scope, window, judged)


def _verdicts(scope: Scope, window: str, judged: Mapping[str, tuple[float, float]]) -> Iterator[Sample]:
    """Which features drifted, by PSI and p-value (NaN where no test can be made, which proves nothing)."""
    if not judged:
        return
    scores, pvalues = np.array(list(judged.values())).T
    significant = significance.benjamini_hochberg(pvalues) < scope.model.drift.significance
    drifted = significant & (scores >= scope.model.thresholds.feature_drift.minor)
    for name, verdict in zip(judged, drifted.tolist(), strict=True):
        yield from scope.gauge(names.FEATURE_DRIFTED, float(verdict), window, name)
    yield from scope.gauge(names.DRIFTED_FEATURES, float(drifted.sum()), window)


def measure_output_drift(scope: Scope) -> Iterator[Sample]:
    """Row 2: what the model predicts, and what really happened, against the reference."""
    for window, profile in scope.windows.items():
        for family, of in (
            (names.PREDICTION_DRIFT_SCORE, prediction_distribution),
            (names.OUTCOME_DRIFT_SCORE, outcome_distribution),
        ):
            reference, current = of(scope.reference, scope.reference), of(profile, scope.reference)
            if min(reference.rows, current.rows) < scope.model.drift.min_rows:
                continue
            for method in scope.model.drift.methods:
                score, _ = distance(method, reference, current)
                yield from scope.gauge(family, score, window, method)


def prediction_distribution(profile: Profile, reference: Profile) -> Distribution:
    """Scores of a binary model (predicted classes where it gives none), classes, or a regression's predictions."""
    output = profile.part("output")
    match profile.layout.baseline.task:
        case "regression":
            bins = profile.layout.output_bins
            return _distribution(profile, "rows", output[: bins.placed], bins.groups)
        case "multiclass":
            return _distribution(profile, "rows", output.sum(axis=1))
        case "binary":
            expected = reference.part("output").sum(axis=0)[:-1]
            if expected.any():
                return _distribution(profile, "rows", output.sum(axis=0)[:-1], equal_groups(expected, GROUPS))
            return _distribution(profile, "rows", output.sum(axis=1))
    raise AssertionError(profile.layout.baseline.task)


def outcome_distribution(profile: Profile, _: Profile) -> Distribution:
    """Labels: classes, or a regression's values."""
    outcome = profile.part("outcome")
    if profile.layout.baseline.task == "regression":
        bins = profile.layout.output_bins
        return _distribution(profile, "labelled", outcome[: bins.placed], bins.groups)
    return _distribution(profile, "labelled", outcome.reshape(len(outcome), -1).sum(axis=1))


def equal_groups(counts: Floats, groups: int) -> list[int]:
    """First cells of about `groups` runs of cells that hold about equal shares of `counts`.

    >>> equal_groups(np.array([1.0, 1.0, 1.0, 1.0]), 2)
    [0, 2]
    """
    before = np.concatenate(([0.0], np.cumsum(counts)[:-1])) / counts.sum()
    wanted = np.arange(groups) / groups
    starts = np.searchsorted(before, wanted - 1e-12)  # shares are sums of floats: a hair below counts as reached
    return sorted(set(np.minimum(starts, len(counts) - 1).tolist()))


def measure_operations(scope: Scope) -> Iterator[Sample]:
    """Row 3: traffic, latency, errors, and how sure the model is."""
    labels, totals = (scope.model.name, scope.version), scope.totals
    reported = bool(totals.part("reported")[0])
    requests = totals.part("reported")[1] if reported else totals.part("served")[0]
    yield Sample(names.PREDICTION_REQUESTS_TOTAL, labels, float(requests))
    for error, count in sorted(scope.errors.items()):
        yield Sample(names.PREDICTION_ERRORS_TOTAL, (*labels, error), count)
    timed = bool(totals.part("reported_latency")[:-1].sum())
    latency = totals.part("reported_latency" if timed else "latency")
    yield Sample(names.PREDICTION_LATENCY_SECONDS, labels, _histogram(LATENCY_BOUNDS, latency))
    for window, profile in scope.windows.items():
        unsure, known = profile.part("unsure")
        yield from scope.gauge(names.LOW_CONFIDENCE_RATIO, _share(unsure, known), window)


def measure_quality(scope: Scope) -> Iterator[Sample]:
    """Row 4: what is missing from the inputs, and what the model cannot have learned from."""
    for window, profile in scope.windows.items():
        for feature in scope.totals.layout.features:
            part = feature_part(feature.name)
            counts, placed = profile.part(part), feature.placed
            usable, rows = counts[:placed].sum(), counts.sum()
            complete = _share(rows - counts[placed], rows)
            yield from scope.gauge(names.FEATURE_COMPLETENESS, complete, window, feature.name)
            if isinstance(feature, CategoryFeature):
                if feature.complete:
                    unseen = _share(counts[placed - 1], usable)
                    yield from scope.gauge(names.FEATURE_UNSEEN_CATEGORY_RATIO, unseen, window, feature.name)
            elif scope.reference.part(part)[:placed].any():  # without a value, the reference has no range
                outside = _share(counts[0] + counts[placed - 1], usable)
                yield from scope.gauge(names.FEATURE_OUT_OF_RANGE_RATIO, outside, window, feature.name)
    yield from _quality_totals(scope)


def _quality_totals(scope: Scope) -> Iterator[Sample]:
    values = missing = 0.0
    invalid = {"wrong_type": 0.0, "non_finite": 0.0, "unseen_category": 0.0}
    for feature in scope.totals.layout.features:
        counts, placed = scope.totals.part(feature_part(feature.name)), feature.placed
        values += float(counts.sum())
        missing += float(counts[placed])
        invalid["wrong_type"] += float(counts[-1])
        if isinstance(feature, NumericFeature):
            invalid["non_finite"] += float(counts[placed + 1])
        elif feature.complete:
            invalid["unseen_category"] += float(counts[placed - 1])
    yield from scope.gauge(names.FEATURE_VALUES_TOTAL, values)
    yield from scope.gauge(names.MISSING_FEATURES_TOTAL, missing)
    for reason, count in invalid.items():
        yield from scope.gauge(names.INVALID_INPUTS_TOTAL, count, reason)


def measure_cost(scope: Scope) -> Iterator[Sample]:
    """Row 5: what serving costs, and how much of it was logged."""
    price = scope.costs.serving_usd_per_1000_predictions / 1_000
    for window, profile in scope.windows.items():
        spent, priced = profile.part("cost")
        cost = spent + (profile.weight - priced) * price
        yield from scope.gauge(names.PREDICTIONS_IN_WINDOW, profile.weight, window)
        yield from scope.gauge(names.SERVING_COST_USD, cost, window)
        yield from scope.gauge(names.SERVING_COST_PER_1000_USD, _share(1_000 * cost, profile.weight), window)
    _, _, _, skipped, dropped = scope.totals.part("reported")
    yield from scope.gauge(names.PREDICTIONS_LOGGED_TOTAL, scope.totals.records)
    yield from scope.gauge(names.PREDICTIONS_SKIPPED_TOTAL, skipped)
    yield from scope.gauge(names.PREDICTIONS_DROPPED_TOTAL, dropped)


MEASURES: Mapping[str, Measure] = {
    "performance": measure_performance,
    "feature_drift": measure_feature_drift,
    "output_drift": measure_output_drift,
    "operations": measure_operations,
    "quality": measure_quality,
    "cost": measure_cost,
}


def _share(part: float, whole: float) -> Value:
    return float(part / whole) if whole > 0 else NotEnoughData(float(whole), 1.0, "nothing was counted")


def _histogram(bounds: tuple[float, ...], cells: Floats) -> Histogram:
    cumulative = np.cumsum(cells[:-1])
    return Histogram(bounds, tuple(cumulative.tolist()), float(cells[-1]))
