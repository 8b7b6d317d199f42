"""Row 4, data quality: what is missing, wrong, out of range or never seen before."""

from dashboards import links
from dashboards.colors import BAD
from dashboards.drift import NO_RELATIONS
from dashboards.limits import limit
from dashboards.looks import Query, describe
from dashboards.panels import Panel, trend
from dashboards.queries import (
    BY_VERSION,
    FEATURE_LEGEND,
    VERSION_LEGEND,
    by,
    leading,
    per_second,
    per_second_by,
    select,
    select_recorded,
    zero_where,
)
from exporter import names
from exporter.config import Config
from exporter.names import Family

WIDE = 12  # in one across the row
SHOWN = 6  # features in one small graph; the table under Drift detection lists more
TO_FEATURE = links.to_feature(links.OF_SERIES)
CLEAN = "Nothing of this kind in this time range"


def quality(config: Config) -> list[Panel]:
    """The row's panels."""
    return [
        _completeness(config),
        _missing(config),
        _invalid(config),
        _reasons(),
        _out_of_range(),
        _unseen(),
        _correlation(),
    ]


def _completeness(config: Config) -> Panel:
    text = describe(
        f"Share of predictions that carry the feature, for the {SHOWN} least complete features.",
        good="Above the dashed line, or flat where it has always been lower.",
        bad="A step down: a source stopped filling the field.",
        do="Ask the field's owner; until it is mended, expect this feature to drift.",
    )
    completeness = select(names.FEATURE_COMPLETENESS)
    queries = [Query(leading(completeness, completeness, SHOWN, lowest=True), FEATURE_LEGEND)]
    line = limit(config.models, ("completeness limit", BAD, lambda of: of.completeness), below=True)
    return trend("Least complete features", text, queries, unit="percentunit", limit=line, calcs=(), url=TO_FEATURE)


def _missing(config: Config) -> Panel:
    text = describe(
        "Missing values as a share of all feature values expected, over an hour; the recorded series of the alert.",
        good="Below the dashed line.",
        bad="Above it, or a step: one feature went missing altogether, or many now and then.",
        do="The graph at the left says which.",
    )
    line = limit(config.models, ("missing limit", BAD, lambda of: of.missing_features))
    return trend(
        "Missing values", text, _recorded(names.MISSING_FEATURE_RATIO), unit="percentunit", floor=0, limit=line
    )


def _invalid(config: Config) -> Panel:
    text = describe(
        "Values the model cannot have learned from, as a share of all values expected, over an hour; recorded.",
        good="Below the dashed line.",
        bad="Above it: callers send other types or categories than the reference has.",
        do="See the reasons below; wrong types mostly come with a release of the caller.",
    )
    line = limit(config.models, ("invalid limit", BAD, lambda of: of.invalid_inputs))
    return trend("Invalid values", text, _recorded(names.INVALID_INPUT_RATIO), unit="percentunit", floor=0, limit=line)


def _recorded(name: str) -> list[Query]:
    expr = zero_where(by("max", select_recorded(name), BY_VERSION), names.FEATURE_VALUES_TOTAL, BY_VERSION)
    return [Query(expr, VERSION_LEGEND)]


def _reasons() -> Panel:
    text = describe(
        "Missing and invalid values a second, by reason.",
        good="No area at all.",
        bad="A reason that was not there yesterday.",
        do="wrong_type, non_finite: the caller. unseen_category: a new value of the world, or a spelling.",
    )
    queries = [
        Query(per_second(names.MISSING_FEATURES_TOTAL), "missing"),
        Query(per_second_by(names.INVALID_INPUTS_TOTAL, "reason"), "{{reason}}"),
    ]
    return trend("Bad values by reason", text, queries, unit="suffix: /s", stack=True, floor=0, empty=CLEAN)


def _out_of_range() -> Panel:
    text = describe(
        f"Share of values outside the range that the reference saw, for the {SHOWN} features with most of them.",
        good="A few in a thousand: the reference cannot hold every extreme.",
        bad="Several per cent: another unit, another population, another season.",
        do="Check the unit first (metres for feet), then extend the reference.",
    )
    return _worst("Out of range", text, names.FEATURE_OUT_OF_RANGE_RATIO)


def _unseen() -> Panel:
    text = describe(
        f"Share of categories that the reference does not hold, for the {SHOWN} features with most of them.",
        good="Near 0.",
        bad="Rising: new products, carriers, spellings, which the model answers blindly.",
        do="Map spellings upstream; retrain with the new categories.",
    )
    return _worst("Unseen categories", text, names.FEATURE_UNSEEN_CATEGORY_RATIO)


def _correlation() -> Panel:
    text = describe(
        "Largest change of a feature's correlation with another numeric feature against the reference that chance does "
        f"not explain, for the {WIDE} features with the largest.",
        good="0, or small and steady: large windows see small changes.",
        bad="0.2 or more. Two features with the same value are the pair that came apart, or together.",
        do="Rows joined by a wrong key, a column shifted against the others, a changed unit of a share of the rows.",
    )
    change = select(names.FEATURE_CORRELATION_CHANGE)
    queries = [Query(leading(change, change, WIDE), FEATURE_LEGEND)]
    return trend(
        "Change of correlation",
        text,
        queries,
        size=(24, 8),
        decimals=2,
        floor=0,
        soft_top=0.2,
        legend="right",
        calcs=("lastNotNull", "max"),
        empty=NO_RELATIONS,
    )


def _worst(title: str, text: str, family: Family) -> Panel:
    queries = [Query(leading(select(family), select(family), SHOWN), FEATURE_LEGEND)]
    # One in a hundred fills the axis: where all is well, the lines lie at its foot.
    return trend(
        title, text, queries, unit="percentunit", floor=0, soft_top=0.01, empty=CLEAN, calcs=(), url=TO_FEATURE
    )
