"""What readers must know before they read: the features of all models and their kinds."""

from collections.abc import Iterable
from dataclasses import dataclass

from exporter.baseline import Baseline, NumericFeature


@dataclass(frozen=True, slots=True)
class FeatureSchema:
    """Features of all models by name; one that is a number here and a category there is read both ways."""

    numeric: frozenset[str]
    category: frozenset[str]
    segments: frozenset[str] = frozenset()
    """Keys of the records' `segments` that some model tells apart."""

    @classmethod
    def of(cls, baselines: Iterable[Baseline]) -> "FeatureSchema":
        """The union over `baselines`."""
        baselines = list(baselines)
        features = [feature for baseline in baselines for feature in baseline.features]
        numeric = {feature.name for feature in features if isinstance(feature, NumericFeature)}
        category = {feature.name for feature in features if not isinstance(feature, NumericFeature)}
        segments = {segment.name for baseline in baselines for segment in baseline.segments}
        return cls(frozenset(numeric), frozenset(category), frozenset(segments))

    @property
    def names(self) -> list[str]:
        """All names, in order."""
        return sorted(self.numeric | self.category)
