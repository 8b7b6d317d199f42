"""Row 2: what share of a feature's values falls where, in the drift window and in the reference.

At most `MOST_BINS` bins a feature, the same for every window of a baseline: each label starts with the bin's place, so
that sorting labels sorts bins. Drift is computed on all merged bins; these are for people to look at.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from exporter import names
from exporter.baseline import CategoryFeature, NumericFeature
from exporter.config import Model
from exporter.measures.base import LAYOUTS, Sample, Scope
from exporter.measures.distribution import equal_groups, reference_features
from exporter.measures.drift import feature_pairs
from exporter.profile.columns import Codes, Floats
from exporter.profile.layout import Layout

MOST_BINS = 12  # rows of a table, and colours of a graph, that can still be told apart
SHOWN_VALUES = MOST_BINS - 2  # beside other and unseen
LONGEST_VALUE = 40  # characters of a category, as many as a table's column shows


@dataclass(frozen=True)
class Bins:
    """Labels of the bins in order, and `place`: the bin of each of the feature's placed cells."""

    labels: tuple[str, ...]
    place: Codes

    def shares(self, cells: Floats) -> Floats:
        """The share of `cells`, which hold something, in each bin."""
        counts = np.bincount(self.place, weights=cells, minlength=len(self.labels))
        shares: Floats = counts / counts.sum()
        return shares


def measure_feature_distribution(scope: Scope) -> Iterator[Sample]:
    """The drift window's shares of each feature that has a drift score over it."""
    window, drift = scope.model.drift.window, scope.model.drift
    if not drift.distributions or window not in scope.windows:
        return
    known = reference_bins(scope.totals.layout)
    for feature, (_, current) in feature_pairs(scope, window).items():
        labels = ((window, feature, label) for label in known[feature].labels)
        yield from scope.each(names.FEATURE_DISTRIBUTION_RATIO, known[feature].shares(current.fine), labels)


@lru_cache(LAYOUTS)
def reference_bins(layout: Layout) -> Mapping[str, Bins]:
    """The bins of each feature of which the reference saw a value, by name."""
    known = reference_features(layout)
    return {of.name: bins_of(of, known[of.name].fine) for of in layout.features if known[of.name].fine.any()}


def reference_shares(model: Model, layout: Layout) -> Iterator[Sample]:
    """The reference's shares of each feature of which it saw a value."""
    known = reference_features(layout)
    for feature, bins in reference_bins(layout).items():
        for label, share in zip(bins.labels, bins.shares(known[feature].fine).tolist(), strict=True):
            yield Sample(names.FEATURE_REFERENCE_RATIO, (model.name, feature, label), share)


def bins_of(feature: NumericFeature | CategoryFeature, reference: Floats) -> Bins:
    """The feature's bins; `reference` holds the reference's counts in its placed cells."""
    if isinstance(feature, NumericFeature):
        return _ranges(feature, reference)
    return _values(feature, reference)


def _ranges(feature: NumericFeature, reference: Floats) -> Bins:
    """The merged bins that drift is computed on; where they are too many, neighbours joined to about equal shares."""
    starts = np.asarray(feature.groups)
    if len(starts) > MOST_BINS:
        starts = starts[equal_groups(np.add.reduceat(reference, starts), MOST_BINS)]
    place = np.searchsorted(starts, np.arange(feature.placed), side="right") - 1
    bounds = [-math.inf, *(feature.edges[start - 1] for start in starts[1:]), math.inf]
    return Bins(_numbered(_range_texts(bounds)), place)


def _values(feature: CategoryFeature, reference: Floats) -> Bins:
    """The values that the reference held most of, in that order; then all others, and those it never saw."""
    listed = len(feature.values)
    ranked = sorted(range(listed), key=lambda cell: (-reference[cell], feature.values[cell]))[:SHOWN_VALUES]
    texts = [_cut(feature.values[cell]) for cell in ranked]
    if listed > SHOWN_VALUES or feature.rare or not feature.complete:
        texts.append("other")
    place = np.full(feature.placed, len(texts) - 1)
    place[ranked] = range(len(ranked))
    if feature.complete:
        place[-1] = len(texts)
        texts.append("unseen")
    return Bins(_numbered(texts), np.maximum(place, 0))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _numbered(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{place:02d}: {text}" for place, text in enumerate(texts, start=1))


def _range_texts(bounds: Sequence[float]) -> list[str]:
    """Each range in words, with as few digits as tell its bounds apart.

    >>> _range_texts([-math.inf, 0.5, math.nextafter(0.5, 1), 2.0, math.inf])
    ['< 0.5', '0.5', '> 0.5 to 2', '>= 2']
    """
    ends = [_end(bound) for bound in bounds]
    values = {value for value, _ in ends}
    digits = next(digits for digits in range(3, 18) if len({f"{value:.{digits}g}" for value in values}) == len(values))
    return [_range_text(low, high, digits) for low, high in pairwise(ends)]


def _end(bound: float) -> tuple[float, bool]:
    """A bound as a value and whether it lies just above it, where the bin of that single value ends."""
    before = math.nextafter(bound, -math.inf)
    is_above = math.isfinite(bound) and len(repr(before)) < len(repr(bound))
    return (before, True) if is_above else (bound, False)


def _range_text(low: tuple[float, bool], high: tuple[float, bool], digits: int) -> str:
    lower, upper = (f"{value:.{digits}g}" for value, _ in (low, high))
    match low[0] == -math.inf, high[0] == math.inf:
        case True, True:
            return "any"
        case True, False:
            return f"<= {upper}" if high[1] else f"< {upper}"
        case False, True:
            return f"> {lower}" if low[1] else f">= {lower}"
    if low[0] == high[0]:
        return lower
    return f"> {lower} to {upper}" if low[1] else f"{lower} to {upper}"
