"""What serving and one-shot evaluation share: models with their kernels, the engine's set-up, scopes."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from exporter import names
from exporter.baseline import Baseline, load_baseline
from exporter.cohorts import Cohorts, oldest_needed
from exporter.config import Config, Model, parse_duration
from exporter.custom import Statistic, load_statistics
from exporter.errors import ConfigError
from exporter.ingest.engine import Engine
from exporter.ingest.ledger import Ledger
from exporter.ingest.records import Records, Sorted, sort_records
from exporter.ingest.schema import FeatureSchema
from exporter.measures import MEASURES, Past, Sample, Scope
from exporter.measures.base import Measure
from exporter.measures.feature_distribution import reference_shares
from exporter.profile.kernel import Kernel
from exporter.profile.layout import Layout, Profile
from exporter.windows import Stretch, period_of, window_start


class History(Protocol):
    """Whoever holds profiles by time."""

    def past(self, model: str, stretch: Stretch) -> Profile:
        """The sum over all versions of what lies in `stretch`."""

    def oldest(self, model: str) -> Mapping[str, int]:
        """Where each version's oldest records stand: the start of their bucket, or of a wider stretch."""

    def stretch(self, model: str, version: str, of: Stretch) -> Profile:
        """The sum of what lies in `of`."""

    def total(self, model: str, version: str) -> Profile:
        """Everything ever counted of the version."""

    def errors(self, model: str, version: str, source: str) -> dict[str, float]:
        """Failed requests by error, from `records` or `reports`."""


