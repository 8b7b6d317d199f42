"""From a profile to the distributions that drift compares: features, predictions, outcomes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from exporter.baseline import CategoryFeature, NumericFeature
from exporter.measures.base import LAYOUTS, effective_rows
from exporter.profile.columns import Floats
from exporter.profile.layout import Layout, Profile, feature_part
from exporter.profile.scorebins import score_mids
from exporter.stats import distances

REMEMBERED = 10_000  # positions of features, 8 MB when each has a hundred edges
GROUPS = 10  # merged bins for PSI: ten, as its customary levels were set on


@dataclass(frozen=True)
class Distribution:
    """Counts of the values that can be placed: fine cells, where merged ones start, effective rows.

    `at` says where each fine cell lies on the values' axis, in order; None for categories, which have none.
    """

    fine: Floats
    groups: Sequence[int]
    at: Floats | None
    rows: float

    @cached_property
    def merged(self) -> Floats:
        """Counts in the merged cells."""
        return distances.merge_cells(self.fine, np.asarray(self.groups))


def feature_distribution(profile: Profile, feature: NumericFeature | CategoryFeature) -> Distribution:
    """The feature's present values in `profile`; missing and invalid ones have metrics of their own.

    A feature that is all missing, in the window or in the reference, has no rows here, so no drift series: its
    completeness tells. A constant one that stays as it was scores 0, and one that changes has all its mass moved.
    """
    cells = profile.part(feature_part(feature.name))[: feature.placed]
    if isinstance(feature, NumericFeature):
        return _numeric(profile, "rows", cells, feature)
    return _categories(profile, "rows", cells)


@lru_cache(LAYOUTS)
def reference_features(layout: Layout) -> Mapping[str, Distribution]:
    """Each feature in the reference, by name."""
    return {feature.name: feature_distribution(layout.reference, feature) for feature in layout.features}


def positions(edges: Sequence[float]) -> Floats:
    """Where each bin of a number lies: in its middle, and an open end at its edge.

    >>> positions([0.0, 1.0, 3.0]).tolist()
    [0.0, 0.5, 2.0, 3.0]
    """
    at = np.asarray(edges)
    return np.concatenate((at[:1], at[:-1] / 2 + at[1:] / 2, at[-1:]))


def _numeric(profile: Profile, counted: str, cells: Floats, bins: NumericFeature) -> Distribution:
    return Distribution(cells, bins.groups, _positions(bins.edges), effective_rows(profile, counted, cells.sum()))


@lru_cache(REMEMBERED)
def _positions(edges: tuple[float, ...]) -> Floats:
    return positions(edges)


def _categories(profile: Profile, counted: str, cells: Floats) -> Distribution:
    return Distribution(cells, range(len(cells)), None, effective_rows(profile, counted, cells.sum()))


def prediction_distribution(profile: Profile, reference: Profile) -> Distribution:
    """Scores of a binary model (predicted classes where it gives none), classes, or a regression's predictions."""
    output = profile.part("output")
    match profile.layout.baseline.task:
        case "regression":
            bins = profile.layout.output_bins
            return _numeric(profile, "rows", output[: bins.placed], bins)
        case "multiclass":
            return _categories(profile, "rows", output.sum(axis=1))
        case "binary":
            expected = reference.part("output").sum(axis=0)[:-1]
            if expected.any():
                scores = output.sum(axis=0)[:-1]
                rows = effective_rows(profile, "rows", scores.sum())
                return Distribution(scores, equal_groups(expected, GROUPS), score_mids(), rows)
            return _categories(profile, "rows", output.sum(axis=1))
    raise AssertionError(profile.layout.baseline.task)


def outcome_distribution(profile: Profile, _: Profile) -> Distribution:
    """Labels: classes, or a regression's values."""
    outcome = profile.part("outcome")
    if profile.layout.baseline.task == "regression":
        bins = profile.layout.output_bins
        return _numeric(profile, "labelled", outcome[: bins.placed], bins)
    return _categories(profile, "labelled", outcome.reshape(len(outcome), -1).sum(axis=1))


def equal_groups(counts: Floats, groups: int) -> list[int]:
    """First cells of about `groups` runs of cells that hold about equal shares of `counts`.

    >>> equal_groups(np.array([1.0, 1.0, 1.0, 1.0]), 2)
    [0, 2]
    """
    before = np.concatenate(([0.0], np.cumsum(counts)[:-1])) / counts.sum()
    wanted = np.arange(groups) / groups
    starts = np.searchsorted(before, wanted - 1e-12)  # shares are sums of floats: a hair below counts as reached
    return sorted(set(np.minimum(starts, len(counts) - 1).tolist()))
