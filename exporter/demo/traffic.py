"""The flights as a log: a stretch of the year written at once, or replayed at a chosen speed through `PredictionLog`.

In comes the scored year of `flights.year`; out go NDJSON records in the order of their times: each flight is a
prediction at its scheduled departure and an outcome at its arrival. One written at once carries no latency, for none
was measured; a replayed one is scored then, with those that leave in the same minute, and carries what that took.
A flight without any weather is refused: its record carries an error instead of a score.
"""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from threading import Event
from typing import NamedTuple

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray

from exporter.demo.flights import (
    DAY,
    DECISION_THRESHOLD,
    FEATURES,
    MODEL_NAME,
    MODEL_VERSION,
    REFUSED,
    WEATHER,
    column,
)
from exporter.demo.model import DelayModel, one_thread
from predlog import PredictionLog

TICK_SECONDS = 0.02
"""The replay never sleeps less than this and then logs what is due: waking for every minute of the log costs CPU."""

FLUSH_SECONDS = 0.2
"""At 43,200 times real time the log's default second is half a day, in which a follower would see nothing new."""

TAIL_BYTES = 1 << 16
"""Holds a hundred records and more, so certainly one that is not of counts."""

Request = dict[str, object]


class Departure(NamedTuple):
    """A flight at its scheduled departure, when the model is asked; `score` is None where it refuses."""

    ts: float
    id: str
    request: Request
    score: float | None


class Arrival(NamedTuple):
    """A flight at its arrival, when it is known whether it was late."""

    ts: float
    id: str
    label: int


def write_year(
    folder: Path, scored: pd.DataFrame, *, start: float = -math.inf, stop: float = math.inf, files: int = 12
) -> int:
    """Write the records with start <= time < stop into `files` NDJSON files of equal length; how many records."""
    folder.mkdir(parents=True, exist_ok=True)
    times, _ = _timeline(scored, start, stop)
    lines = (_line(event) for event in events(scored, start, stop))
    length = math.ceil(len(times) / files)
    for number in range(files):
        (folder / f"{MODEL_NAME}-{number:03d}.ndjson").write_bytes(b"".join(islice(lines, length)))
    return len(times)


@dataclass
class Replay:
    """A paced run through the log's time; another thread may read how far it is, and `stop` it.

    `speed` seconds of the log pass in one second. What is late is logged as fast as the model scores, until the pace
    is reached again; `behind_seconds` (real ones) says how late that is.
    """

    log: PredictionLog
    model: DelayModel
    speed: float
    ts: float = math.nan
    predictions: int = 0
    outcomes: int = 0
    behind_seconds: float = 0.0
    _ended: Event = field(default_factory=Event)

    def run(self, events: Iterable[Departure | Arrival]) -> None:
        """Score and log `events`, each when it is due, the first one now."""
        began = time.monotonic()
        first: float | None = None
        with one_thread():
            for ts, batch in groupby(events, key=lambda event: event.ts):
                first = ts if first is None else first
                self._wait(began + (ts - first) / self.speed)
                if self._ended.is_set():
                    return
                self._log(list(batch))
                self.ts = ts

    def stop(self) -> None:
        """Let `run` return before its next instant."""
        self._ended.set()

    def _wait(self, due: float) -> None:
        left = due - time.monotonic()
        if left >= TICK_SECONDS:
            self._ended.wait(left)
        self.behind_seconds = max(0.0, -left)

    def _log(self, batch: Sequence[Departure | Arrival]) -> None:
        departures = [event for event in batch if isinstance(event, Departure)]
        arrivals = [event for event in batch if isinstance(event, Arrival)]
        self._answer([departure for departure in departures if _has_weather(departure.request)])
        for ts, id_, request, _ in departures:
            if not _has_weather(request):
                self.log.log(request, error=REFUSED, id=id_, ts=ts)
        for ts, id_, label in arrivals:
            self.log.outcome(id_, label, ts=ts)
        self.predictions += len(departures)
        self.outcomes += len(arrivals)

    def _answer(self, departures: Sequence[Departure]) -> None:
        """Score the flights of one instant together; each carries the time that this took, for so long it waited."""
        if not departures:
            return
        began = time.perf_counter()
        scores = self.model.score([departure.request for departure in departures]).tolist()
        latency = time.perf_counter() - began
        for (ts, id_, request, _), score in zip(departures, scores, strict=True):
            self.log.log(request, score=score, prediction=_late(score), id=id_, latency_seconds=latency, ts=ts)


