"""Row 2: inputs, outputs and outcomes of the window against the reference."""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from exporter import names
from exporter.measures.base import Sample, Scope, effective_rows, labels_by_score
from exporter.measures.distribution import (
    Distribution,
    feature_distribution,
    outcome_distribution,
    prediction_distribution,
)
from exporter.profile.columns import Floats
from exporter.stats import concept, distances, significance
from exporter.stats.bounds import drift_interval
from exporter.stats.result import Interval, NotEnoughData, Value

_FEATURE_BOUNDS = (names.FEATURE_DRIFT_SCORE_LOWER, names.FEATURE_DRIFT_SCORE_UPPER)
_PREDICTION_BOUNDS = (names.PREDICTION_DRIFT_SCORE_LOWER, names.PREDICTION_DRIFT_SCORE_UPPER)
JUDGED = "psi"  # the method that verdicts and alerts stand on; it alone has bounds, or series would double

_NO_LAW = NotEnoughData(0.0, 1.0, "the law of this distance without drift is not known")
_NO_ORDER = NotEnoughData(0.0, 1.0, "categories have no order")


def distance(method: str, reference: Distribution, current: Distribution) -> tuple[Value, Value]:
    """Score and p-value by `method`; those that need an order use the fine cells, the others the merged ones."""
    if method in {"ks", "wasserstein"}:
        return _ordered_distance(method, reference, current)
    pair, sizes = (reference.merged, current.merged), (reference.rows, current.rows)
    match method:
        case "psi":
            return distances.psi(*pair, *sizes), significance.psi_pvalue(*pair, *sizes)
        case "js":
            return distances.js(*pair), significance.js_pvalue(*pair, *sizes)
        case "chi2":
            return distances.chi2_per_df(*pair, *sizes), significance.chi2_pvalue(*pair, *sizes)
        case "hellinger":
            return distances.hellinger(*pair), _NO_LAW
        case "tv":
            return distances.total_variation(*pair), _NO_LAW
    raise ValueError(f"unknown method {method}")


def _ordered_distance(method: str, reference: Distribution, current: Distribution) -> tuple[Value, Value]:
    if reference.at is None:
        return _NO_ORDER, _NO_ORDER
    pair, sizes = (reference.fine, current.fine), (reference.rows, current.rows)
    if method == "ks":
        return distances.ks(*pair), significance.ks_pvalue(*pair, *sizes)
    unit = float(np.abs(reference.at).max()) or 1.0  # squares of the largest numbers would overflow
    at = reference.at / unit
    return distances.wasserstein(*pair, at, _deviation(reference.fine, at)), _NO_LAW


def _deviation(counts: Floats, at: Floats) -> float:
    share = distances.shares(counts)
    return math.sqrt(float((share * (at - float((share * at).sum())) ** 2).sum()))


def psi_interval(reference: Distribution, current: Distribution) -> Interval | NotEnoughData:
    """95 % bounds of the score by PSI."""
    return drift_interval(JUDGED, reference.merged, current.merged, reference.rows, current.rows)


def measure_feature_drift(scope: Scope) -> Iterator[Sample]:
    """Row 2: each feature against the reference, and which of them drifted."""
    references = [feature_distribution(scope.reference, feature) for feature in scope.totals.layout.features]
    for window, profile in scope.windows.items():
        judged: dict[str, tuple[float, float]] = {}
        for feature, reference in zip(scope.totals.layout.features, references, strict=True):
            pair = reference, feature_distribution(profile, feature)
            if min(side.rows for side in pair) < scope.model.drift.min_rows:
                continue
            for method in scope.model.drift.methods:
                score, pvalue = distance(method, *pair)
                yield from scope.gauge(names.FEATURE_DRIFT_SCORE, score, window, feature.name, method)
                yield from scope.gauge(names.FEATURE_DRIFT_PVALUE, pvalue, window, feature.name, method)
                if method == JUDGED and isinstance(score, float):
                    judged[feature.name] = score, pvalue if isinstance(pvalue, float) else math.nan
            yield from scope.interval(_FEATURE_BOUNDS, psi_interval(*pair), window, feature.name, JUDGED)
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
    for window in scope.windows:
        for family, of, profile in (
            (names.PREDICTION_DRIFT_SCORE, prediction_distribution, scope.windows[window]),
            (names.OUTCOME_DRIFT_SCORE, outcome_distribution, scope.labelled[window]),
        ):
            reference, current = of(scope.reference, scope.reference), of(profile, scope.reference)
            if min(reference.rows, current.rows) < scope.model.drift.min_rows:
                continue
            for method in scope.model.drift.methods:
                score, _ = distance(method, reference, current)
                yield from scope.gauge(family, score, window, method)
            if family is names.PREDICTION_DRIFT_SCORE:
                yield from scope.interval(_PREDICTION_BOUNDS, psi_interval(reference, current), window, JUDGED)


def measure_concept_drift(scope: Scope) -> Iterator[Sample]:
    """Row 2: did labels come to mean something else? Binary models with scores and labels on both sides."""
    if scope.model.task != "binary" or isinstance(scope.calibration, NotEnoughData):
        return
    for window, profile in scope.labelled.items():
        negative, positive = labels_by_score(profile)
        rows = effective_rows(profile, "labelled", float(negative.sum() + positive.sum()))
        if min(rows, scope.calibration.rows) < scope.model.drift.min_rows:
            continue
        held = (positive, negative, scope.calibration, rows)
        yield from scope.gauge(names.CONCEPT_DRIFT_SCORE, concept.concept_drift(*held), window)
        yield from scope.gauge(names.CONCEPT_DRIFT_PVALUE, concept.concept_pvalue(*held), window)
