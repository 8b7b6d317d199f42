"""The `demo` command: a year of flights, a model that ages, and the alerts that tell of it, on this machine.

It fits the model on January, starts the exporter and, where they are installed, Prometheus and Alertmanager, replays
the year and shows what happens. Every process that it starts ends with it.
"""

import math
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from rich.console import Console

from exporter.demo.flights import DAY, YEAR_START, year
from exporter.demo.model import DelayModel
from exporter.demo.processes import Servers
from exporter.demo.progress import read_status, shown
from exporter.demo.stage import Stage, build_baseline, ensure_baseline, invitation, start_servers
from exporter.demo.traffic import Replay, events, newest_time, open_log, write_year
from exporter.demo.workspace import owned, prepare

SPEED = 43_200.0
"""Two real seconds are a day of the log, as deploy/flights has it: February drifts within the first minute."""

REPLAY_START = YEAR_START + 28 * DAY
"""What lies before is written at once, so that the longest window, of 28 days, is full when the replay starts."""

_REFRESH_SECONDS = 1.0


def run_demo(
    folder: Path = Path(".demo"),
    *,
    seconds: float | None = None,
    speed: float = SPEED,
    traffic: Path | None = None,
    config: Path | None = None,
) -> int:
    """Tell the story in `folder` for `seconds`, or until Ctrl-C; both are how it is meant to end, with exit status 0.

    `speed`: seconds of the log in a real one. With `traffic`, no server is started: the flights are only logged into
    that folder, for an exporter elsewhere to follow; what an earlier run wrote there is continued. `config`, then, is
    that exporter's configuration: the baseline is built first where it expects one, unless it is there.
    PredictionExporterError names what is missing, or which server failed.
    """
    console = Console()
    deadline = math.inf if seconds is None else time.monotonic() + seconds
    try:
        with _interrupted_by_signals():
            if traffic is None:
                with owned(folder):
                    _tell(folder, speed, deadline, console)
            else:
                _write_traffic(traffic, config, speed, deadline, console)
    except KeyboardInterrupt:
        console.print("Stopped; every process has ended.")
    return 0


def _tell(folder: Path, speed: float, deadline: float, console: Console) -> None:
    with _doing("Fitting the model on January...", console):
        work = prepare(folder)
        scored, model = year(cache=folder)
    with _doing("Building the baseline and writing January...", console):
        build_baseline(work.config, scored)
        written = write_year(work.logs, scored, stop=REPLAY_START, files=4)
    console.print(f"The model is fitted; {written:,} records of January stand in {work.logs}.", soft_wrap=True)
    with Servers(work.servers) as servers:
        with _doing("Starting the servers...", console):
            stage = start_servers(servers, work)
        console.print(invitation(stage, work), soft_wrap=True)
        with _replaying(work.logs, scored, model, speed) as (replay, running):
            _show(stage, replay, running, deadline, console)
    console.print("Every process has ended.")


def _write_traffic(folder: Path, config: Path | None, speed: float, deadline: float, console: Console) -> None:
    with _doing("Fitting the model on January...", console):
        scored, model = year()
        if config is not None:
            ensure_baseline(config, scored)
    start = newest_time(folder)
    if start is None:
        write_year(folder, scored, stop=REPLAY_START, files=4)
    console.print(f"Replaying the flights into {folder}, {speed:,.0f} times as fast as they flew.")
    with _replaying(folder, scored, model, speed, start or REPLAY_START) as (_, running):
        left = None if math.isinf(deadline) else max(0.0, deadline - time.monotonic())
        for ended in wait([running], left).done:
            ended.result()


@contextmanager
def _replaying(
    folder: Path, scored: pd.DataFrame, model: DelayModel, speed: float, start: float = REPLAY_START
) -> Iterator[tuple[Replay, "Future[None]"]]:
    """The rest of the year replayed beside the block; stopped, and its log closed, at its end."""
    with open_log(folder) as log, ThreadPoolExecutor(1, "replay") as pool:
        replay = Replay(log, model, speed, ts=start)
        running = pool.submit(replay.run, events(scored, start, math.inf))
        try:
            yield replay, running
        finally:
            replay.stop()


def _show(stage: Stage, replay: Replay, running: "Future[None]", deadline: float, console: Console) -> None:
    """Show the status every second until `deadline`; after the year's end the servers stay up."""
    alertmanager = stage.alertmanager.url if stage.alertmanager else None
    with shown(console) as show:
        while time.monotonic() < deadline:
            stage.servers.check()
            if running.done():
                running.result()
            show(read_status(stage.exporter.url, alertmanager, stage.window), replay)
            time.sleep(min(_REFRESH_SECONDS, max(0.0, deadline - time.monotonic())))


@contextmanager
def _doing(what: str, console: Console) -> Iterator[None]:
    """Tell `what` while the block runs: beside a spinner where there is a terminal, else as a line."""
    if not console.is_terminal:
        console.print(what)
    with console.status(what):
        yield


@contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """A request to end, or the terminal's closing, is taken as Ctrl-C is, so that no server is left behind."""
    signals = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.default_int_handler) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
