"""Row 1 written out: confusion counts, sums of losses, ranks of scores, coverage, and the ratio to the baseline."""

from collections.abc import Iterator, Mapping

import numpy as np

from exporter import names
from exporter.explain.base import Explanation, Table, Working
from exporter.explain.cells import OTHER_CLASS
from exporter.measures import Scope
from exporter.measures.base import effective_rows, labels_by_score
from exporter.measures.outcomes import coverage
from exporter.measures.performance import LOWER_IS_BETTER, METRICS, baseline_ratio, performance_of
from exporter.profile.layout import Profile
from exporter.profile.scorebins import EDGES
from exporter.stats import auc, performance
from exporter.stats.result import Z_95, NotEnoughData, Value

_FORMULAS = {
    "accuracy": "labelled predictions that were right, over all labelled predictions",
    "precision": "TP / (TP + FP): of the predicted positives, the share that was right",
    "recall": "TP / (TP + FN): of the labelled positives, the share that was found",
    "f1": "2 TP / (2 TP + FP + FN)",
    "auc": (
        "sum over score cells of positives times (negatives in lower cells + half of those in the same cell), over all "
        "positives times all negatives"
    ),
    "log_loss": "sum of w (-ln P(label)) over the sum of w, with P at least 1e-15",
    "brier_score": "sum of w (score - label)^2 over the sum of w",
    "calibration_error": "sum over ten score cells of |sum of w label - sum of w score|, over the sum of w",
    "mae": "sum of w |prediction - label| over the sum of w",
    "rmse": "square root of the sum of w (prediction - label)^2 over the sum of w",
    "r2": "1 - sum of w (prediction - label)^2 over the sum of w (label - mean)^2, which is S2 - S1^2 / sum of w",
}
_MACRO = "; the mean over the classes for which it is defined"


def explain_performance(scope: Scope, window: str) -> Iterator[Explanation]:
    """Every metric of the model's task, its interval where counts give it, coverage, and ratios to the baseline."""
    of, profile = (scope.model.name, scope.version, window), scope.labelled[window]
    for metric, value in performance_of(profile).items():
        yield Explanation(METRICS[metric], of, _working(metric, value, profile))
        yield Explanation(names.MODEL_PERFORMANCE_BASELINE_RATIO, (*of, metric), _ratio(scope, metric, value))
        yield from _bounds(of, metric, value, profile)
    yield Explanation(names.MODEL_OUTCOME_COVERAGE_RATIO, of, _coverage(scope.windows[window]))


def _working(metric: str, value: Value, profile: Profile) -> Working:
    formula, task = _FORMULAS[metric], profile.layout.baseline.task
    if task == "regression":
        return Working(formula, value, _regression_sums(metric, profile))
    if metric in ("accuracy", "precision", "recall", "f1"):
        if task == "binary":
            return Working(formula, value, _confusion(profile))
        return Working(formula + _MACRO * (metric != "accuracy"), value, table=_classes(profile))
    if metric == "auc":
        return _auc(formula, value, profile)
    if metric == "calibration_error":
        return _calibration(formula, value, profile)
    weight, loss, squared = map(float, profile.part("losses"))
    return Working(formula, value, {"sum of w": weight} | (
        {"sum of w (-ln P)": loss} if metric == "log_loss" else {"sum of w (score - label)^2": squared}))  # fmt: skip


def _confusion(profile: Profile) -> dict[str, float]:
    (tn, fp), (fn, tp) = profile.part("outcome").sum(axis=2).tolist()
    return {"TP": tp, "FP": fp, "FN": fn, "TN": tn}


def _classes(profile: Profile) -> Table:
    """The confusion matrix, and each class's own precision, recall and F1; nothing where undefined."""
    confusion = profile.part("outcome")
    labels = [*profile.layout.baseline.classes, OTHER_CLASS]
    by_class = (performance.precision_by_class, performance.recall_by_class, performance.f1_by_class)
    own = [["" if isinstance(value, NotEnoughData) else value for value in of(confusion)] for of in by_class]
    heads = ("label", *(f"as {label}" for label in labels), "precision", "recall", "f1")
    return Table(heads, [(label, *row, *values) for label, row, *values in
                         zip(labels, confusion.tolist(), *own, strict=True)])  # fmt: skip


