"""Each drift method written out over the cells of two distributions: counts, shares, the terms and their sum."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from exporter.explain.base import Table, Working
from exporter.measures.comparison import JUDGED, ORDERED, Comparison
from exporter.measures.distribution import Distribution
from exporter.profile.columns import Floats
from exporter.stats import distances, significance
from exporter.stats.result import NotEnoughData, Value

Columns = dict[str, Floats]


@dataclass(frozen=True, slots=True)
class Pair:
    """Reference and current distribution, the names of their fine and merged cells, and the rows that they need.

    `weights` holds the sums of weights and of squared weights that each side's effective rows come from: (sum w)^2 /
    sum w^2, times the share of the weight that stands in the cells.
    """

    reference: Distribution
    current: Distribution
    fine: Sequence[str]
    merged: Sequence[str]
    min_rows: int
    weights: tuple[tuple[float, float], tuple[float, float]]

    @property
    def lacking(self) -> NotEnoughData | None:
        """Why nothing is told of so few rows."""
        for of, side in ((self.reference, "reference"), (self.current, "window")):
            if of.rows < self.min_rows:
                why = f"effective rows of the {side} that hold a value, fewer than drift.min_rows"
                return NotEnoughData(of.rows, float(self.min_rows), why)
        return None

    def rows(self) -> dict[str, float]:
        """What both sides weigh, and how many rows that is worth."""
        found: dict[str, float] = {}
        sides = (self.reference, *self.weights[0], "reference", "n"), (self.current, *self.weights[1], "window", "m")
        for of, weight, squared, side, letter in sides:
            found |= {
                f"sum of weights of the {side}": weight,
                f"sum of squared weights of the {side}": squared,
                f"sum of weights in the cells, {side}": float(of.fine.sum()),
                f"{letter}, effective rows of the {side}": of.rows,
            }
        return found


def score_working(method: str, pair: Pair) -> Working:
    """The distance by `method`, term by term."""
    formula, columns = _FORMULAS[method], _columns(method, pair)
    cells = pair.fine if method in ORDERED else pair.merged
    table = None if columns is None else _table(cells, columns)
    steps = {} if columns is None else _steps(method, pair, columns)
    return Working(formula, score(method, pair), pair.rows(), table, steps)


def score(method: str, pair: Pair) -> Value:
    """The exported score, or why there is none."""
    if pair.lacking is not None:
        return pair.lacking
    [value] = Comparison([(pair.reference, pair.current)]).scores(method).tolist()
    return NotEnoughData(0.0, 1.0, _UNDEFINED[method]) if np.isnan(value) else value


_FORMULAS = {
    "psi": (
        "sum over cells of (q - p) ln(q / p); p, q: shares of the rows; a cell that is empty on one side reads as half "
        "a row there (0.5 / n or 0.5 / m), but never as more than the other side's share"
    ),
    "js": "square root of the sum over cells of (p ln(2 p / (p + q)) + q ln(2 q / (p + q))) / (2 ln 2)",
    "chi2": "sum over cells of (p - q)^2 / (p / m + q / n), over the occupied cells less one",
    "hellinger": "square root of half the sum over cells of (sqrt p - sqrt q)^2",
    "tv": "half the sum over cells of |p - q|",
    "ks": "largest |P - Q|; P, Q: shares of the rows up to the cell, itself included",
    "wasserstein": (
        "sum over cells of |P - Q| times the way to the next cell, over the reference's standard deviation; cells lie "
        "at their middle, open ends at their edge"
    ),
}
_UNORDERED = "categories have no order, which this method needs"
_UNDEFINED = {
    "psi": "a side holds no rows",
    "js": "a side holds no rows",
    "chi2": "all rows of both sides stand in one cell",
    "hellinger": "a side holds no rows",
    "tv": "a side holds no rows",
    "ks": _UNORDERED,
    "wasserstein": "categories have no order, or the reference does not vary, so its standard deviation is no unit",
}


def _columns(method: str, pair: Pair) -> Columns | None:
    """Counts, shares and terms by cell; None where the method has no cells to work on."""
    reference, current = pair.reference, pair.current
    if method in ORDERED:
        if reference.at is None:
            return None
        counts = {"reference": reference.fine, "current": current.fine}
        return counts | _ORDERED_TERMS[method](reference, *map(distances.shares, counts.values()))
    counts = {"reference": reference.merged, "current": current.merged}
    p, q = map(distances.shares, counts.values())
    return counts | {"p": p, "q": q} | _TERMS[method](p, q, reference.rows, current.rows)


def _psi_terms(p: Floats, q: Floats, n: float, m: float) -> Columns:
    filled = np.where(p > 0, p, np.minimum(0.5 / max(n, 1.0), q)), np.where(q > 0, q, np.minimum(0.5 / max(m, 1.0), p))
    p, q = filled
    both = (p > 0) & (q > 0)
    logarithm = np.log(np.where(both, q, 1.0)) - np.log(np.where(both, p, 1.0))
    return {"p": p, "q": q, "ln(q / p)": logarithm, "term": (q - p) * logarithm}


def _js_terms(p: Floats, q: Floats, _n: float, _m: float) -> Columns:
    half = np.where(p + q > 0, (p + q) / 2, 1.0)
    return {"term": (xlogy(p, p / half) + xlogy(q, q / half)) / (2 * np.log(2))}


def _chi2_terms(p: Floats, q: Floats, n: float, m: float) -> Columns:
    variance = p / max(m, 1.0) + q / max(n, 1.0)
    return {"term": (p - q) ** 2 / np.where(variance > 0, variance, 1.0)}


_TERMS: dict[str, Callable[[Floats, Floats, float, float], Columns]] = {
    "psi": _psi_terms,
    "js": _js_terms,
    "chi2": _chi2_terms,
    "hellinger": lambda p, q, _n, _m: {"term": (np.sqrt(p) - np.sqrt(q)) ** 2},
    "tv": lambda p, q, _n, _m: {"term": np.abs(p - q)},
}


def _ks_terms(_: Distribution, p: Floats, q: Floats) -> Columns:
    return {"P": np.cumsum(p), "Q": np.cumsum(q), "term": np.abs(np.cumsum(p - q))}


def _wasserstein_terms(of: Distribution, p: Floats, q: Floats) -> Columns:
    assert of.at is not None
    way = np.append(np.diff(of.at), 0.0)
    return {"at": of.at, "P": np.cumsum(p), "Q": np.cumsum(q), "way": way, "term": np.abs(np.cumsum(p - q)) * way}


_ORDERED_TERMS = {"ks": _ks_terms, "wasserstein": _wasserstein_terms}


def _steps(method: str, pair: Pair, columns: Columns) -> dict[str, float]:
    if method == "ks":
        return {"largest term": float(columns["term"].max())}
    found = {"sum of the terms": float(columns["term"].sum())}
    if method == "chi2":
        occupied = distances.occupied_cells(pair.reference.merged, pair.current.merged)
        found["occupied cells less one"] = float(occupied - 1)
    if method == "wasserstein":
        share, at = distances.shares(pair.reference.fine), columns["at"]
        mean = float((share * at).sum())
        found |= {"the reference's mean": mean,
                  "the reference's standard deviation": float(np.sqrt((share * (at - mean) ** 2).sum()))}  # fmt: skip
    return found


def _table(cells: Sequence[str], columns: Columns) -> Table:
    values = [column.tolist() for column in columns.values()]
    return Table(("cell", *columns), list(zip(cells, *values, strict=True)))


def pvalue_working(method: str, pair: Pair) -> Working:
    """The probability of a score at least as high without drift."""
    formula, value = _TAILS[method], pvalue(method, pair)
    if pair.lacking is not None or isinstance(value, NotEnoughData):
        return Working(formula, value, pair.rows())
    rows = pair.reference.rows, pair.current.rows
    if method == "ks":
        known = score(method, pair)
        assert isinstance(known, float)
        return Working(formula, value, pair.rows() | {"D": known},
                       steps={"x": known / float(np.sqrt(1 / rows[0] + 1 / rows[1]))})  # fmt: skip
    of = significance.chi_square_test(method, pair.reference.merged, pair.current.merged, *rows)
    cells = [f"{place}" for place in range(1, len(of.reference) + 1)]
    table = _table(cells, {"p": of.reference, "q": of.current})
    return Working(formula, value, pair.rows(), table,
                   {"statistic": of.statistic, "degrees of freedom": float(of.cells - 1)})  # fmt: skip


def pvalue(method: str, pair: Pair) -> Value:
    """The exported p-value, or why there is none."""
    if pair.lacking is not None:
        return pair.lacking
    [value] = Comparison([(pair.reference, pair.current)]).pvalues(method).tolist()
    return NotEnoughData(0.0, 1.0, _untested(method)) if np.isnan(value) else value


def _untested(method: str) -> str:
    return _UNORDERED if method == "ks" else "fewer than two cells hold the five expected rows that a test needs"


_POOLED = (
    "upper tail of the chi-square law at the statistic: the smaller of {} and Pearson's sum of (p - q)^2 / (p / m + "
    "q / n), both over the cells below, of which those with fewer than five expected rows were put together (the first)"
)
_TAILS = {
    "psi": _POOLED.format("PSI / (1 / n + 1 / m)"),
    "js": _POOLED.format("8 ln 2 JS^2 / (1 / n + 1 / m)"),
    "chi2": _POOLED.format("the same"),
    "ks": (
        "upper tail of Kolmogorov's law, 2 times the sum over k of (-1)^(k - 1) exp(-2 k^2 x^2), at "
        "x = D / sqrt(1 / n + 1 / m)"
    ),
}


def bounds_working(end: int, pair: Pair) -> Working:
    """The lower (0) or upper (1) bound of the judged score."""
    formula = (
        f"{'lower' if end == 0 else 'upper'} 95 % bound: {JUDGED} / (1 / n + 1 / m) follows a noncentral chi-square "
        "law, whose noncentrality is the score on endless rows; solved for it, so not by hand"
    )
    if pair.lacking is not None:
        return Working(formula, pair.lacking, pair.rows())
    [value] = Comparison([(pair.reference, pair.current)]).bounds()[end].tolist()
    known: Value = NotEnoughData(0.0, 1.0, "a side holds less than one effective row") if np.isnan(value) else value
    return Working(formula, known, pair.rows())
