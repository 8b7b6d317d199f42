"""Row 2: inputs, outputs and outcomes of the window against the reference."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from exporter import names
from exporter.measures.base import Sample, Scope, effective_rows, labels_by_score
from exporter.measures.comparison import JUDGED, Comparison, Pair, Part
from exporter.measures.distribution import (
    Distribution,
    feature_distribution,
    outcome_distribution,
    prediction_distribution,
    reference_features,
)
from exporter.stats import concept, significance
from exporter.stats.result import NotEnoughData

_FEATURE_BOUNDS = (names.FEATURE_DRIFT_SCORE_LOWER, names.FEATURE_DRIFT_SCORE_UPPER)
_PREDICTION_BOUNDS = (names.PREDICTION_DRIFT_SCORE_LOWER, names.PREDICTION_DRIFT_SCORE_UPPER)
_OUTPUTS = {names.PREDICTION_DRIFT_SCORE: "predictions", names.OUTCOME_DRIFT_SCORE: "outcomes"}


def compare(scopes: Sequence[Scope]) -> None:
    """Prepare the drift of many scopes in one go: tables of fifty instants cost little more than those of one."""
    for kind in _PAIRS:
        _compare(kind, scopes)


def _compare(kind: str, scopes: Sequence[Scope]) -> None:
    found = [(scope, window, _PAIRS[kind](scope, window)) for scope in scopes for window in scope.windows]
    whole = Comparison([pair for _, _, pairs in found for pair in pairs.values()])
    parts = whole.parts([len(pairs) for _, _, pairs in found])
    for (scope, window, pairs), part in zip(found, parts, strict=True):
        scope.compared[kind, window] = tuple(pairs), part


def _compared(scope: Scope, kind: str, window: str) -> tuple[tuple[str, ...], Part]:
    if (kind, window) not in scope.compared:
        _compare(kind, [scope])
    return scope.compared[kind, window]


def feature_pairs(scope: Scope, window: str) -> dict[str, Pair]:
    """The features whose drift over `window` is told, in the reference and in the window."""
    features, held = _compared(scope, "features", window)
    return dict(zip(features, held.pairs, strict=True))


def _feature_pairs(scope: Scope, window: str) -> dict[str, Pair]:
    layout, profile = scope.totals.layout, scope.windows[window]
    known = reference_features(layout)
    pairs = {of.name: (known[of.name], feature_distribution(profile, of)) for of in layout.features}
    return {name: pair for name, pair in pairs.items() if _enough(scope, pair)}


def _prediction_pairs(scope: Scope, window: str) -> dict[str, Pair]:
    of, reference = prediction_distribution, scope.reference
    pair = of(reference, reference), of(scope.windows[window], reference)
    return {"": pair} if _enough(scope, pair) else {}


def _outcome_pairs(scope: Scope, window: str) -> dict[str, Pair]:
    of, reference = outcome_distribution, scope.reference
    pair = of(reference, reference), of(scope.labelled[window], reference)
    return {"": pair} if _enough(scope, pair) else {}


def _enough(scope: Scope, pair: Iterable[Distribution]) -> bool:
    return min(side.rows for side in pair) >= scope.model.drift.min_rows


_PAIRS = {"features": _feature_pairs, "predictions": _prediction_pairs, "outcomes": _outcome_pairs}


def measure_feature_drift(scope: Scope) -> Iterator[Sample]:
    """Row 2: each feature against the reference, and which of them drifted."""
    for window in scope.windows:
        features, held = _compared(scope, "features", window)
        if features:
            yield from _of_window(scope, window, features, held)


def _of_window(scope: Scope, window: str, features: Sequence[str], held: Part) -> Iterator[Sample]:
    for method in scope.model.drift.methods:
        labels = [(window, feature, method) for feature in features]
        yield from scope.each(names.FEATURE_DRIFT_SCORE, held.scores(method), labels)
        yield from scope.each(names.FEATURE_DRIFT_PVALUE, held.pvalues(method), labels)
    for family, ends in zip(_FEATURE_BOUNDS, held.bounds(), strict=True):
        yield from scope.each(family, ends, ((window, feature, JUDGED) for feature in features))
    significant = significance.benjamini_hochberg(held.pvalues(JUDGED)) < scope.model.drift.significance
    drifted = significant & (held.scores(JUDGED) >= scope.model.thresholds.feature_drift.minor)
    yield from scope.each(
        names.FEATURE_DRIFTED, drifted.astype(np.float64), ((window, feature) for feature in features)
    )
    yield from scope.gauge(names.DRIFTED_FEATURES, float(drifted.sum()), window)


def measure_output_drift(scope: Scope) -> Iterator[Sample]:
    """Row 2: what the model predicts, and what really happened, against the reference."""
    for window in scope.windows:
        for family, kind in _OUTPUTS.items():
            known, held = _compared(scope, kind, window)
            if not known:
                continue
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
        score, pvalue = concept.concept_test(*held)
        yield from scope.gauge(names.CONCEPT_DRIFT_SCORE, score, window)
        yield from scope.gauge(names.CONCEPT_DRIFT_PVALUE, pvalue, window)
