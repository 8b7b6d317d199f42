"""Row 2: inputs, outputs and outcomes of the window against the reference."""

from collections.abc import Iterator, Sequence

from exporter import names
from exporter.measures.base import Sample, Scope, effective_rows, labels_by_score
from exporter.measures.comparison import JUDGED, Comparison
from exporter.measures.distribution import feature_distribution, outcome_distribution, prediction_distribution
from exporter.stats import concept, significance
from exporter.stats.result import NotEnoughData

_FEATURE_BOUNDS = (names.FEATURE_DRIFT_SCORE_LOWER, names.FEATURE_DRIFT_SCORE_UPPER)
_PREDICTION_BOUNDS = (names.PREDICTION_DRIFT_SCORE_LOWER, names.PREDICTION_DRIFT_SCORE_UPPER)


def measure_feature_drift(scope: Scope) -> Iterator[Sample]:
    """Row 2: each feature against the reference, and which of them drifted."""
    features = scope.totals.layout.features
    references = [feature_distribution(scope.reference, feature) for feature in features]
    for window, profile in scope.windows.items():
        currents = [feature_distribution(profile, feature) for feature in features]
        pairs = {
            feature.name: (reference, current)
            for feature, reference, current in zip(features, references, currents, strict=True)
            if min(reference.rows, current.rows) >= scope.model.drift.min_rows
        }
        if pairs:
            yield from _of_window(scope, window, list(pairs), Comparison(list(pairs.values())))


def _of_window(scope: Scope, window: str, features: Sequence[str], held: Comparison) -> Iterator[Sample]:
    for method in scope.model.drift.methods:
        for feature, score, pvalue in zip(features, held.scores(method), held.pvalues(method), strict=True):
            yield from scope.known(names.FEATURE_DRIFT_SCORE, score, window, feature, method)
            yield from scope.known(names.FEATURE_DRIFT_PVALUE, pvalue, window, feature, method)
    for family, ends in zip(_FEATURE_BOUNDS, held.bounds(), strict=True):
        for feature, end in zip(features, ends, strict=True):
            yield from scope.known(family, end, window, feature, JUDGED)
    significant = significance.benjamini_hochberg(held.pvalues(JUDGED)) < scope.model.drift.significance
    drifted = significant & (held.scores(JUDGED) >= scope.model.thresholds.feature_drift.minor)
    for feature, verdict in zip(features, drifted, strict=True):
        yield from scope.gauge(names.FEATURE_DRIFTED, float(verdict), window, feature)
    yield from scope.gauge(names.DRIFTED_FEATURES, float(drifted.sum()), window)


def measure_output_drift(scope: Scope) -> Iterator[Sample]:
    """Row 2: what the model predicts, and what really happened, against the reference."""
    for window in scope.windows:
        for family, of, profile in (
            (names.PREDICTION_DRIFT_SCORE, prediction_distribution, scope.windows[window]),
            (names.OUTCOME_DRIFT_SCORE, outcome_distribution, scope.labelled[window]),
        ):
            pair = of(scope.reference, scope.reference), of(profile, scope.reference)
            if min(side.rows for side in pair) < scope.model.drift.min_rows:
                continue
            held = Comparison([pair])
            for method in scope.model.drift.methods:
                yield from scope.known(family, held.scores(method)[0], window, method)
            if family is names.PREDICTION_DRIFT_SCORE:
                for bound, (end,) in zip(_PREDICTION_BOUNDS, held.bounds(), strict=True):
                    yield from scope.known(bound, end, window, JUDGED)


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
