"""Adds codes and sums of one batch to the parts of a matrix of profiles, row by group."""

import numpy as np

from exporter.profile.binning import Binner, count_cells
from exporter.profile.columns import Codes, Floats, Mask
from exporter.profile.layout import Layout


class Adder:
    """A zero matrix of shape (count, layout.size), and each row's group in it (None: all in the first)."""

    def __init__(self, layout: Layout, groups: Codes | None, count: int) -> None:
        self.matrix = np.zeros((count, layout.size))
        self.groups = groups
        self._layout, self._count = layout, count

    def codes(self, part: str, codes: Codes, weight: Floats | None) -> None:
        """Count rows by code."""
        cells = self._cells(part)
        cells += count_cells(codes, cells.shape[1], self.groups, self._count, weight)

    def some(self, part: str, keep: Mask, codes: Codes, weight: Floats | None) -> None:
        """Count by code the rows that `keep` selects."""
        groups = None if self.groups is None else self.groups[keep]
        kept = None if weight is None else weight[keep]
        cells = self._cells(part)
        cells += count_cells(codes[keep], cells.shape[1], groups, self._count, kept)

    def sums(self, part: str, *numbers: Floats) -> None:
        """Sum numbers into the part's cells, one each."""
        for cell, values in enumerate(numbers):
            self._cells(part)[:, cell] += self._by_group(values)

    def sums_by(self, part: str, code: Codes, codes: int, *numbers: Floats) -> None:
        """Sum numbers by code, into a part of shape (codes, len(numbers))."""
        cells = self._cells(part).reshape(self._count, codes, len(numbers))
        for place, values in enumerate(numbers):
            cells[:, :, place] += count_cells(code, codes, self.groups, self._count, values)

    def histogram(self, part: str, binner: Binner, values: Floats, weight: Floats | None) -> None:
        """Count the finite values by bound; the part's last cell takes their sum."""
        known = np.isfinite(values)
        if known.any():
            self.some(part, known, binner.codes(values), weight)
            total = np.where(known, values, 0.0)
            self._cells(part)[:, -1] += self._by_group(total if weight is None else total * weight)

    def plus(self, part: str, group: int, numbers: Floats) -> None:
        """Add numbers to the part of one group."""
        self._cells(part)[group] += numbers

    def _cells(self, part: str) -> Floats:
        return self.matrix[:, self._layout.slices[part]]

    def _by_group(self, values: Floats) -> Floats:
        if self.groups is None:
            return np.array([values.sum()])
        return np.bincount(self.groups, weights=values, minlength=self._count).astype(np.float64, copy=False)
