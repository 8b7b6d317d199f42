"""The dashboard of one feature: how far it drifted and by which measure, where its values lie now, what is missing."""

from collections.abc import Iterator
from typing import Any

from dashboards import links
from dashboards.alerts import firing_table, marks
from dashboards.colors import BAD, GOOD, MUTED, NOTE, OTHER, RAMP, WARN
from dashboards.drift import METHOD_NAMES, NO_DRIFT, feature_limit, methods_of
from dashboards.feature_segments import by_segment
from dashboards.limits import Limit, Line, fixed, limit
from dashboards.looks import Column, Query, dashed, describe, hue
from dashboards.panels import Panel, dashboard, place, row, stat, table, timeline, trend
from dashboards.performance import bounded
from dashboards.queries import (
    BY_VERSION,
    OF_FEATURE,
    VARIABLES,
    VERSION_LEGEND,
    by,
    method,
    select,
    unwindowed,
)
from dashboards.variables import datasource, feature, model, refresh, span, versions, window
from exporter import names
from exporter.config import Config
from exporter.names import Family

NO_SHARES = "Only for the drift window, with enough rows, and while drift.distributions is on"
PSI = method("psi")
BIN = f"{{{{{names.BIN}}}}}"
IN_FEATURE = {"Version": names.MODEL_VERSION, "Window": names.WINDOW}  # what is not the same for all alerts here
UNBOUNDED = {"chi2", "wasserstein"}  # methods that would flatten the others, which end at 1, on one axis
TESTED = ("psi", "js", "ks", "chi2")  # methods with a p value
HUES = (NOTE, WARN, OTHER, GOOD, BAD, MUTED)
BY_WINDOW = (names.WINDOW, names.MODEL_VERSION)


def feature_dashboard(config: Config) -> Any:
    """The page of one feature for `config`, as a grafanalib object."""
    this = VARIABLES[names.MODEL_NAME]
    return dashboard(
        title="Feature drill-down",
        uid=links.FEATURE,
        description="Drift, distribution and quality of one feature of a model. Generated; change the code.",
        tags=["prediction-exporter", "machine-learning"],
        refresh=refresh(config),
        span=span(config),
        variables=[datasource(), model(), feature(), versions(), window(config, this)],
        annotations=marks(config, this, f"{this},{OF_FEATURE}"),
        links=[links.to_fleet(), links.to_the_model(), *links.outside(config)],
        panels=place(
            [
                *_numbers(config),
                row("Drift"),
                _psi(config),
                _verdicts(),
                *_by_method(config),
                _pvalues(config),
                _by_window(config),
                row("Distribution"),
                _now(),
                _in_time(),
                row("By segment"),
                *by_segment(config),
                row("Data quality"),
                _completeness(config),
                _out_of_range(),
                _unseen(),
                row("What else happened"),
                _performance(config),
                firing_table(config, f"{this},{OF_FEATURE}", about=IN_FEATURE, links={}, size=(16, 8)),
            ]
        ),
    )


def _of(family: Family, *more: str) -> str:
    return select(family, OF_FEATURE, *more)


