"""When alerts fire: `for` and `keep_firing_for` as Prometheus applies them, and groups as Alertmanager forms them."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from exporter import names
from exporter.profile.columns import Mask

GROUP_BY = ("alertname", names.MODEL_NAME)
"""As the generated routes group: one alert of one model is one notification, whatever its features."""

_SLACK = 1e-9  # of an evaluation: a quotient of floats that should be whole may lie a hair above


@dataclass(frozen=True, slots=True)
class Firing:
    """One stretch of Unix seconds in which an alert with these labels fired; `end` is None when it still does."""

    labels: Mapping[str, str]
    start: float
    end: float | None


@dataclass(frozen=True, slots=True)
class Notification:
    """One stretch in which at least one alert of a group fired: what a person is told of once."""

    group: tuple[str, ...]
    start: float
    end: float | None
    firings: tuple[Firing, ...]


def firing_stretches(active: Mask, every: float, wait: float, keep: float) -> list[tuple[int, int]]:
    """First evaluation that fires, and the one that no longer does, of each stretch; the number of all where none.

    `active` says whether the condition held at each evaluation, `every` seconds apart. It must hold for `wait`
    seconds, and a firing alert stays so until it has not held for `keep` seconds.

    >>> firing_stretches(np.array([True, True, True, False, False]), 60, 60, 60)
    [(1, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([False], active, [False])).astype(np.int8)))
    waits, keeps = (math.ceil(seconds / every - _SLACK) for seconds in (wait, keep))
    found: list[tuple[int, int]] = []
    for first, end in edges.reshape(-1, 2).tolist():
        if found and first <= found[-1][1]:  # it was still firing, so it need not wait again
            found[-1] = found[-1][0], end + keeps
        elif end - first > waits:
            found.append((first + waits, end + keeps))
    return [(first, min(end, len(active))) for first, end in found]


def on_evaluations(active: Mask, step: float, every: float) -> Mask:
    """The condition at evaluations `every` seconds apart, given at instants `step` apart and held between them."""
    count = math.floor((len(active) - 1) * step / every + _SLACK) + 1 if len(active) else 0
    held: Mask = active[np.floor(np.arange(count) * every / step + _SLACK).astype(np.intp)]
    return held


def notifications(firings: Iterable[Firing]) -> list[Notification]:
    """Firings of each group, joined where they touch, in the order of their start."""
    groups: dict[tuple[str, ...], list[Firing]] = defaultdict(list)
    for firing in firings:
        groups[tuple(firing.labels.get(name, "") for name in GROUP_BY)].append(firing)
    joined = [one for group, several in groups.items() for one in _joined(group, several)]
    return sorted(joined, key=lambda one: (one.start, one.group))


def _joined(group: tuple[str, ...], several: Sequence[Firing]) -> list[Notification]:
    found: list[Notification] = []
    for firing in sorted(several, key=lambda one: one.start):
        if found and firing.start <= _end(found[-1]):
            end = max(_end(found[-1]), _end(firing))
            joined = (*found[-1].firings, firing)
            found[-1] = Notification(group, found[-1].start, end if math.isfinite(end) else None, joined)
        else:
            found.append(Notification(group, firing.start, firing.end, (firing,)))
    return found


def _end(of: Firing | Notification) -> float:
    return math.inf if of.end is None else of.end
