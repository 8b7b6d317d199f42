"""Row 2 written out: features, output and outcomes of a window against the reference, and the verdicts on features."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from exporter import names
from exporter.baseline import CategoryFeature, NumericFeature
from exporter.explain.base import Explanation, Table, Working
from exporter.explain.cells import feature_cells, merged_cells, output_cells
from exporter.explain.distance import Pair, bounds_working, pvalue, pvalue_working, score, score_working
from exporter.measures import Scope
from exporter.measures.comparison import JUDGED
from exporter.measures.distribution import (
    Distribution,
    feature_distribution,
    outcome_distribution,
    prediction_distribution,
)
from exporter.profile.layout import Profile
from exporter.stats.result import NotEnoughData
from exporter.stats.significance import TESTED, benjamini_hochberg

_FEATURE_BOUNDS = (names.FEATURE_DRIFT_SCORE_LOWER, names.FEATURE_DRIFT_SCORE_UPPER)
_PREDICTION_BOUNDS = (names.PREDICTION_DRIFT_SCORE_LOWER, names.PREDICTION_DRIFT_SCORE_UPPER)


def feature_pair(scope: Scope, window: str, feature: NumericFeature | CategoryFeature) -> Pair:
    """The feature in the reference and in the window."""
    profiles = scope.reference, scope.windows[window]
    sides = [feature_distribution(profile, feature) for profile in profiles]
    return _pair(scope, "rows", profiles, sides, (feature_cells(feature), merged_cells(feature)))


def prediction_pair(scope: Scope, window: str) -> Pair:
    """The model's output in the reference and in the window."""
    profiles = scope.reference, scope.windows[window]
    sides = [prediction_distribution(profile, scope.reference) for profile in profiles]
    return _pair(scope, "rows", profiles, sides, output_cells(scope.totals.layout.baseline, sides[0]))


def outcome_pair(scope: Scope, window: str) -> Pair:
    """The labels in the reference and in the window, that of matured outcomes where labels need time."""
    profiles = scope.reference, scope.labelled[window]
    sides = [outcome_distribution(profile, scope.reference) for profile in profiles]
    return _pair(scope, "labelled", profiles, sides, output_cells(scope.totals.layout.baseline, sides[0]))


def _pair(scope: Scope, counted: str, profiles: tuple[Profile, Profile], sides: Sequence[Distribution],
          cells: tuple[list[str], list[str]]) -> Pair:  # fmt: skip
    (_, *before), (_, *now) = (profile.part(counted).tolist()[:3] for profile in profiles)
    weights = ((before[0], before[1]), (now[0], now[1]))
    return Pair(sides[0], sides[1], *cells, scope.model.drift.min_rows, weights)


def explain_feature_drift(
    scope: Scope, window: str, feature: NumericFeature | CategoryFeature
) -> Iterator[Explanation]:
    """Scores, p-values, bounds and verdict of one feature."""
    pair, of = feature_pair(scope, window, feature), (scope.model.name, scope.version, window, feature.name)
    for method in scope.model.drift.methods:
        yield Explanation(names.FEATURE_DRIFT_SCORE, (*of, method), score_working(method, pair))
        if method in TESTED:
            yield Explanation(names.FEATURE_DRIFT_PVALUE, (*of, method), pvalue_working(method, pair))
    for end, family in enumerate(_FEATURE_BOUNDS):
        yield Explanation(family, (*of, JUDGED), bounds_working(end, pair))
    yield Explanation(names.FEATURE_DRIFTED, of, _verdict(scope, window, feature, pair))


def explain_model_drift(scope: Scope, window: str) -> Iterator[Explanation]:
    """Output, outcomes, and how many features drifted."""
    of = (scope.model.name, scope.version, window)
    pair, labels = prediction_pair(scope, window), outcome_pair(scope, window)
    for method in scope.model.drift.methods:
        yield Explanation(names.PREDICTION_DRIFT_SCORE, (*of, method), score_working(method, pair))
        yield Explanation(names.OUTCOME_DRIFT_SCORE, (*of, method), score_working(method, labels))
    for end, family in enumerate(_PREDICTION_BOUNDS):
        yield Explanation(family, (*of, JUDGED), bounds_working(end, pair))
    yield Explanation(names.DRIFTED_FEATURES, of, _drifted(scope, window))


def _verdict(scope: Scope, window: str, feature: NumericFeature | CategoryFeature, pair: Pair) -> Working:
    levels, drift = scope.model.thresholds.feature_drift, scope.model.drift
    formula = (
        f"1 when {JUDGED} reaches thresholds.feature_drift.minor and the adjusted p-value stays below "
        "drift.significance; adjusted: the least of p N / rank over this rank and those above it, with the N tested "
        "features ranked by p (Benjamini-Hochberg)"
    )
    given = {"minor": levels.minor, "significance": drift.significance}
    if pair.lacking is not None:
        return Working(formula, pair.lacking, given)
    ranked, reached = _ranked(scope, window), score(JUDGED, pair)
    adjusted = dict(zip(ranked.column("feature"), ranked.column("adjusted"), strict=True)).get(feature.name, math.nan)
    drifted = isinstance(reached, float) and reached >= levels.minor and float(adjusted) < drift.significance
    given |= {JUDGED: reached} if isinstance(reached, float) else {}
    return Working(formula, float(drifted), given, ranked, {"adjusted p-value": float(adjusted)})


def _drifted(scope: Scope, window: str) -> Working:
    verdicts: Mapping[str, Working] = {
        feature.name: _verdict(scope, window, feature, feature_pair(scope, window, feature))
        for feature in scope.totals.layout.features
    }
    known = {name: of.value for name, of in verdicts.items() if not isinstance(of.value, NotEnoughData)}
    formula = f"number of features with {names.FEATURE_DRIFTED.name} 1"
    if not known:
        why = "features with enough rows on both sides for a verdict"
        return Working(formula, NotEnoughData(0.0, 1.0, why))
    return Working(formula, math.fsum(known.values()), table=Table(("feature", "drifted"), list(known.items())))


def _ranked(scope: Scope, window: str) -> Table:
    """The tested features by p-value, with what Benjamini-Hochberg makes of it."""
    found = {of.name: pvalue(JUDGED, feature_pair(scope, window, of)) for of in scope.totals.layout.features}
    known = sorted((value, name) for name, value in found.items() if not isinstance(value, NotEnoughData))
    adjusted = benjamini_hochberg(np.array([value for value, _ in known])).tolist()
    heads = ("feature", "p", "rank", "p N / rank", "adjusted")
    rows = [
        (name, value, float(rank), value * len(known) / rank, adjusted[rank - 1])
        for rank, (value, name) in enumerate(known, start=1)
    ]
    return Table(heads, rows)
