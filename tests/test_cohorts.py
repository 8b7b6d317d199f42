"""Cohorts: which predictions are old enough, to the hour; and stretches that no cut divides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.cohorts import Cohorts, maturity_of, oldest_needed, stretch
from exporter.windows import HOUR, bucket_starts, fine_since, stretch_starts
from tests.strategies import model_of

DAY = 86_400
LENGTHS = {"1h": HOUR, "1d": DAY, "7d": 7 * DAY}
ends = st.floats(1e9, 2e9)
maturities = st.sampled_from([None, "5m", "1h", "36h", "3d", "30d"])


def cohorts(maturity: str | None, at: float) -> Cohorts:
    return Cohorts.of(model_of("binary", outcomes={"maturity": maturity}), LENGTHS, at)


@pytest.mark.parametrize(("maturity", "seconds"), [(None, 0), ("5m", 300), ("1d", DAY)])
def test_maturity_is_nothing_unless_configured(maturity: str | None, seconds: int) -> None:
    assert maturity_of(model_of("binary", outcomes={"maturity": maturity})) == seconds


def test_without_maturity_every_label_counts_at_once() -> None:
    assert cohorts(None, 1.7e9).matured == {}  # what rests on labels looks at all windows then


@given(ends, maturities, st.lists(st.floats(0, 45 * DAY), min_size=1, max_size=50))
def test_a_cohort_holds_nothing_younger_and_whole_hours_however_buckets_are(
    end: float, maturity: str | None, back: list[float]
) -> None:
    ts = end - np.array(back)
    found, age = cohorts(maturity, end), maturity_of(model_of("binary", outcomes={"maturity": maturity}))
    for several, youngest in ((found.matured, dict.fromkeys(LENGTHS, age)), (found.aged, LENGTHS)):
        for name, part in several.items():
            if youngest[name] == 0:
                continue
            buckets = bucket_starts(ts, fine_since(end))
            inside = (buckets >= part.first) & (buckets < part.last)
            assert (ts[inside] <= end - youngest[name]).all()
            held = (ts >= part.first) & (ts < part.last)
            assert (inside == held).all()


@given(ends, maturities, st.lists(st.floats(0, 45 * DAY), min_size=1, max_size=50))
def test_one_shot_stretches_give_every_cohort(end: float, maturity: str | None, back: list[float]) -> None:
    ts, found = end - np.array(back), cohorts(maturity, end)
    starts = stretch_starts(ts, found.bounds())
    for several in (found.windows, found.matured, found.aged):
        for part in several.values():
            inside = (starts >= part.first) & (starts < part.last)
            assert (inside == ((ts >= part.first) & (ts < part.last))).all()


@given(ends, maturities)
def test_no_stretch_reaches_further_than_is_kept(end: float, maturity: str | None) -> None:
    model = model_of("binary", outcomes={"maturity": maturity})
    found = Cohorts.of(model, LENGTHS, end)
    kept = stretch(end, oldest_needed((model,), LENGTHS)).first
    assert all(part.first >= kept for several in (found.matured, found.aged) for part in several.values())
