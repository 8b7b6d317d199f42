"""Many distributions held against their references at once: scores, p-values and bounds, by method.

Tables with as many cells are computed together, which for fifty features is several times faster than one by one. NaN
stands where there is no number: a side without rows, values without an order, a distance whose law is not known.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import pairwise

import numpy as np

from exporter.measures.distribution import Distribution
from exporter.profile.columns import Codes, Floats
from exporter.stats import distances, significance
from exporter.stats.bounds import each_interval
from exporter.stats.result import NotEnoughData

ORDERED = ("ks", "wasserstein")  # on the fine cells, which must stand in order; the others on the merged ones
JUDGED = "psi"  # the method that verdicts and alerts stand on; it alone has bounds, or series would double

Pair = tuple[Distribution, Distribution]  # of the reference, and current
_KERNELS = {"tv": "total_variation"}  # where the distance has a longer name than its method


@dataclass(frozen=True, slots=True)
class _Tables:
    """Pairs at `places` of the comparison with as many cells: counts of shape (tables, cells), effective rows."""

    places: Codes
    reference: Floats
    current: Floats
    rows: tuple[Floats, Floats]


@dataclass(frozen=True)
class Comparison:
    """Pairs of reference and current distribution; every answer has shape (pairs,)."""

    pairs: Sequence[Pair]
    _answers: dict[str, Floats] = field(default_factory=dict, repr=False)

    def scores(self, method: str) -> Floats:
        """The distances by `method`."""
        if method == "wasserstein":
            return self._once(f"scores {method}", lambda: np.array([_wasserstein(*pair) for pair in self.pairs]))
        return self._once(f"scores {method}", lambda: self._gathered(method, lambda tables: _scores(method, tables)))

    def pvalues(self, method: str) -> Floats:
        """The chance of a distance at least as large without drift; known for psi, js, chi2 and ks."""
        if method not in significance.TESTED:
            return np.full(len(self.pairs), np.nan)
        return self._once(f"pvalues {method}", lambda: self._gathered(method, partial(_pvalues, method)))

    def bounds(self) -> Floats:
        """Lower and upper 95 % bounds of the scores by the judged method, of shape (2, pairs)."""
        return self._once("bounds", self._bounds)

    def parts(self, sizes: Sequence[int]) -> list["Part"]:
        """The pairs, so many at a time, each run as a comparison of its own that is computed with all the others."""
        ends = np.cumsum([0, *sizes]).tolist()
        return [Part(self, slice(first, last)) for first, last in pairwise(ends)]

    def _once(self, what: str, compute: Callable[[], Floats]) -> Floats:
        if what not in self._answers:
            self._answers[what] = compute()
        return self._answers[what]

    def _bounds(self) -> Floats:
        ends = np.full((2, len(self.pairs)), np.nan)
        for of in self._merged:
            ends[:, of.places] = each_interval(JUDGED, of.reference, of.current, *of.rows)
        return ends

    def _gathered(self, method: str, answer: Callable[[_Tables], Floats]) -> Floats:
        result = np.full(len(self.pairs), np.nan)
        for tables in self._fine if method in ORDERED else self._merged:
            result[tables.places] = answer(tables)
        return result

    @cached_property
    def _merged(self) -> list[_Tables]:
        return self._stacked(range(len(self.pairs)), lambda side: side.merged)

    @cached_property
    def _fine(self) -> list[_Tables]:
        ordered = [place for place, (reference, _) in enumerate(self.pairs) if reference.at is not None]
        return self._stacked(ordered, lambda side: side.fine)

    def _stacked(self, places: Sequence[int], cells: Callable[[Distribution], Floats]) -> list[_Tables]:
        alike: dict[int, list[int]] = defaultdict(list)
        for place in places:
            alike[len(cells(self.pairs[place][0]))].append(place)
        return [
            _Tables(
                np.array(group),
                np.array([cells(self.pairs[place][0]) for place in group]),
                np.array([cells(self.pairs[place][1]) for place in group]),
                tuple(np.array([self.pairs[place][side].rows for place in group]) for side in (0, 1)),  # type: ignore[arg-type]  # two of them
            )
            for group in alike.values()
        ]


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a comparison's pairs; every answer has shape (pairs,)."""

    whole: Comparison
    of: slice

    @property
    def pairs(self) -> Sequence[Pair]:
        """What is compared."""
        return self.whole.pairs[self.of]

    def scores(self, method: str) -> Floats:
        """The distances by `method`."""
        return self.whole.scores(method)[self.of]

    def pvalues(self, method: str) -> Floats:
        """As of the whole comparison."""
        return self.whole.pvalues(method)[self.of]

    def bounds(self) -> Floats:
        """As of the whole comparison, of shape (2, pairs)."""
        return self.whole.bounds()[:, self.of]


def _pvalues(method: str, tables: _Tables) -> Floats:
    return significance.each_pvalue(method, tables.reference, tables.current, *tables.rows)


def _scores(method: str, tables: _Tables) -> Floats:
    counts = tables.reference, tables.current
    values = distances.each(_KERNELS.get(method, method), *counts, *tables.rows)
    if method != "chi2":
        return values
    free = ((counts[0] > 0) | (counts[1] > 0)).sum(axis=-1) - 1
    return np.where(free > 0, values / np.maximum(free, 1), np.nan)


def _wasserstein(reference: Distribution, current: Distribution) -> float:
    if reference.at is None:
        return math.nan
    unit = float(np.abs(reference.at).max()) or 1.0  # squares of the largest numbers would overflow
    at = reference.at / unit
    value = distances.wasserstein(reference.fine, current.fine, at, _deviation(reference.fine, at))
    return math.nan if isinstance(value, NotEnoughData) else value


def _deviation(counts: Floats, at: Floats) -> float:
    share = distances.shares(counts)
    return math.sqrt(float((share * (at - float((share * at).sum())) ** 2).sum()))