def _numbers(config: Config) -> Iterator[Panel]:
    psi = describe(
        "Population stability index of the feature in the window against the reference; the worst chosen version.",
        good="Below the minor level.",
        bad="Orange: moderate, investigate. Vermillion: severe, the reference no longer describes the input.",
        do="See below whether it came at once or crept, and which values moved.",
    )
    yield stat(
        "PSI",
        psi,
        by("max", _of(names.FEATURE_DRIFT_SCORE, PSI)),
        decimals=3,
        size=(4, 4),
        limit=feature_limit(config),
        empty="too few rows",
    )
    usual = describe(
        "PSI over the feature's calibrated threshold, which knows how its reference's own windows stray.",
        good="Below 1.",
        bad="Above 1: more than the usual seasons and chance explain, however small it may be.",
        do="Unusual and large is drift; unusual and small is to be noted.",
    )
    ratio = f"{_of(names.FEATURE_DRIFT_SCORE, PSI)} / {_of(names.FEATURE_DRIFT_THRESHOLD, PSI)}"
    yield stat(
        "Of its usual limit",
        usual,
        by("max", ratio),
        decimals=2,
        size=(4, 4),
        limit=fixed("usual", 1, NOTE),
        empty="not calibrated",
    )
    pvalue = describe(
        "How often chance alone would give such a PSI, if rows were independent and before correction.",
        good="Not near 0.",
        bad="0 for long, together with a PSI above the minor level.",
        do="Believe the size first: with many rows every small change is significant.",
    )
    yield stat(
        "p value of PSI",
        pvalue,
        by("min", _of(names.FEATURE_DRIFT_PVALUE, PSI)),
        decimals=4,
        tiny=0.0001,
        size=(4, 4),
        floor=0,
        top=1,
        empty="too few rows",
    )
    complete = describe(
        "Share of the window's predictions that carry the feature; the worst chosen version.",
        good="Above the limit, or where it has always been.",
        bad="Below it: a source has stopped filling the field.",
        do="Ask the field's owner; what is missing cannot drift.",
    )
    yield stat(
        "Complete",
        complete,
        by("min", _of(names.FEATURE_COMPLETENESS)),
        unit="percentunit",
        decimals=2,
        size=(4, 4),
        limit=_complete(config),
    )
    outside = describe(
        "Share of present values outside what the reference saw: numbers out of range, or categories never seen.",
        good="Near 0 %.",
        bad="Several per cent: another unit, another population, a new spelling.",
        do="Check unit and spelling first; then retrain with the new values.",
    )
    new = f"{_of(names.FEATURE_OUT_OF_RANGE_RATIO)} or {_of(names.FEATURE_UNSEEN_CATEGORY_RATIO)}"
    yield stat(
        "Never seen before", outside, by("max", new), unit="percentunit", decimals=2, size=(4, 4), floor=0, top=1
    )
    rows = describe(
        "Predictions in the window, over the chosen versions.",
        good="The usual volume.",
        bad="Few: every number here is coarse, and below drift.min_rows there is none.",
        do="Choose a longer window.",
    )
    counted = by("sum", by("max", select(names.PREDICTIONS_IN_WINDOW), BY_VERSION))
    yield stat("Predictions", rows, counted, unit="short", size=(4, 4))


def _complete(config: Config) -> Limit:
    return limit(config.models, ("completeness limit", BAD, lambda of: of.completeness), below=True)


def _psi(config: Config) -> Panel:
    text = describe(
        "Population stability index in the window, by version. Dotted: its 95 % interval. Blue dashes: the calibrated "
        "threshold. Other dashes: minor, moderate and severe.",
        good="Below the calibrated threshold and the first level.",
        bad="Above the second level: investigate. Above the third: retrain, or mend the source.",
        do="A step points to a release or a broken source; a slope to season or population.",
    )
    ends = (names.FEATURE_DRIFT_SCORE_LOWER, names.FEATURE_DRIFT_SCORE_UPPER)
    threshold = by("max", _of(names.FEATURE_DRIFT_THRESHOLD, PSI), BY_VERSION)
    queries = [
        *bounded(names.FEATURE_DRIFT_SCORE, *ends, PSI, OF_FEATURE),
        Query(threshold, f"calibrated threshold ({VERSION_LEGEND})", dashed(OTHER)),
    ]
    line = feature_limit(config)
    return trend("PSI", text, queries, size=(16, 10), decimals=3, floor=0, limit=line, calcs=(), empty=NO_DRIFT)


