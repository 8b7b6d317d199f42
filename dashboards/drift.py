"""Row 2, drift detection: inputs, output and outcomes in the window against the baseline's reference."""

from dashboards import links
from dashboards.colors import BAD, CALM, GOOD, NOTE, WARN
from dashboards.limits import Limit, fixed, limit, steps
from dashboards.looks import Column, Query, describe
from dashboards.panels import Panel, table, timeline, trend
from dashboards.performance import bounded
from dashboards.queries import (
    BY_FEATURE,
    BY_VERSION,
    FEATURE_LEGEND,
    VARIABLES,
    VERSION_LEGEND,
    by,
    foremost,
    leading,
    method,
    select,
    select_recorded,
)
from exporter import names
from exporter.config import Config
from exporter.names import Family

SHOWN = 12  # lines that a legend still holds without scrolling
LISTED = 50  # rows of the table; with fourteen columns 700 series
NO_DRIFT = "No window with enough rows in this time range"
NO_PERIOD = "Only where drift.periods asks for it, in the drift window, once the history reaches back behind the period"
PERIODS = {"previous": "the window before", "last_week": "a week ago"}
NO_CONCEPT = "Too few outcomes with a score in this time range, or a baseline without labels"
NO_RELATIONS = "No window with enough rows in this time range, or fewer than two numeric features that vary"
PSI = select(names.FEATURE_DRIFT_SCORE, method("psi"))
# A feature that is all missing has no score, and is not to be left out for that.
RANKING = f"{by('max', PSI, BY_FEATURE)} or 0 * {by('max', select(names.FEATURE_COMPLETENESS), BY_FEATURE)}"
METHOD_NAMES = {
    "psi": "PSI",
    "js": "JS",
    "ks": "KS",
    "chi2": "Chi²/df",
    "hellinger": "Hellinger",
    "tv": "TV",
    "wasserstein": "Wasserstein",
}
DECIMALS = {"chi2": 1}  # of the methods that three would be too many for


def drift(config: Config) -> list[Panel]:
    """The row's panels."""
    return [
        _by_feature(config),
        _count(config),
        _history(),
        _methods(config),
        _features(config),
        _unusual(),
        *_from_periods(config),
        _multivariate(),
        _prediction(config),
        _outcome(config),
        _concept(),
        _concept_pvalue(),
    ]


def feature_limit(config: Config) -> Limit:
    """The three levels of feature drift."""
    return limit(
        config.models,
        ("minor", NOTE, lambda of: of.feature_drift.minor),
        ("moderate", WARN, lambda of: of.feature_drift.moderate),
        ("severe", BAD, lambda of: of.feature_drift.severe),
    )


def _by_feature(config: Config) -> Panel:
    text = describe(
        f"Population stability index of the {SHOWN} features that drifted most in this time range. "
        "Dashed: minor, moderate and severe.",
        good="Below the first line.",
        bad="Above the second: investigate. Above the third: the reference no longer describes the input.",
        do="Several features at once: look upstream or at the season. One alone: look at its source. Then retrain.",
    )
    queries = [Query(leading(PSI, PSI, SHOWN), FEATURE_LEGEND)]
    return trend(
        "Drift by feature (PSI)",
        text,
        queries,
        size=(16, 10),
        decimals=3,
        floor=0,
        limit=feature_limit(config),
        legend="right",
        calcs=("lastNotNull", "max"),
        empty=NO_DRIFT,
        url=links.to_feature(links.OF_SERIES),
    )


def _count(config: Config) -> Panel:
    text = describe(
        "How many features have drifted: PSI at the minor level or above, significant after correction for the "
        "number of features, and enough rows.",
        good="0, or what the season brings.",
        bad="At the dashed line or above.",
        do="Read the table of features for which, and the bands for since when.",
    )
    line = limit(config.models, ("drifted features limit", BAD, lambda of: float(of.drifted_features)))
    queries = [Query(by("max", select(names.DRIFTED_FEATURES), BY_VERSION), VERSION_LEGEND)]
    return trend("Drifted features", text, queries, size=(8, 10), decimals=0, floor=0, limit=line, empty=NO_DRIFT)


