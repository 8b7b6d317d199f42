"""A profile is one vector of additive counts, and its layout names the vector's parts.

The law: `empty` is the zero, `merge` adds, and **merging equals having seen both inputs**; so any split of the
records over batches, restarts, files or processes gives the same profile. Profiles made against different
references refuse to merge.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from exporter.baseline import Baseline, CategoryFeature, NumericFeature
from exporter.names import DELAY_BOUNDS, LATENCY_BOUNDS
from exporter.profile.columns import Floats
from exporter.profile.scorebins import CELLS as SCORE_CELLS

CONFIDENCE_CELLS = 20
INPUT_CELLS = 1_024  # the noise of what is read from them falls with their square root
SCORES_AS_ONE = 2  # score cells that a segment counts as one: half the state, and an AUC still right to some 1e-3
SEGMENT_SCORE_CELLS = SCORE_CELLS // SCORES_AS_ONE
CALIBRATION_CELLS = 10  # equal-width score bins, as in Guo et al. 2017

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)  # by identity: what is computed once for a layout is remembered by it
class Layout:
    """Where each part of a model's profile lies; shaped by its baseline alone."""

    baseline: Baseline

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Each part's shape, in the vector's order."""
        features = {feature_part(feature.name): (feature.cells,) for feature in self.baseline.features}
        return {**_COMMON, **self._output_shapes(), **self._moment_shapes(), **features, **self._segment_shapes()}

    def _moment_shapes(self) -> dict[str, Shape]:
        """Sums by feature, and products and gaps by pair: the upper triangle of a symmetric matrix, row by row."""
        if self.baseline.moments is None:
            return {}
        features = len(self.baseline.moments.features)
        pairs = features * (features + 1) // 2
        return {"moment_sums": (features,), "moment_products": (pairs,), "moment_gaps": (pairs,)}

    def _segment_shapes(self) -> dict[str, Shape]:
        """What is told by segment, value first: a small part of what is told of the whole."""
        match self.baseline.task:
            case "binary":
                scores = (2, SEGMENT_SCORE_CELLS + 1)  # predicted class, or label; score cell, the last for no score
                shapes: dict[str, Shape] = {"output": scores, "outcome": scores}
            case "multiclass":
                shapes = {"output": (len(self.baseline.classes) + 1,)}
            case "regression":
                shapes = {"output": (self.output_bins.cells,), "losses": (2,)}  # sums of weight, absolute error
        told = {
            segment_part(segment.name, part): (len(segment.labels), *shape)
            for segment in self.baseline.segments
            for part, shape in {**_PER_SEGMENT, **shapes}.items()
        }
        return told | self._segment_feature_shapes()

    def _segment_feature_shapes(self) -> dict[str, Shape]:
        """Merged cells of the features that a segment names, the last for what holds no value: a tenth of the fine."""
        cells = {feature.name: len(feature.groups) + 1 for feature in self.features}
        return {
            segment_feature_part(segment.name, name): (len(segment.labels), cells[name])
            for segment in self.baseline.segments
            for name in segment.features
        }

    def _output_shapes(self) -> dict[str, Shape]:
        match self.baseline.task:
            case "binary":
                return {
                    "output": (2, SCORE_CELLS + 1),  # predicted class; score cell, the last for no score
                    "outcome": (2, 2, SCORE_CELLS + 1),  # label first
                    "calibration": (CALIBRATION_CELLS, 3),  # sums of weight, score, label
                    "losses": (3,),  # sums of weight, log loss, squared error; scored and labelled rows
                }
            case "multiclass":
                classes = len(self.baseline.classes) + 1  # the last for labels that the reference lacks
                return {
                    "output": (classes, CONFIDENCE_CELLS + 1),  # predicted class first; the last cell for no confidence
                    "outcome": (classes, classes),  # label first
                    "judged": (classes, CONFIDENCE_CELLS + 1, 2),  # labelled: as output; wrong, right
                }
            case "regression":
                cells = self.output_bins.cells
                return {"output": (cells,), "outcome": (cells,), "losses": (5,)}

    @property
    def output_bins(self) -> NumericFeature:
        """The bins of a regression's predictions and labels."""
        if self.baseline.output is None:
            raise ValueError("only the baseline of a regression bins its output")
        return self.baseline.output

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Each part's place in the vector."""
        places, start = {}, 0
        for name, shape in self.shapes.items():
            places[name] = slice(start, start + math.prod(shape))
            start = places[name].stop
        return places

    @cached_property
    def size(self) -> int:
        """Numbers in a vector."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    @cached_property
    def reference(self) -> "Profile":
        """The baseline's own counts; nobody may change them."""
        profile = Profile.reference(self)
        profile.vector.flags.writeable = False
        return profile

    @property
    def features(self) -> tuple[NumericFeature | CategoryFeature, ...]:
        """The features in the baseline's order."""
        return self.baseline.features


