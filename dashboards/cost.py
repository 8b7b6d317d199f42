"""Row 5, cost and resource usage: what serving costs, what watching it costs, and what sampling leaves out."""

from dashboards.colors import BAD, MUTED, NOTE
from dashboards.limits import fixed, limit
from dashboards.looks import Query, capped, describe, hue
from dashboards.panels import Panel, bars, stat, trend
from dashboards.queries import BY_VERSION, VERSION_LEGEND, by, per_second, select
from exporter import names
from exporter.config import Config
from exporter.names import Family

COMPONENT = "component"


def cost(config: Config) -> list[Panel]:
    """The row's panels."""
    return [
        _predictions(), _spent(), _price(), _dropped(), _complete(config), _serving(), _monitoring(config), _logging(),
        _database(), _savings(),
    ]  # fmt: skip


def _predictions() -> Panel:
    text = describe(
        "Predictions in the window, over the chosen versions; with sampling, the number they stand for.",
        good="The usual volume.",
        bad="A fall without a reason.",
        do="Compare with the requests under Operational metrics: they count what the log may miss.",
    )
    return stat(
        "Predictions",
        text,
        by("sum", _one_replica(names.PREDICTIONS_IN_WINDOW)),
        unit="short",
        size=(5, 4),
    )


def _spent() -> Panel:
    text = describe(
        "What the window's predictions cost: the records' own cost where they carry it, else the configured price.",
        good="In line with the predictions beside it.",
        bad="Cost rises and predictions do not.",
        do="Look at the price of 1,000 predictions.",
    )
    return stat(
        "Serving cost",
        text,
        by("sum", _one_replica(names.SERVING_COST_USD)),
        unit="currencyUSD",
        size=(5, 4),
    )


def _price() -> Panel:
    text = describe(
        "Cost of 1,000 predictions in the window, the dearest of the chosen versions.",
        good="At the configured price, or flat.",
        bad="A step up: a larger model, longer inputs, an idle machine.",
        do="Compare versions in the graph below.",
    )
    # To a millionth: a price that stands still would else be drawn as the rounding of its division.
    expr = f"round({by('max', select(names.SERVING_COST_PER_1000_USD))}, 0.000001)"
    return stat("Cost of 1,000 predictions", text, expr, unit="currencyUSD", size=(5, 4))


def _dropped() -> Panel:
    text = describe(
        "Predictions that writers lost in this time range, because a queue or a disk was full.",
        good="0.",
        bad="1 or more: the statistics miss traffic that may not be like the rest.",
        do="Raise the writer's queue, or sample on purpose, which keeps the statistics unbiased.",
    )
    expr = f"sum(increase({select(names.PREDICTIONS_DROPPED_TOTAL)}[$__range])) or vector(0)"
    return stat("Dropped", text, expr, decimals=0, size=(5, 4), limit=fixed("dropped", 1))


def _complete(config: Config) -> Panel:
    text = describe(
        "Records read of the window's predictions, over those that writers report and did not leave out on purpose.",
        good="100 %.",
        bad="Less: records are dropped, refused or written where nobody reads. More: reports are missing.",
        do="Look at the records dropped here and rejected in the exporter's row.",
    )
    expr = by("min", _one_replica(names.PREDICTION_LOG_COMPLETENESS_RATIO))
    line = limit(config.models, ("log completeness", BAD, lambda of: of.log_completeness), below=True)
    return stat("Log complete", text, expr, unit="percentunit", decimals=1, size=(4, 4), limit=line)


def _one_replica(family: Family) -> str:
    return by("max", select(family), BY_VERSION)


def _serving() -> Panel:
    text = describe(
        "Cost of the window's predictions over time, by version.",
        good="Follows the traffic.",
        bad="Climbs away from it.",
        do="Send traffic to the cheaper version if quality allows.",
    )
    queries = [Query(_one_replica(names.SERVING_COST_USD), VERSION_LEGEND)]
    return trend("Serving cost in the window", text, queries, unit="currencyUSD", floor=0, size=(6, 8))


def _monitoring(config: Config) -> Panel:
    text = describe(
        "What watching the models costs, projected to a month of 30 days at the present rate: the log, this exporter's "
        "processor time, and notifications (recorded from Alertmanager's count). All models together.",
        good="Blue-green.",
        bad="Vermillion: above the configured monthly limit.",
        do="Log: sample. Compute: a longer evaluation interval. Notifications: group and mend noisy alerts.",
    )
    limits = config.costs.monthly_limits
    queries = [
        _bar("log storage", _component("log_storage"), limits.log_storage_usd),
        _bar("compute", _component("compute"), limits.compute_usd),
        _bar("notifications", _notifications(), limits.notifications_usd),
    ]
    return bars("Monitoring cost a month", text, queries, unit="currencyUSD", decimals=2, size=(6, 8))


def _bar(name: str, expr: str, limit: float) -> Query:
    return Query(expr, f"{name}, of {limit:g} USD", capped(fixed("limit", limit)))


def _component(name: str) -> str:
    return by("sum", select(names.MONITORING_COST_USD, f'{COMPONENT}="{name}"'))


def _notifications() -> str:
    """Those of Alertmanager, and of the responder where one runs."""
    told = by("sum", names.NOTIFICATION_COST_USD)
    return f"{told} + ({_component('notifications')} or vector(0))"


def _logging() -> Panel:
    text = describe(
        "Predictions a second that were logged, left out on purpose (sampling) and lost.",
        good="Logged and skipped in the chosen proportion, dropped at 0.",
        bad="Dropped above 0, or nothing logged while requests are served.",
        do="Check the writer's disk and queue, then this exporter's row below.",
    )
    of = (
        (names.PREDICTIONS_LOGGED_TOTAL, "logged", NOTE),
        (names.PREDICTIONS_SKIPPED_TOTAL, "skipped", MUTED),
        (names.PREDICTIONS_DROPPED_TOTAL, "dropped", BAD),
    )
    queries = [Query(per_second(family), name, hue(color)) for family, name, color in of]
    return trend("Logged, skipped, dropped", text, queries, unit="suffix: /s", stack=True, floor=0, size=(6, 8))


def _database() -> Panel:
    text = describe(
        "Size of the exporter's embedded database on disk.",
        good="It levels off once limits.retention is reached.",
        bad="The database grows without end.",
        do="Shorten limits.retention, or find the feature or version that multiplies.",
    )
    queries = [Query(by("sum", select(names.STATE_BYTES)), "database", hue(NOTE))]
    return trend("Database size", text, queries, unit="bytes", floor=0, size=(6, 8))


def _savings() -> Panel:
    text = describe(
        "What sampling spares of the log, projected to a month of 30 days at the present rate: ingestion and storage "
        "in USD by version, and all bytes.",
        good="Above the cost of the log beside, where traffic is heavy.",
        bad="Near 0 while the log costs more than its limit.",
        do="Lower the writers' sampling rate; statistics stay unbiased, for records carry their weight.",
    )
    saved = by("max", select(names.SAMPLING_SAVINGS_USD), BY_VERSION)
    spared = by("sum", by("max", select(names.SAMPLING_SAVINGS_BYTES), BY_VERSION))
    queries = [Query(saved, VERSION_LEGEND), Query(spared, "bytes of log", hue(MUTED) | {"unit": "bytes"})]
    return trend("Saved by sampling a month", text, queries, unit="currencyUSD", floor=0, size=(24, 8))
