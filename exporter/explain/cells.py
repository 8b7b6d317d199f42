"""What the cells of a distribution are called: half-open bins by their edges, categories by their names."""

from collections.abc import Sequence
from itertools import pairwise

from exporter.baseline import Baseline, CategoryFeature, NumericFeature
from exporter.measures.distribution import Distribution
from exporter.profile.scorebins import EDGES

OTHER = "(rare ones together)"
UNSEEN = "(not in the reference)"
OTHER_CLASS = "(labels that the reference lacks)"


def feature_cells(feature: NumericFeature | CategoryFeature) -> list[str]:
    """Names of the feature's fine cells, those that hold a value."""
    if isinstance(feature, NumericFeature):
        return _bins(feature.edges)
    unlisted = UNSEEN if feature.complete else "(not told apart)"
    return [*feature.values, OTHER, unlisted]


def merged_cells(feature: NumericFeature | CategoryFeature) -> list[str]:
    """Names of the cells that PSI and its like are computed on."""
    if isinstance(feature, NumericFeature):
        return _merged(feature.edges, feature.groups)
    return feature_cells(feature)


def output_cells(baseline: Baseline, of: Distribution) -> tuple[list[str], list[str]]:
    """Names of the fine and of the merged cells of a model's output or outcome, distributed as `of`."""
    if baseline.output is not None:
        return _bins(baseline.output.edges), _merged(baseline.output.edges, baseline.output.groups)
    if of.at is not None:
        edges = tuple(EDGES[1:-1].tolist())
        return _bins(edges), _merged(edges, of.groups)
    known = [*baseline.classes, OTHER_CLASS] if baseline.task == "multiclass" else ["negative", "positive"]
    return known, known


def _bins(edges: Sequence[float]) -> list[str]:
    return _merged(edges, range(len(edges) + 1))


def _merged(edges: Sequence[float], groups: Sequence[int]) -> list[str]:
    """Cell i of the fine ones ends at edge i; the first and the last are open."""
    ends = [None, *(number(edges[start - 1]) for start in groups[1:]), None]
    return [_between(low, high) for low, high in pairwise(ends)]


def _between(low: str | None, high: str | None) -> str:
    if low is None:
        return f"below {high}" if high is not None else "all"
    return f"{low} or above" if high is None else f"{low} to below {high}"


def number(value: float) -> str:
    """A number with at most ten significant digits, in which a bin's edge a hair above a value reads as it."""
    return f"{value:.10g}"
