"""Row 3: is the traffic odd? Numbers of a window, each against its usual range in the reference's windows as long.

`usual_ranges` learns the ranges when a baseline is built, `measure_anomaly` holds windows against them. Both count a
window's numbers by `signals`, so the two sides mean the same.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from exporter import names
from exporter.baseline import UsualRange
from exporter.config import parse_duration
from exporter.measures.base import CONFIDENCE_MIDS, Sample, Scope, effective_rows, share
from exporter.measures.distribution import prediction_distribution
from exporter.measures.multivariate import Drift, drift_in, moments_of, multivariate_drift_of, multivariate_error
from exporter.profile.columns import Floats
from exporter.profile.layout import CONFIDENCE_CELLS, Profile
from exporter.profile.scorebins import score_mids
from exporter.stats import anomaly, distances
from exporter.stats.result import NotEnoughData, Value


@dataclass(frozen=True, slots=True)
class Signal:
    """One number of a window, and the standard error that its rows leave."""

    value: float
    error: float


def signals(profile: Profile, reference: Profile, drift: Drift | None) -> dict[str, Signal]:
    """The window's numbers that can be told, by the name that the label `signal` gives them.

    `volume`: predictions. `confidence`: mean probability of the likelier class. `low_confidence`: share of unsure
    predictions. `entropy`: bits of the output over its merged cells, by groups of equal mass in `reference`.
    `repeated_inputs`: the share of rows that one input would have to make up to repeat as much. `multivariate_drift`:
    its score, which windows of rows that resemble each other vary by more than its own bounds say.
    """
    _, weight, squared = profile.part("rows")
    unsure, known = profile.part("unsure")
    output = prediction_distribution(profile, reference)
    found: dict[str, tuple[Value, float]] = {
        "volume": (float(weight), max(1.0, math.sqrt(float(squared)))),  # of none, too, there might have been one
        "low_confidence": _unsure(share(unsure, known), effective_rows(profile, "rows", float(known))),
        "entropy": _entropy(output.merged, output.rows),
        "repeated_inputs": _repeated(profile),
    }
    if drift is not None:
        found["multivariate_drift"] = drift.score, multivariate_error(drift)
    if profile.layout.baseline.task != "regression":
        cells = profile.part("output").sum(axis=0)[:-1]
        found["confidence"] = _confidence(cells, effective_rows(profile, "rows", float(cells.sum())))
    return {name: Signal(value, error) for name, (value, error) in found.items() if isinstance(value, float)}


def _unsure(value: Value, rows: float) -> tuple[Value, float]:
    if isinstance(value, NotEnoughData):
        return value, 0.0
    return value, math.sqrt(max(0.0, value * (1 - value)) / rows)


def _repeated(profile: Profile) -> tuple[Value, float]:
    counters = profile.part("inputs")
    rows = effective_rows(profile, "rows", float(counters.sum()))
    value = anomaly.repeated_share(counters, rows)
    return value, anomaly.repeated_error(value, counters.size, rows) if isinstance(value, float) else 0.0


def _entropy(counts: Floats, rows: float) -> tuple[Value, float]:
    """To first order entropy varies as the mean of -log2 of the shares does."""
    shares = distances.shares(counts)
    return anomaly.entropy(counts), _mean_error(shares, -_log2(shares), rows)


def _log2(shares: Floats) -> Floats:
    result: Floats = xlogy(shares > 0, shares) / math.log(2)
    return result


def _confidence(cells: Floats, rows: float) -> tuple[Value, float]:
    """By the middle of each cell: of scores for a binary model, of confidence itself for a multiclass one."""
    middle = CONFIDENCE_MIDS if len(cells) == CONFIDENCE_CELLS else np.maximum(score_mids(), 1 - score_mids())
    return anomaly.mean_confidence(cells, middle), _mean_error(distances.shares(cells), middle, rows)


def _mean_error(shares: Floats, values: Floats, rows: float) -> float:
    if rows <= 0:
        return 0.0
    centred = values - float((shares * values).sum())
    return math.sqrt(float((shares * centred**2).sum()) / rows)


def usual_ranges(windows: Iterable[Profile], reference: Profile) -> dict[str, UsualRange]:
    """Mean and standard deviation of each signal over disjoint windows; one that fewer than two can tell has none."""
    values: dict[str, list[float]] = {}
    usual = None if reference.layout.baseline.moments is None else moments_of(reference)
    for profile in windows:
        moving = None if usual is None else multivariate_drift_of(profile, reference, usual)
        for name, signal in signals(profile, reference, moving).items():
            values.setdefault(name, []).append(signal.value)
    return {
        name: UsualRange(mean=float(np.mean(of)), deviation=float(np.std(of, ddof=1)), windows=len(of))
        for name, of in sorted(values.items())
        if len(of) >= 2
    }


def measure_anomaly(scope: Scope) -> Iterator[Sample]:
    """Row 3: repeated inputs, and how far each signal lies from its usual range, in a baseline that has one."""
    ranges = scope.totals.layout.baseline.usual
    moments = scope.totals.layout.baseline.moments
    for window, profile in scope.windows.items():
        drift = drift_in(scope, window) if moments is not None else None
        usual, found = ranges.get(parse_duration(window), {}), signals(profile, scope.reference, drift)
        if "repeated_inputs" in found:
            yield from scope.gauge(names.REPEATED_INPUTS_RATIO, found["repeated_inputs"].value, window)
        for name, signal in found.items():
            if name in usual:
                of = usual[name]
                known = anomaly.Usual(of.mean, of.deviation, of.windows)
                score = anomaly.deviation(signal.value, known, signal.error)
                yield from scope.gauge(names.PREDICTION_ANOMALY_SCORE, score, window, name)
