"""Time as a whole: whatever the order, the lateness, the roll-ups and the restarts, a window is a recount of its rows.

The recount knows nothing of buckets: it asks of each raw record whether its time lies within.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.evaluate import evaluate
from exporter.measures import Scope
from exporter.monitor import Monitor
from exporter.profile.layout import Profile
from exporter.service import Exporter
from tests.world import CONFIG, START, Record, monitor, outcome, prediction, text

HOUR, DAY = 3_600, 86_400
LENGTHS = {"1h": HOUR, "1d": DAY, "2d": 2 * DAY, "3d": 3 * DAY, "7d": 7 * DAY}
TIMED = CONFIG.replace("[1h, 1d, 7d]", f"[{', '.join(LENGTHS)}]").replace(
    "min_rows: 5", "min_rows: 5, periods: [previous, last_week]"
)
FORGETFUL = TIMED.replace("{versions: 3}", "{versions: 3, retention: 9d}")
COLOURS = ("blue", "green", "red")  # as the baseline lists them


@dataclass(frozen=True)
class Event:
    """A prediction, the batch that brings it, and the one that brings its outcome (None: none does)."""

    ts: float
    version: str
    colour: str
    batch: int
    told: int | None


BATCHES = 3
edges = st.builds(float.__add__, st.sampled_from([float(HOUR), *(float(days * DAY) for days in (1, 2, 3, 7, 8))]),
                  st.sampled_from([-600.0, -300.25, -300.0, -0.25, 0.0, 0.25, 300.0, 3_600.0]))  # fmt: skip
ages = st.one_of(
    edges,
    st.floats(0, 18 * DAY),
    st.floats(0, 2 * DAY),
    st.integers(0, 18 * 24).map(lambda hours: float(hours * HOUR)),
    st.integers(1, 600).map(lambda buckets: buckets * 300 - 0.25),
)
events = st.lists(
    st.builds(
        Event,
        ts=ages.map(lambda age: START + 20 * DAY - age),
        version=st.sampled_from(["v1", "v2"]),
        colour=st.sampled_from(COLOURS),
        batch=st.integers(0, BATCHES - 1),
        told=st.none() | st.integers(0, BATCHES - 1),
    ),
    min_size=1,
    max_size=30,
).map(lambda several: [Event(START + 20 * DAY, "v1", "red", 0, None), *several])


def lines(several: Sequence[Event], batch: int) -> Iterator[Record]:
    """What one batch brings, outcomes before predictions as well as after."""
    for number, event in enumerate(several):
        if event.told == batch:
            yield outcome(number, ts=event.ts)
        if event.batch == batch:
            features = {"age": 30.0, "colour": event.colour}
            yield prediction(number, ts=event.ts, version=event.version, features=features)


Counts = tuple[list[int], int]


def recount(within: Iterable[Event], batch: int) -> Counts:
    """Rows by colour, and how many of them have their outcome once `batch` is read."""
    rows = [event for event in within if event.batch <= batch]
    labelled = sum(event.told is not None and event.told <= batch for event in rows)
    return [sum(event.colour == colour for event in rows) for colour in COLOURS], labelled


def counted(profile: Profile) -> Counts:
    return [int(count) for count in profile.part("feature:colour")[:3]], int(profile.part("labelled")[0])


def bounds(at: float, length: int) -> tuple[float, float]:
    """Where a window starts and ends, by the words of the README."""
    end = (at // 300 + 1) * 300
    start = end - length
    return (start if length <= 2 * DAY else start // HOUR * HOUR), end


def past_bounds(period: str, at: float) -> tuple[float, float]:
    start, _ = bounds(at, DAY)
    if period == "previous":
        return start - DAY, start
    hour = (start - 7 * DAY) // HOUR * HOUR
    return hour, hour + DAY


def assert_recounted(scopes: Iterable[Scope], several: Sequence[Event], batch: int, at: float) -> None:
    seen = {scope.version: scope for scope in scopes if scope.model.name == "churn"}
    known = [event for event in several if event.batch <= batch]
    assert set(seen) >= {event.version for event in known if event.ts >= at - 7 * DAY}
    for version, scope in seen.items():
        mine = [event for event in known if event.version == version]
        for window, length in LENGTHS.items():
            start, end = bounds(at, length)
            within = (event for event in mine if start <= event.ts < end)
            assert counted(scope.windows[window]) == recount(within, batch), (window, version)
        for period, past in scope.periods.items():
            start, end = past_bounds(period, at)
            assert counted(past.profile) == recount((e for e in known if start <= e.ts < end), batch), period


def assert_history_is_told(scopes: Iterable[Scope], several: Sequence[Event], batch: int, at: float) -> None:
    known = [event for event in several if event.batch <= batch]
    for scope in scopes:
        mine = [event for event in known if event.version == scope.version]
        for window, length in LENGTHS.items():
            assert (window in scope.complete) == any(event.ts < bounds(at, length)[0] for event in mine)
        for period, past in scope.periods.items():
            assert past.complete == any(event.ts < past_bounds(period, at)[0] for event in known)


def served(folder: Path, config: str, several: Sequence[Event], restarts: set[int]) -> Iterator[tuple[int, Exporter]]:
    """The exporter after each batch; before some, it is stopped and started again."""
    monitor(folder, config)
    path = folder / "prediction-exporter.yml"
    exporter = Exporter(path)
    try:
        for batch in range(BATCHES):
            if batch in restarts:
                exporter.stop()
                exporter = Exporter(path)
            with (folder / "logs/x.ndjson").open("ab") as log:
                log.write(text(lines(several, batch)))
            exporter._read()
            yield batch, exporter
    finally:
        exporter.stop()


restarting = st.sets(st.integers(1, BATCHES - 1))


@settings(max_examples=6)
@given(several=events, restarts=restarting)
def test_windows_and_periods_are_recounts_of_the_raw_records(
    tmp_path_factory: pytest.TempPathFactory, several: list[Event], restarts: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("world")
    for batch, exporter in served(folder, TIMED, several, restarts):
        at = exporter._clock()
        if at is not None:
            scopes = list(exporter._scopes_at(at))
            assert_recounted(scopes, several, batch, at)
            assert_history_is_told(scopes, several, batch, at)
    alone = one_shot(folder, several)
    assert_recounted(alone, several, BATCHES, at or 0.0)
    assert_history_is_told(alone, several, BATCHES, at or 0.0)


def one_shot(folder: Path, several: Sequence[Event]) -> list[Scope]:
    loaded: Monitor = monitor(folder, TIMED)
    found = evaluate(loaded, [str(folder / "logs")], None, START + 40 * DAY)
    assert found.at == max(event.ts for event in several)
    return list(found.scopes())


@settings(max_examples=4)
@given(several=events, restarts=restarting)
def test_what_retention_forgets_is_missed_by_no_window_and_no_period(
    tmp_path_factory: pytest.TempPathFactory, several: list[Event], restarts: set[int]
) -> None:
    for batch, exporter in served(tmp_path_factory.mktemp("world"), FORGETFUL, several, restarts):
        at = exporter._clock()
        if at is None:
            continue
        exporter._cleaned = float("-inf")
        exporter._clean()
        oldest = exporter._store.oldest("churn").values()
        assert all(start >= at - 9 * DAY for start in oldest)
        assert_recounted(exporter._scopes_at(at), several, batch, at)
