"""Row 5: what serving costs, and how much of it was logged."""

from collections.abc import Iterator

from exporter import names
from exporter.measures.base import Sample, Scope, share


def measure_cost(scope: Scope) -> Iterator[Sample]:
    """Row 5: what serving costs, and how much of it was logged."""
    price = scope.costs.serving_usd_per_1000_predictions / 1_000
    for window, profile in scope.windows.items():
        spent, priced = profile.part("cost")
        cost = spent + (profile.weight - priced) * price
        yield from scope.gauge(names.PREDICTIONS_IN_WINDOW, profile.weight, window)
        yield from scope.gauge(names.SERVING_COST_USD, cost, window)
        yield from scope.gauge(names.SERVING_COST_PER_1000_USD, share(1_000 * cost, profile.weight), window)
        _, requests, _, left_out, _ = profile.part("reported")
        complete = share(profile.records, requests - left_out)
        yield from scope.gauge(names.PREDICTION_LOG_COMPLETENESS_RATIO, complete, window)
    _, _, _, skipped, dropped = scope.totals.part("reported")
    yield from scope.gauge(names.PREDICTIONS_LOGGED_TOTAL, scope.totals.records)
    yield from scope.gauge(names.PREDICTIONS_SKIPPED_TOTAL, skipped)
    yield from scope.gauge(names.PREDICTIONS_DROPPED_TOTAL, dropped)
