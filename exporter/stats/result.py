"""What a statistic gives back: a number, or the reason why there is none.

Missing is not zero. A statistic that its data cannot support returns `NotEnoughData`, never 0 and never NaN;
whoever exports it leaves the series out and can say why.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias


@dataclass(frozen=True, slots=True)
class NotEnoughData:
    """No value: `have` of something where `need` of it are needed; `why` says of what, in a sentence."""

    have: float
    need: float
    why: str


Value: TypeAlias = float | NotEnoughData


class Interval(NamedTuple):
    """The ends of a confidence interval, in the unit of the statistic that it surrounds."""

    lower: float
    upper: float


Z_95 = 1.959963984540054  # the normal distribution's 97.5 % quantile: two-sided 95 %


def ratio(numerator: float, denominator: float, why: str) -> Value:
    """`numerator` over `denominator`, or NotEnoughData with `why` when nothing was counted or a sum overflowed.

    >>> ratio(3, 4, "no rows")
    0.75
    >>> ratio(0, 0, "no rows")
    NotEnoughData(have=0.0, need=1.0, why='no rows')
    """
    if denominator <= 0:
        return NotEnoughData(0.0, 1.0, why)
    quotient = float(numerator) / float(denominator)  # Python's division: an overflow is inf, without a warning
    if not (math.isfinite(quotient) and math.isfinite(denominator)):
        return NotEnoughData(0.0, 1.0, "a sum behind the value is not finite")
    return quotient