def _auc(formula: str, value: Value, profile: Profile) -> Working:
    negative, positive = labels_by_score(profile)
    below = np.cumsum(negative) - negative
    wins = positive * (below + negative / 2)
    heads = ("score from", "to below", "positives", "negatives", "negatives in lower cells", "term")
    occupied = np.flatnonzero(positive + negative)
    columns = [column[occupied].tolist() for column in (EDGES[:-1], EDGES[1:], positive, negative, below, wins)]
    given = {"positives": float(positive.sum()), "negatives": float(negative.sum())}
    return Working(formula, value, given, Table(heads, list(zip(*columns, strict=True))),
                   {"sum of the terms": float(wins.sum())})  # fmt: skip


def _calibration(formula: str, value: Value, profile: Profile) -> Working:
    weight, score, label = profile.part("calibration").T
    heads = ("score", "sum of w", "sum of w score", "sum of w label", "term")
    cells = [f"{place / 10:g} to {(place + 1) / 10:g}" for place in range(len(weight))]
    terms = np.abs(label - score)
    columns = [column.tolist() for column in (weight, score, label, terms)]
    return Working(formula, value, table=Table(heads, list(zip(cells, *columns, strict=True))),
                   steps={"sum of the terms": float(terms.sum()), "sum of w": float(weight.sum())})  # fmt: skip


def _regression_sums(metric: str, profile: Profile) -> dict[str, float]:
    weight, absolute, squared, centred, centred2 = map(float, profile.part("losses"))
    offset = profile.layout.baseline.label_offset
    return {"sum of w": weight} | {
        "mae": {"sum of w |prediction - label|": absolute},
        "rmse": {"sum of w (prediction - label)^2": squared},
        "r2": {
            "sum of w (prediction - label)^2": squared,
            f"S1, sum of w (label - {offset:.10g})": centred,
            f"S2, sum of w (label - {offset:.10g})^2": centred2,
        },
    }[metric]


def _ratio(scope: Scope, metric: str, value: Value) -> Working:
    reference = scope.totals.layout.baseline.performance
    worse = metric in LOWER_IS_BETTER
    formula = "the baseline's value over the window's" if worse else "the window's value over the baseline's"
    given = {"baseline": reference[metric]} if metric in reference else {}
    given |= {"window": value} if not isinstance(value, NotEnoughData) else {}
    return Working(formula, baseline_ratio(metric, value, reference), given)


def _bounds(of: tuple[str, ...], metric: str, value: Value, profile: Profile) -> Iterator[Explanation]:
    if metric == "accuracy" and profile.layout.baseline.task != "regression":
        yield from _accuracy_bounds(of, value, profile)
    if metric == "auc":
        sides = labels_by_score(profile)
        n, m = (effective_rows(profile, "labelled", float(side.sum())) for side in (sides[1], sides[0]))
        ends = value if isinstance(value, NotEnoughData) else auc.delong_interval(sides[1], sides[0], n, m)
        formula = "AUC less or plus z standard errors, by DeLong's variance of each class's ranks among the other"
        given = {"effective positives": n, "effective negatives": m}
        for place, family in enumerate((names.MODEL_AUC_LOWER, names.MODEL_AUC_UPPER)):
            end = ends if isinstance(ends, NotEnoughData) else ends[place]
            yield Explanation(family, of, Working(formula, end, given))


def _accuracy_bounds(of: tuple[str, ...], value: Value, profile: Profile) -> Iterator[Explanation]:
    rows = effective_rows(profile, "labelled", float(profile.part("labelled")[1]))
    ends = value if isinstance(value, NotEnoughData) else performance.wilson_interval(value, rows)
    for place, (family, sign) in enumerate(((names.MODEL_ACCURACY_LOWER, "-"), (names.MODEL_ACCURACY_UPPER, "+"))):
        formula = (
            f"(a + z^2 / (2 n) {sign} z sqrt(a (1 - a) / n + (z / (2 n))^2)) / (1 + z^2 / n): Wilson's 95 % interval"
        )
        given: Mapping[str, float] = {"n, effective labelled rows": rows, "z": Z_95}
        known = given if isinstance(value, NotEnoughData) else {"a, the accuracy": value, **given}
        end = ends if isinstance(ends, NotEnoughData) else ends[place]
        yield Explanation(family, of, Working(formula, end, known))


def _coverage(profile: Profile) -> Working:
    labelled, failed = float(profile.part("labelled")[1]), float(profile.part("served")[1])
    given = {"predictions": profile.weight, "of these failed": failed, "outcomes": labelled}
    formula = "outcomes over predictions that did not fail"
    return Working(formula, coverage(profile), given)