def open_log(folder: Path) -> PredictionLog:
    """The log that a replay writes to, in `folder`; close it to end its files."""
    return PredictionLog(MODEL_NAME, version=MODEL_VERSION, path=folder, flush_seconds=FLUSH_SECONDS)


def replay(
    folder: Path,
    year: tuple[pd.DataFrame, DelayModel],
    *,
    speed: float,
    start: float = -math.inf,
    stop: float = math.inf,
) -> Replay:
    """Replay the scored `year` in start <= time < stop into files in `folder`; return when all of it is durable."""
    scored, model = year
    with open_log(folder) as log:
        run = Replay(log, model, speed)
        run.run(events(scored, start, stop))
    return run


def newest_time(folder: Path) -> float | None:
    """The time of the newest prediction or outcome in the plain files of `folder`; None when there is none."""
    times = map(_last_time, folder.glob("*.ndjson"))
    return max((ts for ts in times if ts is not None), default=None)


def events(scored: pd.DataFrame, start: float, stop: float) -> Iterator[Departure | Arrival]:
    """What happens in start <= time < stop, in the order of time; rows become objects one day at a time."""
    times, rows = _timeline(scored, start, stop)
    begin = 0
    while begin < len(times):
        end = int(np.searchsorted(times, times[begin] + DAY))
        yield from _stretch(scored, times[begin:end], rows[begin:end])
        begin = end


def requests(scored: pd.DataFrame) -> list[Request]:
    """The features of each row as a serving process is given them: name -> value, None where missing."""
    values = (scored[column(name)] for name in FEATURES)
    columns = [series.astype(object).where(series.notna(), None).tolist() for series in values]
    return [dict(zip(FEATURES, row, strict=True)) for row in zip(*columns, strict=True)]


def _has_weather(request: Request) -> bool:
    return any(request[name] is not None for name in WEATHER)


def _late(score: float) -> int:
    return int(score >= DECISION_THRESHOLD)


def _timeline(scored: pd.DataFrame, start: float, stop: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Times of all that happens in start <= time < stop, in order, and rows: n or above is the arrival of row - n."""
    times = np.concatenate([scored["ts"].to_numpy(), scored["outcome_ts"].to_numpy()])
    inside = np.flatnonzero((times >= start) & (times < stop))  # a comparison with NaN, no outcome, is False
    rows = inside[np.argsort(times[inside], kind="stable")]
    return times[rows], rows


def _stretch(
    scored: pd.DataFrame, times: NDArray[np.float64], rows: NDArray[np.int64]
) -> Iterator[Departure | Arrival]:
    arrives = rows >= len(scored)
    flights = scored.iloc[rows % len(scored)]
    leaving = flights[~arrives]
    asked = iter(requests(leaving))
    scores = (None if math.isnan(score) else score for score in leaving["score"].tolist())
    labels = iter(flights["label"][arrives].tolist())
    for ts, id_, arrival in zip(times.tolist(), flights["id"].tolist(), arrives.tolist(), strict=True):
        yield Arrival(ts, id_, int(next(labels))) if arrival else Departure(ts, id_, next(asked), next(scores))


def _line(event: Departure | Arrival) -> bytes:
    record: dict[str, object] = {
        "kind": "outcome" if isinstance(event, Arrival) else "prediction",
        "ts": event.ts,
        "model": MODEL_NAME,
        "version": MODEL_VERSION,
        "id": event.id,
    }
    if isinstance(event, Arrival):
        record["label"] = event.label
    else:
        record |= {"features": event.request}
        record |= (
            {"error": REFUSED} if event.score is None else {"score": event.score, "prediction": _late(event.score)}
        )
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def _last_time(path: Path) -> float | None:
    """From the end of a file: the last line may be torn, and counts records carry the writer's clock."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        lines = file.read().split(b"\n")[:-1]
    for line in reversed(lines):
        if b'"kind":"counts"' not in line and line.startswith(b"{"):
            return float(orjson.loads(line)["ts"])
    return None
