"""From a snapshot to the bytes that a scrape gets: the client library's data model and encoders, run once.

What the library does not check is checked here: the exact label set of every sample, each family built once, no two
samples with equal labels, and a bound on the number of series.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest as text
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.registry import Collector, CollectorRegistry

from exporter.measures import Histogram, Sample
from exporter.names import FAMILIES, Family, Row


class SampleCollector(Collector):
    """Yields the metric families of some samples, in the vocabulary's order, and then those of the user's own."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._by_family: dict[Family, dict[tuple[str, ...], float | Histogram]] = {}
        for sample in samples:
            _check(sample, self._by_family.setdefault(sample.family, {}))

    def collect(self) -> Iterator[Metric]:
        """Yield each family once."""
        for family in dict.fromkeys((*FAMILIES, *self._by_family)):
            if rows := self._by_family.get(family):
                yield _metric(family, rows)


def _check(sample: Sample, rows: dict[tuple[str, ...], float | Histogram]) -> None:
    family = sample.family
    if len(sample.labels) != len(family.labels):
        raise ValueError(f"{family.name} has the labels {family.labels}, not {len(sample.labels)} values")
    if sample.labels in rows:
        raise ValueError(f"{family.name} twice with the labels {sample.labels}")
    rows[sample.labels] = sample.value


def _metric(family: Family, rows: dict[tuple[str, ...], float | Histogram]) -> Metric:
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(family.name, family.help, labels=family.labels)
        for labels, value in rows.items():
            assert isinstance(value, Histogram)
            bounds = [*(str(bound) for bound in value.bounds), "+Inf"]
            histogram.add_metric(labels, list(zip(bounds, value.cumulative, strict=True)), value.total)
        return histogram
    make = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = make(family.name, family.help, labels=family.labels)
    for labels, value in rows.items():
        assert not isinstance(value, Histogram)
        metric.add_metric(labels, value)
    return metric


def series_of(sample: Sample) -> int:
    """Series that a sample makes: a histogram makes one for each bucket, its sum and its count."""
    return len(sample.value.cumulative) + 2 if isinstance(sample.value, Histogram) else 1


def cut(samples: Sequence[Sample], limit: int) -> tuple[list[Sample], int]:
    """The samples whose series fit `limit` and how many series were cut.

    The exporter's own come first, which say that something was cut; then the rows of the dashboard in order,
    those of segments, and the user's own families.
    """
    order = {family: (family.row is not Row.EXPORTER, place) for place, family in enumerate(FAMILIES)}
    last = (True, len(FAMILIES))
    kept: list[Sample] = []
    room, dropped = limit, 0
    for sample in sorted(samples, key=lambda sample: order.get(sample.family, last)):
        size = series_of(sample)
        if size <= room:
            kept.append(sample)
            room -= size
        else:
            dropped += size
    return kept, dropped


def render(samples: Iterable[Sample]) -> tuple[bytes, bytes]:
    """The samples in the Prometheus text format and in OpenMetrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SampleCollector(samples))
    return text(registry), openmetrics(registry)  # type: ignore[no-untyped-call]  # the library leaves it untyped


def to_json(samples: Iterable[Sample]) -> str:
    """The samples as a JSON array of objects `name`, `labels`, `value`; histograms as bounds and counts."""
    rows = [
        {
            "name": sample.family.name,
            "labels": dict(zip(sample.family.labels, sample.labels, strict=True)),
            "value": asdict(sample.value) if isinstance(sample.value, Histogram) else sample.value,
        }
        for sample in samples
    ]
    return json.dumps(rows, indent=1) + "\n"
