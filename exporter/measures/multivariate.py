"""Rows 2 and 4: do the numeric features move together as they did? From their second moments in both profiles."""

from collections.abc import Iterator

import numpy as np

from exporter import names
from exporter.measures.base import Sample, Scope, effective_rows
from exporter.profile.columns import Floats
from exporter.profile.layout import Profile
from exporter.stats import multivariate
from exporter.stats.multivariate import Moments
from exporter.stats.result import NotEnoughData
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


def measure_multivariate(scope: Scope) -> Iterator[Sample]:
    """Rows 2 and 4: reconstruction error, and each feature's change of correlation."""
    known = scope.totals.layout.baseline.moments
    if known is None:
        return
    spread = square(np.array(known.spread), len(known.features))
    reference = moments_of(scope.reference)
    n_ref = held_rows(scope.reference, reference)
    for window, profile in scope.windows.items():
        current = moments_of(profile)
        n_cur = held_rows(profile, current)
        if min(n_ref, n_cur) < scope.model.drift.min_rows:
            continue
        yield from _drift(scope, window, reference, current, (n_ref, n_cur))
        rows = [effective_rows(side, "rows", side.weight) for side in (scope.reference, profile)]
        pvalues = multivariate.change_pvalues(reference, current, *rows, spread)
        changes = multivariate.correlation_change(reference, current, _significant(scope, pvalues))
        for feature, change in zip(known.features, changes, strict=True):
            yield from scope.gauge(names.FEATURE_CORRELATION_CHANGE, change, window, feature.name)


def _drift(
    scope: Scope, window: str, reference: Moments, current: Moments, rows: tuple[float, float]
) -> Iterator[Sample]:
    score = multivariate.multivariate_drift(reference, current)
    yield from scope.gauge(names.MULTIVARIATE_DRIFT_SCORE, score, window)
    known = scope.totals.layout.baseline.moments
    if not isinstance(score, NotEnoughData) and known is not None and known.error_variance is not None:
        interval = multivariate.multivariate_interval(score, known.error_variance, *rows)
        yield from scope.interval(_SCORE_BOUNDS, interval, window)


def _significant(scope: Scope, pvalues: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Which pairs changed, at the false discovery rate of drift; each pair is one test, though it stands twice."""
    adjusted = np.full_like(pvalues, np.nan)
    pairs = np.triu_indices(len(pvalues), 1)
    adjusted[pairs] = benjamini_hochberg(pvalues[pairs])
    return np.fmin(adjusted, adjusted.T) < scope.model.drift.significance
