"""Counting: one batch in, a matrix out with one profile vector for each group of its rows.

A group is whatever the caller sums by (a version and time bucket, or a window). All is columnar: a code for each row,
then one `bincount` over group and code together.
"""

from collections.abc import Iterable

import numpy as np

from exporter.baseline import NumericFeature
from exporter.config import Model
from exporter.names import DELAY_BOUNDS, LATENCY_BOUNDS
from exporter.profile.adder import Adder
from exporter.profile.batch import Predictions, Report, Scored
from exporter.profile.binning import Binner
from exporter.profile.cells import CategoryCells, NumericCells
from exporter.profile.columns import Codes, Column, Floats, Mask, absent
from exporter.profile.inputs import input_codes
from exporter.profile.layout import Layout, feature_part
from exporter.profile.moments import MomentSums
from exporter.profile.outputs import output_of
from exporter.profile.segments import SegmentCounter

_LATENCY = Binner(np.nextafter(LATENCY_BOUNDS, np.inf))  # a Prometheus bucket holds its own upper bound
_DELAY = Binner(np.nextafter(DELAY_BOUNDS, np.inf))


class Kernel:
    """Counts the records of one model in the cells of its baseline."""

    def __init__(self, model: Model, layout: Layout) -> None:
        self.model = model
        self.layout = layout
        self._output = output_of(model, layout)
        self._segments = SegmentCounter(layout)
        self._features = {
            feature: NumericCells(feature) if isinstance(feature, NumericFeature) else CategoryCells(feature)
            for feature in layout.features
        }
        moments = layout.baseline.moments
        self._moments = None if moments is None else MomentSums(moments.features)

    def scored(self, batch: Predictions) -> Scored:
        """Each row's cell in the output part, -1 where the request failed; and its value."""
        cell, value = self._output.cells(batch)
        cell = np.where(batch.failed, -1, cell)
        return Scored(cell, value, batch.ts, batch.weights, self._segments.codes(batch))

    def predictions(self, batch: Predictions, scored: Scored, groups: Codes | None, count: int) -> Floats:
        """Counts of shape (count, layout.size): rows, features, outputs, latency, cost."""
        add, weights = Adder(self.layout, groups, count), batch.weights
        with np.errstate(over="ignore"):  # a sum that overflows is infinite, and no statistic answers from it
            add.sums("rows", np.ones(batch.rows), weights, weights**2)
            add.sums("served", weights, weights * batch.failed)
            self._add_features(add, batch, scored)
            self._add_inputs(add, batch)
            self._add_outputs(add, batch, scored)
            add.histogram("latency", _LATENCY, batch.latency, batch.weight)
            priced = np.isfinite(batch.cost)
            add.sums("cost", np.where(priced, batch.cost, 0.0) * weights, weights * priced)
        return add.matrix

    def outcomes(self, scored: Scored, label: Column, delay: Floats | None, groups: Codes | None, count: int) -> Floats:
        """Counts of shape (count, layout.size) of labelled predictions; rows that predicted nothing count nowhere."""
        matrix = self._labels(scored, label, delay, groups, count)
        at = self.layout.slices
        matrix[:, at["first_labelled"].start : at["first_labelled"].stop - 1] = matrix[:, at["labelled"]][:, [1, 3]]
        matrix[:, at["first_delay"]] = matrix[:, at["delay"]]
        return matrix

    def corrections(
        self, scored: Scored, label: Column, delay: Floats | None, groups: Codes | None, count: int
    ) -> Floats:
        """Counts as of `outcomes`, of labels that take the place of those in `replaced`."""
        matrix = self._labels(scored, label, delay, groups, count)
        at = self.layout.slices
        matrix[:, at["first_labelled"].stop - 1] = matrix[:, at["labelled"].start + 1]
        return matrix

    def replaced(self, scored: Scored, label: Column, delay: Floats | None, groups: Codes | None, count: int) -> Floats:
        """What takes labels back that counted before, all but that they came."""
        return -self._labels(scored, label, delay, groups, count)

    def _labels(self, scored: Scored, label: Column, delay: Floats | None, groups: Codes | None, count: int) -> Floats:
        known = scored.cell >= 0
        if not known.all():
            scored, label, groups, delay = _kept(known, scored, label, groups, delay)
        add, weight = Adder(self.layout, groups, count), scored.weight
        with np.errstate(over="ignore"):
            correct = self._output.add(add, scored, label)
            add.sums("labelled", np.ones(len(weight)), weight, weight**2, weight * correct)
            self._segments.add_outcomes(add, scored, label, correct)
            if delay is not None:
                add.histogram("delay", _DELAY, delay, weight)
        return add.matrix

    def labelled(self, batch: Predictions, scored: Scored, groups: Codes | None, count: int) -> Floats:
        """Counts as of `outcomes`, for predictions that carry their own label."""
        assert batch.label is not None
        label, known = batch.label, ~self.unlabelled(batch)
        if not known.all():
            scored, label, groups, _ = _kept(known, scored, label, groups, None)
        return self.outcomes(scored, label, None, groups, count)

    @staticmethod
    def unlabelled(batch: Predictions) -> Mask:
        """True for the rows that carry no label."""
        if batch.label is None:
            return np.ones(batch.rows, dtype=bool)
        return absent(batch.label)

    def reports(self, reports: Iterable[Report]) -> Floats:
        """One vector with the sum of counts records."""
        vector = np.zeros(self.layout.size)
        for report in reports:
            numbers = (1.0, report.requests, sum(report.errors.values()), report.skipped, report.dropped)
            vector[self.layout.slices["reported"]] += numbers
            vector[self.layout.slices["reported_latency"]] += report.latency
        return vector

    def _add_features(self, add: Adder, batch: Predictions, scored: Scored) -> None:
        told = {}
        for feature, cells in self._features.items():
            column = batch.features.get(feature.name)
            missing = feature.placed  # the first cell after those of values
            codes = np.full(batch.rows, missing) if column is None else cells.codes(column)
            add.codes(feature_part(feature.name), codes, batch.weight)
            if feature.name in self._segments.features:
                told[feature.name] = codes
        self._segments.add_features(add, scored.segments, told, batch.weight)

    def _add_inputs(self, add: Adder, batch: Predictions) -> None:
        if self.layout.features:
            add.codes("inputs", input_codes(batch, self.layout.features), batch.weight)
        if self._moments is not None:
            self._moments.add(add, batch)

    def _add_outputs(self, add: Adder, batch: Predictions, scored: Scored) -> None:
        known = scored.cell >= 0
        add.some("output", known, scored.cell, batch.weight)
        sure = known & np.isfinite(batch.confidence)
        unsure = sure & (batch.confidence < self.model.low_confidence)
        add.sums("unsure", batch.weights * unsure, batch.weights * sure)
        self._segments.add_predictions(add, batch, scored, sure, unsure)


def _kept(
    keep: Mask, scored: Scored, label: Column, groups: Codes | None, delay: Floats | None
) -> tuple[Scored, Column, Codes | None, Floats | None]:
    """The rows that `keep` selects, of everything that stands beside a label."""
    return (
        scored.take(keep),
        label.take(keep),
        None if groups is None else groups[keep],
        None if delay is None else delay[keep],
    )
