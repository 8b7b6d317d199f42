"""Ids of one-shot work: the first of each stays, whatever the batches; what a failed trial saw is forgotten."""

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.ingest.records import Sorted
from exporter.ingest.seen import SeenHashes, SeenIds
from exporter.ingest.transient import TransientLedger
from exporter.profile.batch import Outcomes, Predictions, Scored
from exporter.profile.columns import texts_of

HASH = st.integers(0, 2**64 - 1) | st.integers(0, 9)


def batch(*ids: str | None) -> Predictions:
    rows = len(ids)
    numbers = np.arange(rows, dtype=np.float64)
    texts = texts_of(["v1"] * rows)
    return Predictions(
        ts=numbers, version=texts, features={}, prediction=texts, score=numbers, confidence=numbers, label=None,
        weight=None, latency=numbers, cost=numbers, error=texts_of([None] * rows), ids=pa.array(ids, pa.string()),
    )  # fmt: skip


@given(st.lists(st.lists(HASH, max_size=30), max_size=8))
def test_a_hash_is_first_once_over_all_batches(batches: list[list[int]]) -> None:
    seen, known = SeenHashes(), set[int]()
    for hashes in batches:
        expected = []
        for one in hashes:
            expected.append(one not in known)
            known.add(one)
        assert seen.add(np.array(hashes, dtype=np.uint64)).tolist() == expected


def test_a_copy_grows_apart() -> None:
    seen = SeenHashes()
    seen.add(np.array([1], dtype=np.uint64))
    other = seen.copy()
    other.add(np.array([2], dtype=np.uint64))
    assert seen.add(np.array([2], dtype=np.uint64)).tolist() == [True]


def test_repeats_are_dropped_and_counted_by_model_and_rows_without_an_id_stay() -> None:
    ids = SeenIds(duckdb.connect())
    records = Sorted(predictions={"m": [batch("a", None, "a"), batch("b", "a", None)], "n": [batch("a")]})
    records.accepted["prediction"] = 7
    ids.drop_repeated(records, ids.hashes(records))
    kept = {model: [pa.array(one.ids).to_pylist() for one in several] for model, several in records.predictions.items()}
    assert kept == {"m": [["a", None], ["b", None]], "n": [["a"]]}
    assert (records.accepted["prediction"], records.rejected["duplicate_id"]) == (5, 2)


def test_what_was_seen_after_a_copy_is_forgotten_when_it_is_restored() -> None:
    ids = SeenIds(duckdb.connect())
    known = ids.copy()
    first = Sorted(predictions={"m": [batch("a")]})
    ids.drop_repeated(first, ids.hashes(first))
    ids.restore(known)
    again = Sorted(predictions={"m": [batch("a")]})
    ids.drop_repeated(again, ids.hashes(again))
    assert again.rejected == {}


def scored(rows: int) -> Scored:
    ones = np.ones(rows)
    return Scored(np.zeros(rows, dtype=np.intp), ones, np.zeros(rows), ones)


def labels(*ids: str) -> Outcomes:
    return Outcomes(np.ones(len(ids)), texts_of(["1"] * len(ids)), pa.array(ids, pa.string()))


def test_held_predictions_are_settled_by_the_first_outcome_and_those_after_it_at_once() -> None:
    ledger = TransientLedger(duckdb.connect())
    ledger.remember("m", batch("a", "b"), scored(2))
    settlement = ledger.settle("m", labels("a", "c"))
    assert settlement.first is not None
    assert (settlement.first.delay.tolist(), settlement.repeated) == ([1.0], 0)
    late = ledger.remember("m", batch("c"), scored(1))
    assert late.first is not None
    assert late.first.version.decode() == ["v1"]


def fail_after(ledger: TransientLedger, outcomes: list[str]) -> None:
    with ledger.trial():
        ledger.remember("m", batch("b"), scored(1))
        if outcomes:
            ledger.settle("m", labels(*outcomes))
        raise duckdb.Error


@pytest.mark.parametrize("outcomes", [[], ["a", "b"]])
def test_a_trial_that_fails_leaves_the_ledger_as_it_was(outcomes: list[str]) -> None:
    ledger = TransientLedger(duckdb.connect())
    ledger.remember("m", batch("a"), scored(1))
    with pytest.raises(duckdb.Error):
        fail_after(ledger, outcomes)
    settlement = ledger.settle("m", labels("a", "b"))
    assert settlement.first is not None
    assert (len(settlement.first.delay), settlement.repeated) == (1, 0)
