"""Row 3: traffic, latency, errors, and how sure the model is."""

from collections.abc import Iterator

from exporter import names
from exporter.measures.base import Sample, Scope, histogram, share
from exporter.profile.layout import LATENCY_BOUNDS


def measure_operations(scope: Scope) -> Iterator[Sample]:
    """Row 3: traffic, latency, errors, and how sure the model is."""
    labels, totals = (scope.model.name, scope.version), scope.totals
    requests = totals.part("reported")[1] if totals.is_reported else totals.part("served")[0]
    yield Sample(names.PREDICTION_REQUESTS_TOTAL, labels, float(requests))
    for error, count in sorted(scope.errors.items()):
        yield Sample(names.PREDICTION_ERRORS_TOTAL, (*labels, error), count)
    timed = bool(totals.part("reported_latency")[:-1].sum())
    latency = totals.part("reported_latency" if timed else "latency")
    yield Sample(names.PREDICTION_LATENCY_SECONDS, labels, histogram(LATENCY_BOUNDS, latency))
    for window, profile in scope.windows.items():
        unsure, known = profile.part("unsure")
        yield from scope.gauge(names.LOW_CONFIDENCE_RATIO, share(unsure, known), window)
