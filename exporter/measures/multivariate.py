"""Rows 2 and 4: do the numeric features move together as they did? From their second moments in both profiles."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from exporter import names
from exporter.measures.base import Sample, Scope, effective_rows
from exporter.profile.columns import Floats
from exporter.profile.layout import Profile
from exporter.stats import multivariate
from exporter.stats.multivariate import Moments
from exporter.stats.result import Z_95, Interval, NotEnoughData, Value
from exporter.stats.significance import benjamini_hochberg

_NOTHING = 1e-9  # share of the weight below which what is left of it is the rounding of weighted sums
_SCORE_BOUNDS = (names.MULTIVARIATE_DRIFT_SCORE_LOWER, names.MULTIVARIATE_DRIFT_SCORE_UPPER)


def moments_of(profile: Profile) -> Moments:
    """The profile's second moments; its layout must have them."""
    weight, features = profile.weight, len(profile.part("moment_sums"))
    held = weight - square(profile.part("moment_gaps"), features)
    pairs = np.where(held > _NOTHING * weight, held, 0.0)
    return Moments(weight, profile.part("moment_sums"), square(profile.part("moment_products"), features), pairs)


def square(triangle: Floats, features: int) -> Floats:
    """The symmetric matrix (features, features) of its upper triangle, row by row."""
    matrix = np.zeros((features, features))
    matrix[np.triu_indices(features)] = triangle
    return matrix + np.triu(matrix, 1).T


def held_rows(profile: Profile, moments: Moments) -> float:
    """Effective rows, less what is missing of the pairs."""
    share = float(moments.pairs.mean()) / moments.weight if moments.weight > 0 else 0.0
    return effective_rows(profile, "rows", profile.weight) * share


@dataclass(frozen=True, slots=True)
class Drift:
    """Multivariate drift of a window, with the bounds of independent rows (None where their variance is unknown)."""

    score: Value
    bounds: Interval | None


def multivariate_error(drift: Drift) -> float:
    """The score's standard error; 0 where it is unknown."""
    return 0.0 if drift.bounds is None else (drift.bounds.upper - drift.bounds.lower) / (2 * Z_95)


def drift_in(scope: Scope, window: str) -> Drift:
    """The drift of a window, computed once; the layout must have moments."""
    if window not in scope.multivariate:
        scope.multivariate[window] = multivariate_drift_of(scope.windows[window], scope.reference)
    return scope.multivariate[window]


def multivariate_drift_of(profile: Profile, reference: Profile) -> Drift:
    """The drift of `profile`, whose layout must have moments."""
    moments, known = profile.layout.baseline.moments, (moments_of(reference), moments_of(profile))
    score = multivariate.multivariate_drift(*known)
    variance = None if moments is None else moments.error_variance
    if isinstance(score, NotEnoughData) or variance is None:
        return Drift(score, None)
    before, now = (held_rows(side, of) for side, of in zip((reference, profile), known, strict=True))
    bounds = multivariate.multivariate_interval(score, variance, before, now)
    return Drift(score, None if isinstance(bounds, NotEnoughData) else bounds)


def measure_multivariate(scope: Scope) -> Iterator[Sample]:
    """Rows 2 and 4: reconstruction error, and each feature's change of correlation."""
    if scope.totals.layout.baseline.moments is None:
        return
    reference = moments_of(scope.reference)
    for window, profile in scope.windows.items():
        current = moments_of(profile)
        rows = held_rows(scope.reference, reference), held_rows(profile, current)
        if min(rows) < scope.model.drift.min_rows:
            continue
        drift = drift_in(scope, window)
        yield from scope.gauge(names.MULTIVARIATE_DRIFT_SCORE, drift.score, window)
        if drift.bounds is not None:
            yield from scope.interval(_SCORE_BOUNDS, drift.bounds, window)
        yield from _changes(scope, window, reference, current)


def _changes(scope: Scope, window: str, reference: Moments, current: Moments) -> Iterator[Sample]:
    known = scope.totals.layout.baseline.moments
    assert known is not None
    sides = scope.reference, scope.windows[window]
    before, now = (effective_rows(side, "rows", side.weight) for side in sides)
    spread = square(np.array(known.spread), len(known.features))
    pvalues = multivariate.change_pvalues(reference, current, before, now, spread)
    changes = multivariate.correlation_change(reference, current, _significant(scope, pvalues))
    for feature, change in zip(known.features, changes, strict=True):
        yield from scope.gauge(names.FEATURE_CORRELATION_CHANGE, change, window, feature.name)


def _significant(scope: Scope, pvalues: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Which pairs changed, at the false discovery rate of drift; each pair is one test, though it stands twice."""
    adjusted = np.full_like(pvalues, np.nan)
    pairs = np.triu_indices(len(pvalues), 1)
    adjusted[pairs] = benjamini_hochberg(pvalues[pairs])
    return np.fmin(adjusted, adjusted.T) < scope.model.drift.significance
