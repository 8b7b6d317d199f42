"""The counts, the formula and the result behind any number, so that a person can redo it by hand.

In goes the scope that the measures computed in, with the samples that they gave; out come explanations. What has no
counts that fit a page (simulated thresholds, second moments) is named with its formula in words.
"""

from collections.abc import Iterable, Iterator

from exporter import names
from exporter.explain.base import Explanation, Table, Working
from exporter.explain.drift import explain_feature_drift, explain_model_drift
from exporter.explain.performance import explain_performance
from exporter.explain.quality import explain_cost, explain_operations, explain_quality
from exporter.explain.segments import explain_segment_drift, explain_segments
from exporter.measures import Histogram, Sample, Scope
from exporter.stats.result import NotEnoughData

__all__ = ["Explanation", "Table", "Working", "explain_feature", "explain_model"]


def explain_feature(scope: Scope, window: str, feature: str, samples: Iterable[Sample]) -> Iterator[Explanation]:
    """Every number of one feature in one window; KeyError for a feature or window that the scope lacks."""
    of = {known.name: known for known in scope.totals.layout.features}[feature]
    written = [
        *explain_feature_drift(scope, window, of),
        *explain_segment_drift(scope, window, of),
        *explain_quality(scope, window, of),
    ]
    yield from written
    yield from _others(scope, window, feature, samples, written)


def explain_model(scope: Scope, window: str, samples: Iterable[Sample]) -> Iterator[Explanation]:
    """Every number of a model and version in one window, and those without a window, but for the features'."""
    written = [
        *explain_performance(scope, window),
        *explain_model_drift(scope, window),
        *explain_segments(scope, window),
        *explain_operations(scope, window),
        *explain_cost(scope, window),
    ]
    yield from written
    yield from _others(scope, window, None, samples, written)


def _others(scope: Scope, window: str, feature: str | None, samples: Iterable[Sample],
            written: Iterable[Explanation]) -> Iterator[Explanation]:  # fmt: skip
    """The numbers that no counts are written out for, in the words of their help text."""
    known = {(explanation.family, explanation.labels) for explanation in written}
    for sample in samples:
        labels = dict(zip(sample.family.labels, sample.labels, strict=True))
        mine = labels.get(names.MODEL_NAME) == scope.model.name and labels.get(names.MODEL_VERSION) == scope.version
        here = labels.get(names.WINDOW) in (None, window) and labels.get(names.FEATURE) == feature
        if mine and here and (sample.family, sample.labels) not in known:
            yield Explanation(sample.family, sample.labels, _told(sample))


def _told(sample: Sample) -> Working:
    text = sample.family.help.removesuffix(names.SCHEDULED)
    if not isinstance(sample.value, Histogram):
        return Working(text, sample.value)
    bounds = [*(f"up to {bound:g}" for bound in sample.value.bounds), "all"]
    table = Table(("value", "count"), list(zip(bounds, sample.value.cumulative, strict=True)))
    count = sample.value.cumulative[-1]
    mean = sample.value.total / count if count else NotEnoughData(0.0, 1.0, "nothing was counted")
    return Working(f"{text} Mean: sum / count", mean, table=table, steps={"sum": sample.value.total, "count": count})
