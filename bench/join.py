"""Outcomes against predictions: a million of each in shuffled order beside one hash join, and batches against history.

usage: python bench/join.py [ROWS] [ROUNDS]
"""

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from pairs import pairs, seconds

from exporter.ingest.ledger import Ledger, Settlement
from exporter.profile.batch import Outcomes, Predictions, Scored
from exporter.profile.columns import TextColumn, texts_of

PIECE = 60_000  # records at a time, about as many as the readers hand over
BATCH = 10_000
ROUNDS = 7
DAY = 86_400.0


def main(rows: int, rounds: int) -> None:
    """Print ours beside the floor, then what a batch costs at growing history."""
    rng = np.random.default_rng(1)
    predicted, happened = rng.permutation(rows), rng.permutation(rows)
    print(f"{rows} predictions and as many outcomes{'ours':>20} {'floor':>10}")
    first = [(remember, part) for part in split(predicted)]
    then = [(settle, part) for part in split(happened)]
    turns = [work for both in zip(first, then, strict=True) for work in both]
    for name, works in (("predictions first", [*first, *then]), ("taking turns", turns)):
        pairs(
            f"{name}, against writing and one hash join",
            partial(join, works, rows),
            partial(floor, predicted, happened),
            rounds,
        )
    settling(predicted, happened, rounds)
    for history in (10_000, 1_000_000, 5_000_000):
        batches(history)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


Work = tuple[Callable[[Ledger, np.ndarray], int], np.ndarray]


def join(works: Sequence[Work], rows: int) -> None:
    """Settle all, in a database on disk and one transaction for each piece."""
    with tempfile.TemporaryDirectory() as folder, connected(Path(folder)) as connection:
        assert commit_each(connection, Ledger(connection, Path(folder)), works) == rows


def floor(predicted: np.ndarray, happened: np.ndarray) -> None:
    """The same two tables, written to such a database and joined once."""
    with written(predicted, happened) as connection:
        joined_at_once(connection)


@contextmanager
def written(predicted: np.ndarray, happened: np.ndarray) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database that holds the same two tables."""
    with tempfile.TemporaryDirectory() as folder, connected(Path(folder)) as connection:
        batch, outcomes = predictions(predicted), labels(happened)
        mine = {"id": batch.ids, "ts": batch.ts, "cell": np.zeros(batch.rows, np.int32), "value": batch.score}
        others = {"id": outcomes.ids, "ts": outcomes.ts, "label": happened % 2}
        for name, columns in (("p", mine), ("o", others)):
            connection.register("arrow", pa.table(columns))
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM arrow")
        yield connection


def joined_at_once(connection: duckdb.DuckDBPyConnection) -> None:
    query = "SELECT p.cell, p.value, p.ts, o.label, o.ts - p.ts AS delay FROM p JOIN o USING (id)"
    assert connection.sql(query).to_arrow_table().num_rows


def settling(predicted: np.ndarray, happened: np.ndarray, rounds: int) -> None:
    """Print what outcomes alone take, all predictions being remembered, against the join alone, tables being there."""
    ratios = []
    with written(predicted, happened) as tables:
        joined_at_once(tables)
        for _ in range(rounds + 1):
            ours, theirs = settled(predicted, happened), spent(partial(joined_at_once, tables))
            ratios.append([mine / its for mine, its in zip(ours, theirs, strict=True)])
    for name, column in zip(("time", "CPU time"), zip(*ratios[1:], strict=True), strict=True):
        said = f"{statistics.median(column):.2f} ({min(column):.2f} to {max(column):.2f})"
        print(f"outcomes alone, against one bare hash join, {name}: ratio {said}", flush=True)


def settled(predicted: np.ndarray, happened: np.ndarray) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder, connected(Path(folder)) as connection:
        ledger = Ledger(connection, Path(folder))
        works = [[(work, part) for part in split(rows)] for work, rows in ((remember, predicted), (settle, happened))]
        commit_each(connection, ledger, works[0])
        return spent(partial(commit_each, connection, ledger, works[1]))


def spent(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the clock and of the processors that `work` takes."""
    began = time.process_time()
    return seconds(work), time.process_time() - began