_COMMON: dict[str, Shape] = {
    "rows": (3,),  # records, sum of weights, sum of squared weights
    "labelled": (4,),  # the same of labelled ones, and the weight of those that were right
    "first_labelled": (3,),  # weights that only grow: labelled ones, of those right by their first label, corrections
    "first_delay": (len(DELAY_BOUNDS) + 2,),  # of first labels alone; `delay` is of those that count
    "unsure": (2,),  # weight of low-confidence predictions, of those whose confidence is known
    "served": (2,),  # weight of prediction records, of those with an error
    "inputs": (INPUT_CELLS,),  # weight of rows by hash of their features
    "latency": (len(LATENCY_BOUNDS) + 2,),  # not cumulative; the last two: above all bounds, sum in seconds
    "reported": (5,),  # counts records; their requests, errors, skipped, dropped
    "reported_latency": (len(LATENCY_BOUNDS) + 2,),
    "cost": (2,),  # sum in USD, weight of records that carry it
    "delay": (len(DELAY_BOUNDS) + 2,),
}


_PER_SEGMENT: dict[str, Shape] = {
    "rows": (2,),  # sums of weights and of squared weights
    "labelled": (3,),  # the same of labelled ones, and the weight of those that were right
    "unsure": (2,),  # weight of low-confidence predictions, of those whose confidence is known
    "failed": (1,),  # weight of records with an error
}


def segment_part(name: str, part: str) -> str:
    """The part that counts the same as `part`, by the values of the segment called `name`."""
    return f"segment:{part}:{name}"


def segment_feature_part(segment: str, feature: str) -> str:
    """The part that counts a feature by the values of a segment; no name holds a quote, so no two share a part."""
    return f'segment:feature:"{feature}":{segment}'


def feature_part(name: str) -> str:
    """The part that counts the feature called `name`."""
    return f"feature:{name}"


@dataclass(frozen=True)
class Profile:
    """Counts of one model, version and stretch of time: `vector` of shape (layout.size,)."""

    layout: Layout
    vector: Floats

    @classmethod
    def empty(cls, layout: Layout) -> "Profile":
        """The profile that has seen nothing: the zero of `merge`."""
        return cls(layout, np.zeros(layout.size))

    @classmethod
    def total(cls, layout: Layout, vectors: Iterable[Floats]) -> "Profile":
        """The sum of vectors made with `layout`."""
        vector = np.zeros(layout.size)
        for part in vectors:
            vector += part
        return cls(layout, vector)

    @classmethod
    def reference(cls, layout: Layout) -> "Profile":
        """The baseline's own counts."""
        vector = np.zeros(layout.size)
        for name, counts in layout.baseline.counts.items():
            vector[layout.slices[name]] = counts
        return cls(layout, vector)

    def merge(self, other: "Profile") -> "Profile":
        """A new profile that equals having seen both inputs; ValueError when their baselines differ."""
        mine, others = self.layout.baseline.fingerprint, other.layout.baseline.fingerprint
        if mine != others:
            raise ValueError(f"profiles of different baselines do not merge: {mine} and {others}")
        return Profile(self.layout, self.vector + other.vector)

    def part(self, name: str) -> Floats:
        """The counts of the part called `name`, in its shape."""
        return self.vector[self.layout.slices[name]].reshape(self.layout.shapes[name])

    @property
    def is_reported(self) -> bool:
        """Whether writers sent counts records, which know of requests that were not logged."""
        return bool(self.part("reported")[0])

    @property
    def records(self) -> float:
        """Prediction records seen."""
        return float(self.part("rows")[0])

    @property
    def weight(self) -> float:
        """Predictions they stand for."""
        return float(self.part("rows")[1])
