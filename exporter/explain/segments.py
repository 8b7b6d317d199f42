"""What is told by segment, written out: sums of each value's records, and the drift of features that it names."""

from collections.abc import Iterator

from exporter import names
from exporter.baseline import CategoryFeature, NumericFeature, SegmentValues
from exporter.explain.base import Explanation, Working
from exporter.explain.cells import merged_cells
from exporter.explain.distance import Pair, score_working
from exporter.measures import Scope
from exporter.measures.base import share
from exporter.measures.comparison import ORDERED
from exporter.measures.segments import SegmentView, expected_view
from exporter.names import Family
from exporter.stats import performance


def explain_segments(scope: Scope, window: str) -> Iterator[Explanation]:
    """Traffic, coverage and performance of every value that has records in the window."""
    for segment, cell, value in _values(scope):
        view = SegmentView(scope.windows[window], segment.name, cell)
        if view.weight > 0:
            of = (scope.model.name, scope.version, window, segment.name, value)
            for family, working in _ratios(scope, view):
                yield Explanation(family, of, working)


def explain_segment_drift(
    scope: Scope, window: str, feature: NumericFeature | CategoryFeature
) -> Iterator[Explanation]:
    """The feature's scores on every value of the segments that name it, by the methods that need no order."""
    cells = merged_cells(feature)
    for segment, cell, value in _values(scope):
        if feature.name not in segment.features:
            continue
        views = expected_view(scope, segment, cell), SegmentView(scope.windows[window], segment.name, cell)
        reference, current = (view.feature(feature.name) for view in views)
        (before, before2), (now, now2) = (map(float, view.part("rows")) for view in views)
        weights = ((before, before2), (now, now2))
        pair = Pair(reference, current, cells, cells, scope.model.drift.min_rows, weights)
        of = (scope.model.name, scope.version, window, segment.name, value, feature.name)
        for method in (method for method in scope.model.drift.methods if method not in ORDERED):
            yield Explanation(names.SEGMENT_FEATURE_DRIFT_SCORE, (*of, method), score_working(method, pair))


def _values(scope: Scope) -> Iterator[tuple[SegmentValues, int, str]]:
    for segment in scope.totals.layout.baseline.segments:
        for cell, value in enumerate(segment.labels):
            yield segment, cell, value


def _ratios(scope: Scope, view: SegmentView) -> Iterator[tuple[Family, Working]]:
    weight, failed = view.weight, float(view.part("failed")[0])
    unsure, sure = map(float, view.part("unsure"))
    yield names.SEGMENT_PREDICTIONS_IN_WINDOW, Working("sum of the weights of the value's records", weight)
    yield names.SEGMENT_LOW_CONFIDENCE_RATIO, Working(
        "unsure / confident or not: weights of the predictions below low_confidence, and of all with a confidence",
        share(unsure, sure), {"unsure": unsure, "confident or not": sure},
    )  # fmt: skip
    labelled = float(view.part("labelled")[0])
    yield names.SEGMENT_OUTCOME_COVERAGE_RATIO, Working(
        "labelled / (predictions - failed)", share(labelled, weight - failed),
        {"labelled": labelled, "predictions": weight, "failed": failed},
    )  # fmt: skip
    if scope.model.task == "regression":
        of, errors = map(float, view.part("losses"))
        given = {"sum of w": of, "sum of w |prediction - label|": errors}
        yield names.SEGMENT_MAE, Working("the second sum over the first", performance.mae(of, errors), given)
    else:
        correct = float(view.part("labelled")[2])
        given = {"right": correct, "labelled": labelled}
        yield names.SEGMENT_ACCURACY, Working("right / labelled", share(correct, labelled), given)