def _verdicts() -> Panel:
    text = describe(
        "When the feature was drifted: PSI at the minor level, significant, and enough rows; by window and version.",
        good="No band of vermillion.",
        bad="A band in the short window alone: a spell. In the long one too: it stays.",
        do="Hold the beginning against deployments and alerts (vertical marks).",
    )
    words = {"0": ("stable", GOOD), "1": ("drifted", BAD)}
    expr = by("max", unwindowed(names.FEATURE_DRIFTED, OF_FEATURE), BY_WINDOW)
    query = Query(expr, f"{{{{{names.WINDOW}}}}} {VERSION_LEGEND}")
    return timeline("Drifted, window by window", text, query, words=words, size=(8, 10), empty=NO_DRIFT)


def _by_method(config: Config) -> Iterator[Panel]:
    text = describe(
        "The other distances. At the left JS, KS, Hellinger and TV, from 0 to 1; at the right chi-square over its "
        "degrees of freedom and Wasserstein in standard deviations of the reference. The worst chosen version.",
        good="All low.",
        bad="KS and Wasserstein rise: values shifted. JS and chi-square alone: their mix changed.",
        do="PSI is what alerts judge; these say what kind of change it is.",
    )
    methods = [name for name in methods_of(config) if name != "psi"]
    queries = [
        Query(by("max", _of(names.FEATURE_DRIFT_SCORE, method(name))), METHOD_NAMES[name], _scaled(name, color))
        for name, color in zip(methods, HUES, strict=False)
    ]
    if queries:
        yield trend("Every other method", text, queries, decimals=3, floor=0, calcs=(), empty=NO_DRIFT)


def _scaled(name: str, color: str) -> dict[str, Any]:
    return hue(color) | ({"custom.axisPlacement": "right", "decimals": 1} if name in UNBOUNDED else {})


def _pvalues(config: Config) -> Panel:
    text = describe(
        "How often chance alone would give as large a distance, by method, if rows were independent.",
        good="Anywhere from 0 to 1, moving about.",
        bad="At 0 for long: not chance. The verdict also corrects for the number of features.",
        do="Read it beside the size: with many rows small changes are significant too.",
    )
    line = Limit((Line("significance", NOTE, _significance(config)),), below=True).shared
    queries = [
        Query(by("min", _of(names.FEATURE_DRIFT_PVALUE, method(name))), METHOD_NAMES[name], hue(color))
        for name, color in zip([name for name in methods_of(config) if name in TESTED], (MUTED, *HUES), strict=False)
    ]
    return trend("p values", text, queries, decimals=4, floor=0, top=1, limit=line, calcs=(), empty=NO_DRIFT)


def _significance(config: Config) -> tuple[tuple[str, float], ...]:
    return tuple((model.name, model.drift.significance) for model in config.models)


def _by_window(config: Config) -> Panel:
    text = describe(
        "Population stability index over every window, by version: short windows move first, long ones last.",
        good="All below the first level.",
        bad="The long window follows the short one: the change stays.",
        do="Long window high, short one low: it is over, and the long one will follow.",
    )
    expr = by("max", unwindowed(names.FEATURE_DRIFT_SCORE, PSI, OF_FEATURE), BY_WINDOW)
    queries = [Query(expr, f"{{{{{names.WINDOW}}}}} {VERSION_LEGEND}")]
    line = feature_limit(config)
    return trend("PSI by window", text, queries, decimals=3, floor=0, limit=line, calcs=(), empty=NO_DRIFT)


def _now() -> Panel:
    text = describe(
        "Where the feature's present values lie at the end of the time range, beside the reference: shares by bin of "
        "the drift window, and their difference. Bins are numbered in order; they are what PSI is computed on, or "
        "joined from these.",
        good="Bars of about equal length in every row.",
        bad="Values moved to the ends, into one bin, or into other and unseen.",
        do="Mass at one end: a shift, or another unit. One bin alone: a default value that a source fills in.",
    )
    current = by("max", unwindowed(names.FEATURE_DISTRIBUTION_RATIO, OF_FEATURE), (names.BIN, *BY_VERSION))
    known = by("max", select(names.FEATURE_REFERENCE_RATIO, OF_FEATURE), (names.BIN,))
    on = f"on ({names.BIN})"
    beside = f"(0 * {current} + {on} group_left () {known}) or ({known} unless {on} {current})"
    columns = [
        Column("Bin", label=names.BIN),
        Column("Version", label=names.MODEL_VERSION, width=110),
        Column("Reference", beside, unit="percentunit", decimals=1, shape="bar", color=MUTED),
        Column("Now", current, unit="percentunit", decimals=1, shape="bar", color=NOTE),
        Column("Change", f"{current} - {on} group_left () {known}", unit="percentunit", decimals=1, width=100),
    ]
    return table("Against the reference", text, columns, size=(12, 14), empty=NO_SHARES, sort="Bin")


