"""Sums of stretches of a line of places, while more is added at any place: additions only, never a subtraction.

A tree keeps the sum of every 8, 32, 128, 512 and 2,048 places beside the places themselves, so a stretch costs some
ten additions of vectors, however long it is, and an addition at an old place (an outcome that came late) six.
"""

from collections import defaultdict

import numpy as np

from exporter.profile.columns import Floats
from exporter.profile.packed import Packed

_SHIFTS = (3, 5, 7, 9, 11)  # places of a node as powers of two; the lowest are kept packed, being mostly zeros


class Sums:
    """Vectors of `size` numbers by place."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._places: dict[int, list[Packed]] = defaultdict(list)
        self._nodes: dict[int, dict[int, Floats]] = {shift: {} for shift in _SHIFTS}
        self._kept = self._end = 0

    def add(self, place: int, vector: Packed) -> None:
        """Add a vector at `place`; what lies before the places that are kept is gone for good."""
        if place < self._kept:
            return
        self._places[place].append(vector)
        self._end = max(self._end, (place >> _SHIFTS[-1]) + 1 << _SHIFTS[-1])
        for shift, nodes in self._nodes.items():
            node = nodes.get(place >> shift)
            if node is None:
                node = nodes[place >> shift] = np.zeros(self._size)
            node[vector.places] += vector.values

    def since(self, first: int) -> Floats:
        """The sum over all places from `first` on, a new vector."""
        return self.between(first, self._end)

    def between(self, first: int, last: int) -> Floats:
        """The sum over first <= place < last, a new vector; `first` must be a place that is kept."""
        total = np.zeros(self._size)
        while first < last:
            shift = max((s for s in _SHIFTS if not first & (1 << s) - 1 and first + (1 << s) <= last), default=0)
            if shift:
                node = self._nodes[shift].get(first >> shift)
                if node is not None:
                    total += node
            else:
                for vector in self._places.get(first, ()):
                    total[vector.places] += vector.values
            first += 1 << shift
        return total

    def forget(self, before: int) -> None:
        """Let go of places before `before`, a whole number of the smallest nodes at a time."""
        kept = before >> _SHIFTS[0] << _SHIFTS[0]
        if kept <= self._kept:
            return
        self._kept = kept
        for place in [place for place in self._places if place < kept]:
            del self._places[place]
        for shift, nodes in self._nodes.items():
            for index in [index for index in nodes if index + 1 << shift <= kept]:
                del nodes[index]
