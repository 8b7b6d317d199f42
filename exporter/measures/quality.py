"""Row 4: what is missing from the inputs, and what the model cannot have learned from."""

from collections.abc import Iterator

from exporter import names
from exporter.baseline import CategoryFeature, NumericFeature
from exporter.measures.base import Sample, Scope, share
from exporter.profile.layout import feature_part


def measure_quality(scope: Scope) -> Iterator[Sample]:
    """Row 4: what is missing from the inputs, and what the model cannot have learned from."""
    for window, profile in scope.windows.items():
        for feature in scope.totals.layout.features:
            part = feature_part(feature.name)
            counts, placed = profile.part(part), feature.placed
            usable, rows = counts[:placed].sum(), counts.sum()
            complete = share(rows - counts[placed], rows)
            yield from scope.gauge(names.FEATURE_COMPLETENESS, complete, window, feature.name)
            if isinstance(feature, CategoryFeature):
                if feature.complete:
                    unseen = share(counts[placed - 1], usable)
                    yield from scope.gauge(names.FEATURE_UNSEEN_CATEGORY_RATIO, unseen, window, feature.name)
            elif scope.reference.part(part)[:placed].any():  # without a value, the reference has no range
                outside = share(counts[0] + counts[placed - 1], usable)
                yield from scope.gauge(names.FEATURE_OUT_OF_RANGE_RATIO, outside, window, feature.name)
    yield from _quality_totals(scope)


def _quality_totals(scope: Scope) -> Iterator[Sample]:
    values = missing = 0.0
    invalid = {"wrong_type": 0.0, "non_finite": 0.0, "unseen_category": 0.0}
    for feature in scope.totals.layout.features:
        counts, placed = scope.totals.part(feature_part(feature.name)), feature.placed
        values += float(counts.sum())
        missing += float(counts[placed])
        invalid["wrong_type"] += float(counts[-1])
        if isinstance(feature, NumericFeature):
            invalid["non_finite"] += float(counts[placed + 1])
        elif feature.complete:
            invalid["unseen_category"] += float(counts[placed - 1])
    yield from scope.gauge(names.FEATURE_VALUES_TOTAL, values)
    yield from scope.gauge(names.MISSING_FEATURES_TOTAL, missing)
    for reason, count in invalid.items():
        yield from scope.gauge(names.INVALID_INPUTS_TOTAL, count, reason)
