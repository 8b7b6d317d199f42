"""Counting: one batch in, a matrix out with one profile vector for each group of its rows.

A group is whatever the caller sums by (a version and time bucket, or a window). All is columnar: a code for each row,
then one `bincount` over group and code together.
"""

from collections.abc import Iterable

import numpy as np

from exporter.baseline import CategoryFeature, NumericFeature
from exporter.config import Model
from exporter.profile.batch import Predictions, Report, Scored
from exporter.profile.binning import Binner, count_cells
from exporter.profile.columns import Codes, Column, Floats, Mask, NumericColumn, TextColumn, absent, numbers_from_texts
from exporter.profile.layout import (
    CALIBRATION_CELLS,
    CONFIDENCE_CELLS,
    DELAY_BOUNDS,
    LATENCY_BOUNDS,
    Layout,
    feature_part,
)
from exporter.profile.scorebins import CELLS as SCORE_CELLS
from exporter.profile.scorebins import score_codes

_LATENCY = Binner(np.nextafter(LATENCY_BOUNDS, np.inf))  # a Prometheus bucket holds its own upper bound
_DELAY = Binner(np.nextafter(DELAY_BOUNDS, np.inf))
_SCORE_FLOOR = 1e-15  # clipping of scores in the log loss, as customary since Kaggle's definition


