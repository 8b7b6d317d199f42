"""Rows 2 and 4: do the numeric features move together as they did? From their second moments in both profiles."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from exporter import names
from exporter.measures.base import LAYOUTS, Sample, Scope, effective_rows
from exporter.profile.columns import Codes, Floats
from exporter.profile.layout import Layout, Profile
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
    return triangle[_places(features)]


@lru_cache(LAYOUTS)
def _places(features: int) -> Codes:
    """Where each pair stands in the upper triangle, (features, features)."""
    matrix = np.zeros((features, features), dtype=np.intp)
    matrix[np.triu_indices(features)] = np.arange(features * (features + 1) // 2)
    return matrix + np.triu(matrix, 1).T


@lru_cache(LAYOUTS)
def reference_moments(layout: Layout) -> Moments:
    """The reference's, whose correlations and components are computed once."""
    return moments_of(layout.reference)


def held_rows(profile: Profile, moments: Moments) -> float:
    """Effective rows, less what is missing of the pairs."""
    share = float(moments.pairs.mean()) / moments.weight if moments.weight > 0 else 0.0
    return effective_rows(profile, "rows", profile.weight) * share


@dataclass(frozen=True, slots=True)
class Drift:
    """Multivariate drift of a window, with the bounds of independent rows (None where their variance is unknown).

    `moments` are the window's, `rows` the effective ones of reference and window that hold the pairs.
    """

    score: Value
    bounds: Interval | None
    moments: Moments
    rows: tuple[float, float]


def multivariate_error(drift: Drift) -> float:
    """The score's standard error; 0 where it is unknown."""
    return 0.0 if drift.bounds is None else (drift.bounds.upper - drift.bounds.lower) / (2 * Z_95)


def drift_in(scope: Scope, window: str) -> Drift:
    """The drift of a window, computed once; the layout must have moments."""
    if window not in scope.multivariate:
        known = reference_moments(scope.totals.layout)
        scope.multivariate[window] = multivariate_drift_of(scope.windows[window], scope.reference, known)
    return scope.multivariate[window]


def multivariate_drift_of(profile: Profile, reference: Profile, usual: Moments) -> Drift:
    """The drift of `profile`, whose layout must have moments, from `reference`, whose moments are `usual`."""
    moments, current = profile.layout.baseline.moments, moments_of(profile)
    rows = held_rows(reference, usual), held_rows(profile, current)
    score = multivariate.multivariate_drift(usual, current)
    variance = None if moments is None else moments.error_variance
    if isinstance(score, NotEnoughData) or variance is None:
        return Drift(score, None, current, rows)
    bounds = multivariate.multivariate_interval(score, variance, *rows)
    return Drift(score, None if isinstance(bounds, NotEnoughData) else bounds, current, rows)


def measure_multivariate(scope: Scope) -> Iterator[Sample]:
    """Rows 2 and 4: reconstruction error, and each feature's change of correlation."""
    if scope.totals.layout.baseline.moments is None:
        return
    for window in scope.windows:
        drift = drift_in(scope, window)
        if min(drift.rows) < scope.model.drift.min_rows:
            continue
        yield from scope.gauge(names.MULTIVARIATE_DRIFT_SCORE, drift.score, window)
        if drift.bounds is not None:
            yield from scope.interval(_SCORE_BOUNDS, drift.bounds, window)
        yield from _changes(scope, window, drift.moments)


def _changes(scope: Scope, window: str, current: Moments) -> Iterator[Sample]:
    layout = scope.totals.layout
    assert layout.baseline.moments is not None
    reference, spread = reference_moments(layout), _spread(layout)
    before, now = (effective_rows(side, "rows", side.weight) for side in (scope.reference, scope.windows[window]))
    pvalues = multivariate.change_pvalues(reference, current, before, now, spread)
    changes = multivariate.correlation_change(reference, current, _significant(scope, pvalues))
    for feature, change in zip(layout.baseline.moments.features, changes, strict=True):
        yield from scope.gauge(names.FEATURE_CORRELATION_CHANGE, change, window, feature.name)


@lru_cache(LAYOUTS)
def _spread(layout: Layout) -> Floats:
    """How much more each pair's correlation varies than that of normal features; the layout must have moments."""
    moments = layout.baseline.moments
    assert moments is not None
    return square(np.array(moments.spread), len(moments.features))


def _significant(scope: Scope, pvalues: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Which pairs changed, at the false discovery rate of drift; each pair is one test, though it stands twice."""
    adjusted = np.full_like(pvalues, np.nan)
    pairs = np.triu_indices(len(pvalues), 1)
    adjusted[pairs] = benjamini_hochberg(pvalues[pairs])
    return np.fmin(adjusted, adjusted.T) < scope.model.drift.significance
