"""Windows are sums of buckets, whatever the buckets' width and however late they are rolled up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.windows import (
    BUCKET,
    FINE,
    HOUR,
    WEEK,
    bucket_starts,
    fine_since,
    period_of,
    stretch_starts,
    window_start,
)

START = 1_700_000_000
ends = st.floats(START, START + 10 * 86_400)
ages = st.lists(st.floats(0, 9 * 86_400), max_size=40)
short = st.integers(1, FINE // BUCKET).map(lambda buckets: buckets * BUCKET)
long = st.integers(FINE // HOUR + 1, 9 * 24).map(lambda hours: hours * HOUR)
lengths = st.one_of(short, long)


def total(starts: np.ndarray, end: float, length: int) -> int:
    return int(np.count_nonzero(starts >= window_start(end, length)))


@given(ends, ages, lengths, st.floats(0, 5 * 86_400))
def test_rolling_buckets_up_changes_no_windows_sum(end: float, back: list[float], length: int, earlier: float) -> None:
    ts = end - np.array(back)
    exact = int(np.count_nonzero(ts >= window_start(end, length)))
    fine = bucket_starts(ts, 0)
    rolled_before = bucket_starts(fine.astype(float), fine_since(end - earlier))
    rolled_now = bucket_starts(rolled_before.astype(float), fine_since(end))
    for starts in (fine, rolled_before, rolled_now):
        assert total(starts, end, length) == exact


@given(ends, ages, st.lists(lengths, min_size=1, max_size=4))
def test_windows_are_sums_of_segments_too(end: float, back: list[float], several: list[int]) -> None:
    ts = end - np.array(back)
    segments = stretch_starts(ts, [window_start(end, length) for length in several])
    for length in several:
        assert total(segments, end, length) == np.count_nonzero(ts >= window_start(end, length))


@given(ends, lengths)
def test_a_window_holds_its_end_and_is_as_long_as_it_says_but_for_a_bucket(end: float, length: int) -> None:
    step = BUCKET if length <= FINE else HOUR
    covered = end - window_start(end, length)
    assert length - BUCKET <= covered <= length + step


@pytest.mark.parametrize(("end", "length", "start"), [
    (0.0, 300, 0), (299.9, 300, 0), (300.0, 300, 300), (3_600.0, 3_600, 300), (10 * 86_400.0, 7 * 86_400, 3 * 86_400),
])  # fmt: skip
def test_where_windows_start(end: float, length: int, start: int) -> None:
    assert window_start(end, length) == start


periods = st.sampled_from(["previous", "last_week"])


@given(ends, st.lists(st.floats(0, 20 * 86_400), max_size=40), lengths, periods, st.floats(0, 5 * 86_400))
def test_rolling_buckets_up_changes_no_periods_sum_and_segments_make_it_too(
    end: float, back: list[float], length: int, period: str, earlier: float
) -> None:
    ts, stretch = end - np.array(back), period_of(period, end, length)
    exact = np.count_nonzero((ts >= stretch.first) & (ts < stretch.last))
    older = bool((ts < stretch.first).any())
    fine = bucket_starts(ts, 0)
    rolled_before = bucket_starts(fine.astype(float), fine_since(end - earlier))
    rolled_now = bucket_starts(rolled_before.astype(float), fine_since(end))
    for starts in (fine, rolled_before, rolled_now, stretch_starts(ts, [window_start(end, length), *stretch])):
        assert np.count_nonzero((starts >= stretch.first) & (starts < stretch.last)) == exact
        assert bool((starts < stretch.first).any()) == older


@given(ends, lengths)
def test_the_previous_period_ends_where_the_window_starts_and_is_as_long(end: float, length: int) -> None:
    start, stretch = window_start(end, length), period_of("previous", end, length)
    assert stretch.last == start
    assert 0 <= stretch.last - stretch.first - length < HOUR
    assert length > FINE // 2 or stretch.last - stretch.first == length


@given(ends, short)
def test_the_period_a_week_ago_is_as_long_and_at_most_an_hour_off(end: float, length: int) -> None:
    stretch = period_of("last_week", end, length)
    assert 0 <= stretch.last - stretch.first - length < HOUR
    assert 0 <= window_start(end, length) - WEEK - stretch.first < HOUR


def test_another_word_names_no_period() -> None:
    with pytest.raises(KeyError):
        period_of("yesterday", 0.0, HOUR)
