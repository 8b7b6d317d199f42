"""Row 1: which outcomes have come, how late they are, and how many of them are still to be expected."""

from collections.abc import Iterator

import numpy as np

from exporter import names
from exporter.cohorts import maturity_of
from exporter.config import parse_duration
from exporter.measures.base import Sample, Scope, histogram, share
from exporter.names import DELAY_BOUNDS
from exporter.profile.columns import Floats
from exporter.profile.layout import Profile
from exporter.stats.result import NotEnoughData, Value


def measure_outcomes(scope: Scope) -> Iterator[Sample]:
    """Row 1: coverage by window and by age, maturity, delays, and what the counters say."""
    for window, profile in scope.windows.items():
        yield from scope.gauge(names.MODEL_OUTCOME_COVERAGE_RATIO, coverage(profile), window)
    for age, profile in scope.aged.items():
        yield from scope.gauge(names.MODEL_OUTCOME_COVERAGE_BY_AGE_RATIO, coverage(profile), age)
    delays, maturity = scope.totals.part("delay"), maturity_of(scope.model)
    for window in scope.windows:
        ratio = maturity_ratio(delays[:-1], maturity, maturity + parse_duration(window))
        yield from scope.gauge(names.MODEL_OUTCOME_MATURITY_RATIO, ratio, window)
    labelled, correct, corrected = scope.totals.part("first_labelled")
    yield from scope.gauge(names.LABELLED_PREDICTIONS_TOTAL, labelled)
    if scope.model.task != "regression":
        yield from scope.gauge(names.CORRECT_PREDICTIONS_TOTAL, correct)
    yield from scope.gauge(names.CORRECTED_OUTCOMES_TOTAL, corrected)
    labels = (scope.model.name, scope.version)
    yield Sample(names.MODEL_OUTCOME_DELAY_SECONDS, labels, histogram(DELAY_BOUNDS, scope.totals.part("first_delay")))


def coverage(profile: Profile) -> Value:
    """Share of the predictions that have their outcome; those that failed wait for none."""
    return share(float(profile.part("labelled")[1]), profile.weight - float(profile.part("served")[1]))


def maturity_ratio(delays: Floats, youngest: float, oldest: float) -> Value:
    """Share of the labels that ever come which have come, of predictions spread evenly over ages in seconds.

    `delays` counts labels by `DELAY_BOUNDS`, the last cell above all; between bounds the share rises linearly, above
    the last it stays. Labels that have not come yet are not among the delays, so while a model is young this is too
    high.

    >>> maturity_ratio(np.array([0.0] * 6 + [3.0, 0.0, 0.0, 1.0]), 0.0, 86_400.0)
    0.0
    >>> maturity_ratio(np.array([0.0] * 6 + [3.0, 0.0, 0.0, 1.0]), 259_200.0, 518_400.0)
    0.75
    """
    if delays.sum() <= 0:
        return NotEnoughData(0.0, 1.0, "no label with a delay")
    bounds = np.array([0.0, *DELAY_BOUNDS])
    come = np.concatenate(([0.0], np.cumsum(delays[:-1]))) / delays.sum()
    ages = np.unique(np.concatenate((bounds[(bounds > youngest) & (bounds < oldest)], [youngest, oldest])))
    return float(np.trapezoid(np.interp(ages, bounds, come), ages) / (oldest - youngest))
