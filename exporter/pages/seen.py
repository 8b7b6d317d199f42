"""What pages look at: everything of one evaluation, frozen, so that rendering never touches the worker's state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from exporter.config import Config
from exporter.measures import Sample, Scope
from exporter.names import Family
from exporter.profile.packed import Packed

Stored = Sequence[tuple[int, Packed]]
"""Starts of buckets, and what they hold."""


@dataclass(frozen=True)
class Seen:
    """One evaluation: windows end at `at`; `samples` are what was exported, `failures` what raised and why.

    `history` holds the stored buckets of each model and version.
    """

    at: float
    config: Config
    scopes: tuple[Scope, ...]
    samples: Sequence[Sample]
    failures: Mapping[tuple[str, str], str] = field(default_factory=dict)
    history: Mapping[tuple[str, str], Stored] = field(default_factory=dict)

    @cached_property
    def _numbers(self) -> dict[tuple[Family, tuple[str, ...]], float]:
        return {(s.family, s.labels): s.value for s in self.samples if isinstance(s.value, float)}

    def number(self, family: Family, *labels: str) -> float | None:
        """The exported value; None where the series is absent."""
        return self._numbers.get((family, labels))

    def by_label(self, family: Family) -> dict[str, float]:
        """The values of a family with one label."""
        return {labels[0]: value for (of, labels), value in self._numbers.items() if of is family}

    def of(self, scope: Scope, family: Family, window: str, *labels: str) -> float | None:
        """The value for the scope's model and version in `window`."""
        return self.number(family, scope.model.name, scope.version, window, *labels)

    def versions(self, model: str) -> list[Scope]:
        """The scopes of a model, the version with the newest traffic last; KeyError for an unknown model."""
        self.config.model(model)
        return sorted((scope for scope in self.scopes if scope.model.name == model), key=self._newest)

    def _newest(self, scope: Scope) -> tuple[float, str]:
        starts = [start for start, _ in self.history.get((scope.model.name, scope.version), ())]
        return max(starts, default=0.0), scope.version
