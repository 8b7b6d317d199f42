"""What the responder exports, counted from its database at each scrape, and so the same after a restart."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from alerting.responder.settings import DAY, Settings
from alerting.responder.state import KINDS, OUTCOMES, VERDICTS
from alerting.responder.store import STANDINGS, Store
from exporter import names
from exporter.names import Family

RESPONSE_BOUNDS = (60, 300, 900, 1_800, 3_600, 14_400, 43_200, 86_400)  # 1,800 s is the default of max_response
MONTH_DAYS = 30  # as in the exporter's monitoring costs


class ResponderCollector(Collector):
    """The families of the responder."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store

    def describe(self) -> Iterable[Metric]:
        """Nothing: registration must not read the database."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield each family once."""
        yield self._actions()
        yield _gauge(names.RESPONDER_DRY_RUN, {(): float(self._settings.dry_run)})
        yield self._pending()
        yield _gauge(names.RESPONDER_UNPLANNED_DELIVERIES, {(): self._one("SELECT count(*) FROM deliveries")})
        yield self._responses()
        oldest = oldest_unacknowledged(self._settings, self._store)
        yield _gauge(names.RESPONDER_OLDEST_UNACKNOWLEDGED_TIMESTAMP_SECONDS, {} if oldest is None else {(): oldest})
        yield self._reviews()
        yield _gauge(names.MONITORING_COST_USD, {("notifications",): self._notification_cost()})

    def _one(self, query: str, *values: object) -> float:
        [(value,)] = self._store.rows(query, values)
        return float(value)

    def _actions(self) -> Metric:
        found = self._store.rows("SELECT subject, decided, count(*) FROM audit GROUP BY subject, decided")
        counts = {(subject, decided): count for subject, decided, count in found}
        family = names.RESPONDER_ACTIONS_TOTAL
        metric = CounterMetricFamily(family.name, family.help, labels=family.labels)
        for kind in KINDS:
            for outcome in OUTCOMES:
                metric.add_metric((kind, outcome), counts.get((kind, outcome), 0))
        return metric

    def _pending(self) -> Metric:
        found = self._store.rows(
            "SELECT kind, standing, count(*) FROM actions WHERE outcome IS NULL GROUP BY kind, standing"
        )
        counts = {(kind, standing): float(count) for kind, standing, count in found}
        every = {(kind, standing): counts.get((kind, standing), 0.0) for kind in KINDS for standing in STANDINGS}
        return _gauge(names.RESPONDER_PENDING_ACTIONS, every)

    def _responses(self) -> Metric:
        family = names.ALERT_RESPONSE_SECONDS
        within = ", ".join(f"total(seconds <= {bound})" for bound in RESPONSE_BOUNDS)
        [(*counts, every, seconds)] = self._store.rows(
            f"SELECT {within}, count(*), total(seconds) FROM (SELECT max(0, acknowledged - starts_at) AS seconds "
            "FROM incidents UNION ALL SELECT seconds FROM forgotten) WHERE seconds IS NOT NULL"
        )
        metric = HistogramMetricFamily(family.name, family.help)
        bounds = [*(str(float(bound)) for bound in RESPONSE_BOUNDS), "+Inf"]
        metric.add_metric((), list(zip(bounds, [*counts, every], strict=True)), seconds)
        return metric

    def _reviews(self) -> Metric:
        found = dict(
            self._store.rows(
                "SELECT verdict, count(*) FROM ("
                "SELECT verdict FROM incidents UNION ALL SELECT verdict FROM forgotten) GROUP BY verdict"
            )
        )
        family = names.ALERTS_REVIEWED_TOTAL
        metric = CounterMetricFamily(family.name, family.help, labels=family.labels)
        for verdict in VERDICTS:
            metric.add_metric((verdict,), found.get(verdict, 0))
        return metric

    def _notification_cost(self) -> float:
        """What was sent in the last day, kept up for a month."""
        told = ("open_ticket", "close_ticket", *(("notify",) if self._settings.notify else ()))
        subjects = ", ".join("?" * len(told))
        query = f"SELECT count(*) FROM audit WHERE subject IN ({subjects}) AND decided = 'done' AND at > ?"
        sent = self._one(query, *told, time.time() - DAY)
        return sent * MONTH_DAYS * self._settings.notification_usd


def oldest_unacknowledged(settings: Settings, store: Store) -> float | None:
    """When the oldest open alert began that asks for a person and has none; None where every one has."""
    incidents = store.state(dry_run=settings.dry_run).incidents.values()
    waiting = [
        one.starts_at
        for one in incidents
        if one.stands and one.acknowledged is None and set(settings.responses_to(one.name)) - {"notify"}
    ]
    return min(waiting, default=None)


def registry_of(settings: Settings, store: Store) -> CollectorRegistry:
    """The responder's families and those of its process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ResponderCollector(settings, store))
    for process in (ProcessCollector, PlatformCollector, GCCollector):
        process(registry=registry)
    return registry


def _gauge(family: Family, values: Mapping[Any, float]) -> Metric:
    metric = GaugeMetricFamily(family.name, family.help, labels=family.labels)
    for labels, value in values.items():
        metric.add_metric(labels, value)
    return metric