@dataclass(frozen=True)
class Monitor:
    """A checked configuration with its baselines, and the statistics of its user."""

    config: Config
    baselines: Mapping[str, Baseline]
    custom: Mapping[str, Statistic] = field(default_factory=dict)

    @classmethod
    def load(cls, config: Config, source: str) -> "Monitor":
        """Load every baseline and statistic that `config` names; ConfigError holds the problems of all of them."""
        baselines = {}
        custom, problems = load_statistics(config.statistics)
        for index, model in enumerate(config.models):
            try:
                baselines[model.name] = load_baseline(config.resolve(model.baseline), model)
            except ConfigError as error:
                problems += [f"models[{index}].baseline: {error.source}: {problem}" for problem in error.problems]
        if problems:
            raise ConfigError(source, problems)
        return cls(config, baselines, custom)

    @cached_property
    def layouts(self) -> dict[str, Layout]:
        """Each model's layout."""
        return {name: Layout(baseline) for name, baseline in self.baselines.items()}

    @cached_property
    def kernels(self) -> dict[str, Kernel]:
        """Each model's kernel."""
        return {model.name: Kernel(model, self.layouts[model.name]) for model in self.config.models}

    @cached_property
    def schema(self) -> FeatureSchema:
        """Features of all models."""
        return FeatureSchema.of(self.baselines.values())

    @property
    def measures(self) -> dict[str, Measure]:
        """Every measure by the name of its statistic: the exporter's own, then the user's."""
        return {**MEASURES, **{name: statistic.measure for name, statistic in self.custom.items()}}

    @property
    def only_model(self) -> str | None:
        """The model that Parquet rows without one belong to."""
        return self.config.models[0].name if len(self.config.models) == 1 else None

    @cached_property
    def windows(self) -> dict[str, int]:
        """Seconds of each window, by name."""
        return {window: parse_duration(window) for window in self.config.evaluation.windows}

    @property
    def reach(self) -> int:
        """Seconds that windows, cohorts and the periods that they are held against look back, within an hour."""
        models = self.config.models
        return max(oldest_needed(models, self.windows), *(model.drift.reach for model in models))

    def periods(self, model: Model, at: float) -> dict[str, Stretch]:
        """The stretches of the past that the drift window ending at `at` is held against."""
        length = self.windows[model.drift.window]
        return {period: period_of(period, at, length) for period in model.drift.periods}

    def pasts(self, model: Model, at: float, history: History) -> dict[str, Past]:
        """What `history` holds of the model's periods; one is complete when a record is older than it."""
        oldest = min(history.oldest(model.name).values(), default=math.inf)
        return {
            period: Past(history.past(model.name, stretch), oldest < stretch.first)
            for period, stretch in self.periods(model, at).items()
        }

    def complete(self, oldest: int, at: float) -> frozenset[str]:
        """The windows ending at `at` that hold all their time, given where the oldest records stand."""
        return frozenset(name for name, length in self.windows.items() if oldest < window_start(at, length))

    def bounds(self, at: float) -> set[int]:
        """Every instant at which a window, cohort or period ending with `at` is cut off."""
        cuts: set[int] = set()
        for model in self.config.models:
            cuts.update(Cohorts.of(model, self.windows, at).bounds(), *self.periods(model, at).values())
        return cuts

    def scopes(self, at: float, history: History) -> Iterator[Scope]:
        """One scope for each model and version that `history` knows, windows ending at `at`."""
        for model in self.config.models:
            cohorts, pasts = Cohorts.of(model, self.windows, at), self.pasts(model, at, history)
            for version, oldest in sorted(history.oldest(model.name).items()):
                windows, matured, aged = (
                    {name: history.stretch(model.name, version, of) for name, of in several.items()}
                    for several in (cohorts.windows, cohorts.matured, cohorts.aged)
                )
                totals = history.total(model.name, version)
                errors = history.errors(model.name, version, "reports" if totals.is_reported else "records")
                complete = self.complete(oldest, at)
                costs = self.config.costs
                yield Scope(model, version, costs, windows, totals, errors, complete, pasts, matured, aged)

    def warnings(self) -> Iterator[str]:
        """What is in order and yet surely not meant, each with its path and the remedy."""
        for index, model in enumerate(self.config.models):
            spreads = self.baselines[model.name].spreads
            if spreads is not None and spreads.features and spreads.window != model.drift.window:
                yield (
                    f"models[{index}].drift.window: {model.drift.window}, but the baseline learned its calibrated "
                    f"thresholds for {spreads.window}, so there are none; build the baseline again"
                )

    def engine(self, ledger: Ledger) -> Engine:
        """An engine that remembers in `ledger`."""
        return Engine(self.kernels, ledger, self.config.limits.versions)

    def sort(self, records: Sequence[Records], rejected: Counter[str], latest: float,
             until: float = math.inf) -> Sorted:  # fmt: skip
        """All of a piece's records, validated; see `sort_records`."""
        result = Sorted(rejected=Counter(rejected))
        for part in records:
            result.add(sort_records(part, self.config.models, latest, until))
        return result

    def info(self) -> Iterator[Sample]:
        """For each model the sample that says which baseline it is held against, and its reference's distributions."""
        for model in self.config.models:
            labels = (model.name, model.task, self.baselines[model.name].fingerprint)
            yield Sample(names.MODEL_INFO, labels, 1.0)
        yield from self._reference_shares

    @cached_property
    def _reference_shares(self) -> tuple[Sample, ...]:
        """They change with the baseline alone."""
        shown = (model for model in self.config.models if model.drift.distributions)
        return tuple(sample for model in shown for sample in reference_shares(model, self.layouts[model.name]))


def ingestion_samples(accepted: Counter[str], rejected: Counter[str], log_bytes: float,
                      newest: Mapping[str, float]) -> Iterator[Sample]:  # fmt: skip
    """The exporter's own counters about what it read."""
    for kind in ("prediction", "outcome", "counts"):
        yield Sample(names.RECORDS_TOTAL, (kind,), float(accepted[kind]))
    for reason in sorted({*REJECTIONS, *rejected}):
        yield Sample(names.REJECTED_RECORDS_TOTAL, (reason,), float(rejected[reason]))
    yield Sample(names.LOG_BYTES_TOTAL, (), log_bytes)
    for model, ts in newest.items():
        yield Sample(names.LAST_RECORD_TIMESTAMP_SECONDS, (model,), ts)


# Every reason that a record can be refused for, so that each counter stands at 0 before its first.
REJECTIONS = (
    "duplicate_id", "duplicate_outcome", "future_timestamp", "invalid_counts", "invalid_id", "invalid_label",
    "invalid_score", "invalid_timestamp", "invalid_version", "invalid_weight", "malformed", "missing_id",
    "missing_prediction", "orphan_half", "orphan_outcome", "oversized", "superseded_outcome", "too_many_versions",
    "unknown_kind", "unknown_model",
)  # fmt: skip
