"""The kernel's heart: numbers to small bin codes, exactly, at memory speed.

Values are taken in blocks that stay in the processor's cache. Few edges are compared one by one; many go through a
grid: a monotone map of the value to a cell, a table of how many edges lie in lower cells, and one comparison for
each edge that can share the value's cell. Both give what `numpy.searchsorted(edges, values, side="right")` gives.
"""

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from exporter.profile.columns import Codes, Floats

BLOCK = 16_384  # 128 KiB of float64: fits a core's second-level cache beside the scratch arrays (bench/kernel.py)
COMPARE_UP_TO = 16  # edges; above, the grid is faster (bench/kernel.py)
_NARROWEST = 1e-300  # 65,536 over a span below would be infinite
_STEPS = 4  # edges in one cell beyond which a binary search is faster

CellOf = Callable[[Floats], Codes]


class Binner:
    """Places values among increasing `edges`: code = number of edges that are not above the value.

    So code 0 lies below the first edge and code `len(edges)` at or above the last. NaN has no place; its code means
    nothing and the caller overrides it.

    >>> Binner(np.array([0.0, 1.0, 2.0])).codes(np.array([-5.0, 0.0, 0.5, 2.0, 9.0])).tolist()
    [0, 1, 1, 3, 3]
    """

    def __init__(self, edges: Floats) -> None:
        if edges.ndim != 1 or not np.isfinite(edges).all() or (edges[1:] <= edges[:-1]).any():
            raise ValueError("edges must be finite and increase")
        self.edges = np.ascontiguousarray(edges, dtype=np.float64)

    def codes(self, values: Floats) -> Codes:
        """Codes of shape (rows,)."""
        out = np.empty(len(values), dtype=np.intp)  # what `bincount` and `take` would make of smaller ones
        place = self._compare if len(self.edges) <= COMPARE_UP_TO else self._grid_or_search
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(values), BLOCK):
                place(values[start : start + BLOCK], out[start : start + BLOCK])
        return out

    def _compare(self, block: Floats, out: Codes) -> None:
        count = np.zeros(len(block), dtype=np.uint8)
        above = np.empty(len(block), dtype=bool)
        for edge in self.edges:
            np.greater_equal(block, edge, out=above)
            np.add(count, above.view(np.uint8), out=count)
        out[:] = count

    def _grid_or_search(self, block: Floats, out: Codes) -> None:
        if self._grid is None:
            out[:] = np.searchsorted(self.edges, block, side="right")
            return
        cell_of, lower, following, steps = self._grid
        lower.take(cell_of(block), out=out, mode="clip")  # the mode that needs no buffer
        for _ in range(steps):
            out += block >= following.take(out, mode="clip")

    @cached_property
    def _grid(self) -> tuple[CellOf, Codes, Floats, int] | None:
        """The map to cells, edges in lower cells, each code's next edge, comparisons needed; None if too uneven."""
        even = _NARROWEST < self.edges[-1] - self.edges[0] < np.inf
        linear = [_linear(self.edges, cells) for cells in (4_096, 65_536)] if even else []
        for cell_of in (*linear, _logarithmic(self.edges)):
            top = int(cell_of(np.array([np.inf]))[0])
            crowd = np.bincount(cell_of(self.edges), minlength=top + 1)
            if crowd.max() <= _STEPS:
                lower = np.concatenate(([0], np.cumsum(crowd)[:-1])).astype(np.intp)
                return cell_of, lower, np.append(self.edges, np.nan), int(crowd.max())
        return None


def _linear(edges: Floats, cells: int) -> CellOf:
    """A cell that never falls as the value rises: that alone makes the grid exact, whatever the rounding."""
    low, high = edges[0], edges[-1]
    scale = (cells - 1) / (high - low)

    def cell_of(values: Floats) -> Codes:
        position = values - low
        position *= scale
        np.clip(position, 0, cells - 1, out=position)
        cells_of_values: Codes = position.astype(np.intp)
        return cells_of_values

    return cell_of


def _logarithmic(edges: Floats) -> CellOf:
    """Cells over the floats' own order, as wide as the values are large: for heavy tails."""
    low, high = (int(end) for end in _order(edges[[0, -1]]))
    shift = max((high - low).bit_length() - 16, 0)  # at most 65,536 cells
    top = (high - low) >> shift

    def cell_of(values: Floats) -> Codes:
        position = np.clip(_order(values), low, high) - low
        cells: Codes = np.clip(position >> shift, 0, top)
        return cells

    return cell_of


def _order(values: Floats) -> NDArray[np.int64]:
    """Integers in the order of the floats; halved, so that the difference of any two fits 64 bits."""
    bits = (values + 0.0).view(np.int64)  # -0.0 + 0.0 is 0.0, which equal values need
    return (bits ^ ((bits >> 63) & np.int64(2**63 - 1))) >> 1


def count_cells(codes: NDArray[np.integer], cells: int, groups: NDArray[np.intp] | None, group_count: int,
                weights: Floats | None) -> Floats:  # fmt: skip
    """Weighted counts of shape (group_count, cells) of `codes` in 0..cells-1; `groups` None means all in group 0."""
    joint = codes if groups is None else groups * cells + codes
    counts = np.bincount(joint, weights=weights, minlength=group_count * cells)
    return counts.astype(np.float64, copy=False).reshape(group_count, cells)