def commit_each(connection: duckdb.DuckDBPyConnection, ledger: Ledger, works: Sequence["Work"]) -> int:
    """One transaction for each piece; how many were settled."""
    count = 0
    for work, part in works:
        with transaction(connection, "COMMIT"):
            count += work(ledger, part)
    return count


def batches(history: int) -> None:
    """Print what 10,000 outcomes cost once `history` predictions are remembered: of the newest ones, and of any."""
    with tempfile.TemporaryDirectory() as folder, connected(Path(folder)) as connection:
        ledger, rng = Ledger(connection, Path(folder)), np.random.default_rng(2)
        for part in split(np.arange(history)):
            with transaction(connection, "COMMIT"):
                remember(ledger, part)
        connection.execute("CHECKPOINT")
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
        newest = np.arange(max(history - 10 * BATCH, 0), history)
        for name, among in (("the newest 100,000", newest), ("any", np.arange(history))):
            taken = [settled_in(connection, rng.choice(among, BATCH, replace=False)) for _ in range(ROUNDS)]
            said = f"{1_000 * statistics.median(taken):.0f} ms ({1_000 * min(taken):.0f} to {1_000 * max(taken):.0f})"
            print(f"{BATCH} outcomes of {name} of {history} predictions: {said}", flush=True)
        print(f"  {size / history:.0f} bytes a prediction on disk")


def settled_in(connection: duckdb.DuckDBPyConnection, numbers: np.ndarray) -> float:
    """How long outcomes take that are the first of their predictions; nothing stays."""
    ledger = Ledger(connection)
    with transaction(connection, "ROLLBACK"):
        return seconds(lambda: settle(ledger, numbers))


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection, end: str) -> Iterator[None]:
    connection.execute("BEGIN")
    yield
    connection.execute(end)


def connected(folder: Path) -> duckdb.DuckDBPyConnection:
    """A database as the exporter's."""
    return duckdb.connect(str(folder / "state.duckdb"), config={"threads": 2, "memory_limit": "64MB"})


def remember(ledger: Ledger, numbers: np.ndarray) -> int:
    batch = predictions(numbers)
    assert ledger.fresh("m", batch).all()
    return labelled(ledger.remember("m", batch, Scored(numbers % 1_000, batch.score, batch.ts, batch.weights)))


def settle(ledger: Ledger, numbers: np.ndarray) -> int:
    return labelled(ledger.settle("m", labels(numbers)))


def labelled(settlement: Settlement) -> int:
    return 0 if settlement.first is None else len(settlement.first.delay)


def predictions(numbers: np.ndarray) -> Predictions:
    rows = len(numbers)
    nothing, same = np.full(rows, np.nan), TextColumn(np.zeros(rows, dtype=np.intp), ("v1",))
    return Predictions(
        ts=numbers * 0.1, version=same, features={}, prediction=same, score=numbers % 997 / 997, confidence=nothing,
        label=None, weight=None, latency=nothing, cost=nothing, error=texts_of([None] * rows), ids=names(numbers),
    )  # fmt: skip


def labels(numbers: np.ndarray) -> Outcomes:
    return Outcomes(numbers * 0.1 + DAY, TextColumn(numbers % 2, ("0", "1")), names(numbers))


def names(numbers: np.ndarray) -> pa.Array:
    """Ids as UUIDs write them, in no order."""
    mixed = (numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)).astype(">u8").tobytes().hex().encode()
    text = np.frombuffer(mixed, dtype=np.uint8).reshape(len(numbers), 16)
    wide = np.concatenate([text, text, np.full((len(numbers), 4), ord("-"), dtype=np.uint8)], axis=1)
    offsets = np.arange(0, 36 * len(numbers) + 1, 36, dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), len(numbers), [None, pa.py_buffer(offsets), pa.py_buffer(wide.tobytes())])


def split(numbers: np.ndarray) -> list[np.ndarray]:
    return np.array_split(numbers, -(-len(numbers) // PIECE))


if __name__ == "__main__":
    arguments = [*sys.argv[1:], *("1000000", "3")[len(sys.argv) - 1 :]]
    main(int(arguments[0]), int(arguments[1]))
