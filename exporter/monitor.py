"""What serving and one-shot evaluation share: models with their kernels, the engine's set-up, scopes."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from exporter import names
from exporter.baseline import Baseline, load_baseline
from exporter.cohorts import oldest_needed
from exporter.config import Config, parse_duration
from exporter.errors import ConfigError
from exporter.ingest.engine import Engine
from exporter.ingest.ledger import Ledger
from exporter.ingest.records import Records, Sorted, sort_records
from exporter.ingest.schema import FeatureSchema
from exporter.measures import Sample
from exporter.profile.kernel import Kernel
from exporter.profile.layout import Layout


@dataclass(frozen=True)
class Monitor:
    """A checked configuration with its baselines."""

    config: Config
    baselines: Mapping[str, Baseline]

    @classmethod
    def load(cls, config: Config, source: str) -> "Monitor":
        """Load every baseline that `config` names; ConfigError holds the problems of all of them."""
        baselines, problems = {}, []
        for index, model in enumerate(config.models):
            try:
                baselines[model.name] = load_baseline(config.resolve(model.baseline), model)
            except ConfigError as error:
                problems += [f"models[{index}].baseline: {error.source}: {problem}" for problem in error.problems]
        if problems:
            raise ConfigError(source, problems)
        return cls(config, baselines)

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
    def only_model(self) -> str | None:
        """The model that Parquet rows without one belong to."""
        return self.config.models[0].name if len(self.config.models) == 1 else None

    @cached_property
    def windows(self) -> dict[str, int]:
        """Seconds of each window, by name."""
        return {window: parse_duration(window) for window in self.config.evaluation.windows}

    @property
    def reach(self) -> int:
        """Seconds back from the newest record that any statistic looks."""
        return oldest_needed(self.config.models, self.windows)

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
        """One sample for each model that says which baseline it is held against."""
        for model in self.config.models:
            labels = (model.name, model.task, self.baselines[model.name].fingerprint)
            yield Sample(names.MODEL_INFO, labels, 1.0)


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
    "missing_prediction", "orphan_outcome", "oversized", "superseded_outcome", "too_many_versions", "unknown_kind",
    "unknown_model",
)  # fmt: skip
