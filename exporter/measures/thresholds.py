"""Row 2: the PSI that each feature of the window would rarely pass without drift, from what the baseline learned.

A threshold costs milliseconds and rows change at every refresh, so thresholds are remembered on a grid of rows, a
quarter apart, and read between its points on a line in logarithms, which keeps them within 1 %.
"""

import math
from collections.abc import Iterator
from functools import lru_cache

from exporter import names
from exporter.config import Model, parse_duration
from exporter.measures.base import Sample, Scope
from exporter.measures.drift import feature_pairs
from exporter.stats.spread import Spread
from exporter.stats.tolerance import alarm_probability, threshold

MONTH_SECONDS = 30 * 86_400  # as in the monthly costs
STEP = math.log(1.25)
REMEMBERED = 50_000  # thresholds of some hundred bytes each: a thousand features, and rows that vary a thousandfold


def measure_drift_thresholds(scope: Scope) -> Iterator[Sample]:
    """Row 2: the threshold of each feature that has a drift score over the drift window."""
    spreads, drift = scope.totals.layout.baseline.spreads, scope.model.drift
    if spreads is None or spreads.window != drift.window or drift.window not in scope.windows:
        return
    probability = budget(scope.model, len(scope.totals.layout.features))
    if probability is None:
        return
    for feature, (_, current) in feature_pairs(scope, drift.window).items():
        if feature in spreads.features:
            value = limit(spreads.features[feature].known, probability, current.rows)
            yield from scope.gauge(names.FEATURE_DRIFT_THRESHOLD, value, drift.window, feature, "psi")


def budget(model: Model, features: int) -> float | None:
    """The probability of a false alarm that one feature may have in one window; None when any window may alarm."""
    windows = MONTH_SECONDS / parse_duration(model.drift.window)
    alarms = model.drift.false_alarms_per_month
    return alarm_probability(alarms, windows, features) if alarms < windows * features else None


def limit(known: Spread, probability: float, rows: float) -> float:
    """The threshold of a window of `rows` rows, within 1 % of `threshold`."""
    place = math.log(rows) / STEP
    low = math.floor(place)
    ends = [math.log(on_grid(known, probability, step)) for step in (low, low + 1)]
    return math.exp(ends[0] + (place - low) * (ends[1] - ends[0]))


@lru_cache(REMEMBERED)
def on_grid(known: Spread, probability: float, step: int) -> float:
    """The threshold of a window of 1.25 to the power of `step` rows; remembered by the spread's identity."""
    return threshold(known, probability, math.exp(step * STEP))
