"""What measures share: the scope that one computes in, the samples that it yields, and the guards on the way."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from exporter.config import Costs, Model
from exporter.names import Family
from exporter.profile.columns import Floats
from exporter.profile.layout import CONFIDENCE_CELLS, Layout, Profile
from exporter.stats.estimation import CalibrationMap, calibration_map, class_maps
from exporter.stats.result import Interval, NotEnoughData, Value
from exporter.stats.significance import effective_sample_size

CONFIDENCE_MIDS: Floats = (np.arange(CONFIDENCE_CELLS) + 0.5) / CONFIDENCE_CELLS
"""The confidence that stands for each cell of a multiclass model's."""


if TYPE_CHECKING:
    from exporter.measures.comparison import Part
    from exporter.measures.multivariate import Drift

LAYOUTS = 64  # remembered; a process has one for each model, and those of a reload


@dataclass(frozen=True, slots=True)
class Histogram:
    """Cumulative counts at each bound, the last being all, and the sum."""

    bounds: tuple[float, ...]
    cumulative: tuple[float, ...]
    total: float


class Sample(NamedTuple):
    """One series: its family, label values in the family's order, and what it holds."""

    family: Family
    labels: tuple[str, ...]
    value: float | Histogram


@dataclass(frozen=True, slots=True)
class Past:
    """What all versions of a model did in a period; `complete` says whether the model's history reaches behind it."""

    profile: Profile
    complete: bool


@dataclass(frozen=True)
class Scope:
    """What is known of one model and version at an instant; `complete` names the windows that hold all their time."""

    model: Model
    version: str
    costs: Costs
    windows: Mapping[str, Profile]
    totals: Profile
    errors: Mapping[str, float]
    complete: Collection[str] = ()
    periods: Mapping[str, Past] = field(default_factory=dict)
    matured: Mapping[str, Profile] = field(default_factory=dict)
    """The windows that end `outcomes.maturity` ago; what rests on labels looks at these."""
    aged: Mapping[str, Profile] = field(default_factory=dict)
    """Predictions between each age and twice that age."""
    compared: "dict[tuple[str, str], tuple[tuple[str, ...], Part]]" = field(default_factory=dict, repr=False)
    """Names and comparison of what drift looks at, by kind and window, once `drift.compare` has seen the scope."""
    multivariate: "dict[str, Drift]" = field(default_factory=dict, repr=False)
    """By window, once asked for: two measures look at it."""

    @property
    def labelled(self) -> Mapping[str, Profile]:
        """The windows that what rests on labels looks at."""
        return self.matured or self.windows

    @property
    def reference(self) -> Profile:
        """The baseline's profile."""
        return self.totals.layout.reference

    @property
    def calibration(self) -> CalibrationMap | NotEnoughData:
        """How often each score of a binary model is followed by a positive label, by the baseline's own labels."""
        return _calibration(self.totals.layout)

    @property
    def class_maps(self) -> tuple[CalibrationMap, ...] | NotEnoughData:
        """How often each confidence in each class of a multiclass model is right, by the baseline's own labels."""
        return _class_maps(self.totals.layout)

    def gauge(self, family: Family, value: Value, *labels: str) -> Iterator[Sample]:
        """The sample, unless there is no value."""
        if not isinstance(value, NotEnoughData):
            yield Sample(family, (self.model.name, self.version, *labels), float(value))

    def known(self, family: Family, value: float, *labels: str) -> Iterator[Sample]:
        """The sample, unless the value is NaN."""
        if not math.isnan(value):
            yield Sample(family, (self.model.name, self.version, *labels), float(value))

    def each(self, family: Family, values: Floats, labels: Iterable[tuple[str, ...]]) -> Iterator[Sample]:
        """A sample for each value that is no NaN, with the labels that stand at its place."""
        mine = (self.model.name, self.version)
        for value, of in zip(values.tolist(), labels, strict=True):
            if not math.isnan(value):
                yield Sample(family, mine + of, value)

    def interval(
        self, families: tuple[Family, Family], interval: Interval | NotEnoughData, *labels: str
    ) -> Iterator[Sample]:
        """The lower and the upper end, unless there is no interval."""
        if not isinstance(interval, NotEnoughData):
            for family, end in zip(families, interval, strict=True):
                yield from self.gauge(family, end, *labels)


Measure = Callable[[Scope], Iterator[Sample]]


@lru_cache(LAYOUTS)
def _calibration(layout: Layout) -> CalibrationMap | NotEnoughData:
    reference = layout.reference
    negative, positive = labels_by_score(reference)
    rows = effective_rows(reference, "labelled", float(negative.sum() + positive.sum()))
    return calibration_map(positive, negative, rows)


@lru_cache(LAYOUTS)
def _class_maps(layout: Layout) -> tuple[CalibrationMap, ...] | NotEnoughData:
    reference = layout.reference
    judged = reference.part("judged")[:, :-1]
    rows = effective_rows(reference, "labelled", float(judged.sum()))
    return class_maps(judged[:, :, 1], judged[:, :, 0], rows, CONFIDENCE_MIDS)


def share(part: float, whole: float) -> Value:
    """`part` over `whole`, unless nothing was counted."""
    return float(part / whole) if whole > 0 else NotEnoughData(float(whole), 1.0, "nothing was counted")


def labels_by_score(profile: Profile) -> Floats:
    """Negative and positive labels of a binary model by score cell, of shape (2, cells); rows without a score aside."""
    counts: Floats = profile.part("outcome").sum(axis=1)[:, :-1]
    return counts


def effective_rows(profile: Profile, counted: str, held: float) -> float:
    """The effective rows that `held` of the weight of the part `counted` (rows, labelled) is worth."""
    _, weight, squared = profile.part(counted)[:3]
    return float(effective_sample_size(weight, squared) * held / weight) if weight > 0 else 0.0


def histogram(bounds: tuple[float, ...], cells: Floats) -> Histogram:
    """Cumulative from cells whose last one is the sum."""
    cumulative = np.cumsum(cells[:-1])
    return Histogram(bounds, tuple(cumulative.tolist()), float(cells[-1]))
