"""Row 3, operational metrics: traffic, errors, latency and the model's own doubt."""

from dashboards.colors import BAD, NOTE, OTHER, WARN
from dashboards.limits import limit
from dashboards.looks import Query, describe, hue
from dashboards.panels import Panel, heatmap, trend
from dashboards.queries import BY_VERSION, VERSION_LEGEND, by, per_second, select, select_recorded, zero_where
from exporter import names
from exporter.config import Config

SIGNAL = "signal"
NO_RANGE = "The baseline knows no usual range for this window: its reference spans fewer than two, or has no times"


def operations(config: Config) -> list[Panel]:
    """The row's panels."""
    panels = [_requests(), _error_ratio(config), _errors(), _latency(config), _latency_heatmap(), _low_confidence()]
    return [*panels, _anomaly(), _repeated()]


def _requests() -> Panel:
    text = describe(
        "Requests served a second, by version, sampled into the log or not.",
        good="The usual shape of the day.",
        bad="A fall to nothing, or a version that should carry traffic and does not.",
        do="Check the callers and the routing; statistics of an idle version mean little.",
    )
    queries = [Query(per_second(names.PREDICTION_REQUESTS_TOTAL, BY_VERSION), VERSION_LEGEND)]
    return trend("Requests", text, queries, unit="reqps", stack=True, floor=0)


def _error_ratio(config: Config) -> Panel:
    text = describe(
        "Share of requests that failed, over five minutes, by version; the recorded series that the alert compares.",
        good="0 %, or what is usual.",
        bad="Above the dashed line.",
        do="See the kinds beside; if one version alone fails, take its traffic away.",
    )
    recorded = by("max", select_recorded(names.ERROR_RATIO), BY_VERSION)
    queries = [Query(zero_where(recorded, names.PREDICTION_REQUESTS_TOTAL, BY_VERSION), VERSION_LEGEND)]
    line = limit(config.models, ("error limit", BAD, lambda of: of.error_ratio))
    return trend("Error ratio", text, queries, unit="percentunit", floor=0, limit=line)


def _errors() -> Panel:
    text = describe(
        "Failed requests a second by kind of error, the ten most frequent.",
        good="No area at all.",
        bad="A new kind, or one that grows.",
        do="Timeouts: look at latency. Bad input: look at data quality. Anything else: the service's log.",
    )
    kinds = by("sum", f"increase({select(names.PREDICTION_ERRORS_TOTAL)}[$__range] @ end())", ("error",))
    expr = f"{per_second(names.PREDICTION_ERRORS_TOTAL, ('error',))} and on (error) topk(10, {kinds})"
    return trend(
        "Errors by kind", text, [Query(expr, "{{error}}")], unit="suffix: /s", stack=True, floor=0, empty="No errors"
    )


def _latency(config: Config) -> Panel:
    text = describe(
        "Half, 95 and 99 of 100 predictions were faster than this, over five minutes; recorded series.",
        good="p95 below the dashed line.",
        bad="All three rise: the service is slow. Only p99: a few inputs, or garbage collection.",
        do="Open the trace that an exemplar in the heatmap names.",
    )
    of = ((names.LATENCY_P50, "p50", NOTE), (names.LATENCY_P95, "p95", WARN), (names.LATENCY_P99, "p99", OTHER))
    queries = [
        Query(by("max", select_recorded(name), BY_VERSION), f"{short} ({VERSION_LEGEND})", hue(color))
        for name, short, color in of
    ]
    line = limit(config.models, ("p95 limit", BAD, lambda of: of.latency_p95_seconds))
    return trend("Latency", text, queries, unit="s", floor=0, limit=line)


def _latency_heatmap() -> Panel:
    text = describe(
        "Predictions by latency: the whole distribution, not three points of it.",
        good="One narrow band.",
        bad="A second band above: a slow path. The band climbs: saturation.",
        do="Hold its beginning against releases and traffic.",
    )
    buckets = per_second(names.PREDICTION_LATENCY_SECONDS, ("le",), suffix="_bucket")
    return heatmap("Latency distribution", text, buckets, unit="s", cells="reqps")


def _low_confidence() -> Panel:
    text = describe(
        "Share of the window's predictions whose likeliest class has less probability than low_confidence.",
        good="At its usual level.",
        bad="Rising: the model meets cases unlike those it learned. It needs no outcomes, so it warns early.",
        do="Log these cases fully, have some labelled, and look at drift.",
    )
    queries = [Query(by("max", select(names.LOW_CONFIDENCE_RATIO), BY_VERSION), VERSION_LEGEND)]
    return trend("Low-confidence predictions", text, queries, unit="percentunit", floor=0)


def _anomaly() -> Panel:
    text = describe(
        "How far the window's volume, mean confidence, share of unsure predictions and entropy of the output lie from "
        "their usual range, in standard deviations over the reference's windows of the same length.",
        good="Below 3, which chance alone passes once in 370 windows, for each signal.",
        bad="Volume: callers were lost or multiplied. Confidence and entropy: the model answers unlike it used to, all "
        "alike or all over; probing looks so too.",
        do="Look at requests first. A version with part of the traffic, or a reference that is a sample, is always far "
        "in volume: read the other signals then.",
    )
    expr = by("max", select(names.PREDICTION_ANOMALY_SCORE), (SIGNAL, *BY_VERSION))
    queries = [Query(expr, f"{{{{{SIGNAL}}}}} ({VERSION_LEGEND})")]
    return trend("Prediction anomaly", text, queries, size=(16, 7), decimals=1, floor=0, empty=NO_RANGE)


def _repeated() -> Panel:
    text = describe(
        "Share of predictions that one input alone would have to make up for inputs to repeat as much as they do.",
        good="0 where inputs are unlike by nature; else flat.",
        bad="A rise: someone probes the model, retries in a loop, or a caller is stuck on one input.",
        do="Look at the requests of the busiest caller; the signal repeated_inputs at the left says how unusual it is.",
    )
    queries = [Query(by("max", select(names.REPEATED_INPUTS_RATIO), BY_VERSION), VERSION_LEGEND)]
    return trend("Repeated inputs", text, queries, size=(8, 7), unit="percentunit", floor=0, soft_top=0.01)
