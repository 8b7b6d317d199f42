"""The same counts by segment: each row's value among those that the baseline tells apart, and sums by value.

A model without segments pays nothing.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping

import numpy as np

from exporter.baseline import CategoryFeature, NumericFeature, SegmentValues
from exporter.profile.adder import Adder
from exporter.profile.batch import Predictions, Scored
from exporter.profile.cells import as_numbers, merged_cells
from exporter.profile.columns import Codes, Column, Floats, Mask, TextColumn
from exporter.profile.layout import (
    CONFIDENCE_CELLS,
    SCORES_AS_ONE,
    SEGMENT_SCORE_CELLS,
    Layout,
    segment_feature_part,
    segment_part,
)
from exporter.profile.scorebins import CELLS as SCORE_CELLS


def segment_column(batch: Predictions, name: str, categories: Collection[str]) -> TextColumn | None:
    """Each row's value: the record's own, else that of the feature among `categories` called so; None without any."""
    own = batch.segments.get(name)
    feature = batch.features.get(name) if name in categories else None
    if not isinstance(feature, TextColumn):
        return own
    if own is None:
        return feature
    codes = np.where(own.codes >= 0, own.codes, np.where(feature.codes >= 0, feature.codes + len(own.texts), -1))
    return TextColumn(codes, own.texts + feature.texts)


def categories_of(features: Iterable[NumericFeature | CategoryFeature]) -> frozenset[str]:
    """Those among `features` that a segment may take its values from."""
    return frozenset(feature.name for feature in features if isinstance(feature, CategoryFeature))


class SegmentCounter:
    """Counts predictions and outcomes of one model by the values of each of its segments."""

    def __init__(self, layout: Layout) -> None:
        self._task = layout.baseline.task
        self._segments = layout.baseline.segments
        self._lookups = [{value: cell for cell, value in enumerate(segment.values)} for segment in self._segments]
        self._categories = categories_of(layout.features)
        self._shapes = layout.shapes
        told = {name for segment in self._segments for name in segment.features}
        self._merged = {feature.name: merged_cells(feature) for feature in layout.features if feature.name in told}
        outputs = [layout.shapes[segment_part(segment.name, "output")] for segment in self._segments]
        self._outputs = math.prod(outputs[0][1:]) if outputs else 0

    @property
    def features(self) -> Collection[str]:
        """The features that some segment counts by value."""
        return self._merged.keys()

    def codes(self, batch: Predictions) -> Codes | None:
        """Each row's cells in all segments as one whole number, the last segment's lowest; None without segments."""
        if not self._segments:
            return None
        joint = np.zeros(batch.rows, dtype=np.intp)
        for segment, lookup in zip(self._segments, self._lookups, strict=True):
            joint *= len(segment.labels)
            joint += self._cells(batch, segment, lookup)
        return joint

    def _cells(self, batch: Predictions, segment: SegmentValues, lookup: dict[str, int]) -> Codes | int:
        other, missing = len(segment.values), len(segment.values) + 1
        column = segment_column(batch, segment.name, self._categories)
        return missing if column is None else column.recode(lookup, other=other, missing=missing, wrong=missing)

    def _each(self, joint: Codes | None) -> Iterator[tuple[SegmentValues, Codes]]:
        if joint is None:
            return
        for segment in reversed(self._segments):
            higher = joint // len(segment.labels)
            yield segment, joint - higher * len(segment.labels)
            joint = higher

    def add_predictions(self, add: Adder, batch: Predictions, scored: Scored, sure: Mask, unsure: Mask) -> None:
        """Count predictions; `unsure` says which of those whose confidence is known, `sure`, have little of it."""
        weight, known = batch.weights, scored.cell >= 0
        for segment, code in self._each(scored.segments):
            name, cells = segment.name, len(segment.labels)
            add.sums_by(segment_part(name, "rows"), code, cells, weight, weight**2)
            add.sums_by(segment_part(name, "unsure"), code, cells, weight * unsure, weight * sure)
            if batch.failed.any():
                add.sums_by(segment_part(name, "failed"), code, cells, weight * batch.failed)
            output = code * self._outputs + self._output(scored.cell)
            add.some(segment_part(name, "output"), known, output, batch.weight)

    def add_features(self, add: Adder, joint: Codes | None, cells: Mapping[str, Codes], weight: Floats | None) -> None:
        """Count `features`, each by its rows' `cells` in the whole, in the rows' cells `joint` of the segments."""
        merged = {name: self._merged[name][codes] for name, codes in cells.items()}
        for segment, code in self._each(joint):
            for name in segment.features:
                part = segment_feature_part(segment.name, name)
                add.codes(part, code * self._shapes[part][1] + merged[name], weight)

    def _output(self, cell: Codes) -> Codes:
        """The cell in a segment's output, of cells in the whole's."""
        match self._task:
            case "binary":
                predicted, score = np.divmod(cell, SCORE_CELLS + 1)
                place: Codes = predicted * (SEGMENT_SCORE_CELLS + 1) + score // SCORES_AS_ONE
                return place
            case "multiclass":
                classes: Codes = cell // (CONFIDENCE_CELLS + 1)
                return classes
            case "regression":
                return cell

    def add_outcomes(self, add: Adder, scored: Scored, label: Column, correct: Mask) -> None:
        """Count labelled predictions, all of which have a cell; `correct` says which were right."""
        weight = scored.weight
        for segment, code in self._each(scored.segments):
            name, cells = segment.name, len(segment.labels)
            add.sums_by(segment_part(name, "labelled"), code, cells, weight, weight**2, weight * correct)
            if self._task == "binary":
                predicted, score = np.divmod(scored.cell, SCORE_CELLS + 1)
                place = np.where(correct, predicted, 1 - predicted) * (SEGMENT_SCORE_CELLS + 1) + score // SCORES_AS_ONE
                add.codes(segment_part(name, "outcome"), code * self._outputs + place, weight)
            elif self._task == "regression":
                error = abs(scored.value - as_numbers(label).or_nan())
                usable = np.isfinite(error)
                losses = np.where(usable, weight, 0.0), np.where(usable, weight * error, 0.0)
                add.sums_by(segment_part(name, "losses"), code, cells, *losses)
