"""The state: all or nothing, the same numbers after reopening, windows as sums whatever is rolled up."""

import copy
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.baseline import Baseline
from exporter.errors import ConfigError
from exporter.ingest.engine import Delta
from exporter.ingest.ledger import Ledger
from exporter.profile.columns import Floats
from exporter.profile.layout import Layout
from exporter.store import Store
from exporter.windows import BUCKET, HOUR, Stretch, bucket_starts, fine_since, window_start
from tests.world import START, baselines, other_baseline

DAY = 24 * HOUR
WEEK = 7 * DAY
LAYOUTS = {name: Layout(Baseline.from_json(text, name)) for name, text in baselines().items()}
SIZE = LAYOUTS["churn"].size
NONE: Mapping[str, int] = MappingProxyType({})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path, LAYOUTS, WEEK)
    yield opened
    opened.close()


def unit(cell: int, count: float = 1.0) -> Floats:
    vector = np.zeros(SIZE)
    vector[cell] = count
    return vector


def delta(*records: tuple[float, int], fine: int = 0, version: str = "v1") -> Delta:
    """One count in a cell for each record `(ts, cell)`, and what comes with it."""
    made = Delta()
    for ts, cell in records:
        start = int(bucket_starts(np.array([ts]), fine)[0])
        made.add(("churn", version, start), unit(cell))
        made.saw("churn", ts)
    made.accepted["prediction"] += len(records)
    made.rejected["malformed"] += 1
    made.errors["churn", version, "Timeout", "records"] += 2
    return made


def commit(store: Store, added: Delta, positions: Mapping[str, int] = NONE, size: int = 0, fine: int = 0) -> None:
    with store.transaction():
        store.commit(added, positions, size, fine)


def state(store: Store, at: float = START + HOUR) -> Any:
    """Everything that a store tells."""
    versions = sorted(store.versions("churn"))
    return (
        copy.deepcopy(store.totals),
        dict(store.positions),
        versions,
        store.fine,
        [store.total("churn", version).vector.tolist() for version in versions],
        [store.window("churn", version, at, length).vector.tolist() for version in versions for length in (HOUR, WEEK)],
        [store.errors("churn", version, "records") for version in versions],
    )


def reopened(store: Store, tmp_path: Path, layouts: Mapping[str, Layout] = LAYOUTS, longest: int = WEEK) -> Store:
    store.close()
    return Store(tmp_path, layouts, longest)


def test_reopening_gives_the_same_numbers(store: Store, tmp_path: Path) -> None:
    commit(store, delta((START, 1), (START + 10, 2), (START + 2 * HOUR, 3)), {"a": 10, "b": 7}, 100)
    commit(store, delta((START + 5, 1), version="v2"), {"a": 20}, 50, fine_since(START + 3 * DAY))
    before = state(store)
    assert before[0].accepted == {"prediction": 4}
    assert before[0].rejected == {"malformed": 2}
    assert before[0].log_bytes == 150
    assert before[1] == {"a": 20, "b": 7}
    again = reopened(store, tmp_path)
    assert state(again) == before
    again.close()


@pytest.mark.parametrize("step", ["_merge", "_summed", "_write_buckets", "_write_small", "after"])
def test_a_commit_that_fails_changes_nothing_in_memory_or_on_disk(store: Store, tmp_path: Path, step: str) -> None:
    commit(store, delta((START, 1)), {"a": 10}, 100)
    before = state(store)

    def commit_and_fail() -> None:
        with store.transaction(), pytest.MonkeyPatch.context() as patch:
            if step != "after":
                patch.setattr(store, step, fail)
            store.commit(delta((START + 5, 2), version="v2"), {"a": 20}, 50, fine_since(START + DAY))
            store.forget(START + DAY)
            fail()

    with pytest.raises(InterruptedError):
        commit_and_fail()
    assert state(store) == before
    commit(store, delta((START + 5, 2)), {"a": 20}, 50)
    after = state(store)
    assert after[1] == {"a": 20}
    again = reopened(store, tmp_path)
    assert state(again) == after
    again.close()


def fail(*_: object) -> None:
    raise InterruptedError


def test_a_commit_that_the_database_refuses_changes_nothing_in_memory(store: Store) -> None:
    commit(store, delta((START, 1)), {"a": 10}, 100)
    before, real = state(store), store.connection

    class Full:
        def execute(self, statement: str, *values: object) -> Any:
            if statement == "COMMIT":
                raise duckdb.IOException("No space left on device")
            return real.execute(statement, *values)

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

    store.connection = Full()  # type: ignore[assignment]  # stands in for a connection to a full disk
    with pytest.raises(duckdb.IOException):
        commit(store, delta((START + 5, 2)), {"a": 20}, 50)
    store.connection = real
    assert state(store) == before


