"""From the cells of a distribution to what a chart shows: bins of equal width, categories by size, quantiles."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exporter.baseline import NumericFeature
from exporter.profile.columns import Floats
from exporter.stats.distances import shares

BARS = 24  # of a histogram: each at least ten pixels wide on a phone
CATEGORIES = 12  # that a chart names; the rest stand together
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_TRIMMED = 0.005  # of the reference at either end, so that a stray value does not squeeze the rest into one bar


@dataclass(frozen=True, slots=True)
class Bins:
    """Edges of bins of equal width, and by side the share of its rows in each; the outermost take what lies beyond."""

    edges: Floats
    reference: Floats
    current: Floats


def equal_bins(edges: Floats, reference: Floats, current: Floats, bars: int = BARS) -> Bins | None:
    """Counts in half-open cells (the first below all edges, the last above) as bins of equal width.

    Within a cell values are taken to lie evenly. None where the reference holds no value.
    """
    if not reference.any():
        return None
    ends = np.interp([_TRIMMED, 1 - _TRIMMED], *_cumulative(edges, reference)[::-1])
    low, high = (float(end) for end in ends) if ends[0] < ends[1] else (float(edges[0]), float(edges[-1]))
    made = np.linspace(low, high, bars + 1)
    return Bins(made, *(_spread(edges, counts, made) for counts in (reference, current)))


def _cumulative(edges: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """The edges, and the share of rows below each."""
    below = np.cumsum(shares(counts))[:-1]
    return edges, below


def _spread(edges: Floats, counts: Floats, made: Floats) -> Floats:
    below = np.interp(made, *_cumulative(edges, counts))
    below[0], below[-1] = 0.0, 1.0
    result: Floats = np.maximum(np.diff(below), 0.0) if counts.any() else np.zeros(len(made) - 1)
    return result


def quantiles(feature: NumericFeature, placed: Floats) -> tuple[float | None, ...]:
    """The values below which QUANTILES of the rows lie, as fine as the bins are; None without rows.

    What lies beyond the outer edges is taken to lie at them.
    """
    if not placed.any():
        return (None,) * len(QUANTILES)
    edges, below = _cumulative(np.asarray(feature.edges), placed)
    return tuple(float(np.interp(share, below, edges)) for share in QUANTILES)


@dataclass(frozen=True, slots=True)
class Categories:
    """Categories with their shares of either side's rows; `rest` is how many more there are, and their shares."""

    names: list[str]
    reference: Floats
    current: Floats
    rest: tuple[int, float, float]


def largest(names: Sequence[str], reference: Floats, current: Floats) -> Categories:
    """The CATEGORIES with the largest share on either side, in the order of the reference's."""
    p, q = shares(reference), shares(current)
    held = np.flatnonzero(np.maximum(p, q) > 0)
    order = held[np.argsort(-np.maximum(p, q)[held], kind="stable")]
    shown, rest = order[:CATEGORIES], order[CATEGORIES:]
    shown = shown[np.argsort(-p[shown], kind="stable")]
    others = len(rest), float(p[rest].sum()), float(q[rest].sum())
    return Categories([names[place] for place in shown], p[shown], q[shown], others)
