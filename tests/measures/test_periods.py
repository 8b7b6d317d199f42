"""The drift window against the model's own past: the raw rows' numbers, or a reason."""

import numpy as np
import pytest

from exporter import names
from exporter.measures import Past, Sample, Scope
from exporter.measures.periods import measure_history, measure_recent_drift
from tests.measures.raw import BASELINES, MODEL, effective, frame, shares_of, weighted
from tests.strategies import Counting, Row, binary_rows, model_of, scope_of, value_of

BASELINE = BASELINES["plain"]
SMALL = model_of(drift={"min_rows": 5})
NOW, THEN = binary_rows(21, 2_000, shift=0.4), binary_rows(22, 1_500, shift=-0.2)


def scope(now: list[Row], then: list[Row], *, complete: bool = True, model: object = MODEL) -> Scope:
    count = Counting.of(MODEL, BASELINE).of_rows
    made = scope_of(MODEL, BASELINE, count(now))
    return Scope(
        model=model,  # type: ignore[arg-type]  # either of two models
        version="v",
        costs=made.costs,
        windows=made.windows,
        totals=made.totals,
        errors={},
        complete={"1d"} if complete else (),
        periods={"previous": Past(count(then), complete)},
    )


def samples(of: Scope) -> list[Sample]:
    return [*measure_recent_drift(of), *measure_history(of)]


@pytest.mark.parametrize("feature", ["x", "c"])
@pytest.mark.parametrize("kind", ["plain", "weighted"])
def test_recent_drift_is_that_of_the_raw_rows_in_the_baselines_bins(feature: str, kind: str) -> None:
    now, then = (NOW, THEN) if kind == "plain" else (weighted(NOW, 1), weighted(THEN, 2))
    p, q = (shares_of(frame(side), feature, BASELINE, merged=True) for side in (then, now))
    both = (p > 0) & (q > 0)
    assert ((p > 0) == (q > 0)).all()
    found = samples(scope(now, then))
    score = value_of(found, names.FEATURE_RECENT_DRIFT_SCORE, "1d", feature, "psi", "previous")
    assert score == pytest.approx(float(((q - p)[both] * np.log(q[both] / p[both])).sum()))
    assert value_of(found, names.PERIOD_ROWS, "1d", "previous") == pytest.approx(effective(frame(then)))


def test_the_past_against_itself_is_nought_and_has_every_series() -> None:
    found = samples(scope(THEN, THEN))
    scores = {sample.labels[3:]: sample.value for sample in found if sample.family is names.FEATURE_RECENT_DRIFT_SCORE}
    assert scores == {("x", "psi", "previous"): 0.0, ("c", "psi", "previous"): 0.0}
    assert value_of(found, names.PREDICTION_RECENT_DRIFT_SCORE, "1d", "psi", "previous") == 0.0
    assert value_of(found, names.WINDOW_COMPLETE, "1d") == 1.0
    assert value_of(found, names.PERIOD_COMPLETE, "1d", "previous") == 1.0


def test_a_period_that_the_history_does_not_cover_says_so_and_gives_no_score() -> None:
    found = samples(scope(NOW, THEN, complete=False))
    assert {(sample.family, sample.value) for sample in found} == {
        (names.WINDOW_COMPLETE, 0.0), (names.PERIOD_COMPLETE, 0.0), (names.PERIOD_ROWS, 1_500.0)
    }  # fmt: skip


@pytest.mark.parametrize(("now", "then"), [(199, 1_500), (2_000, 199), (2_000, 0)])
def test_too_few_rows_on_either_side_give_no_score_and_the_rows_tell(now: int, then: int) -> None:
    found = samples(scope(NOW[:now], THEN[:then]))
    assert {sample.family for sample in found} == {names.WINDOW_COMPLETE, names.PERIOD_COMPLETE, names.PERIOD_ROWS}
    assert value_of(found, names.PERIOD_ROWS, "1d", "previous") == then
    assert samples(scope(NOW[:10], THEN[:10], model=SMALL))[0].family is names.FEATURE_RECENT_DRIFT_SCORE


def test_a_model_without_periods_has_no_series_of_them() -> None:
    made = scope_of(MODEL, BASELINE, Counting.of(MODEL, BASELINE).of_rows(NOW))
    assert {sample.family for sample in samples(made)} == {names.WINDOW_COMPLETE}
