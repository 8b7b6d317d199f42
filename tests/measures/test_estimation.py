"""Performance without labels against scikit-learn's isotonic regression on the raw rows."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as oracle
from sklearn.isotonic import IsotonicRegression

from exporter import names
from exporter.measures import Sample
from exporter.names import Family
from exporter.profile.scorebins import score_codes, score_mids
from tests.measures.raw import BASELINES, MODEL, REFERENCE, ROWS, frame
from tests.strategies import Row, binary_rows, built, measured, model_of, prediction, value_of

ESTIMATES = {
    names.MODEL_ESTIMATED_ACCURACY: (
        names.MODEL_ESTIMATED_ACCURACY_LOWER,
        names.MODEL_ESTIMATED_ACCURACY_UPPER,
        names.MODEL_ACCURACY,
    ),
    names.MODEL_ESTIMATED_AUC: (
        names.MODEL_ESTIMATED_AUC_LOWER,
        names.MODEL_ESTIMATED_AUC_UPPER,
        names.MODEL_AUC,
    ),
}


def without(rows: list[Row], *fields: str) -> list[Row]:
    return [{name: value for name, value in row.items() if name not in fields} for row in rows]


def scored(seed: int, a: float, b: float, slope: float = 1.0) -> list[Row]:
    """Rows whose scores follow a beta law; with slope 1 labels follow the scores, below it less than they promise."""
    rng = np.random.default_rng(seed)
    score = rng.beta(a, b, ROWS)
    label = rng.random(ROWS) < 0.5 + slope * (score - 0.5)
    return [prediction(score=s, label=int(y)) for s, y in zip(score.tolist(), label.tolist(), strict=True)]


def middle(scores: pd.Series) -> np.ndarray[Any, Any]:
    return score_mids()[score_codes(scores.to_numpy())]


def needed(samples: list[Sample], family: Family) -> float:
    value = value_of(samples, family)
    assert value is not None, family.name
    return value


def test_estimates_are_those_of_isotonic_regression_on_the_raw_rows(case: Any) -> None:
    samples, rows, reference, _ = case
    learned = IsotonicRegression(out_of_bounds="clip")
    learned.fit(middle(reference["score"]), reference["label"], sample_weight=reference["weight"])
    chance = learned.predict(middle(rows["score"]))
    right = np.where(rows["prediction"] == 1, chance, 1 - chance)
    assert needed(samples, names.MODEL_ESTIMATED_ACCURACY) == pytest.approx(np.average(right, weights=rows["weight"]))
    area = oracle.roc_auc_score(
        [1] * len(rows) + [0] * len(rows),
        np.tile(middle(rows["score"]), 2),
        sample_weight=np.concatenate((rows["weight"] * chance, rows["weight"] * (1 - chance))),
    )
    assert needed(samples, names.MODEL_ESTIMATED_AUC) == pytest.approx(area)


def test_what_is_realised_lies_within_the_bounds_when_only_the_scores_moved() -> None:
    samples, _ = measured(MODEL, BASELINES["plain"], scored(51, 6, 6))
    before, _ = measured(MODEL, BASELINES["plain"], REFERENCE)
    for estimate, (lower, upper, realised) in ESTIMATES.items():
        assert needed(samples, lower) < needed(samples, realised) < needed(samples, upper)
        assert needed(samples, estimate) < needed(before, estimate) - 0.05  # scores near one half are harder cases


def test_an_estimate_needs_no_labels() -> None:
    rows = scored(52, 2, 2)
    labelled, _ = measured(MODEL, BASELINES["plain"], rows)
    unlabelled, _ = measured(MODEL, BASELINES["plain"], without(rows, "label"))
    for estimate, (lower, upper, realised) in ESTIMATES.items():
        for family in (estimate, lower, upper):
            assert needed(unlabelled, family) == needed(labelled, family)
        assert value_of(unlabelled, realised) is None


def test_an_estimate_is_blind_to_concept_drift_which_has_a_score_of_its_own() -> None:
    before, _ = measured(MODEL, BASELINES["plain"], scored(53, 2, 2))
    after, _ = measured(MODEL, BASELINES["plain"], scored(53, 2, 2, slope=0.3))
    for estimate, (lower, _, realised) in ESTIMATES.items():
        assert needed(after, estimate) == needed(before, estimate)
        assert needed(after, realised) < needed(after, lower)
    assert needed(after, names.CONCEPT_DRIFT_SCORE) > 0.1
    assert needed(after, names.CONCEPT_DRIFT_PVALUE) < 1e-9


REFERENCES = {
    "no labels": without(REFERENCE, "label"),
    "no scores": without(REFERENCE, "score"),
    "one class": [{**row, "label": 1} for row in REFERENCE],
}


@pytest.mark.parametrize("lacking", REFERENCES)
def test_a_reference_without_scored_labels_of_both_classes_gives_no_estimate(lacking: str) -> None:
    samples, _ = measured(MODEL, built(MODEL, REFERENCES[lacking]), binary_rows(12, ROWS))
    absent = (*ESTIMATES, names.CONCEPT_DRIFT_SCORE, names.CONCEPT_DRIFT_PVALUE)
    assert [value_of(samples, family) for family in absent] == [None] * 4
    assert value_of(samples, names.MODEL_ACCURACY) is not None


@pytest.mark.parametrize("rows", [[], without(binary_rows(12, 300), "score")], ids=["no rows", "no scores"])
def test_a_window_without_scores_gives_no_estimate(rows: list[Row]) -> None:
    samples, _ = measured(MODEL, BASELINES["plain"], rows)
    for estimate, (lower, upper, _) in ESTIMATES.items():
        assert [value_of(samples, family) for family in (estimate, lower, upper)] == [None] * 3


def test_a_regression_has_no_estimate() -> None:
    model = model_of("regression")
    rows = [{**row, "prediction": row["label"]} for row in binary_rows(54, 500)]
    samples, _ = measured(model, built(model, rows), rows)
    assert not {s.family for s in samples} & {*ESTIMATES, names.CONCEPT_DRIFT_SCORE, names.PREDICTION_ANOMALY_SCORE}


def of_classes(seed: int, a: float, promised: float = 1.0) -> list[Row]:
    """Rows of three classes whose predictions are right as often as their confidence says, less what is promised."""
    rng = np.random.default_rng(seed)
    confidence = 1 / 3 + 2 / 3 * rng.beta(a, 2, ROWS)
    predicted, right = rng.integers(0, 3, ROWS), rng.random(ROWS) < confidence * promised
    label = np.where(right, predicted, (predicted + 1) % 3)
    columns = zip(confidence.tolist(), predicted.tolist(), label.tolist(), strict=True)
    return [prediction(score=share, prediction="abc"[said], label="abc"[truth]) for share, said, truth in columns]


CLASSES = model_of("multiclass")
ACCURACY = (names.MODEL_ESTIMATED_ACCURACY, *ESTIMATES[names.MODEL_ESTIMATED_ACCURACY])


def test_the_accuracy_of_several_classes_is_estimated_from_confidences() -> None:
    baseline = built(CLASSES, of_classes(61, 4))
    before, _ = measured(CLASSES, baseline, of_classes(61, 4))
    samples, _ = measured(CLASSES, baseline, of_classes(62, 1))
    estimate, lower, upper, realised = (needed(samples, family) for family in ACCURACY)
    assert lower < realised < upper
    assert lower < estimate < upper
    assert estimate < needed(before, names.MODEL_ESTIMATED_ACCURACY) - 0.05
    assert value_of(samples, names.MODEL_ESTIMATED_AUC) is None


def test_an_estimate_of_classes_needs_no_labels_and_a_reference_with_some() -> None:
    rows = of_classes(63, 2)
    samples, _ = measured(CLASSES, built(CLASSES, of_classes(61, 4)), without(rows, "label"))
    assert 0.4 < needed(samples, names.MODEL_ESTIMATED_ACCURACY) < 0.9
    lacking = {"labels": without(rows, "label"), "confidences": without(rows, "score"),
               "mistakes": [{**row, "label": row["prediction"]} for row in rows]}  # fmt: skip
    for what, reference in lacking.items():
        samples, _ = measured(CLASSES, built(CLASSES, reference), rows)
        assert value_of(samples, names.MODEL_ESTIMATED_ACCURACY) is None, what


def test_confidences_that_came_to_promise_too_much_show_only_in_the_realised_accuracy() -> None:
    samples, _ = measured(CLASSES, built(CLASSES, of_classes(61, 4)), of_classes(64, 4, promised=0.6))
    _, lower, _, realised = (needed(samples, family) for family in ACCURACY)
    assert realised < lower


# Concept drift.


def test_concept_drift_is_the_root_mean_square_of_what_the_rates_left() -> None:
    shifted = scored(55, 2, 2, slope=0.5)
    samples, _ = measured(MODEL, BASELINES["plain"], shifted)
    off = 0.5 * (frame(shifted)["score"] - 0.5)
    # Groups hide what varies within them, and labels come by chance.
    assert needed(samples, names.CONCEPT_DRIFT_SCORE) == pytest.approx(float(np.sqrt((off**2).mean())), abs=0.02)


def test_without_concept_drift_the_score_is_near_nought_and_the_p_value_is_not(case: Any) -> None:
    samples, _, _, _ = case
    assert needed(samples, names.CONCEPT_DRIFT_SCORE) < 0.05
    assert needed(samples, names.CONCEPT_DRIFT_PVALUE) > 0.01


@pytest.mark.parametrize(("rows", "known"), [(99, False), (100, True)])
def test_concept_drift_waits_for_enough_labelled_rows(*, rows: int, known: bool) -> None:
    model = model_of(drift={"min_rows": 100})
    unlabelled = without(binary_rows(56, 500), "label")
    samples, _ = measured(model, BASELINES["plain"], [*binary_rows(57, rows), *unlabelled])
    assert (value_of(samples, names.CONCEPT_DRIFT_SCORE) is not None) == known
    assert (value_of(samples, names.CONCEPT_DRIFT_PVALUE) is not None) == known


def test_a_window_with_labels_of_one_class_has_a_concept_drift() -> None:
    samples, _ = measured(MODEL, BASELINES["plain"], [{**row, "label": 1} for row in binary_rows(58, 500)])
    assert needed(samples, names.CONCEPT_DRIFT_SCORE) > 0.3
    assert value_of(samples, names.MODEL_AUC) is None
