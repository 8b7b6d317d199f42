"""Rows 3 to 5 written out: what is missing or odd in a feature, how sure the model is, what serving costs."""

from collections.abc import Iterator

from exporter import names
from exporter.baseline import CategoryFeature, NumericFeature
from exporter.explain.base import Explanation, Working
from exporter.measures import Scope
from exporter.measures.base import share
from exporter.profile.layout import Profile, feature_part
from exporter.stats.result import NotEnoughData

_INVALID = {"numeric": ("non-finite", "wrong type"), "category": ("wrong type",)}


def feature_counts(profile: Profile, feature: NumericFeature | CategoryFeature) -> dict[str, float]:
    """Rows of the feature in `profile`: all, with a usable value and what is odd among those, missing, invalid."""
    counts: list[float] = profile.part(feature_part(feature.name)).tolist()
    placed, missing, invalid = counts[: feature.placed], counts[feature.placed], counts[feature.placed + 1 :]
    odd = {"not in the reference": placed[-1]} if isinstance(feature, CategoryFeature) else {
        "below the reference's range": placed[0], "above the reference's range": placed[-1]}  # fmt: skip
    return {"rows": sum(counts), "usable": sum(placed), **odd, "missing": missing,
            **dict(zip(_INVALID[feature.kind], invalid, strict=True))}  # fmt: skip


def explain_quality(scope: Scope, window: str, feature: NumericFeature | CategoryFeature) -> Iterator[Explanation]:
    """Completeness of one feature, and values that the reference does not know."""
    of, counts = (scope.model.name, scope.version, window, feature.name), feature_counts(scope.windows[window], feature)
    complete = share(counts["rows"] - counts["missing"], counts["rows"])
    yield Explanation(names.FEATURE_COMPLETENESS, of, Working("(rows - missing) / rows", complete, counts))
    if isinstance(feature, CategoryFeature):
        unseen = share(counts["not in the reference"], counts["usable"])
        if not feature.complete:
            unseen = NotEnoughData(0.0, 1.0, "the reference held more categories than its baseline lists")
        working = Working("not in the reference / usable", unseen, counts)
        yield Explanation(names.FEATURE_UNSEEN_CATEGORY_RATIO, of, working)
        return
    outside = share(counts["below the reference's range"] + counts["above the reference's range"], counts["usable"])
    if not scope.reference.part(feature_part(feature.name))[: feature.placed].any():
        outside = NotEnoughData(0.0, 1.0, "the reference holds no value, so it has no range")
    formula = "(below the reference's range + above the reference's range) / usable"
    yield Explanation(names.FEATURE_OUT_OF_RANGE_RATIO, of, Working(formula, outside, counts))


def explain_operations(scope: Scope, window: str) -> Iterator[Explanation]:
    """How sure the model is."""
    unsure, known = map(float, scope.windows[window].part("unsure"))
    given = {"less sure than low_confidence": unsure, "predictions of known confidence": known}
    formula = "less sure than low_confidence / predictions of known confidence"
    of = (scope.model.name, scope.version, window)
    yield Explanation(names.LOW_CONFIDENCE_RATIO, of, Working(formula, share(unsure, known), given))


def explain_cost(scope: Scope, window: str) -> Iterator[Explanation]:
    """Predictions and what they cost."""
    of, profile, price = (scope.model.name, scope.version, window), scope.windows[window], scope.costs
    records, weight, squared = map(float, profile.part("rows"))
    rows = {"records": records, "sum of their weights": weight, "sum of their squared weights": squared}
    yield Explanation(names.PREDICTIONS_IN_WINDOW, of, Working("sum of the records' weights", weight, rows))
    spent, priced = map(float, profile.part("cost"))
    given = {
        "cost_usd of the records": spent,
        "predictions": weight,
        "of these with a cost_usd": priced,
        "costs.serving_usd_per_1000_predictions": price.serving_usd_per_1000_predictions,
    }
    cost = spent + (weight - priced) * (price.serving_usd_per_1000_predictions / 1_000)
    formula = "cost_usd of the records + (predictions - of these with a cost_usd) * price / 1000"
    yield Explanation(names.SERVING_COST_USD, of, Working(formula, cost, given))
    each = Working(f"1000 ({formula}) / predictions", share(1_000 * cost, weight), given, steps={"cost": cost})
    yield Explanation(names.SERVING_COST_PER_1000_USD, of, each)