class Kernel:
    """Counts the records of one model in the cells of its baseline."""

    def __init__(self, model: Model, layout: Layout) -> None:
        self.model = model
        self.layout = layout
        self._binners = {
            feature.name: Binner(np.array(feature.edges))
            for feature in layout.features
            if isinstance(feature, NumericFeature)
        }
        self._lookups = {
            feature.name: category_lookup(feature)
            for feature in layout.features
            if isinstance(feature, CategoryFeature)
        }
        self._classes = {label: code for code, label in enumerate(layout.baseline.classes)}
        self._output = Binner(np.array(layout.output_bins.edges)) if model.task == "regression" else None

    def scored(self, batch: Predictions) -> Scored:
        """Each row's cell in the output part, and its value."""
        cell, value = self._output_cells(batch)
        cell[batch.failed] = -1
        return Scored(cell, value, batch.ts, batch.weights)

    def predictions(self, batch: Predictions, scored: Scored, groups: Codes | None, count: int) -> Floats:
        """Counts of shape (count, layout.size): rows, features, outputs, latency, cost."""
        matrix = np.zeros((count, self.layout.size))
        add = _Adder(self.layout, matrix, groups, count)
        weight = batch.weight
        for feature in self.layout.features:
            codes = self._feature_codes(feature, batch.features.get(feature.name), batch.rows)
            add.codes(feature_part(feature.name), codes, weight)
        ones = np.ones(batch.rows)
        add.sums("rows", ones, batch.weights, batch.weights**2)
        add.sums("served", batch.weights, batch.weights * batch.failed)
        known = scored.cell >= 0
        add.some("output", known, scored.cell, weight)
        sure = known & np.isfinite(batch.confidence)
        unsure = sure & (batch.confidence < self.model.low_confidence)
        add.sums("unsure", batch.weights * unsure, batch.weights * sure)
        add.histogram("latency", _LATENCY, batch.latency, weight)
        priced = np.isfinite(batch.cost)
        add.sums("cost", np.where(priced, batch.cost, 0.0) * batch.weights, batch.weights * priced)
        return matrix

    def outcomes(self, scored: Scored, label: Column, delay: Floats | None, groups: Codes | None, count: int) -> Floats:
        """Counts of shape (count, layout.size) of labelled predictions; rows that predicted nothing count nowhere."""
        matrix = np.zeros((count, self.layout.size))
        add = _Adder(self.layout, matrix, groups, count)
        known = scored.cell >= 0
        weight = np.where(known, scored.weight, 0.0)
        correct = self._add_outcomes(add, scored, label, known, weight)
        add.sums("labelled", known.astype(np.float64), weight, weight**2, weight * correct)
        if delay is not None:
            add.histogram("delay", _DELAY, delay, scored.weight)
        return matrix

    def labelled(self, batch: Predictions, scored: Scored, groups: Codes | None, count: int) -> Floats:
        """Counts as of `outcomes`, for predictions that carry their own label."""
        assert batch.label is not None
        known = ~self.unlabelled(batch)
        if known.all():
            return self.outcomes(scored, batch.label, None, groups, count)
        kept = None if groups is None else groups[known]
        return self.outcomes(scored.take(known), batch.label.take(known), None, kept, count)

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

    def label_codes(self, label: Column) -> Codes:
        """Class codes of labels: 0 or 1 for binary; the last class for labels that the reference lacks."""
        if not isinstance(label, TextColumn):
            raise TypeError("class labels come as texts")
        if self.model.task == "binary":
            return label.recode({self.model.positive_label: 1}, other=0, missing=-1, wrong=-1)
        return label.recode(self._classes, other=len(self._classes), missing=-1, wrong=-1)

    def _output_cells(self, batch: Predictions) -> tuple[Codes, Floats]:
        if self._output is not None:
            return _numeric_cells(self.layout.output_bins, self._output, _numbers(batch.prediction)), _numbers(
                batch.prediction
            ).or_nan()
        predicted = self.label_codes(batch.prediction)
        if self.model.task == "multiclass":
            sure = np.isfinite(batch.confidence)
            share = np.where(sure, batch.confidence, 0.0)
            cells = np.minimum((share * CONFIDENCE_CELLS).astype(np.intp), CONFIDENCE_CELLS - 1)
            return _joint(predicted, np.where(sure, cells, CONFIDENCE_CELLS), CONFIDENCE_CELLS + 1), batch.confidence
        scored = np.isfinite(batch.score)
        from_score = np.where(scored, batch.score >= self.model.decision_threshold, -1).astype(np.intp)
        predicted = np.where(predicted >= 0, predicted, from_score)
        cells = np.where(scored, score_codes(np.where(scored, batch.score, 0.5)), SCORE_CELLS).astype(np.intp)
        return _joint(predicted, cells, SCORE_CELLS + 1), batch.score

    def _add_outcomes(self, add: "_Adder", scored: Scored, label: Column, known: Mask, weight: Floats) -> Mask:
        match self.model.task:
            case "regression":
                return self._add_errors(add, scored, _numbers(label), known, weight)
            case "multiclass":
                classes = len(self._classes) + 1
                codes, predicted = self.label_codes(label), scored.cell // (CONFIDENCE_CELLS + 1)
                add.some("outcome", known, codes * classes + predicted, weight)
                return np.equal(codes, predicted)
            case "binary":
                codes, predicted = self.label_codes(label), scored.cell // (SCORE_CELLS + 1)
                add.some("outcome", known, codes * (2 * (SCORE_CELLS + 1)) + scored.cell, weight)
                self._add_losses(add, scored.value, codes.astype(np.float64), known, weight)
                return np.equal(codes, predicted)
        raise AssertionError(self.model.task)

    @staticmethod
    def _add_losses(add: "_Adder", score: Floats, label: Floats, known: Mask, weight: Floats) -> None:
        usable = known & np.isfinite(score)
        score, weight = np.where(usable, score, 0.5), np.where(usable, weight, 0.0)
        likelihood = np.clip(np.where(label == 1, score, 1 - score), _SCORE_FLOOR, 1)
        add.sums("losses", weight, -weight * np.log(likelihood), weight * (score - label) ** 2)
        cell = np.minimum((score * CALIBRATION_CELLS).astype(np.intp), CALIBRATION_CELLS - 1)
        add.sums_by("calibration", cell, CALIBRATION_CELLS, weight, weight * score, weight * label)

    def _add_errors(self, add: "_Adder", scored: Scored, label: NumericColumn, known: Mask, weight: Floats) -> Mask:
        truth = label.or_nan()
        usable = known & np.isfinite(truth) & np.isfinite(scored.value)
        weight = np.where(usable, weight, 0.0)
        error = np.where(usable, scored.value - truth, 0.0)
        centred = np.where(usable, truth - self.layout.baseline.label_offset, 0.0)
        add.sums("losses", weight, weight * abs(error), weight * error**2, weight * centred, weight * centred**2)
        assert self._output is not None
        add.codes("outcome", _numeric_cells(self.layout.output_bins, self._output, label), weight)
        return np.zeros(len(truth), dtype=bool)

    def _feature_codes(self, feature: NumericFeature | CategoryFeature, column: Column | None, rows: int) -> Codes:
        if column is None:
            missing = feature.placed  # the first cell after the placed ones
            return np.full(rows, missing, dtype=np.intp)
        if isinstance(feature, NumericFeature):
            return _numeric_cells(feature, self._binners[feature.name], _numbers(column))
        assert isinstance(column, TextColumn)
        unseen = feature.placed - 1 if feature.complete else feature.placed - 2
        lookup = self._lookups[feature.name]
        return column.recode(lookup, other=unseen, missing=feature.placed, wrong=feature.placed + 1)


