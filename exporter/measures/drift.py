"""Row 2: inputs, outputs and outcomes of the window against the reference."""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from exporter import names
from exporter.measures.base import Sample, Scope
from exporter.measures.distribution import (
    Distribution,
    feature_distribution,
    outcome_distribution,
    prediction_distribution,
)
from exporter.stats import distances, significance
from exporter.stats.result import NotEnoughData, Value


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
