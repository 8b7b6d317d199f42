"""The engine: from sorted records to deltas, whatever the records are split by."""

import itertools
from collections import Counter
from collections.abc import Iterable

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.ingest import engine as engine_module
from exporter.ingest.engine import Delta
from exporter.ingest.ledger import Ledger
from exporter.ingest.ndjson import LineReader
from exporter.monitor import Monitor
from exporter.profile.columns import Floats
from exporter.profile.packed import sum_packed
from exporter.windows import bucket_starts
from tests.world import START, Record, counts, monitor, outcome, prediction, text

LATEST = START + 10 * 86_400


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Monitor:
    return monitor(tmp_path_factory.mktemp("world"))


def counted(small: Monitor, *batches: Iterable[Record]) -> Delta:
    """What one engine makes of the batches, one after another."""
    delta = Delta()
    with duckdb.connect() as connection:
        engine = small.engine(Ledger(connection))
        for batch in batches:
            records, rejected = LineReader(small.schema).read(text(batch))
            delta.absorb(engine.take(small.sort(records, rejected, LATEST), lambda ts, _: bucket_starts(ts, 0)))
    return delta


def total(small: Monitor, delta: Delta, model: str = "churn", version: str = "v1") -> Floats:
    parts = [part for key, packed in delta.profiles.items() if key[:2] == (model, version) for part in packed]
    return sum_packed(parts, small.layouts[model].size)


def part(small: Monitor, delta: Delta, name: str, version: str = "v1") -> list[float]:
    values: list[float] = total(small, delta, version=version)[small.layouts["churn"].slices[name]].tolist()
    return values


def test_outcomes_find_predictions_of_the_same_piece_whatever_the_order(small: Monitor) -> None:
    delta = counted(small, [outcome(0), prediction(0), prediction(1), outcome(1)])
    assert delta.accepted == {"prediction": 2, "outcome": 2}
    assert part(small, delta, "labelled")[0] == 2


OUTCOMES = st.lists(
    st.builds(lambda number, late, label: outcome(number, ts=START + 600 + late, label=label),
              st.integers(0, 3), st.integers(0, 1_000), st.integers(0, 1)),
    unique_by=lambda record: (record["id"], record["ts"]), max_size=12)  # fmt: skip


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(labels=OUTCOMES, cuts=st.sets(st.integers(0, 16), max_size=4), data=st.data())
def test_of_all_outcomes_the_newest_counts_in_whatever_order_they_come(
    small: Monitor, labels: list[Record], cuts: set[int], data: st.DataObject
) -> None:
    known = [prediction(0), prediction(1), prediction(2, label=1)]
    order = data.draw(st.permutations([*known, *labels]))
    bounds = [0, *sorted(cut for cut in cuts if 0 < cut < len(order)), len(order)]
    found = counted(small, *(order[start:end] for start, end in itertools.pairwise(bounds)))
    newest = {record["id"]: record for record in sorted(labels, key=lambda record: float(record["ts"]))}
    expected = counted(small, known, newest.values())
    for name in ("rows", "labelled", "outcome", "calibration", "losses"):
        np.testing.assert_allclose(part(small, found, name), part(small, expected, name), atol=1e-12, err_msg=name)


def test_repeats_are_refused_and_not_accepted(small: Monitor) -> None:
    delta = counted(small, [prediction(0), prediction(0), outcome(0), outcome(0)], [prediction(0), outcome(0)])
    assert +delta.accepted == {"prediction": 1, "outcome": 1}
    assert delta.rejected == {"duplicate_id": 2, "duplicate_outcome": 2}
    assert part(small, delta, "rows")[0] == 1


def test_a_correction_leaves_what_its_last_label_alone_gives(small: Monitor) -> None:
    labels = [[outcome(number, label=number % 2, ts=START + 9_000 + late) for number in range(10)] for late in (0, 1)]
    wrong = [outcome(number, label=1 - number % 2) for number in range(10)]
    records = [prediction(number) for number in range(10)]
    corrected = counted(small, records, wrong, labels[0], labels[1], wrong)
    alone = counted(small, records, labels[0])
    parts = {name: (part(small, corrected, name), part(small, alone, name)) for name in small.layouts["churn"].slices}
    first = parts.pop("first_labelled")
    assert parts.pop("first_delay")[0][-1] == 36_000, "an hour each, as of the first labels"
    for name, (ours, theirs) in parts.items():
        np.testing.assert_allclose(ours, theirs, atol=1e-12, err_msg=name)
    assert (first[0][0], first[0][2], first[1][2]) == (10, 10, 0)
    assert first[0][1] + first[1][1] == 10, "right by the first label, which was the other one"
    assert (+corrected.accepted)["outcome"] == 20
    assert corrected.rejected == {"duplicate_outcome": 10, "superseded_outcome": 10}


