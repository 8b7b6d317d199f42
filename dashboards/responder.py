"""The alert responder, a collapsed row: what became of the alerts. Empty where no responder runs."""

from dashboards.colors import GOOD, NOTE, WARN
from dashboards.limits import fixed
from dashboards.looks import Query, describe, hue
from dashboards.panels import Panel, stat, trend
from dashboards.queries import by, select
from exporter import names
from exporter.config import Config, parse_duration

MODES = {"0": ("acting", GOOD), "1": ("dry run", NOTE)}
NOBODY = "nobody waits"


def responder(config: Config) -> list[Panel]:
    """The row's panels."""
    return [_mode(), _unacknowledged(config), _unplanned(), _false(config), _actions(), _pending(), _response(config)]


def _mode() -> Panel:
    text = describe(
        "Whether the responder acts, or only records what it would do.",
        good="acting, once its decisions have been looked at for a while.",
        bad="dry run, long after: no ticket is opened.",
        do="Set dry_run: false in the responder's configuration.",
    )
    return stat("Responder", text, by("max", select(names.RESPONDER_DRY_RUN)), size=(6, 4), words=MODES)


def _unacknowledged(config: Config) -> Panel:
    text = describe(
        "How long the oldest alert that asks for a person has waited for one.",
        good=NOBODY + ".",
        bad="Longer than alerting.max_response.",
        do="Open the responder's page and take it.",
    )
    expr = f"time() - {by('min', select(names.RESPONDER_OLDEST_UNACKNOWLEDGED_TIMESTAMP_SECONDS))}"
    limit = fixed("max_response", parse_duration(config.alerting.max_response))
    return stat("Oldest unacknowledged", text, expr, size=(6, 4), unit="s", decimals=0, limit=limit, empty=NOBODY)


def _unplanned() -> Panel:
    text = describe(
        "Alertmanager's deliveries that were accepted and are not planned yet.",
        good="0.",
        bad="1 or more for minutes: the responder is stuck.",
        do="Read its log; a full disk is the usual reason.",
    )
    expr = by("sum", select(names.RESPONDER_UNPLANNED_DELIVERIES))
    return stat("Deliveries waiting", text, expr, size=(6, 4), decimals=0, limit=fixed("waiting", 1))


def _false(config: Config) -> Panel:
    text = describe(
        "Share of the alerts reviewed in this time range that were judged false.",
        good="Below the limit.",
        bad="Above it: soon nobody will look.",
        do="Raise the thresholds of the alerts that were judged false, or retire them.",
    )
    false, every = (
        by("sum", f"increase({select(names.ALERTS_REVIEWED_TOTAL, *matcher)}[$__range])")
        for matcher in (('verdict="false"',), ())
    )
    limit = fixed("max_false_ratio", config.alerting.max_false_ratio)
    return stat(
        "Judged false",
        text,
        f"{false} / ({every} > 0)",
        size=(6, 4),
        unit="percentunit",
        limit=limit,
        empty="no review",
    )


def _actions() -> Panel:
    text = describe(
        "Decisions on actions, by action and outcome.",
        good="done, and skipped for reasons that the responder's page tells.",
        bad="failed, over and over.",
        do="Mend the target that the responder's log names.",
    )
    labels = names.RESPONDER_ACTIONS_TOTAL.labels
    grown = by("sum", f"increase({select(names.RESPONDER_ACTIONS_TOTAL)}[$__rate_interval])", labels)
    queries = [Query(f"{grown} > 0", " ".join(f"{{{{{label}}}}}" for label in labels))]
    return trend("Actions", text, queries, size=(8, 8), decimals=0, floor=0, empty="No action in this time range")


def _pending() -> Panel:
    text = describe(
        "Actions still to be carried out, by standing.",
        good="None; or waiting, for labels or the day's budget.",
        bad="retrying: the target is out of reach.",
        do="Mend the target; what waits is carried out by itself then.",
    )
    queries = [Query(by("sum", select(names.RESPONDER_PENDING_ACTIONS), ("standing",)), "{{standing}}")]
    return trend("Actions pending", text, queries, size=(8, 8), decimals=0, floor=0, stack=True)


def _response(config: Config) -> Panel:
    text = describe(
        "From an alert's start to its acknowledgement, on average over a day. Dashed: alerting.max_response.",
        good="Below the dashed line.",
        bad="Above it.",
        do="Mend the route or the rota, or the number of alerts.",
    )
    rate = {
        part: by("sum", f"increase({select(names.ALERT_RESPONSE_SECONDS, suffix=part)}[1d])")
        for part in ("_sum", "_count")
    }
    queries = [Query(f"{rate['_sum']} / ({rate['_count']} > 0)", "response", hue(WARN))]
    limit = fixed("max_response", parse_duration(config.alerting.max_response))
    empty = "No alert was acknowledged"
    return trend("Response time", text, queries, size=(8, 8), unit="s", floor=0, limit=limit, empty=empty)