def _history() -> Panel:
    text = describe(
        f"When each of the {SHOWN} features that drifted most was drifted.",
        good="No band of colour.",
        bad="A long band; bands that begin at the same moment share a cause.",
        do="Hold the beginning against releases and alerts (vertical marks).",
    )
    query = Query(leading(select(names.FEATURE_DRIFTED), PSI, SHOWN), FEATURE_LEGEND)
    words = {"0": ("stable", GOOD), "1": ("drifted", BAD)}
    return timeline(
        "Drifted, feature by feature",
        text,
        query,
        words=words,
        size=(16, 9),
        empty=NO_DRIFT,
        url=links.to_feature(links.OF_SERIES),
    )


def _methods(config: Config) -> Panel:
    text = describe(
        "Drift of what the model says (prediction) and of what then happened (outcome), by every method.",
        good="All small, whatever the method.",
        bad="Outcome drifts without inputs: the relation itself has changed (concept drift).",
        do="PSI is what alerts judge; the others say whether it is the shape or a shift.",
    )
    kinds = (("prediction", names.PREDICTION_DRIFT_SCORE), ("outcome", names.OUTCOME_DRIFT_SCORE))
    columns = [
        Column("Of", label="of", width=85),
        Column("Version", label=names.MODEL_VERSION),
        *(
            Column(
                METHOD_NAMES[name],
                " or ".join(_marked(family, name, kind) for kind, family in kinds),
                decimals=DECIMALS.get(name, 3),
            )
            for name in methods_of(config)
        ),
    ]
    return table("Prediction and outcome by method", text, columns, size=(8, 9), empty=NO_DRIFT, sort="Of")


def _marked(family: Family, name: str, kind: str) -> str:
    expr = by("max", select(family, method(name)), BY_VERSION)
    return f'label_replace({expr}, "of", "{kind}", "", "")'


def methods_of(config: Config) -> list[str]:
    """The methods that some model uses, in the order in which they are shown."""
    used = {name for model in config.models for name in model.drift.methods}
    return [name for name in METHOD_NAMES if name in used]


def _features(config: Config) -> Panel:
    text = describe(
        f"The {LISTED} features that drift most at the end of the time range, with each method's score, PSI's 95 % "
        "interval and p value, and the input's quality. Scales differ: PSI in nats, JS, KS, Hellinger and TV from 0 to "
        "1, chi-square over its degrees of freedom, Wasserstein in standard deviations.",
        good="Stable, complete, in range.",
        bad="Drifted together with incomplete or out-of-range values: broken input rather than a changed world.",
        do="Mend broken input first; it drifts for that reason alone. What is left is real drift.",
    )
    drifted = {"0": ("stable", GOOD), "1": ("drifted", BAD)}
    line = feature_limit(config)
    psi = steps(line, ok="transparent") if line.common else ((CALM, None),)
    quality = limit(config.models, ("completeness", BAD, lambda of: of.completeness), below=True)
    complete = steps(quality, ok="transparent") if quality.common else ((CALM, None),)
    scores = [
        Column(METHOD_NAMES[name], _ranked(names.FEATURE_DRIFT_SCORE, method(name)), decimals=DECIMALS.get(name, 3))
        for name in methods_of(config)
        if name != "psi"
    ]
    columns = [
        Column("Feature", label=names.FEATURE, url=links.to_feature(version=links.row("Version"))),
        Column("Version", label=names.MODEL_VERSION),
        Column("Verdict", _ranked(names.FEATURE_DRIFTED), words=drifted),
        Column("PSI", foremost(PSI, RANKING, LISTED), decimals=3, colors=psi),
        Column("from", _ranked(names.FEATURE_DRIFT_SCORE_LOWER, method("psi")), decimals=3),
        Column("to", _ranked(names.FEATURE_DRIFT_SCORE_UPPER, method("psi")), decimals=3),
        *scores,
        Column("p value", _ranked(names.FEATURE_DRIFT_PVALUE, method("psi")), decimals=4, tiny=0.0001),
        Column("Complete", _ranked(names.FEATURE_COMPLETENESS), unit="percentunit", decimals=2, colors=complete),
        Column("Out of range", _ranked(names.FEATURE_OUT_OF_RANGE_RATIO), unit="percentunit", decimals=2),
        Column("Unseen", _ranked(names.FEATURE_UNSEEN_CATEGORY_RATIO), unit="percentunit", decimals=2),
    ]
    return table("Features", text, columns, size=(24, 10), empty=NO_DRIFT, sort="PSI", descending=True)


