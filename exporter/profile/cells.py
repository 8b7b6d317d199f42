"""Which cell each row of a column falls into, for every kind of feature."""

import numpy as np

from exporter.baseline import CategoryFeature, NumericFeature
from exporter.profile.binning import Binner
from exporter.profile.columns import Codes, Column, NumericColumn, TextColumn, numbers_from_texts


class NumericCells:
    """Cells of a number: its bin, else missing, non-finite or of a wrong type."""

    def __init__(self, feature: NumericFeature) -> None:
        self._placed = feature.placed
        self._binner = Binner(np.array(feature.edges))

    def codes(self, column: Column) -> Codes:
        """Each row's cell."""
        numbers = as_numbers(column)
        codes = self._binner.codes(numbers.values)
        with np.errstate(over="ignore", invalid="ignore"):
            finite = bool(np.isfinite(numbers.values.sum()))  # a finite sum has finite parts, and is fast to ask for
        if not finite:
            codes[~np.isfinite(numbers.values)] = self._placed + 1
        if numbers.missing is not None:
            codes[numbers.missing] = self._placed
        if numbers.wrong is not None:
            codes[numbers.wrong] = self._placed + 2
        return codes


class CategoryCells:
    """Cells of a category: its own or the shared one of rare values, else unseen, missing or of a wrong type."""

    def __init__(self, feature: CategoryFeature) -> None:
        other, unseen = len(feature.values), feature.placed - 1
        listed = {text: cell for cell, text in enumerate(feature.values)}
        self._lookup = {**dict.fromkeys(feature.rare, other), **listed}
        self._unlisted = unseen if feature.complete else other  # an incomplete list cannot tell new from rare
        self._placed = feature.placed

    def codes(self, column: Column) -> Codes:
        """Each row's cell."""
        assert isinstance(column, TextColumn)
        return column.recode(self._lookup, other=self._unlisted, missing=self._placed, wrong=self._placed + 1)


def merged_cells(feature: NumericFeature | CategoryFeature) -> Codes:
    """The merged cell of each cell; one more than there are for those that hold no value."""
    merged = np.searchsorted(feature.groups, np.arange(feature.cells), side="right") - 1
    merged[feature.placed :] = len(feature.groups)
    return merged


def as_numbers(column: Column) -> NumericColumn:
    """The column's numbers, which its texts may spell."""
    return column if isinstance(column, NumericColumn) else numbers_from_texts(column)
