"""Row 2: the drift window against the model's own past, and whether that past is known at all.

All versions of the model make the past: inputs do not ask who serves them, and a new version has no past of its own.
The bins stay those of the baseline, so scores compare with those against the baseline.
"""

from collections.abc import Iterator

from exporter import names
from exporter.measures.base import Sample, Scope, effective_rows
from exporter.measures.comparison import JUDGED, Comparison
from exporter.measures.distribution import feature_distribution, prediction_distribution
from exporter.profile.layout import Profile


def measure_recent_drift(scope: Scope) -> Iterator[Sample]:
    """Row 2: inputs and outputs of the drift window against each configured period, where that is complete.

    By PSI alone: each further method would double the series.
    """
    window = scope.model.drift.window
    for period, past in scope.periods.items():
        if past.complete and window in scope.windows:
            yield from _scores(scope, window, period, past.profile)


def _scores(scope: Scope, window: str, period: str, past: Profile) -> Iterator[Sample]:
    sides, need = (past, scope.windows[window]), scope.model.drift.min_rows
    features = {of.name: [feature_distribution(side, of) for side in sides] for of in scope.totals.layout.features}
    known = {name: (then, now) for name, (then, now) in features.items() if min(then.rows, now.rows) >= need}
    for name, score in zip(known, Comparison(list(known.values())).scores(JUDGED), strict=True):
        yield from scope.known(names.FEATURE_RECENT_DRIFT_SCORE, score, window, name, JUDGED, period)
    then, now = (prediction_distribution(side, scope.reference) for side in sides)
    if min(then.rows, now.rows) >= need:
        [score] = Comparison([(then, now)]).scores(JUDGED)
        yield from scope.known(names.PREDICTION_RECENT_DRIFT_SCORE, score, window, JUDGED, period)


def measure_history(scope: Scope) -> Iterator[Sample]:
    """The exporter itself: which windows and periods hold all their time, and how many rows the periods have."""
    for window in scope.windows:
        yield from scope.gauge(names.WINDOW_COMPLETE, float(window in scope.complete), window)
    for period, past in scope.periods.items():
        of = (scope.model.drift.window, period)
        yield from scope.gauge(names.PERIOD_COMPLETE, float(past.complete), *of)
        yield from scope.gauge(names.PERIOD_ROWS, effective_rows(past.profile, "rows", past.profile.weight), *of)
