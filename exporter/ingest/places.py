"""Where an id may stand in a table: 8 bytes of memory an id, so that looking it up costs nothing of the table's size.

Whoever looks checks what is found against the table itself, for two ids may share the bits that are kept.
"""

import numpy as np
from numpy.typing import NDArray

from exporter.profile.columns import Mask

Hashes = NDArray[np.uint64]
Numbers = NDArray[np.int64]

_BITS = 30  # of a place: a thousand million rows; the other 34 are the hash's, so one of 3,000 misses seems a hit at 5M
_PLACE = np.uint64(2**_BITS - 1)


class Places:
    """Packed hashes and places in sorted runs, merged as they grow alike, so that n of them cost n log n."""

    def __init__(self, runs: tuple[Hashes, ...] = (), first: int = 0) -> None:
        self._runs = list(runs)
        self._first = first

    def copy(self) -> "Places":
        """One that grows apart from this one."""
        return Places(tuple(self._runs), self._first)

    def add(self, hashes: Hashes, places: Numbers) -> None:
        """Note that ids of these hashes stand at these places; ValueError from 2^30 behind the first that is known on.

        >>> known = Places()
        >>> known.add(np.array([7, 8], dtype=np.uint64) << np.uint64(40), np.array([0, 1]))
        >>> known.find(np.array([9, 8], dtype=np.uint64) << np.uint64(40))
        (array([1]), array([1]))
        """
        if len(hashes) == 0:
            return
        if places[-1] - self._first > _PLACE:
            raise ValueError(f"more than {_PLACE} ids are remembered; shorten `outcomes.horizon`")
        run = np.sort((hashes & ~_PLACE) | (places - self._first).astype(np.uint64))
        while self._runs and len(self._runs[-1]) <= len(run):
            run = np.sort(np.concatenate((self._runs.pop(), run)))
        self._runs.append(run)

    def find(self, hashes: Hashes) -> tuple[Numbers, Numbers]:
        """Pairs of a row of `hashes` and a place where its id may stand; an id that is known is among them."""
        order = np.argsort(hashes)
        wanted = hashes[order] & ~_PLACE
        rows, places = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        for run in self._runs:
            at, left = np.searchsorted(run, wanted), np.arange(len(wanted))
            while len(left):
                inside = at < len(run)
                at, left = at[inside], left[inside]
                alike = (run[at] & ~_PLACE) == wanted[left]
                at, left = at[alike], left[alike]
                rows.append(order[left])
                places.append((run[at] & _PLACE).astype(np.int64) + self._first)
                at = at + 1
        return np.concatenate(rows), np.concatenate(places)

    def drop(self, places: Numbers) -> None:
        """Forget these places."""
        if len(places) == 0:
            return
        gone = np.zeros(int(places.max()) - self._first + 2, dtype=bool)  # the last one stands for all behind
        gone[places - self._first] = True
        kept = (run[~gone[np.minimum(run & _PLACE, np.uint64(len(gone) - 1))]] for run in self._runs)
        self._runs = [run for run in kept if len(run)]

    def forget(self, first: int) -> None:
        """Forget the places before `first`."""
        if first <= self._first:
            return
        shift = np.uint64(first - self._first)
        kept = (run[(run & _PLACE) >= shift] - shift for run in self._runs)
        self._runs, self._first = [run for run in kept if len(run)], first


class Marks:
    """Numbers that are marked, a byte for each from the first one on."""

    def __init__(self, numbers: Numbers) -> None:
        self._marks = np.zeros(0, dtype=bool)
        self.add(numbers)

    def copy(self) -> "Marks":
        """Marks that change apart from these."""
        return Marks(np.flatnonzero(self._marks))

    def add(self, numbers: Numbers) -> None:
        """Mark `numbers`.

        >>> marks = Marks(np.array([1]))
        >>> marks.add(np.array([3]))
        >>> marks.of(np.array([0, 1, 3, 99])).tolist()
        [False, True, True, False]
        """
        if len(numbers) == 0:
            return
        if (size := int(numbers.max()) + 1) > len(self._marks):
            self._marks = np.concatenate((self._marks, np.zeros(size, dtype=bool)))
        self._marks[numbers] = True

    def of(self, numbers: Numbers) -> Mask:
        """True where a number is marked."""
        known = numbers < len(self._marks)
        known[known] = self._marks[numbers[known]]
        return known
