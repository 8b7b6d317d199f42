"""What a time-stamped reference teaches about drift thresholds: how its own windows stray from it.

The reference is counted by hour in each feature's merged cells, the ones that PSI reads; out come the `Spreads` of the
model's drift window, checked on held-out parts, and a sentence for the person who builds the baseline.
"""

import math

import numpy as np

from exporter.baseline import Baseline, CategoryFeature, NumericFeature
from exporter.config import Model, parse_duration
from exporter.measures.distribution import feature_distribution
from exporter.measures.thresholds import budget
from exporter.profile.batch import Predictions
from exporter.profile.cells import CategoryCells, NumericCells
from exporter.profile.columns import Codes, Floats
from exporter.profile.layout import Layout, Profile
from exporter.spreads import FeatureSpread, Spreads
from exporter.stats.distances import each
from exporter.stats.result import NotEnoughData
from exporter.stats.significance import effective_sample_size
from exporter.stats.spread import Spread, moderated, spread
from exporter.stats.tolerance import held_out, threshold
from exporter.windows import HOUR

DAY, WEEK = 24 * HOUR, 168 * HOUR
MOST = 2 * 366 * 24  # hours looked at, the newest ones; a stray time stamp must not make them millions
CHECKED = 4_000  # held-out windows: they tell the share above to half a percent, and cost up to a millisecond each

Feature = NumericFeature | CategoryFeature


def spreads_of(model: Model, features: tuple[Feature, ...], batch: Predictions) -> Spreads:
    """The spreads of `features` over the model's drift window, or why they cannot be known."""
    length = parse_duration(model.drift.window)
    cycle = cycle_of(length)
    nothing = Spreads(window=model.drift.window, cycle=cycle)
    if length % HOUR:
        return nothing.model_copy(update={"why": "the reference is counted by hour, and the window is no whole hours"})
    if batch.ts.min() == batch.ts.max():
        return nothing.model_copy(update={"why": "the reference has no time stamps (a column ts of differing times)"})
    hours, count = _hours(batch.ts, length)
    counts = [_counts(feature, batch, hours, count) for feature in features]
    found = moderated([spread(buckets, length // HOUR, cycle) for buckets in counts])
    known = {
        feature.name: FeatureSpread.of(item)
        for feature, item in zip(features, found, strict=True)
        if isinstance(item, Spread)
    }
    if not known:
        short = next(item for item in found if isinstance(item, NotEnoughData))
        return nothing.model_copy(update={"why": f"{short.why} ({short.have:g} of {short.need:g})"})
    usable = [buckets for buckets, item in zip(counts, found, strict=True) if isinstance(item, Spread)]
    every = math.ceil(len(usable) * count / (length // HOUR) / CHECKED)  # of many features some speak for all
    check = held_out(usable[::every], length // HOUR, cycle)
    return nothing.model_copy(
        update={
            "features": known,
            "above": check.above,
            "expected": round(check.expected, 2),
            "held_out": check.windows,
        }
    )


def cycle_of(length: int) -> int:
    """After how many windows of `length` seconds a week is over; 1, so no season, where windows do not divide it.

    >>> [cycle_of(hours * 3_600) for hours in (1, 24, 36, 168, 720)]
    [168, 7, 1, 1, 1]
    """
    return WEEK // length if WEEK % length == 0 else 1


def told(model: Model, baseline: Baseline) -> str:
    """One line for the person who builds `baseline`: which thresholds there will be, and how sure they are."""
    spreads = baseline.spreads
    subject = f"calibrated drift thresholds for windows of {model.drift.window}"
    if spreads is None or not spreads.features:
        return f"no {subject}: {'the baseline was built without them' if spreads is None else spreads.why}"
    known = f"{len(spreads.features)} of {len(baseline.features)} features"
    parts = [f"{subject}: {known}, seasons repeat after {spreads.cycle} window(s)"]
    if silent := out_of_reach(model, baseline):
        parts.append(
            f"no PSI is high enough for {', '.join(silent)}, whose windows stray too much; lengthen the window"
        )
    if spreads.held_out:
        seen = f"{spreads.above} of {spreads.held_out} held-out windows above their 1-in-20 threshold"
        parts.append(f"{seen}, {spreads.expected:.0f} expected")
    else:
        parts.append("the reference is too short to check them on held-out parts")
    if _doubtful(spreads):
        parts.append("the reference itself drifts, or strays by more than a normal law")
    return "; ".join(parts)


def out_of_reach(model: Model, baseline: Baseline) -> list[str]:
    """The features whose threshold not even a window with all its rows in one cell would pass."""
    spreads, probability = baseline.spreads, budget(model, len(baseline.features))
    if spreads is None or probability is None:
        return []
    reference = Profile.reference(Layout(baseline))
    found = []
    for feature in baseline.features:
        if feature.name in spreads.features:
            known, past = spreads.features[feature.name].known, feature_distribution(reference, feature)
            counts = past.merged / past.merged.sum() * past.rows
            extremes = np.eye(len(counts)) * known.rows
            highest = each("psi", np.broadcast_to(counts, extremes.shape), extremes).max()
            found += [feature.name] if threshold(known, probability) > highest else []
    return found


def _doubtful(spreads: Spreads) -> bool:
    return bool(spreads.held_out) and spreads.above >= 2 * spreads.expected


def _hours(ts: Floats, length: int) -> tuple[Codes, int]:
    """Each row's hour, counted from where the first whole window begins (before it: -1), and the number of hours.

    Windows begin with a UTC day, or as a shorter window divides it: a batch job may give days a level of their own.
    """
    hour = (ts // HOUR).astype(np.intp)
    unit = min(length, DAY) // HOUR
    first, last = int(hour.min()), int(hour.max())
    start = -(-max(first, last - MOST) // unit) * unit
    return np.maximum(hour - start, -1), max(last - start + 1, 0)


def _counts(feature: Feature, batch: Predictions, hours: Codes, count: int) -> Floats:
    """Effective rows by hour and merged cell: weights, scaled so that all together are the reference's effective rows.

    One scale for all, since a scale for each hour would move the distribution.
    """
    cells = _merged_codes(feature, batch)
    kept = (cells >= 0) & (hours >= 0)
    width = len(feature.groups) if isinstance(feature, NumericFeature) else feature.placed
    weights = None if batch.weight is None else batch.weight[kept]
    flat = np.bincount(hours[kept] * width + cells[kept], weights=weights, minlength=count * width)
    counts = flat.astype(np.float64).reshape(count, width)
    return counts if batch.weight is None else counts * _scale(batch.weight)


def _scale(weight: Floats) -> float:
    return effective_sample_size(float(weight.sum()), float((weight**2).sum())) / float(weight.sum())


def _merged_codes(feature: Feature, batch: Predictions) -> Codes:
    """Each row's merged cell; -1 where the value is missing or invalid."""
    column = batch.features[feature.name]
    if isinstance(feature, CategoryFeature):
        return _placed(feature, CategoryCells(feature).codes(column).astype(np.intp))
    cells = _placed(feature, NumericCells(feature).codes(column).astype(np.intp))
    merged = np.searchsorted(feature.groups, cells, side="right") - 1
    return merged.astype(np.intp)


def _placed(feature: Feature, cells: Codes) -> Codes:
    return np.where(cells < feature.placed, cells, -1)
