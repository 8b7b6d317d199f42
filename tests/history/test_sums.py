"""Sums of stretches equal a naive recount, whatever is added late and forgotten early."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from exporter.history.sums import Sums
from exporter.profile.packed import Packed

SIZE = 3
PLACES = st.integers(0, 9_000)
ADDED = st.lists(st.tuples(PLACES, st.lists(st.integers(-9, 9), min_size=SIZE, max_size=SIZE)), max_size=40)


def filled(added: list[tuple[int, list[int]]]) -> Sums:
    sums = Sums(SIZE)
    for place, numbers in added:
        sums.add(place, Packed.of(np.array(numbers, dtype=float)))
    return sums


def naive(added: list[tuple[int, list[int]]], first: int, last: float) -> list[float]:
    return [float(sum(numbers[cell] for place, numbers in added if first <= place < last)) for cell in range(SIZE)]


@given(ADDED, PLACES, PLACES)
def test_a_stretch_is_the_sum_of_its_places(added: list[tuple[int, list[int]]], first: int, last: int) -> None:
    sums = filled(added)
    assert sums.between(first, last).tolist() == naive(added, first, last)
    assert sums.since(first).tolist() == naive(added, first, np.inf)


@given(ADDED, ADDED, PLACES, st.integers(0, 3_000))
def test_what_is_kept_is_unchanged_when_older_places_are_forgotten(
    early: list[tuple[int, list[int]]], late: list[tuple[int, list[int]]], before: int, further: int
) -> None:
    sums = filled(early)
    sums.forget(before)
    for place, numbers in late:
        sums.add(place, Packed.of(np.array(numbers, dtype=float)))
    first = before + further
    assert sums.since(first).tolist() == naive([*early, *late], first, np.inf)


def test_a_sum_is_a_vector_of_its_own() -> None:
    sums = filled([(0, [1, 0, 0])])
    sums.since(0)[:] = 7
    assert sums.since(0).tolist() == [1, 0, 0]