def category_lookup(feature: CategoryFeature) -> dict[str, int]:
    """Each known text's cell: its own, or the shared cell of rare ones."""
    listed = {text: cell for cell, text in enumerate(feature.values)}
    return {**dict.fromkeys(feature.rare, len(feature.values)), **listed}


def _numbers(column: Column) -> NumericColumn:
    return column if isinstance(column, NumericColumn) else numbers_from_texts(column)


def _joint(predicted: Codes, cells: Codes, width: int) -> Codes:
    return np.where(predicted >= 0, predicted * width + cells, -1)


def _numeric_cells(feature: NumericFeature, binner: Binner, column: NumericColumn) -> Codes:
    values = column.values
    codes = binner.codes(values)
    if not np.isfinite(values.sum()) or column.missing is not None or column.wrong is not None:
        codes[~np.isfinite(values)] = feature.placed + 1
        if column.missing is not None:
            codes[column.missing] = feature.placed
        if column.wrong is not None:
            codes[column.wrong] = feature.placed + 2
    return codes  # type: ignore[return-value]  # small unsigned codes serve as indices


class _Adder:
    """Adds codes and sums of one batch to the parts of a matrix of profiles."""

    def __init__(self, layout: Layout, matrix: Floats, groups: Codes | None, count: int) -> None:
        self._layout, self._matrix, self._groups, self._count = layout, matrix, groups, count

    def _cells(self, part: str) -> Floats:
        return self._matrix[:, self._layout.slices[part]]

    def codes(self, part: str, codes: Codes, weight: Floats | None) -> None:
        """Count rows by code."""
        cells = self._cells(part)
        cells += count_cells(codes, cells.shape[1], self._groups, self._count, weight)

    def some(self, part: str, keep: Mask, codes: Codes, weight: Floats | None) -> None:
        """Count by code the rows that `keep` selects."""
        if keep.all():
            self.codes(part, codes, weight)
            return
        groups = None if self._groups is None else self._groups[keep]
        kept = None if weight is None else weight[keep]
        cells = self._cells(part)
        cells += count_cells(codes[keep], cells.shape[1], groups, self._count, kept)

    def sums(self, part: str, *numbers: Floats) -> None:
        """Sum numbers into the part's first cells, one each."""
        for cell, values in enumerate(numbers):
            self._cells(part)[:, cell] += self._by_group(values)

    def sums_by(self, part: str, code: Codes, codes: int, *numbers: Floats) -> None:
        """Sum numbers by code, into a part of shape (codes, len(numbers))."""
        cells = self._cells(part).reshape(self._count, codes, len(numbers))
        for place, values in enumerate(numbers):
            cells[:, :, place] += count_cells(code, codes, self._groups, self._count, values)

    def histogram(self, part: str, binner: Binner, values: Floats, weight: Floats | None) -> None:
        """Count the finite values by bound; the part's last cell takes their sum."""
        known = np.isfinite(values)
        if known.any():
            self.some(part, known, binner.codes(values).astype(np.intp), weight)
            seconds = np.where(known, values, 0.0)
            self._cells(part)[:, -1] += self._by_group(seconds if weight is None else seconds * weight)

    def _by_group(self, values: Floats) -> Floats:
        if self._groups is None:
            return np.array([values.sum()])
        return np.bincount(self._groups, weights=values, minlength=self._count).astype(np.float64, copy=False)
