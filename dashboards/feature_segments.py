"""The feature's drift by segment: whether it moved on one value alone, which the whole may hide."""

from dashboards.colors import CALM
from dashboards.drift import feature_limit
from dashboards.limits import Limit, steps
from dashboards.looks import Column, Query, describe
from dashboards.panels import Panel, table, trend
from dashboards.queries import OF_FEATURE, by, foremost, leading, method, select
from exporter import names
from exporter.config import Config
from exporter.names import MODEL_VERSION, SEGMENT, VALUE

SHOWN = 12  # as many lines as a legend holds without scrolling
LISTED = 30  # rows of the table; with its columns some 100 series
NONE_LISTED = "Only where a segment lists the feature (models[].segments[].features), on values with enough rows"
ROWS = (SEGMENT, VALUE, MODEL_VERSION)
LEGEND = f"{{{{{SEGMENT}}}}} {{{{{VALUE}}}}} ({{{{{MODEL_VERSION}}}}})"
PSI = select(names.SEGMENT_FEATURE_DRIFT_SCORE, OF_FEATURE, method("psi"))


def by_segment(config: Config) -> list[Panel]:
    """Over time, and now."""
    line = feature_limit(config)
    return [_in_time(line), _now(line)]


def _in_time(line: Limit) -> Panel:
    text = describe(
        f"Population stability index of the feature on each value of a segment against the same value of the "
        f"reference; the {SHOWN} that drifted most in this time range.",
        good="Together, and below the first level.",
        bad="One value leaves the others: the whole may stay calm, as opposite changes cancel out.",
        do="Look at what that value's source changed; if the change is real, retrain with more of its data.",
    )
    queries = [Query(leading(PSI, PSI, SHOWN, labels=ROWS), LEGEND)]
    return trend(
        "PSI by segment",
        text,
        queries,
        size=(14, 9),
        decimals=3,
        floor=0,
        limit=line,
        calcs=(),
        empty=NONE_LISTED,
    )


def _now(line: Limit) -> Panel:
    text = describe(
        f"The same at the end of the time range, with the predictions on each value; the {LISTED} "
        "values that drifted most.",
        good="No colour.",
        bad="A coloured value with many predictions. With few, chance alone gives some PSI.",
        do="Hold it against the same value in the model's table of segments: does accuracy suffer there?",
    )
    worst = foremost(PSI, by("max", PSI, ROWS), LISTED, ROWS)
    counted = f"{by('max', select(names.SEGMENT_PREDICTIONS_IN_WINDOW), ROWS)} and on ({', '.join(ROWS)}) {worst}"
    columns = [
        Column("Segment", label=SEGMENT),
        Column("Value", label=VALUE),
        Column("Version", label=MODEL_VERSION),
        Column("PSI", worst, decimals=3, colors=steps(line, ok="transparent") if line.common else ((CALM, None),)),
        Column("Predictions", counted, unit="short", decimals=1),
    ]
    return table("Segments now", text, columns, size=(10, 9), empty=NONE_LISTED, sort="PSI", descending=True)
