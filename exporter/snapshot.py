"""A snapshot: every statistic of every model at one instant, frozen.

Each measure is isolated: one that raises is reported in `failures` and in `statistic_success`, and all others appear.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from exporter import names
from exporter.measures import MEASURES, Sample, Scope
from exporter.measures.base import Measure


@dataclass(frozen=True, slots=True)
class Failure:
    """A measure that raised."""

    model: str
    statistic: str
    error: Exception


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Samples as of the instant `at` (Unix seconds), and what went wrong while they were computed."""

    at: float
    samples: tuple[Sample, ...]
    failures: tuple[Failure, ...] = ()


def take_snapshot(
    scopes: Iterable[Scope], at: float, timer: Callable[[], float], measures: Mapping[str, Measure] = MEASURES
) -> Snapshot:
    """Compute every measure of every scope; `timer` reads seconds of any steady clock."""
    samples: list[Sample] = []
    failures: list[Failure] = []
    spent: dict[tuple[str, str], float] = {}
    for scope in scopes:
        for statistic, measure in measures.items():
            key = (scope.model.name, statistic)
            started = timer()
            try:
                samples.extend(list(measure(scope)))
            except Exception as error:  # noqa: BLE001 - one statistic that raises never hides the others
                failures.append(Failure(*key, error))
            spent[key] = spent.get(key, 0.0) + timer() - started
    failed = {(failure.model, failure.statistic) for failure in failures}
    for key, seconds in spent.items():
        samples.append(Sample(names.STATISTIC_SUCCESS, key, float(key not in failed)))
        samples.append(Sample(names.STATISTIC_DURATION_SECONDS, key, seconds))
    return Snapshot(at, tuple(samples), tuple(failures))
