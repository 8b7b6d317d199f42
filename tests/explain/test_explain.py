"""Explanations: each number of an evaluation is told, equal to what is exported, and the printed working gives it."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import scipy.stats

from exporter import names
from exporter.config import Costs
from exporter.config.model import Drift
from exporter.config.segment import Segment
from exporter.explain import Explanation, explain_feature, explain_model
from exporter.explain.printed import as_text, as_values
from exporter.measures import MEASURES, Histogram, Sample, Scope
from exporter.stats.result import NotEnoughData
from tests.edges import TASKS, reference_of, usual
from tests.strategies import Counting, Row, model_of

METHODS = ("psi", "js", "ks", "chi2", "hellinger", "tv", "wasserstein")
SEGMENTS = (Segment(name="c", features=("x", "c")),)
Numbers = dict[str, float]
NUMBER = re.compile(r"-?[0-9][0-9.e+-]*|nan")


def moved(task: str) -> list[Row]:
    """A window whose rows have weights, shifted and new values, some missing, some of a wrong type."""
    rng = np.random.default_rng(3)
    rows = usual(task, 2, 900, 90.0)
    for place, row in enumerate(rows):
        row["weight"] = float(rng.choice([0.5, 1, 3, 20]))
        row["features"]["x"] = [row["features"]["x"] + 0.4, None, "word"][0 if place % 9 else place % 2 + 1]
        row["features"]["c"] = "new" if place % 11 == 0 else row["features"]["c"]
        if place % 3 == 0:
            del row["label"]
        if place % 5 == 0:
            del row["cost_usd"]
    return rows


def scope_of(task: str, rows: list[Row]) -> Scope:
    model = model_of(task).model_copy(update={"drift": Drift(methods=METHODS, min_rows=50), "segments": SEGMENTS})
    profile = Counting.of(model, reference_of(task, segments=SEGMENTS)).of_rows(rows)
    return Scope(model, "v", Costs(), {"1d": profile}, profile, {"timeout": 2.0}, ("1d",))


def samples_of(scope: Scope) -> list[Sample]:
    return [sample for measure in MEASURES.values() for sample in measure(scope)]


def explained(scope: Scope) -> Iterator[Explanation]:
    samples = samples_of(scope)
    yield from explain_model(scope, "1d", samples)
    for feature in scope.totals.layout.features:
        yield from explain_feature(scope, "1d", feature.name, samples)


@lru_cache
def found(task: str) -> tuple[list[Sample], list[Explanation]]:
    scope = scope_of(task, moved(task))
    return samples_of(scope), list(explained(scope))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("rows", [900, 20, 0])
def test_every_exported_number_is_explained_once_and_as_exported(task: str, rows: int) -> None:
    scope = scope_of(task, moved(task)[:rows])
    exported = {(s.family, s.labels): s.value for s in samples_of(scope) if not isinstance(s.value, Histogram)}
    told = list(explained(scope))
    assert len({(of.family, of.labels) for of in told}) == len(told)
    values = {(of.family, of.labels): of.value for of in told}
    assert exported.keys() <= values.keys()
    assert {key: values[key] for key in exported} == pytest.approx(exported, rel=1e-12)
    for key in values.keys() - exported.keys():
        assert isinstance(values[key], NotEnoughData) or key[0].kind == "histogram", key


@dataclass(frozen=True)
class Printed:
    """A number as a person reads it: all that stands on paper."""

    metric: str
    labels: dict[str, str]
    numbers: Numbers
    table: list[dict[str, Any]]
    value: float

    def column(self, head: str) -> np.ndarray[Any, Any]:
        return np.array([row[head] for row in self.table])


def parsed(text: str) -> Iterator[Printed]:
    """The paragraphs of the text output that have a value."""
    for paragraph in text.strip().split("\n\n"):
        first, *lines = paragraph.splitlines()
        if not lines[-1].startswith("  = "):
            continue
        metric, labels = re.fullmatch(r"(\w+)\{(.*)\}", first).groups()  # type: ignore[union-attr]  # or the test fails
        numbers: Numbers = {}
        table: list[dict[str, Any]] = []
        heads: list[str] = []
        for cells in (re.split(r"  +", line.strip()) for line in lines if line.startswith("    ")):
            if len(cells) == len(heads) > 2:
                table.append({head: _read(head, cell) for head, cell in zip(heads, cells, strict=True)})
            elif NUMBER.fullmatch(cells[-1]):
                numbers[cells[0]] = float(cells[1])
            else:
                heads = cells
        yield Printed(metric, dict(re.findall(r"(\w+)='([^']*)'", labels)), numbers, table, float(lines[-1][4:]))


def _read(head: str, cell: str) -> str | float:
    return float(cell) if NUMBER.fullmatch(cell) and head not in ("cell", "label", "feature") else cell


def effective(of: Printed, side: str) -> float:
    weight, squared = of.numbers[f"sum of weights of the {side}"], of.numbers[f"sum of squared weights of the {side}"]
    return weight**2 / squared * of.numbers[f"sum of weights in the cells, {side}"] / weight


def psi(of: Printed, n: float, m: float) -> float:
    total = 0.0
    r, c = of.column("reference"), of.column("current")
    for p, q in zip(r / r.sum(), c / c.sum(), strict=True):
        p_, q_ = p or min(0.5 / n, q), q or min(0.5 / m, p)
        total += (q_ - p_) * math.log(q_ / p_) if p_ and q_ else 0.0
    return total


def chi2(of: Printed, n: float, m: float) -> float:
    p, q = (of.column(side) / of.column(side).sum() for side in ("reference", "current"))
    held = p + q > 0
    return float(((p - q)[held] ** 2 / (p[held] / m + q[held] / n)).sum() / (held.sum() - 1))


def js(of: Printed, _n: float, _m: float) -> float:
    from scipy.spatial.distance import jensenshannon

    return float(jensenshannon(of.column("reference"), of.column("current"), base=2))


def wasserstein(of: Printed, _n: float, _m: float) -> float:
    at, r, c = of.column("at"), of.column("reference"), of.column("current")
    deviation = math.sqrt(np.cov(at, fweights=None, aweights=r, ddof=0))
    return float(scipy.stats.wasserstein_distance(at, at, r, c)) / deviation


def by_shares(formula: Callable[[Any, Any], float]) -> Callable[[Printed, float, float], float]:
    def redo(of: Printed, _n: float, _m: float) -> float:
        return formula(*(of.column(side) / of.column(side).sum() for side in ("reference", "current")))

    return redo


REDONE = {
    "psi": psi,
    "js": js,
    "chi2": chi2,
    "wasserstein": wasserstein,
    "hellinger": by_shares(lambda p, q: math.sqrt(((np.sqrt(p) - np.sqrt(q)) ** 2).sum() / 2)),
    "tv": by_shares(lambda p, q: float(abs(p - q).sum() / 2)),
    "ks": by_shares(lambda p, q: float(abs(np.cumsum(p) - np.cumsum(q)).max())),
}
SCORES = (names.FEATURE_DRIFT_SCORE.name, names.PREDICTION_DRIFT_SCORE.name, names.OUTCOME_DRIFT_SCORE.name)
ENDS: dict[str, Callable[[list[float]], float]] = {
    "psi": sum,
    "js": lambda terms: math.sqrt(sum(terms)),
    "hellinger": lambda terms: math.sqrt(sum(terms) / 2),
    "tv": lambda terms: sum(terms) / 2,
    "ks": max,
}
"""From the printed terms to the result."""


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task", TASKS)
def test_drift_is_redone_from_the_printed_counts(task: str, method: str) -> None:
    _, told = found(task)
    printed = [of for of in parsed(as_text(told)) if of.metric in SCORES and of.labels["method"] == method]
    assert len(printed) >= 2
    for of in printed:
        n, m = effective(of, "reference"), effective(of, "window")
        assert (n, m) == pytest.approx((of.numbers["n, effective rows of the reference"],
                                        of.numbers["m, effective rows of the window"]), rel=1e-9)  # fmt: skip
        assert REDONE[method](of, n, m) == pytest.approx(of.value, rel=1e-9, abs=1e-11)
        if method in ENDS:
            assert ENDS[method](of.column("term").tolist()) == pytest.approx(of.value, rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("task", TASKS)
def test_pvalues_are_redone_from_the_printed_statistics(task: str) -> None:
    _, told = found(task)
    printed = [of for of in parsed(as_text(told)) if of.metric == names.FEATURE_DRIFT_PVALUE.name]
    assert {of.labels["method"] for of in printed} == {"psi", "js", "chi2", "ks"}
    for of in printed:
        n, m = (of.numbers[name] for name in ("n, effective rows of the reference", "m, effective rows of the window"))
        if of.labels["method"] == "ks":
            again = scipy.stats.kstwobign.sf(of.numbers["D"] / math.sqrt(1 / n + 1 / m))
        else:
            p, q = of.column("p"), of.column("q")
            pearson = float(((p - q) ** 2 / (p / m + q / n)).sum())
            assert of.numbers["statistic"] <= pearson * (1 + 1e-9)
            assert of.numbers["degrees of freedom"] == len(p) - 1
            again = scipy.stats.chi2.sf(of.numbers["statistic"], len(p) - 1)
        assert again == pytest.approx(of.value, rel=1e-6)


def one(task: str, metric: str, **labels: str) -> Printed:
    _, told = found(task)
    [of] = [of for of in parsed(as_text(told)) if of.metric == metric and labels.items() <= of.labels.items()]
    return of


def test_the_verdict_is_redone_from_the_ranked_pvalues() -> None:
    of = one("binary", names.FEATURE_DRIFTED.name, feature="x")
    pvalues = dict(zip(of.column("feature"), of.column("p"), strict=True))
    adjusted = dict(zip(pvalues, scipy.stats.false_discovery_control(list(pvalues.values())), strict=True))
    assert adjusted["x"] == pytest.approx(of.numbers["adjusted p-value"], rel=1e-9)
    assert (
        of.value == float(of.numbers["psi"] >= of.numbers["minor"] and adjusted["x"] < of.numbers["significance"]) == 1
    )


def test_classification_is_redone_from_the_confusion_counts() -> None:
    numbers = one("binary", names.MODEL_ACCURACY.name).numbers
    tp, fp, fn, tn = (numbers[name] for name in ("TP", "FP", "FN", "TN"))
    again = {
        names.MODEL_ACCURACY.name: (tp + tn) / (tp + fp + fn + tn),
        names.MODEL_PRECISION.name: tp / (tp + fp),
        names.MODEL_RECALL.name: tp / (tp + fn),
        names.MODEL_F1.name: 2 * tp / (2 * tp + fp + fn),
    }
    assert {metric: one("binary", metric).value for metric in again} == pytest.approx(again, rel=1e-9)
    lower = one("binary", names.MODEL_ACCURACY_LOWER.name)
    a, n, z = (lower.numbers[name] for name in ("a, the accuracy", "n, effective labelled rows", "z"))
    half = z * math.sqrt(a * (1 - a) / n + (z / (2 * n)) ** 2)
    assert (a + z * z / (2 * n) - half) / (1 + z * z / n) == pytest.approx(lower.value, rel=1e-9)


def test_auc_losses_and_calibration_are_redone_from_their_cells() -> None:
    auc = one("binary", names.MODEL_AUC.name)
    positives, negatives = auc.column("positives"), auc.column("negatives")
    wins = sum(p * (negatives[:place].sum() + negatives[place] / 2) for place, p in enumerate(positives))
    assert wins / positives.sum() / negatives.sum() == pytest.approx(auc.value, rel=1e-9)
    loss = one("binary", names.MODEL_LOG_LOSS.name)
    assert loss.numbers["sum of w (-ln P)"] / loss.numbers["sum of w"] == pytest.approx(loss.value, rel=1e-9)
    error = one("binary", names.MODEL_CALIBRATION_ERROR.name)
    terms = abs(error.column("sum of w label") - error.column("sum of w score"))
    assert terms.sum() / error.column("sum of w").sum() == pytest.approx(error.value, rel=1e-9)


def test_multiclass_is_redone_from_the_confusion_matrix() -> None:
    of = one("multiclass", names.MODEL_RECALL.name)
    heads = [head for head in of.table[0] if head.startswith("as ")]
    matrix = np.array([[row[head] for head in heads] for row in of.table[:3]])
    recall = [matrix[place, place] / matrix[place].sum() for place in range(3)]
    assert np.mean(recall) == pytest.approx(of.value, rel=1e-9)


def test_regression_is_redone_from_its_sums() -> None:
    of = one("regression", names.MODEL_R2.name)
    squared, weight = of.numbers["sum of w (prediction - label)^2"], of.numbers["sum of w"]
    [s1] = [value for name, value in of.numbers.items() if name.startswith("S1")]
    [s2] = [value for name, value in of.numbers.items() if name.startswith("S2")]
    assert 1 - squared / (s2 - s1**2 / weight) == pytest.approx(of.value, rel=1e-9)
    assert one("regression", names.MODEL_RMSE.name).value == pytest.approx(math.sqrt(squared / weight), rel=1e-9)


def test_quality_coverage_and_cost_are_redone_from_their_counts() -> None:
    of = one("binary", names.FEATURE_COMPLETENESS.name, feature="x")
    counts = of.numbers
    assert counts["rows"] == counts["usable"] + counts["missing"] + counts["wrong type"] + counts["non-finite"]
    assert (counts["rows"] - counts["missing"]) / counts["rows"] == pytest.approx(of.value, rel=1e-9)
    of = one("binary", names.FEATURE_UNSEEN_CATEGORY_RATIO.name, feature="c")
    assert of.numbers["not in the reference"] / of.numbers["usable"] == pytest.approx(of.value, rel=1e-9)
    of = one("binary", names.MODEL_OUTCOME_COVERAGE_RATIO.name)
    assert of.numbers["outcomes"] / (of.numbers["predictions"] - of.numbers["of these failed"]) == pytest.approx(
        of.value
    )
    of = one("binary", names.SERVING_COST_USD.name)
    unpriced = of.numbers["predictions"] - of.numbers["of these with a cost_usd"]
    price = of.numbers["costs.serving_usd_per_1000_predictions"] / 1000
    assert of.numbers["cost_usd of the records"] + unpriced * price == pytest.approx(of.value, rel=1e-9)


@pytest.mark.parametrize(
    ("rows", "family", "why"),
    [
        (20, names.FEATURE_DRIFT_SCORE, "absent: effective rows of the window that hold a value, fewer than drift."),
        (0, names.MODEL_ACCURACY, "absent: no labelled predictions (has 0, needs 1)"),
        (0, names.FEATURE_COMPLETENESS, "absent: nothing was counted (has 0, needs 1)"),
    ],
)  # fmt: skip
def test_an_absent_number_says_why(rows: int, family: Any, why: str) -> None:
    told = [of for of in explained(scope_of("binary", moved("binary")[:rows])) if of.family is family]
    assert told
    for of in told:
        assert why in as_text([of])
        values = as_values(of)
        assert values["value"] is None
        assert values["absent"]["why"]


def test_what_has_no_order_says_so() -> None:
    [of] = [of for of in found("binary")[1] if of.family is names.FEATURE_DRIFT_SCORE and of.labels[-2:] == ("c", "ks")]
    assert "absent: categories have no order, which this method needs" in as_text([of])