def _ranked(family: Family, *more: str) -> str:
    return foremost(select(family, *more), RANKING, LISTED)


def _unusual() -> Panel:
    over = select_recorded(names.DRIFT_OVER_THRESHOLD, VARIABLES[names.WINDOW])
    text = describe(
        f"PSI over its calibrated threshold, for the {SHOWN} features that came nearest to it or went furthest beyond. "
        "The threshold knows how the reference's own windows stray, with hours, weekdays and rows.",
        good="Below 1, but for the few false alarms a month that the configuration allows.",
        bad="Above 1: the feature does what it did not do in the reference, however small it may be.",
        do="Hold it against the fixed levels above: unusual and large is drift; unusual and small is to be noted.",
    )
    return trend(
        "Drift over its usual limit",
        text,
        [Query(leading(over, over, SHOWN), FEATURE_LEGEND)],
        size=(24, 8),
        decimals=2,
        floor=0,
        limit=fixed("threshold", 1.0, NOTE),
        legend="right",
        calcs=("lastNotNull", "max"),
        url=links.to_feature(links.OF_SERIES),
        empty="Only in the drift window, of models whose reference has time stamps and windows enough",
    )


def _period(name: str) -> str:
    return f'{names.PERIOD}="{name}"'


def _from_periods(config: Config) -> list[Panel]:
    """Only where a model is held against its own past."""
    if not any(model.drift.periods for model in config.models):
        return []
    return [_recent(config), _recent_prediction(config)]


