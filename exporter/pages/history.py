"""Over time: the stored buckets of one version summed into steps, and a statistic of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from exporter.measures import Scope
from exporter.pages.seen import Seen
from exporter.profile.layout import Profile
from exporter.profile.packed import Packed, sum_packed
from exporter.windows import BUCKET, HOUR, window_start

_STEPS = (BUCKET, 900, HOUR, 3 * HOUR, 6 * HOUR, 86_400, 7 * 86_400)
MOST = 30  # steps: as many as a phone's width tells apart


@dataclass(frozen=True, slots=True)
class Step:
    """One stretch of time and what was counted in it."""

    start: int
    end: int
    profile: Profile


def step_length(length: int) -> int:
    """Seconds of a step for a window of `length` seconds."""
    return next((step for step in _STEPS if length <= MOST * step), -(-length // MOST // 86_400) * 86_400)


def step_starts(at: float, length: int) -> list[int]:
    """Where the steps of the window that ends at `at` start; the first may be cut short by the window's start."""
    start, step = window_start(at, length), step_length(length)
    return [start, *range((start // step + 1) * step, int(at) + 1, step)]


def steps(seen: Seen, scope: Scope, length: int) -> list[Step]:
    """The steps of a window that hold any record."""
    starts = step_starts(seen.at, length)
    held: list[list[Packed]] = [[] for _ in starts]
    for start, packed in seen.history.get((scope.model.name, scope.version), ()):
        if starts[0] <= start <= seen.at:
            held[int(np.searchsorted(starts, start, side="right")) - 1].append(packed)
    layout, ends = scope.totals.layout, [*starts[1:], int(seen.at)]
    return [Step(start, end, Profile(layout, sum_packed(parts, layout.size)))
            for start, end, parts in zip(starts, ends, held, strict=True) if parts]  # fmt: skip


Point = tuple[float | None, float | None, float | None]
"""A value and its lower and upper bound."""


def trace(of: Sequence[Step], measure: Callable[[Profile], Point]) -> list[tuple[float, Point]]:
    """The middle of each step, and what `measure` says of it."""
    return [((step.start + step.end) / 2, measure(step.profile)) for step in of]
