"""Data quality against the same numbers from the raw rows, computed by other people's code."""

from typing import Any

import numpy as np
import pytest

from exporter import names
from tests.measures.raw import MODEL
from tests.strategies import C, baseline_of, built, measured, prediction, value_of


def test_quality_counts_what_the_raw_rows_hold() -> None:
    values: list[Any] = [0.25, -1.5, 2.0, 7.0, None, float("inf"), "abc", 1.0]
    texts: list[Any] = ["a", "z", "q", None, ["a"], "1", "b", "y"]
    rows = [
        prediction(features={"x": x, "c": c}, weight=weight)
        for x, c, weight in zip(values, texts, [1.0, 2, 4, 8, 16, 32, 64, 128], strict=True)
    ]
    scope_samples, scope = measured(MODEL, baseline_of(), rows)
    assert value_of(scope_samples, names.FEATURE_COMPLETENESS, "x") == pytest.approx(239 / 255)
    assert value_of(scope_samples, names.FEATURE_COMPLETENESS, "c") == pytest.approx(247 / 255)
    assert value_of(scope_samples, names.FEATURE_UNSEEN_CATEGORY_RATIO, "c") == pytest.approx(130 / (255 - 8 - 16))
    assert value_of(scope_samples, names.FEATURE_VALUES_TOTAL) == 510
    assert value_of(scope_samples, names.MISSING_FEATURES_TOTAL) == 24
    for reason, weight in {"wrong_type": 64 + 16, "non_finite": 32, "unseen_category": 130}.items():
        assert value_of(scope_samples, names.INVALID_INPUTS_TOTAL, reason) == weight
    assert value_of(scope_samples, names.FEATURE_OUT_OF_RANGE_RATIO, "x") is None
    assert scope.reference.part("feature:x").sum() == 0


def test_out_of_range_is_a_share_of_the_numbers() -> None:
    rows = [prediction(features={"x": x, "c": "a"}) for x in (-9.0, 0.0, 0.1, 9.0, None, float("nan"), "abc")]
    reference = built(MODEL, [prediction(features={"x": x, "c": "a"}) for x in np.linspace(-1, 1, 50).tolist()])
    samples, _ = measured(MODEL, reference, rows)
    assert value_of(samples, names.FEATURE_OUT_OF_RANGE_RATIO, "x") == 0.5


def test_an_incomplete_list_of_categories_knows_no_unseen_ones() -> None:
    open_list = baseline_of(features=(C.model_copy(update={"complete": False}),))
    samples, scope = measured(MODEL, open_list, [prediction(features={"c": "never seen"})])
    assert value_of(samples, names.FEATURE_UNSEEN_CATEGORY_RATIO, "c") is None
    assert value_of(samples, names.INVALID_INPUTS_TOTAL, "unseen_category") == 0
    assert scope.totals.part("feature:c").tolist() == [0, 0, 0, 1, 0, 0, 0]