def _recent(config: Config) -> Panel:
    text = describe(
        f"Population stability index of the {SHOWN // 2} features that moved most away from the model's own past, by "
        "period: the window before, and the same time a week ago.",
        good="Near 0, also where the drift from the baseline is large: a new level that holds.",
        bad="Away from the window before: something happens now. From it but not from a week ago: the usual week.",
        do="Look for what changed when the line rose. Back at 0 while the drift above stays: renew the baseline.",
    )
    series = {name: select(names.FEATURE_RECENT_DRIFT_SCORE, method("psi"), _period(name)) for name in PERIODS}
    queries = [Query(leading(of, of, SHOWN // 2), f"{FEATURE_LEGEND}, {PERIODS[name]}") for name, of in series.items()]
    return trend(
        "Drift from the recent past (PSI)",
        text,
        queries,
        size=(16, 8),
        decimals=3,
        floor=0,
        limit=feature_limit(config),
        legend="right",
        calcs=("lastNotNull", "max"),
        empty=NO_PERIOD,
    )


def _recent_prediction(config: Config) -> Panel:
    text = describe(
        "Population stability index of the model's output against the model's own past, all its versions together.",
        good="Near 0.",
        bad="Away from 0: the model answers otherwise than it just did; after a release, the version does.",
        do="Hold the rise against releases and against the features beside.",
    )
    labels = (*BY_VERSION, names.PERIOD)
    score = select(names.PREDICTION_RECENT_DRIFT_SCORE, method("psi"))
    queries = [Query(by("max", score, labels), f"{VERSION_LEGEND}, {{{{{names.PERIOD}}}}}")]
    line = limit(config.models, ("prediction drift", WARN, lambda of: of.prediction_drift))
    title = "Prediction drift from the recent past (PSI)"
    return trend(title, text, queries, size=(8, 8), decimals=3, floor=0, limit=line, empty=NO_PERIOD)


def _multivariate() -> Panel:
    text = describe(
        "By which share the error of rebuilding the numeric features from the reference's principal components exceeds "
        "the reference's own: 1 is twice as much. Dotted: its 95 % interval.",
        good="0 within the dotted lines.",
        bad="Above, while no single feature drifts: features left the relations that the model learned. Below: they "
        "vary less than they did.",
        do="Changes of correlation, under Data quality, name the features; join keys and units upstream come first.",
    )
    ends = (names.MULTIVARIATE_DRIFT_SCORE_LOWER, names.MULTIVARIATE_DRIFT_SCORE_UPPER)
    queries = bounded(names.MULTIVARIATE_DRIFT_SCORE, *ends)
    return trend("Multivariate drift", text, queries, size=(24, 8), decimals=3, empty=NO_RELATIONS)


def _prediction(config: Config) -> Panel:
    text = describe(
        "Population stability index of the model's output against the reference. Needs no outcomes. Dotted: its 95 % "
        "interval.",
        good="Below the first line.",
        bad="Above: the model answers differently than it did when it was approved.",
        do="Find the feature that moved with it; if none did, look for a changed model or pipeline.",
    )
    line = limit(
        config.models,
        ("prediction drift", WARN, lambda of: of.prediction_drift),
        ("severe prediction drift", BAD, lambda of: of.prediction_drift_severe),
    )
    ends = (names.PREDICTION_DRIFT_SCORE_LOWER, names.PREDICTION_DRIFT_SCORE_UPPER)
    queries = bounded(names.PREDICTION_DRIFT_SCORE, *ends, method("psi"))
    return _scores("Prediction drift (PSI)", text, queries, line)


def _outcome(config: Config) -> Panel:
    text = describe(
        "Population stability index of the outcomes against the reference: has the world changed?",
        good="Near 0. Dashed: the levels of feature drift, for scale; no alert looks at them here.",
        bad="Rising while the prediction does not: the model has not noticed.",
        do="Compare the share of positives with the reference; recalibrate or retrain.",
    )
    queries = [Query(by("max", select(names.OUTCOME_DRIFT_SCORE, method("psi")), BY_VERSION), VERSION_LEGEND)]
    return _scores("Outcome drift (PSI)", text, queries, feature_limit(config))


def _concept() -> Panel:
    text = describe(
        "By how much the share of positive outcomes at a given score left that of the reference, without the noise of "
        "few rows: 0.1 means that rates are ten points off. Binary models, once outcomes are here.",
        good="0 or near it.",
        bad="Away from 0 with a small p value: the same scores mean something else now, whether inputs drifted or not.",
        do="Recalibrate when AUC holds; retrain on recent outcomes when it fell too. Do not trust estimates meanwhile.",
    )
    queries = [Query(by("max", select(names.CONCEPT_DRIFT_SCORE), BY_VERSION), VERSION_LEGEND)]
    return trend("Concept drift", text, queries, size=(12, 8), decimals=3, floor=0, empty=NO_CONCEPT)


def _concept_pvalue() -> Panel:
    text = describe(
        "How often chance alone would give rates as far from the reference's, if rows were independent.",
        good="Anywhere from 0 to 1, moving about.",
        bad="At 0 for long. Large windows get there on small changes too: the score says how large.",
        do="Read it beside the score. Rows of a busy hour resemble each other, so take a single small value lightly.",
    )
    queries = [Query(by("min", select(names.CONCEPT_DRIFT_PVALUE), BY_VERSION), VERSION_LEGEND)]
    return trend("Concept drift (p value)", text, queries, size=(12, 8), decimals=4, floor=0, top=1, empty=NO_CONCEPT)


def _scores(title: str, text: str, queries: list[Query], line: Limit) -> Panel:
    return trend(title, text, queries, size=(12, 8), decimals=3, floor=0, limit=line, empty=NO_DRIFT)
