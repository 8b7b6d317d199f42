"""Rows 1 to 5 by segment: how the model fares on each value that the baseline tells apart, in families of their own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exporter import names
from exporter.baseline import SegmentValues
from exporter.measures.base import Sample, Scope, share
from exporter.measures.comparison import Comparison
from exporter.measures.distribution import GROUPS, Distribution, equal_groups, positions
from exporter.profile.columns import Floats
from exporter.profile.layout import SCORES_AS_ONE, Profile, segment_feature_part, segment_part
from exporter.profile.scorebins import score_mids
from exporter.stats import auc, performance
from exporter.stats.significance import effective_sample_size

_ACCURACY_BOUNDS = (names.SEGMENT_ACCURACY_LOWER, names.SEGMENT_ACCURACY_UPPER)


@dataclass(frozen=True, slots=True)
class SegmentView:
    """What a profile holds of one value of a segment: its cell `cell` of the segment called `name`."""

    profile: Profile
    name: str
    cell: int

    def part(self, part: str) -> Floats:
        """The counts of the part called `part`, of this value alone."""
        counts: Floats = self.profile.part(segment_part(self.name, part))[self.cell]
        return counts

    def feature(self, name: str) -> Distribution:
        """The present values of the feature called `name`, in merged cells: so without an order."""
        counts: Floats = self.profile.part(segment_feature_part(self.name, name))[self.cell]
        return distribution(self, counts[:-1])

    @property
    def weight(self) -> float:
        """Predictions that its records stand for."""
        return float(self.part("rows")[0])


def measure_segments(scope: Scope) -> Iterator[Sample]:
    """Everything by segment; a value without a record in the window has no series."""
    for segment in scope.totals.layout.baseline.segments:
        for cell, value in enumerate(segment.labels):
            expected = expected_view(scope, segment, cell)
            for window, profile in scope.windows.items():
                view = SegmentView(profile, segment.name, cell)
                if view.weight > 0:
                    labels = (window, segment.name, value)
                    yield from _traffic(scope, view, labels)
                    yield from _performance(scope, view, labels)
                    yield from _drift(scope, expected, view, labels)


def _traffic(scope: Scope, view: SegmentView, labels: tuple[str, ...]) -> Iterator[Sample]:
    unsure, known = view.part("unsure")
    covered = share(float(view.part("labelled")[0]), view.weight - float(view.part("failed")[0]))
    yield from scope.gauge(names.SEGMENT_PREDICTIONS_IN_WINDOW, view.weight, *labels)
    yield from scope.gauge(names.SEGMENT_LOW_CONFIDENCE_RATIO, share(unsure, known), *labels)
    yield from scope.gauge(names.SEGMENT_OUTCOME_COVERAGE_RATIO, covered, *labels)


def _performance(scope: Scope, view: SegmentView, labels: tuple[str, ...]) -> Iterator[Sample]:
    if scope.model.task == "regression":
        yield from scope.gauge(names.SEGMENT_MAE, performance.mae(*view.part("losses")), *labels)
        return
    weight, squared, correct = view.part("labelled")
    accuracy = share(correct, weight)
    yield from scope.gauge(names.SEGMENT_ACCURACY, accuracy, *labels)
    if isinstance(accuracy, float):
        interval = performance.wilson_interval(accuracy, effective_sample_size(weight, squared))
        yield from scope.interval(_ACCURACY_BOUNDS, interval, *labels)
    if scope.model.task == "binary":
        negative, positive = view.part("outcome")[:, :-1]
        yield from scope.gauge(names.SEGMENT_AUC, auc.auc(positive, negative), *labels)


def expected_view(scope: Scope, segment: SegmentValues, cell: int) -> SegmentView:
    """The reference's view of the value; where it tells no values, the whole of it, all of which is missing then."""
    told = scope.reference.part(segment_part(segment.name, "rows"))[:-1].any()
    return SegmentView(scope.reference, segment.name, cell if told else len(segment.labels) - 1)


def _drift(scope: Scope, expected: SegmentView, view: SegmentView, labels: tuple[str, ...]) -> Iterator[Sample]:
    reference, current = (_output(side, expected) for side in (expected, view))
    if min(reference.rows, current.rows) < scope.model.drift.min_rows:
        return
    held = Comparison([(reference, current)])
    for method in scope.model.drift.methods:
        yield from scope.known(names.SEGMENT_PREDICTION_DRIFT_SCORE, held.scores(method)[0], *labels, method)


def _output(view: SegmentView, expected: SegmentView) -> Distribution:
    """As `prediction_distribution`, on a segment's wider score cells."""
    layout, output = view.profile.layout, view.part("output")
    match layout.baseline.task:
        case "regression":
            bins = layout.output_bins
            return distribution(view, output[: bins.placed], bins.groups, positions(bins.edges))
        case "binary":
            scores = expected.part("output").sum(axis=0)[:-1]
            if scores.any():
                middles = score_mids().reshape(-1, SCORES_AS_ONE).mean(axis=1)
                return distribution(view, output.sum(axis=0)[:-1], equal_groups(scores, GROUPS), middles)
            return distribution(view, output.sum(axis=1))
        case "multiclass":
            return distribution(view, output)
    raise AssertionError(layout.baseline.task)


def distribution(
    view: SegmentView, counts: Floats, groups: Sequence[int] | None = None, at: Floats | None = None
) -> Distribution:
    """Some of the view's counts, with the effective rows that they are worth."""
    weight, squared = view.part("rows")
    rows = float(effective_sample_size(weight, squared) * counts.sum() / weight) if weight > 0 else 0.0
    return Distribution(counts, range(len(counts)) if groups is None else groups, at, rows)