def test_an_outcome_counts_in_the_bucket_of_its_prediction(small: Monitor) -> None:
    delta = counted(small, [prediction(0)], [outcome(0)])
    assert list(delta.profiles) == [("churn", "v1", int(START))]
    assert delta.newest == {"churn": START + 3_600}


def test_a_flood_of_versions_is_refused(small: Monitor) -> None:
    batch = [prediction(number, version=f"v{number}") for number in range(5)]
    delta = counted(small, [*batch, counts(9, version="v9")], [prediction(10, version="v0")])
    assert delta.rejected == {"too_many_versions": 3}
    assert +delta.accepted == {"prediction": 4}
    assert {version for _, version, _ in delta.profiles} == {"v0", "v1", "v2"}


def test_refused_records_do_not_move_the_clock(small: Monitor) -> None:
    known = [prediction(number, version=f"v{number}") for number in range(3)]
    delta = counted(small, known, [prediction(500, version="v9"), counts(600, version="v9")])
    assert delta.newest == {"churn": START + 60}
    assert counted(small, [prediction(1, version="")]).newest == {}


def test_counts_records_are_records_too(small: Monitor) -> None:
    delta = counted(small, [counts(3), counts(4)])
    assert delta.newest == {"churn": START + 120}
    assert delta.errors == {("churn", "v1", "Timeout", "reports"): 2}
    assert part(small, delta, "reported") == [2, 20, 2, 10, 0]


def test_errors_are_summed_by_version_and_name_with_weights(small: Monitor) -> None:
    failed = [
        prediction(0, error="Timeout", weight=4.0),
        prediction(1, error="Timeout"),
        prediction(2, error="Bad"),
        prediction(3, error={"not": "a name"}),
        prediction(4, error="Bad", version="v2"),
        prediction(5),
    ]
    assert counted(small, failed).errors == {
        ("churn", "v1", "Timeout", "records"): 5,
        ("churn", "v1", "Bad", "records"): 1,
        ("churn", "v1", "unknown", "records"): 1,
        ("churn", "v2", "Bad", "records"): 1,
    }


def test_a_flood_of_error_names_is_one_other(small: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "_MAX_ERRORS", 2)
    first = [prediction(number, error=f"after {number} s") for number in range(4)]
    delta = counted(small, first, [prediction(9, error="after 0 s"), prediction(10, error="x" * 500, version="v2")])
    assert {key[1:3]: count for key, count in delta.errors.items()} == {
        ("v1", "after 0 s"): 2, ("v1", "after 1 s"): 1, ("v1", "other"): 2, ("v2", "x" * 128): 1,
    }  # fmt: skip


def test_many_periods_are_counted_some_at_a_time(small: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [prediction(number, ts=START + 300 * (number * 7 % 40)) for number in range(100)]
    whole = counted(small, records)
    monkeypatch.setattr(engine_module, "_NUMBERS_AT_ONCE", 3 * small.layouts["churn"].size)
    pieces = counted(small, records)
    assert pieces.profiles.keys() == whole.profiles.keys()
    assert len(whole.profiles) == 40
    np.testing.assert_allclose(total(small, pieces), total(small, whole))


RECORDS = [
    *(prediction(number, version=f"v{number % 2}") for number in range(20)),
    *(prediction(number, id=None, error="Bad" if number % 4 else None) for number in range(20, 26)),
    *(outcome(number) for number in range(0, 24, 2)),
    *(prediction(number, label=1) for number in range(30, 34)),
    *(prediction(number, model="price", prediction=40.0 + number, score=None) for number in range(10)),
    *(outcome(number, model="price", label=42.0 + number) for number in range(5)),
    counts(7),
    counts(8),
]


@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(RECORDS), cuts=st.sets(st.integers(1, len(RECORDS) - 1), max_size=5))
def test_any_order_and_any_split_give_the_same_profiles(small: Monitor, order: list[Record], cuts: set[int]) -> None:
    bounds = [0, *sorted(cuts), len(order)]
    split = counted(small, *(order[start:end] for start, end in itertools.pairwise(bounds)))
    whole = counted(small, RECORDS)
    assert +split.accepted == +whole.accepted == Counter(prediction=40, outcome=17, counts=2)
    assert split.newest == whole.newest
    assert split.errors == whole.errors
    assert split.profiles.keys() == whole.profiles.keys()
    for key in whole.profiles:
        size = small.layouts[key[0]].size
        np.testing.assert_allclose(sum_packed(split.profiles[key], size), sum_packed(whole.profiles[key], size))