TIMES = st.floats(0, 12 * DAY, allow_nan=False)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(st.tuples(TIMES, st.integers(0, 5)), min_size=1, max_size=8), min_size=1, max_size=6))
def test_every_window_is_the_sum_of_its_records_whatever_is_rolled_up_and_late(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[float, int]]]
) -> None:
    folder = tmp_path_factory.mktemp("state")
    store, seen = Store(folder, LAYOUTS, WEEK), list[tuple[float, int]]()
    for number, batch in enumerate(batches):
        records = [(START + ts, cell) for ts, cell in batch]
        seen += records
        fine = fine_since(max(ts for ts, _ in seen))
        commit(store, delta(*records, fine=fine if number % 2 else store.fine), fine=fine)
        if number % 3 == 2:
            store = reopened(store, folder)
    newest = max(ts for ts, _ in seen)
    for length in (BUCKET, HOUR, DAY, 2 * DAY, 3 * DAY, WEEK):
        cells = Counter(cell for ts, cell in seen if ts >= window_start(newest, length))
        expected = sum((unit(cell, count) for cell, count in cells.items()), np.zeros(SIZE))
        np.testing.assert_array_equal(store.window("churn", "v1", newest, length).vector, expected)
    assert store.total("churn", "v1").vector.sum() == len(seen)
    rows = store.connection.execute("SELECT count(*), count(DISTINCT start) FROM buckets").fetchone()
    assert rows == (len({int(bucket_starts(np.array([ts]), store.fine)[0]) for ts, _ in seen}),) * 2
    store.close()


def test_a_record_ahead_of_the_clock_costs_no_bucket_on_reopening(store: Store, tmp_path: Path) -> None:
    now = START + WEEK + HOUR - 1
    commit(store, delta((START + HOUR, 1), (now, 2), (now + 2 * BUCKET, 3)))
    before = store.window("churn", "v1", now, WEEK).vector
    assert before.sum() == 2
    again = reopened(store, tmp_path)
    np.testing.assert_array_equal(again.window("churn", "v1", now, WEEK).vector, before)
    again.close()


def test_old_profiles_are_forgotten_and_versions_with_them(store: Store, tmp_path: Path) -> None:
    commit(store, delta((START, 1)))
    commit(store, delta((START, 1), (START + DAY, 2), version="v2"))
    with store.transaction():
        store.forget(START + HOUR)
    assert store.versions("churn") == {"v2"}
    assert store.errors("churn", "v1", "records") == {}
    assert store.total("churn", "v2").vector.sum() == 2, "totals are counters: they never fall"
    assert store.window("churn", "v2", START + DAY, WEEK).vector.sum() == 1
    after = state(store)
    again = reopened(store, tmp_path)
    assert state(again) == after
    again.close()


def test_the_past_is_of_all_versions_and_its_beginning_is_known(store: Store, tmp_path: Path) -> None:
    commit(store, delta((START, 1), (START + HOUR, 2)))
    commit(store, delta((START + BUCKET, 1), (START + 2 * HOUR, 3), version="v2"))
    first = int(START)
    assert store.past("churn", Stretch(first, first + 2 * HOUR)).vector.tolist() == (2 * unit(1) + unit(2)).tolist()
    assert store.past("price", Stretch(first, first + HOUR)).vector.sum() == 0
    assert store.oldest("churn") == {"v1": first, "v2": first + BUCKET}
    assert store.oldest("price") == {}
    short = reopened(store, tmp_path, longest=HOUR)
    commit(short, delta((START + 30 * DAY, 1)), fine=fine_since(START + 30 * DAY))
    assert short.oldest("churn") == {"v1": first, "v2": first}, "of buckets that are on disk alone, and rolled up"
    with short.transaction():
        short.forget(START + 2 * HOUR)
    after = short.oldest("churn")
    assert after == {"v1": first + 30 * DAY, "v2": first + 2 * HOUR}
    again = reopened(short, tmp_path)
    assert again.oldest("churn") == after
    again.close()


