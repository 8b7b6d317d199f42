"""The page of one model and version: how right it is, over time, what its output does, and which features drifted."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from exporter import names
from exporter.config import Thresholds, parse_duration
from exporter.explain.drift import prediction_pair
from exporter.measures import Scope
from exporter.measures.base import effective_rows, labels_by_score
from exporter.measures.comparison import JUDGED
from exporter.measures.outcomes import coverage
from exporter.measures.performance import METRICS, performance_of
from exporter.names import Family
from exporter.pages.charts import Lines, Mark
from exporter.pages.document import Block, Cell, Document, Items, Paragraph, Section, Table, Target, columns
from exporter.pages.feature import choices, distribution_chart, lines
from exporter.pages.history import Point, Step, steps, trace
from exporter.pages.seen import Seen
from exporter.pages.verdicts import Verdict, feature_level, verdicts
from exporter.pages.words import MISSING, between, moment, number, percent, pvalue, said
from exporter.profile.layout import Profile
from exporter.profile.scorebins import EDGES
from exporter.stats import auc, performance
from exporter.stats.result import NotEnoughData

TOP = 10  # features on the model's page; the data-quality page has them all

_BOUNDS = {
    "accuracy": (names.MODEL_ACCURACY_LOWER, names.MODEL_ACCURACY_UPPER),
    "auc": (names.MODEL_AUC_LOWER, names.MODEL_AUC_UPPER),
    "calibration_error": (names.MODEL_CALIBRATION_ERROR_LOWER, names.MODEL_CALIBRATION_ERROR_UPPER),
}
_ESTIMATES = {
    "estimated accuracy": (names.MODEL_ESTIMATED_ACCURACY, names.MODEL_ESTIMATED_ACCURACY_LOWER,
                           names.MODEL_ESTIMATED_ACCURACY_UPPER),
    "estimated AUC": (names.MODEL_ESTIMATED_AUC, names.MODEL_ESTIMATED_AUC_LOWER, names.MODEL_ESTIMATED_AUC_UPPER),
}  # fmt: skip


def model_page(seen: Seen, scope: Scope, window: str) -> Document:
    """The page of the model and version of `scope`."""
    here = Target("model", scope.model.name, version=scope.version, window=window)
    found = steps(seen, scope, parse_duration(window))
    sections = [
        Section("What stands out", [stands_out(seen, scope)]),
        Section("Performance", list(_performance(seen, scope, window, found))),
        Section("Output", list(_output(seen, scope, window, found))),
        Section("Features", [_features(seen, scope, window), Paragraph(_FEATURES)]),
        Section("By version", [_versions(seen, scope, window)]),
    ]
    return Document(here, scope.model.name, [*choices(seen, here), _lead(seen, scope, window)], sections)


_FEATURES = (
    "Bounds of 0 and above say that chance may be the whole of it; a level stands only beside drift that is no chance."
)


def stands_out(seen: Seen, scope: Scope) -> Items:
    """The verdicts, each with where to look."""
    items = [Cell(verdict.text, _target(scope, verdict), verdict.level) for verdict in verdicts(seen, scope)]
    return Items(items, f"Nothing, over {scope.model.drift.window}.")


def _target(scope: Scope, verdict: Verdict) -> Target:
    of = Target("model", scope.model.name, verdict.feature, scope.version, verdict.window)
    return replace(of, page="feature") if verdict.feature else of


def _lead(seen: Seen, scope: Scope, window: str) -> Paragraph:
    newest = seen.number(names.LAST_RECORD_TIMESTAMP_SECONDS, scope.model.name)
    begun = "" if window in scope.complete else f" Its history begins within these {window}."
    rows = number(scope.windows[window].weight)
    return Paragraph(
        f"{scope.model.task.capitalize()} model, version {scope.version}: {rows} predictions in the {window} to "
        f"{moment(seen.at)}; "
        f"newest record of the model {moment(newest)}.{begun}"
    )


def _performance(seen: Seen, scope: Scope, window: str, found: list[Step]) -> Iterator[Block]:
    yield from _performance_charts(scope, found)
    baseline, limits = scope.totals.layout.baseline.performance, _limits(scope.model.thresholds)
    rows: list[tuple[Cell | str, ...]] = []
    for metric in performance_of(scope.labelled[window]):
        value = seen.of(scope, METRICS[metric], window)
        ends = _ends(seen, scope, window, _BOUNDS.get(metric, ()))
        ratio = seen.of(scope, names.MODEL_PERFORMANCE_BASELINE_RATIO, window, metric)
        low = value is not None and value < limits.get(metric, float("-inf"))
        poor = ratio is not None and ratio < scope.model.thresholds.baseline_ratio
        rows.append((said(metric), Cell(number(value), level="warning" if low else None), between(*ends),
                     number(baseline.get(metric)), Cell(percent(ratio), level="warning" if poor else None),
                     number(limits.get(metric))))  # fmt: skip
    for name, (family, *bounds) in _ESTIMATES.items():
        value = seen.of(scope, family, window)
        if value is not None:
            rows.append((name, number(value), between(*_ends(seen, scope, window, tuple(bounds))), *[MISSING] * 3))
    heads = columns("Metric", "Value", "95 % bounds", "Baseline", "Of baseline", "Limit")
    late = f"of the {window} that ended {scope.model.outcomes.maturity} ago" if scope.matured else "of the window"
    yield Table(f"On predictions {late} whose outcome has arrived; estimates need none", heads, rows)
    covered = seen.of(scope, names.MODEL_OUTCOME_COVERAGE_RATIO, window)
    yield Paragraph(
        f"Coverage: {percent(covered)} of the window's predictions have their outcome. Recent ones have it last."
    )


def _limits(thresholds: Thresholds) -> dict[str, float]:
    return {"accuracy": thresholds.accuracy, "auc": thresholds.auc}


def _ends(seen: Seen, scope: Scope, window: str, families: tuple[Family, ...]) -> tuple[float | None, float | None]:
    if not families:
        return None, None
    return seen.of(scope, families[0], window), seen.of(scope, families[1], window)


def _performance_charts(scope: Scope, found: list[Step]) -> Iterator[Lines]:
    limits = _limits(scope.model.thresholds)
    for metric in _CHARTED[scope.model.task]:
        baseline = scope.totals.layout.baseline.performance.get(metric)
        marks = [Mark("limit", limits[metric])] if metric in limits else []
        marks += [] if baseline is None else [Mark("baseline", baseline)]
        name = said(metric)
        title = f"{name[:1].upper()}{name[1:]} over time"
        yield lines(title, trace(found, _measure(metric)), marks)
    yield lines("Outcome coverage over time", trace(found, _coverage), [])


_CHARTED = {"binary": ("accuracy", "auc"), "multiclass": ("accuracy", "f1"), "regression": ("mae", "rmse")}


def _measure(metric: str) -> Callable[[Profile], Point]:
    def point(profile: Profile) -> Point:
        value = performance_of(profile)[metric]
        if isinstance(value, NotEnoughData):
            return None, None, None
        if metric == "accuracy":
            rows = effective_rows(profile, "labelled", float(profile.part("labelled")[1]))
            return _bounded(value, performance.wilson_interval(value, rows))
        if metric == "auc":
            negative, positive = labels_by_score(profile)
            n, m = (effective_rows(profile, "labelled", float(side.sum())) for side in (positive, negative))
            return _bounded(value, auc.delong_interval(positive, negative, n, m))
        return value, None, None

    return point


def _bounded(value: float, ends: tuple[float, float] | NotEnoughData) -> Point:
    return (value, None, None) if isinstance(ends, NotEnoughData) else (value, *ends)


def _coverage(profile: Profile) -> Point:
    value = coverage(profile)
    return (None if isinstance(value, NotEnoughData) else value), None, None


def _output(seen: Seen, scope: Scope, window: str, found: list[Step]) -> Iterator[Block]:
    pair, baseline = prediction_pair(scope, window), scope.totals.layout.baseline
    edges = None
    if pair.reference.at is not None:
        edges = tuple(EDGES[1:-1].tolist()) if baseline.output is None else baseline.output.edges
    title = "Scores: share of rows" if scope.model.task == "binary" else "Predictions: share of rows"
    chart = distribution_chart(title, list(pair.fine), edges, pair.reference.fine, pair.current.fine)
    if chart is not None:
        yield chart
    yield lines("Predictions over time", trace(found, lambda profile: (profile.weight, None, None)), [])
    rows = []
    for method in scope.model.drift.methods:
        drift = seen.of(scope, names.PREDICTION_DRIFT_SCORE, window, method)
        families = (names.PREDICTION_DRIFT_SCORE_LOWER, names.PREDICTION_DRIFT_SCORE_UPPER)
        ends = (seen.of(scope, family, window, method) for family in families)
        rows.append(
            (method, number(drift), between(*ends), number(seen.of(scope, names.OUTCOME_DRIFT_SCORE, window, method)))
        )
    yield Table("Distance from the reference, by method", columns("Method", "Output", "95 % bounds", "Outcomes"), rows)
    concept = seen.of(scope, names.CONCEPT_DRIFT_SCORE, window)
    if concept is not None:
        chance = pvalue(seen.of(scope, names.CONCEPT_DRIFT_PVALUE, window))
        yield Paragraph(
            f"Concept drift: {number(concept)} (p-value {chance}); 0 when labels follow scores as they did."
        )


def _features(seen: Seen, scope: Scope, window: str) -> Table:
    return feature_table(seen, scope, window, f"The {TOP} features that drifted most", TOP)


def feature_table(seen: Seen, scope: Scope, window: str, caption: str, most: int | None = None) -> Table:
    """Features by their PSI, those without one last."""
    scores = {feature.name: seen.of(scope, names.FEATURE_DRIFT_SCORE, window, feature.name, JUDGED)
              for feature in scope.totals.layout.features}  # fmt: skip
    ranked = sorted(scores.items(), key=lambda pair: (pair[1] is None, -(pair[1] or 0.0), pair[0]))[:most]
    top = max((score for score in scores.values() if score is not None), default=0.0)
    rows = []
    for name, score in ranked:
        ends = (seen.of(scope, family, window, name, JUDGED)
                for family in (names.FEATURE_DRIFT_SCORE_LOWER, names.FEATURE_DRIFT_SCORE_UPPER))  # fmt: skip
        link = Target("feature", scope.model.name, name, scope.version, window)
        level = feature_level(seen, scope, window, name)
        bar = score / top if score is not None and top > 0 else None
        complete = seen.of(scope, names.FEATURE_COMPLETENESS, window, name)
        rows.append((Cell(name, link), Cell(number(score), level=level, share=bar), between(*ends), percent(complete)))
    return Table(caption, columns("Feature", "PSI", "95 % bounds", "Complete"), rows)


def _versions(seen: Seen, scope: Scope, window: str) -> Table:
    shown = _CHARTED[scope.model.task]
    rows: list[tuple[Cell | str, ...]] = []
    for of in seen.versions(scope.model.name):
        link = Target("model", of.model.name, version=of.version, window=window)
        figures = (number(seen.of(of, METRICS[metric], window)) for metric in shown)
        rows.append((Cell(of.version, link), number(of.windows[window].weight), *figures,
                     percent(seen.of(of, names.MODEL_OUTCOME_COVERAGE_RATIO, window)),
                     number(seen.of(of, names.DRIFTED_FEATURES, window))))  # fmt: skip
    heads = columns("Version", "Predictions", *map(said, shown), "Coverage", "Drifted features")
    return Table(f"Over {window}, the version with the newest traffic last", heads, rows)
