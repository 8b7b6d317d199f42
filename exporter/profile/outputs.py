"""What a model put out and what really happened, by task: cells of predictions, and counts of labelled ones."""

from typing import Protocol

import numpy as np

from exporter.config import Model
from exporter.profile.adder import Adder
from exporter.profile.batch import Predictions, Scored
from exporter.profile.cells import NumericCells, as_numbers
from exporter.profile.columns import Codes, Column, Floats, Mask, TextColumn
from exporter.profile.layout import CALIBRATION_CELLS, CONFIDENCE_CELLS, Layout
from exporter.profile.scorebins import CELLS as SCORE_CELLS
from exporter.profile.scorebins import score_codes

_SCORE_FLOOR = 1e-15  # clipping of scores in the log loss, as customary since Kaggle's definition


class Output(Protocol):
    """One task's way to count."""

    def cells(self, batch: Predictions) -> tuple[Codes, Floats]:
        """Each row's place in the flattened output part, -1 without one, and the value that an outcome is held to."""
        ...

    def add(self, add: Adder, scored: Scored, label: Column) -> Mask:
        """Count labelled predictions, all of which have a cell; True where the prediction was right."""
        ...


def output_of(model: Model, layout: Layout) -> Output:
    """The way to count of the model's task."""
    match model.task:
        case "binary":
            return _Binary(model)
        case "multiclass":
            return _Multiclass(layout)
        case "regression":
            return _Regression(layout)


class _Binary:
    """Every label but the positive one is negative; a row that names no class gets it from its score."""

    _WIDTH = SCORE_CELLS + 1  # the last cell for no score

    def __init__(self, model: Model) -> None:
        self._classes = {model.positive_label: 1}
        self._threshold = model.decision_threshold

    def _codes(self, label: Column) -> Codes:
        return _texts(label).recode(self._classes, other=0, missing=-1, wrong=-1)

    def cells(self, batch: Predictions) -> tuple[Codes, Floats]:
        has_score = np.isfinite(batch.score)
        named, judged = self._codes(batch.prediction), np.where(has_score, batch.score >= self._threshold, -1)
        predicted = np.where(named >= 0, named, judged).astype(np.intp)
        cells = np.where(has_score, score_codes(np.where(has_score, batch.score, 0.5)), SCORE_CELLS)
        return _joint(predicted, cells, self._WIDTH), batch.score

    def add(self, add: Adder, scored: Scored, label: Column) -> Mask:
        codes = self._codes(label)
        add.codes("outcome", codes * (2 * self._WIDTH) + scored.cell, scored.weight)
        self._add_losses(add, scored, codes.astype(np.float64))
        return np.equal(codes, scored.cell // self._WIDTH)

    @staticmethod
    def _add_losses(add: Adder, scored: Scored, label: Floats) -> None:
        usable = np.isfinite(scored.value)
        score, weight = np.where(usable, scored.value, 0.5), np.where(usable, scored.weight, 0.0)
        likelihood = np.clip(np.where(label == 1, score, 1 - score), _SCORE_FLOOR, 1)
        add.sums("losses", weight, -weight * np.log(likelihood), weight * (score - label) ** 2)
        cell = _equal_cells(score, CALIBRATION_CELLS)
        add.sums_by("calibration", cell, CALIBRATION_CELLS, weight, weight * score, weight * label)


class _Multiclass:
    """The reference's classes, and one more that all labels which it lacks share: among them, any two agree."""

    _WIDTH = CONFIDENCE_CELLS + 1  # the last cell for no confidence

    def __init__(self, layout: Layout) -> None:
        self._classes = {label: code for code, label in enumerate(layout.baseline.classes)}

    def _codes(self, label: Column) -> Codes:
        return _texts(label).recode(self._classes, other=len(self._classes), missing=-1, wrong=-1)

    def cells(self, batch: Predictions) -> tuple[Codes, Floats]:
        sure = np.isfinite(batch.confidence)
        share = _equal_cells(np.where(sure, batch.confidence, 0.0), CONFIDENCE_CELLS)
        cells = np.where(sure, share, CONFIDENCE_CELLS)
        return _joint(self._codes(batch.prediction), cells, self._WIDTH), batch.confidence

    def add(self, add: Adder, scored: Scored, label: Column) -> Mask:
        codes, predicted = self._codes(label), scored.cell // self._WIDTH
        classes = len(self._classes) + 1
        add.codes("outcome", codes * classes + predicted, scored.weight)
        right = np.equal(codes, predicted)
        add.codes("judged", scored.cell * 2 + right, scored.weight)
        return right


class _Regression:
    """Predictions and labels in the same bins, and the sums behind the errors."""

    def __init__(self, layout: Layout) -> None:
        self._cells = NumericCells(layout.output_bins)
        self._offset = layout.baseline.label_offset

    def cells(self, batch: Predictions) -> tuple[Codes, Floats]:
        numbers = as_numbers(batch.prediction)
        return self._cells.codes(numbers), numbers.or_nan()

    def add(self, add: Adder, scored: Scored, label: Column) -> Mask:
        truth = as_numbers(label).or_nan()
        usable = np.isfinite(truth) & np.isfinite(scored.value)
        weight = np.where(usable, scored.weight, 0.0)
        error = np.where(usable, scored.value - truth, 0.0)
        centred = np.where(usable, truth - self._offset, 0.0)
        add.sums("losses", weight, weight * abs(error), weight * error**2, weight * centred, weight * centred**2)
        add.codes("outcome", self._cells.codes(label), weight)
        return np.zeros(len(truth), dtype=bool)


def _texts(label: Column) -> TextColumn:
    if not isinstance(label, TextColumn):
        raise TypeError("class labels come as texts")
    return label


def _equal_cells(shares: Floats, cells: int) -> Codes:
    """Cells of equal width for numbers from 0 to 1, the last one taking 1 too."""
    return np.minimum((shares * cells).astype(np.intp), cells - 1)


def _joint(predicted: Codes, cells: Codes, width: int) -> Codes:
    return np.where(predicted >= 0, predicted * width + cells, -1)
