"""Row 2 by segment: the features that a segment names, in the window and in the reference, on each value alone."""

from collections.abc import Iterator

from exporter import names
from exporter.measures.base import Sample, Scope
from exporter.measures.comparison import Comparison, Pair
from exporter.measures.segments import SegmentView, expected_view


def measure_segment_drift(scope: Scope) -> Iterator[Sample]:
    """Distances on merged cells; methods that need an order have no score, nor have values with too few rows."""
    pairs = dict(_pairs(scope))
    held = Comparison(list(pairs.values()))
    for method in scope.model.drift.methods if pairs else ():
        for labels, score in zip(pairs, held.scores(method), strict=True):
            yield from scope.known(names.SEGMENT_FEATURE_DRIFT_SCORE, score, *labels, method)


def _pairs(scope: Scope) -> Iterator[tuple[tuple[str, ...], Pair]]:
    for segment in scope.totals.layout.baseline.segments:
        for cell, value in enumerate(segment.labels):
            expected = expected_view(scope, segment, cell)
            views = {window: SegmentView(profile, segment.name, cell) for window, profile in scope.windows.items()}
            for feature in segment.features:
                reference = expected.feature(feature)
                for window, view in views.items():
                    current = view.feature(feature)
                    if min(reference.rows, current.rows) >= scope.model.drift.min_rows:
                        yield (window, segment.name, value, feature), (reference, current)
