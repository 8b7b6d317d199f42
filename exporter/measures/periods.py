"""Row 2: the drift window against the model's own past, and whether that past is known at all.

All versions of the model make the past: inputs do not ask who serves them, and a new version has no past of its own.
The bins stay those of the baseline, so scores compare with those against the baseline.
"""

from collections.abc import Iterator

from exporter import names
from exporter.measures.base import Past, Sample, Scope, effective_rows
from exporter.measures.distribution import Distribution, feature_distribution, prediction_distribution
from exporter.stats import distances
from exporter.stats.result import NotEnoughData, Value

METHOD = "psi"  # the one that verdicts stand on; each further one would double the series


def measure_recent_drift(scope: Scope) -> Iterator[Sample]:
    """Row 2: inputs and outputs of the drift window against each configured period, where that is complete."""
    window = scope.model.drift.window
    for period, past in scope.periods.items():
        if past.complete and window in scope.windows:
            yield from _scores(scope, window, period, past)


def _scores(scope: Scope, window: str, period: str, past: Past) -> Iterator[Sample]:
    profile = scope.windows[window]
    for feature in scope.totals.layout.features:
        pair = (feature_distribution(side, feature) for side in (past.profile, profile))
        value = _distance(scope, *pair)
        yield from scope.gauge(names.FEATURE_RECENT_DRIFT_SCORE, value, window, feature.name, METHOD, period)
    outputs = (prediction_distribution(side, scope.reference) for side in (past.profile, profile))
    yield from scope.gauge(names.PREDICTION_RECENT_DRIFT_SCORE, _distance(scope, *outputs), window, METHOD, period)


def _distance(scope: Scope, past: Distribution, current: Distribution) -> Value:
    rows, need = min(past.rows, current.rows), scope.model.drift.min_rows
    if rows < need:
        return NotEnoughData(rows, need, "the window or the period holds too few rows")
    return distances.psi(past.merged, current.merged, past.rows, current.rows)


def measure_history(scope: Scope) -> Iterator[Sample]:
    """The exporter itself: which windows and periods hold all their time, and how many rows the periods have."""
    for window in scope.windows:
        yield from scope.gauge(names.WINDOW_COMPLETE, float(window in scope.complete), window)
    for period, past in scope.periods.items():
        of = (scope.model.drift.window, period)
        yield from scope.gauge(names.PERIOD_COMPLETE, float(past.complete), *of)
        yield from scope.gauge(names.PERIOD_ROWS, effective_rows(past.profile, "rows", past.profile.weight), *of)
