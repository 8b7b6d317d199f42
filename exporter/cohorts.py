"""Cohorts: stretches of predictions that are old enough for their outcomes to have come.

Early labels are biased (fraud is reported within days, its absence by a time-out), so what rests on labels looks at
windows that end `outcomes.maturity` ago; and coverage by age shows how long that should be.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from exporter.config import Model, parse_duration
from exporter.windows import HOUR, Stretch, window_start


def stretch(at: float, length: int, age: int = 0) -> Stretch:
    """The window of `length` seconds that ends at the instant `at`; with an `age`, with the last whole hour that old.

    Hours, because that is what buckets become.
    """
    end = at if age == 0 else (at - age) // HOUR * HOUR - 1
    return Stretch(window_start(end, length), math.floor(end) + 1)


def maturity_of(model: Model) -> int:
    """Seconds that a label is given to come."""
    return 0 if model.outcomes.maturity is None else parse_duration(model.outcomes.maturity)


@dataclass(frozen=True, slots=True)
class Cohorts:
    """A model's windows at an instant: all predictions, the matured ones, and those between each age and twice it.

    `matured` is empty where labels need no time to come: what rests on them looks at `windows` then.
    """

    windows: Mapping[str, Stretch]
    matured: Mapping[str, Stretch]
    aged: Mapping[str, Stretch]

    @classmethod
    def of(cls, model: Model, lengths: Mapping[str, int], at: float) -> "Cohorts":
        """For windows of these lengths, which are the ages too."""
        maturity = maturity_of(model)
        return cls(
            {name: stretch(at, length) for name, length in lengths.items()},
            {name: stretch(at, length, maturity) for name, length in lengths.items()} if maturity else {},
            {name: stretch(at, max(length, HOUR), length) for name, length in lengths.items()},
        )

    def bounds(self) -> Iterator[int]:
        """Every instant at which one of the stretches starts, or has ended before `at`."""
        for several in (self.windows, self.matured, self.aged):
            yield from (one.first for one in several.values())
        for several in (self.matured, self.aged):
            yield from (one.last for one in several.values())


def oldest_needed(models: tuple[Model, ...], lengths: Mapping[str, int]) -> int:
    """Seconds back from the newest record that any stretch reaches, but for hours that are not whole."""
    longest = max(lengths.values())
    return longest + HOUR + max(longest, *(maturity_of(model) for model in models))
