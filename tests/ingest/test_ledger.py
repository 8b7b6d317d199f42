"""The ledger: each prediction once, each outcome once, in whatever order they come."""

from collections.abc import Callable, Iterator, Sequence

import duckdb
import numpy as np
import pytest

from exporter.ingest.ledger import Ledger, Settled, Settlement
from exporter.profile.batch import Outcomes, Predictions, Scored
from exporter.profile.columns import NumericColumn, TextColumn, string_array, texts_of

Make = Callable[[], Ledger]
NOTHING = Settlement()


@pytest.fixture
def make() -> Iterator[Make]:
    with duckdb.connect() as connection:
        yield lambda: Ledger(connection)


def predictions(ids: Sequence[str | None], labels: Sequence[str | None] | None = None) -> Predictions:
    rows = len(ids)
    nothing = np.full(rows, np.nan)
    return Predictions(
        ts=np.arange(rows, dtype=np.float64),
        version=texts_of(["v1"] * rows),
        features={},
        prediction=texts_of([None] * rows),
        score=np.linspace(0, 1, rows),
        confidence=nothing,
        label=texts_of(list(labels)) if labels else None,
        weight=None,
        latency=nothing,
        cost=nothing,
        error=texts_of([None] * rows),
        ids=string_array(ids),
    )


def outcomes(*pairs: tuple[str, str], ts: float = 100.0) -> Outcomes:
    ids, labels = [name for name, _ in pairs], [label for _, label in pairs]
    return Outcomes(np.full(len(pairs), ts), texts_of(labels), string_array(ids))


def remember(ledger: Ledger, ids: Sequence[str | None], model: str = "m", first: float = 0.0) -> Settlement:
    """Count what is fresh of `ids`; the value of prediction `i` is `first + i`."""
    batch = predictions(ids)
    fresh = ledger.fresh(model, batch)
    values = first + np.arange(batch.rows, dtype=np.float64)
    scored = Scored(np.arange(batch.rows), values, batch.ts, batch.weights)
    return ledger.remember(model, batch.take(fresh), scored.take(fresh))


def said(settled: Settled | None) -> dict[float, str]:
    """Labels by the prediction's value."""
    if settled is None:
        return {}
    assert isinstance(settled.label, TextColumn)
    return dict(zip(settled.scored.value.tolist(), map(str, settled.label.decode()), strict=True))


def found(settlement: Settlement) -> dict[float, str]:
    """First labels, where nothing else happened."""
    assert settlement.corrected is None
    return said(settlement.first)


def test_an_id_is_fresh_once_in_a_batch_over_batches_and_after_a_restart(make: Make) -> None:
    ledger = make()
    assert ledger.fresh("m", predictions(["a", "b", "a", None, None])).tolist() == [True, True, False, True, True]
    remember(ledger, ["a", "b", "a", None, None])
    assert ledger.fresh("m", predictions(["b", "c", "c"])).tolist() == [False, True, False]
    assert make().fresh("m", predictions(["a", "b", "c"])).tolist() == [False, False, True]


def test_a_batch_without_ids_is_all_fresh(make: Make) -> None:
    ledger = make()
    for _ in range(2):
        assert ledger.fresh("m", predictions([None, None])).all()
        remember(ledger, [None, None])


def test_ids_of_different_models_do_not_mix(make: Make) -> None:
    ledger = make()
    remember(ledger, ["a"], "m", first=1.0)
    assert ledger.fresh("n", predictions(["a"])).all()
    assert ledger.settle("n", outcomes(("a", "1"))) == NOTHING
    assert found(remember(ledger, ["a"], "n", first=2.0)) == {2.0: "1"}
    assert found(ledger.settle("m", outcomes(("a", "0")))) == {1.0: "0"}


def test_an_outcome_settles_its_prediction_with_delay_version_and_weight(make: Make) -> None:
    ledger = make()
    remember(ledger, ["a", "b"])
    settled = ledger.settle("m", outcomes(("b", "1"), ts=61.0)).first
    assert settled is not None
    assert said(settled) == {1.0: "1"}
    assert settled.delay.tolist() == [60.0]
    assert settled.version.decode() == ["v1"]
    assert settled.scored.cell.tolist() == [1]
    assert settled.scored.weight.tolist() == [1.0]


def test_an_outcome_before_its_prediction_waits_for_it_over_a_restart(make: Make) -> None:
    assert make().settle("m", outcomes(("a", "1"), ("z", "0"))) == NOTHING
    ledger = make()
    assert found(remember(ledger, ["a", "b"])) == {0.0: "1"}
    assert ledger.settle("m", outcomes(("a", "1"))) == Settlement(repeated=1), "it was settled"
    assert found(remember(ledger, ["y", "z"])) == {1.0: "0"}