def _in_time() -> Panel:
    text = describe(
        "The shares of the bins in the drift window over time, the first bin at the foot; the mean of the chosen "
        "versions. Dark to bright: from the first bin to the last.",
        good="Bands of steady width.",
        bad="One band swells at the others' cost.",
        do="Hold the moment against deployments and alerts (vertical marks).",
    )
    shares = by("avg", unwindowed(names.FEATURE_DISTRIBUTION_RATIO, OF_FEATURE), (names.BIN,))
    hues = {f"^{place:02d}: ": color for place, color in enumerate(RAMP, start=1)}
    return trend(
        "Distribution over time",
        text,
        [Query(shares, BIN)],
        unit="percentunit",
        stack=True,
        floor=0,
        top=1,
        size=(12, 14),
        calcs=(),
        hues=hues,
        empty=NO_SHARES,
    )


def _completeness(config: Config) -> Panel:
    text = describe(
        "Share of the window's predictions that carry the feature, by version; missing is what lacks to 100 %.",
        good="Above the dashed line, or flat where it has always been lower.",
        bad="A step down: a source stopped filling the field.",
        do="Ask the field's owner; until it is mended, expect the feature to drift.",
    )
    line = _complete(config)
    return trend("Completeness", text, _by_version(names.FEATURE_COMPLETENESS), unit="percentunit", top=1, limit=line)


def _out_of_range() -> Panel:
    text = describe(
        "Share of the window's present numbers outside the range that the reference saw, by version.",
        good="A few in a thousand: the reference cannot hold every extreme.",
        bad="Several per cent: another unit, another population, another season.",
        do="Check the unit first (metres for feet), then extend the reference.",
    )
    queries = _by_version(names.FEATURE_OUT_OF_RANGE_RATIO)
    return trend("Out of range", text, queries, unit="percentunit", floor=0, soft_top=0.01, empty="A category has none")


def _unseen() -> Panel:
    text = describe(
        "Share of the window's present categories that the reference does not hold, by version.",
        good="Near 0.",
        bad="Rising: new products, carriers, spellings, which the model answers blindly.",
        do="Map spellings upstream; retrain with the new categories.",
    )
    queries = _by_version(names.FEATURE_UNSEEN_CATEGORY_RATIO)
    return trend(
        "Unseen categories", text, queries, unit="percentunit", floor=0, soft_top=0.01, empty="A number has none"
    )


def _by_version(family: Family) -> list[Query]:
    return [Query(by("max", _of(family), BY_VERSION), VERSION_LEGEND)]


def _performance(config: Config) -> Panel:
    text = describe(
        "The worst of the model's metrics over its value on the reference data: did performance follow the drift?",
        good="Near 100 %: the model copes with the change, for now.",
        bad="Below the dashed line since the drift began.",
        do="If it followed, retrain. If it did not, note the drift and watch.",
    )
    queries = [Query(by("min", select(names.MODEL_PERFORMANCE_BASELINE_RATIO), BY_VERSION), VERSION_LEGEND)]
    line = limit(config.models, ("baseline limit", BAD, lambda of: of.baseline_ratio), below=True)
    return trend("The model's performance", text, queries, unit="percentunit", limit=line, empty="Too few outcomes")
