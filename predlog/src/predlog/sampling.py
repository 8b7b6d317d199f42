"""Which predictions are logged, and with what weight.

A record kept with probability p carries weight 1 / p; one that an `always` condition keeps has p = 1. So weighted sums
over the log estimate sums over all requests without bias, whatever the conditions are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from typing import Any

from predlog.record import Record, number

Condition = Callable[[Record], bool]

_HASH_RANGE = float(1 << 64)
# Below this a single record would stand for more than 10,000, and estimates from it would be noise.
_LEAST_PROBABILITY = 1e-4
_SECONDS_A_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Sampling:
    """A base rate, conditions under which a record is always kept, and budgets.

    `rate`: probability (0, 1] that a record without a condition is kept. `always`: callables of the record (a dict as
    it will be written) that say whether to keep it. `by_id`: the choice depends on the id alone, so the same entity is
    kept or skipped in every process and on every day; records without an id are drawn at random.
    `records_per_second`, `bytes_per_day`: budgets for one process; the rate is lowered, every flush interval, to what
    fits them at the present traffic (never raised above `rate`; a sudden rise overruns them for one interval).
    """

    rate: float = 1.0
    always: Sequence[Condition] = ()
    by_id: bool = False
    records_per_second: float | None = None
    bytes_per_day: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate must lie in (0, 1], not {self.rate!r}: what is never kept cannot be weighted")
        for name in ("records_per_second", "bytes_per_day"):
            budget = getattr(self, name)
            if budget is not None and not budget > 0:
                raise ValueError(f"{name} must be above 0, not {budget!r}; leave it out for no budget")
        wrong = [condition for condition in self.always if not callable(condition)]
        if wrong:
            raise ValueError(f"always must hold callables of a record, not {wrong[0]!r}")


class Sampler:
    """Decides record by record; belongs to one thread."""

    def __init__(self, sampling: Sampling, random: Random, on_raise: Callable[[Exception], None]) -> None:
        self._sampling = sampling
        self._random = random
        self._on_raise = on_raise
        self._keeps_all = sampling.rate == 1 and sampling.records_per_second is None and sampling.bytes_per_day is None
        self.probability = sampling.rate
        self._drawn = 0
        self._always = 0
        self._demand: float | None = None

    def weight(self, record: Record) -> float | None:
        """The weight to log `record` with, or None to skip it."""
        if self._keeps_all:
            return 1.0
        if any(self._holds(condition, record) for condition in self._sampling.always):
            self._always += 1
            return 1.0
        self._drawn += 1
        return 1 / self.probability if self._draw(record) < self.probability else None

    def _holds(self, condition: Condition, record: Record) -> bool:
        try:
            return bool(condition(record))
        except Exception as error:  # noqa: BLE001 - a caller's condition may raise anything; it then holds not
            self._on_raise(error)
            return False

    def _draw(self, record: Record) -> float:
        if self._sampling.by_id and "id" in record:
            digest = blake2b(record["id"].encode("utf-8", "replace"), digest_size=8, person=b"predlog").digest()
            return int.from_bytes(digest, "big") / _HASH_RANGE
        return self._random.random()

    def adapt(self, seconds: float, record_bytes: float) -> None:
        """Fit the rate to the budgets, from the last `seconds` of traffic and the mean size of a line in bytes.

        The rate for the next records depends on past ones only, never on themselves, so weights stay unbiased.
        """
        budget = self._budget(record_bytes)
        if budget is None or seconds <= 0:
            return
        demand = self._drawn / seconds
        self._demand = demand if self._demand is None else (self._demand + demand) / 2
        left = max(budget - self._always / seconds, 0)
        fitting = left / self._demand if self._demand else 1.0
        self.probability = min(self._sampling.rate, max(fitting, _LEAST_PROBABILITY))
        self._drawn = self._always = 0

    def _budget(self, record_bytes: float) -> float | None:
        budgets = []
        if self._sampling.records_per_second is not None:
            budgets.append(self._sampling.records_per_second)
        if self._sampling.bytes_per_day is not None and record_bytes:
            budgets.append(self._sampling.bytes_per_day / _SECONDS_A_DAY / record_bytes)
        return min(budgets, default=None)


def confidence_below(limit: float) -> Condition:
    """Holds when the likeliest class has less probability than `limit`.

    >>> [confidence_below(0.6)(record) for record in ({"score": 0.45}, {"score": 0.1}, {"probabilities": {"a": 0.7}})]
    [True, False, False]
    """

    def holds(record: Record) -> bool:
        probabilities = record.get("probabilities")
        if isinstance(probabilities, Mapping) and probabilities:
            return max(map(number, probabilities.values())) < limit
        score = number(record.get("score"))
        return max(score, 1 - score) < limit

    return holds


def score_above(limit: float) -> Condition:
    """Holds when the score is above `limit`: the predictions with the most at stake."""
    return lambda record: number(record.get("score")) > limit


def value_above(feature: str, limit: float) -> Condition:
    """Holds when the feature is above `limit`: `value_above("amount", 10_000)`."""

    def holds(record: Record) -> bool:
        features: Any = record.get("features")
        return isinstance(features, Mapping) and number(features.get(feature)) > limit

    return holds


def failed(record: Record) -> bool:
    """Holds for requests that failed."""
    return "error" in record