def test_the_same_label_again_changes_nothing(make: Make) -> None:
    ledger = make()
    remember(ledger, ["a"])
    settlement = ledger.settle("m", outcomes(("a", "1"), ("a", "1")))
    assert (found(settlement), settlement.repeated) == ({0.0: "1"}, 1)
    assert ledger.settle("m", outcomes(("a", "1"), ts=200.0)) == Settlement(repeated=1)
    assert ledger.settle("m", outcomes(("a", "0"), ts=150.0)) == Settlement(superseded=1), "200 said it last"


def test_a_corrected_label_replaces_the_old_one_over_a_restart(make: Make) -> None:
    ledger = make()
    remember(ledger, ["a", "b"])
    ledger.settle("m", outcomes(("a", "1"), ("b", "1"), ts=60.0))
    settlement = make().settle("m", outcomes(("a", "0"), ("b", "1"), ts=90.0))
    assert (settlement.first, settlement.repeated, settlement.superseded) == (None, 1, 0)
    assert (said(settlement.corrected), said(settlement.replaced)) == ({0.0: "0"}, {0.0: "1"})
    assert settlement.corrected is not None
    assert settlement.replaced is not None
    assert (settlement.corrected.delay.tolist(), settlement.replaced.delay.tolist()) == ([90.0], [60.0])


def test_the_newest_outcome_counts_and_the_last_to_arrive_of_equally_new_ones(make: Make) -> None:
    ledger = make()
    remember(ledger, ["a", "b"])
    settlement = ledger.settle("m", outcomes(("a", "1"), ("a", "0"), ("b", "1")))
    assert (found(settlement), settlement.superseded) == ({0.0: "0", 1.0: "1"}, 1)
    assert said(ledger.settle("m", outcomes(("b", "0"))).corrected) == {1.0: "0"}
    assert ledger.settle("m", outcomes(("a", "1"), ts=99.0)) == Settlement(superseded=1)


def test_an_outcome_is_corrected_while_it_waits(make: Make) -> None:
    ledger = make()
    assert ledger.settle("m", outcomes(("w", "1"))) == NOTHING
    assert ledger.settle("m", outcomes(("w", "1"), ("w", "1"))) == Settlement(repeated=2)
    assert ledger.settle("m", outcomes(("w", "0"), ts=99.0)) == Settlement(superseded=1)
    assert ledger.settle("m", outcomes(("w", "0"), ts=101.0)) == NOTHING
    assert found(remember(ledger, ["w"])) == {0.0: "0"}


def test_an_outcome_corrects_the_label_that_a_prediction_carries(make: Make) -> None:
    ledger = make()
    ledger.settle("m", outcomes(("c", "1")))
    batch = predictions(["a", "b", "c"], ["1", None, "0"])
    scored = Scored(np.arange(3), np.arange(3.0), batch.ts, batch.weights)
    assert said(ledger.remember("m", batch, scored).corrected) == {2.0: "1"}
    assert not ledger.fresh("m", batch).any()
    settlement = ledger.settle("m", outcomes(("a", "0"), ("b", "1"), ("c", "1")))
    assert (said(settlement.first), settlement.repeated) == ({1.0: "1"}, 1)
    assert (said(settlement.corrected), said(settlement.replaced)) == ({0.0: "0"}, {0.0: "1"})
    assert settlement.replaced is not None
    assert np.isnan(settlement.replaced.delay).all()


def test_numbers_survive_the_wait(make: Make) -> None:
    ledger = make()
    label = NumericColumn(np.array([0.1 + 0.2, 1e300]))
    ledger.settle("m", Outcomes(np.zeros(2), label, string_array(["a", "b"])))
    assert found(remember(ledger, ["a", "b"])) == {0.0: "0.30000000000000004", 1.0: "1e+300"}


def test_what_is_too_old_is_forgotten_and_orphans_are_counted(make: Make) -> None:
    ledger = make()
    remember(ledger, ["a", "b", "c"])  # at 0, 1 and 2 seconds
    ledger.settle("m", outcomes(("x", "1"), ts=1.0))
    ledger.settle("m", outcomes(("y", "1"), ts=2.0))
    assert ledger.expire(2.0) == 1
    assert ledger.expire(2.0) == 0
    assert ledger.fresh("m", predictions(["a", "c"])).tolist() == [True, False]
    assert ledger.settle("m", outcomes(("y", "1"))) == Settlement(repeated=1), "it still waits"
    assert ledger.settle("m", outcomes(("a", "0"))) == NOTHING, "its prediction is forgotten"
    assert make().fresh("m", predictions(["a", "c"])).tolist() == [True, False]