def test_another_baseline_starts_its_model_anew_and_keeps_positions(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Ledger(store.connection)
    for rows in (
        "origins VALUES (0, 'churn', 'v1'), (1, 'price', 'v1')",
        "predictions VALUES (0, 7, 0, 0, 0, 0, 1, 0), (1, 8, 1, 0, 0, 0, 1, 0)",
        "labels VALUES (0, '1', 0, 0), (1, '1', 0, 0)",
        "waiting VALUES (0, 9, 'churn', '1', 0, 0), (1, 10, 'price', '1', 0, 0)",
    ):
        store.connection.execute(f"INSERT INTO {rows}")
    commit(store, delta((START, 1)), {"a": 10})
    again = reopened(store, tmp_path, {**LAYOUTS, "churn": Layout(Baseline.from_json(other_baseline(), "other"))})
    assert "churn: the baseline is another one than before" in caplog.text
    assert again.versions("churn") == set()
    assert again.window("churn", "v1", START, WEEK).vector.sum() == 0
    assert again.errors("churn", "v1", "records") == {}
    assert again.positions == {"a": 10}
    assert again.totals.accepted == {"prediction": 1}
    for table in ("predictions", "labels", "waiting"):
        assert again.connection.execute(f"SELECT seq FROM {table}").fetchall() == [(1,)], table
    again.close()


def test_a_model_that_is_gone_for_a_while_keeps_its_profiles(store: Store, tmp_path: Path) -> None:
    commit(store, delta((START, 1), (START + 2 * BUCKET, 2)))
    others = {"price": LAYOUTS["price"]}
    alone = reopened(store, tmp_path, others)
    commit(alone, Delta(newest={"price": START + 4 * DAY}), fine=fine_since(START + 4 * DAY))
    back = reopened(alone, tmp_path)
    assert back.window("churn", "v1", START + 4 * DAY, WEEK).vector.sum() == 2
    commit(back, delta((START + 10, 1)), fine=back.fine)
    assert back.window("churn", "v1", START + 4 * DAY, WEEK).vector.sum() == 3
    back.close()


def test_longer_windows_find_their_buckets_after_reopening(store: Store, tmp_path: Path) -> None:
    short = reopened(store, tmp_path, longest=HOUR)
    for day in range(5):
        commit(short, delta((START + day * DAY, day)))
    assert len(short._buckets["churn", "v1"]) == 3, "memory holds two days, in which buckets still change"
    again = reopened(short, tmp_path, longest=WEEK)
    assert again.window("churn", "v1", START + 4 * DAY, WEEK).vector.sum() == 5
    again.close()


def test_late_records_join_a_bucket_that_memory_no_longer_holds(store: Store, tmp_path: Path) -> None:
    short = reopened(store, tmp_path, longest=HOUR)
    commit(short, delta((START + BUCKET, 1)))
    commit(short, delta((START + 5 * DAY, 2)), fine=fine_since(START + 5 * DAY))
    assert list(short._buckets["churn", "v1"]) == [int(START + 5 * DAY)]
    commit(short, delta((START + 2 * BUCKET, 3), (START + 5 * DAY, 4)), fine=short.fine)
    assert short.connection.execute("SELECT count(*) FROM buckets").fetchone() == (2,)
    again = reopened(short, tmp_path)
    assert again.window("churn", "v1", START + 5 * DAY, WEEK).vector[1:5].tolist() == [1, 1, 1, 1]
    again.close()


def test_memory_only_state_works_alike() -> None:
    store = Store(None, LAYOUTS, WEEK)
    commit(store, delta((START, 1)), {"a": 1})
    assert (store.size, store.positions) == (0, {"a": 1})
    store.close()


def test_the_size_on_disk_is_told(store: Store, tmp_path: Path) -> None:
    commit(store, delta((START, 1)))
    assert store.size == sum(file.stat().st_size for file in tmp_path.iterdir()) > 0


def refused(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        Store(folder, LAYOUTS, WEEK)
    return str(caught.value)


def test_a_state_of_another_format_is_refused(store: Store, tmp_path: Path) -> None:
    store.connection.execute("UPDATE meta SET value = '99' WHERE name = 'format'")
    store.close()
    assert "state of format 99, not 3; move the folder away" in refused(tmp_path)


def test_files_that_are_no_state_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.duckdb"
    path.write_bytes(b"not a database at all" * 1_000)
    assert f"{path}: cannot be used (" in refused(tmp_path)
    path.unlink()
    with duckdb.connect(str(path)) as foreign:
        foreign.execute("CREATE TABLE meta (colour VARCHAR)")
    assert f"{path}: cannot be used (" in refused(tmp_path)
    with duckdb.connect(str(path)) as foreign:
        assert foreign.execute("SELECT table_name FROM duckdb_tables()").fetchall() == [("meta",)], "left as it was"


def test_a_damaged_profile_is_refused(store: Store, tmp_path: Path) -> None:
    commit(store, delta((START, 1)))
    store.connection.execute("UPDATE totals SET profile = 'damaged'")
    store.close()
    assert "nothing damaged" in refused(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be used ([Errno" in refused(tmp_path / "file" / "state")
