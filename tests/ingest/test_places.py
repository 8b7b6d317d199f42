"""Places: a filter that never misses an id that is there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.ingest.places import Marks, Places

HASHES = st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=40)


def pairs(places: Places, hashes: list[int]) -> set[tuple[int, int]]:
    rows, found = places.find(np.array(hashes, dtype=np.uint64))
    return set(zip(rows.tolist(), found.tolist(), strict=True))


@given(hashes=HASHES, others=HASHES, cut=st.integers(0, 40), first=st.integers(0, 10**12))
def test_what_was_added_is_found_where_it_stands(hashes: list[int], others: list[int], cut: int, first: int) -> None:
    places, array = Places(first=first), np.array(hashes, dtype=np.uint64)
    stands = first + np.arange(len(hashes))
    for piece in (slice(cut), slice(cut, None)):
        places.add(array[piece], stands[piece])
    found = pairs(places, [*hashes, *others])
    assert set(enumerate(stands.tolist())) <= found
    for row, place in found:
        assert [*hashes, *others][row] >> 30 == hashes[place - first] >> 30, "alike in all that is kept"


@given(hashes=HASHES, gone=st.integers(0, 50))
def test_what_is_forgotten_is_found_no_more_and_the_rest_stays(hashes: list[int], gone: int) -> None:
    places = Places()
    places.add(np.array(hashes, dtype=np.uint64), np.arange(len(hashes)))
    before = places.copy()
    places.forget(gone)
    places.forget(0)
    assert pairs(places, hashes) == {pair for pair in pairs(before, hashes) if pair[1] >= gone}


@given(hashes=HASHES, gone=st.sets(st.integers(0, 39)))
def test_what_is_dropped_is_found_no_more_and_the_rest_stays(hashes: list[int], gone: set[int]) -> None:
    places, dropped = Places(), {place for place in gone if place < len(hashes)}
    places.add(np.array(hashes, dtype=np.uint64), np.arange(len(hashes)))
    before = places.copy()
    places.drop(np.array(sorted(dropped), dtype=np.int64))
    assert pairs(places, hashes) == {pair for pair in pairs(before, hashes) if pair[1] not in dropped}


def test_hashes_that_share_what_is_kept_are_all_found() -> None:
    places = Places()
    places.add(np.array([5, 6, 7], dtype=np.uint64), np.array([0, 1, 2]))
    assert pairs(places, [8]) == {(0, 0), (0, 1), (0, 2)}


def test_more_places_than_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shorten `outcomes\.horizon`"):
        Places().add(np.array([1], dtype=np.uint64), np.array([2**30]))


@given(several=st.lists(st.sets(st.integers(0, 300)), max_size=4))
def test_what_is_marked_stays_marked_and_nothing_else(several: list[set[int]]) -> None:
    marks = Marks(np.zeros(0, dtype=np.int64))
    for numbers in several:
        marks.add(np.array(sorted(numbers), dtype=np.int64))
    marked = set().union(*several)
    for found in (marks, marks.copy()):
        assert set(np.flatnonzero(found.of(np.arange(400))).tolist()) == marked
