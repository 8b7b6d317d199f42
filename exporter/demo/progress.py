"""What the demo shows while it runs: a frozen `Status` read from the exporter and Alertmanager, and its table.

In come the two servers' HTTP answers; out goes something that rich can print. What cannot be read now is left blank.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from rich.console import Console
from rich.live import Live
from rich.table import Table

from exporter import names
from exporter.demo.flights import NEW_YORK
from exporter.demo.traffic import Replay

TIMEOUT_SECONDS = 2.0
LINE_SECONDS = 5.0
HEARTBEAT = "Watchdog"
GRAVITY = {"critical": 0, "warning": 1, "info": 2}

MOST_FEATURES = 5
"""Rows of the table; the flights' weather makes five or six features drift."""


@dataclass(frozen=True)
class Firing:
    """What fires in Alertmanager under one name, and for which features or metrics ("" for the model as a whole)."""

    name: str
    severity: str
    subjects: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}({' '.join(self.subjects)})" if any(self.subjects) else self.name


@dataclass(frozen=True)
class Status:
    """PSI by feature over the window that alerts look at, AUC by window, and what fires (None: no Alertmanager).

    Alerts that a graver one inhibits are left out, as nobody is told of them, and so is the watchdog's heartbeat.
    """

    psi: Mapping[str, float]
    auc: Mapping[str, float]
    alerts: tuple[Firing, ...] | None

    def drifted(self) -> list[tuple[str, float]]:
        """The features that moved most, with their PSI."""
        return sorted(self.psi.items(), key=lambda item: -item[1])[:MOST_FEATURES]


def read_status(exporter_url: str, alertmanager_url: str | None, window: str) -> Status:
    """Ask both servers now; `window` is the one whose drift is shown."""
    samples = _samples(exporter_url)
    psi = {
        sample.labels[names.FEATURE]: sample.value
        for sample in samples
        if sample.name == names.FEATURE_DRIFT_SCORE.name
        and sample.labels[names.METHOD] == "psi"
        and sample.labels[names.WINDOW] == window
    }
    auc = {sample.labels[names.WINDOW]: sample.value for sample in samples if sample.name == names.MODEL_AUC.name}
    return Status(psi, auc, _alerts(alertmanager_url) if alertmanager_url else None)


def table(status: Status, replay: Replay) -> Table:
    """The status as a table of two columns."""
    grid = Table(show_header=False, title="NYC flights, replayed", title_justify="left")
    grid.add_column(style="bold")
    grid.add_column()
    grid.add_row("log time", _day(replay.ts))
    grid.add_row("flights logged", f"{replay.predictions:,} (and {replay.outcomes:,} outcomes){_lag(replay)}")
    for name, psi in status.drifted():
        grid.add_row(f"PSI of {name}", f"[{_colour(psi)}]{psi:.3f}[/]")
    for window, auc in status.auc.items():
        grid.add_row(f"AUC over {window}", f"{auc:.3f}")
    grid.add_row("alerts firing", "\n".join(map(_coloured, status.alerts or ())) or _no_alerts(status))
    return grid


def line(status: Status, replay: Replay) -> str:
    """The status in one line, for outputs that are no terminal."""
    psi = " ".join(f"{name}={value:.2f}" for name, value in status.drifted())
    auc = " ".join(f"{window}={value:.3f}" for window, value in status.auc.items())
    firing = " ".join(map(str, status.alerts or ())) or _no_alerts(status)
    return f"{_day(replay.ts)} flights={replay.predictions} PSI {psi} AUC {auc} firing: {firing}"


@contextmanager
def shown(console: Console) -> Iterator[Callable[[Status, Replay], None]]:
    """Something to show each status with: a table that stays in its place, or now and then a line where none can."""
    if not console.is_terminal:
        yield _Lines(console).show
        return
    with Live(console=console, auto_refresh=False) as live:
        yield lambda status, replay: live.update(table(status, replay), refresh=True)


@dataclass
class _Lines:
    console: Console
    next_due: float = 0.0

    def show(self, status: Status, replay: Replay) -> None:
        if time.monotonic() >= self.next_due:
            self.next_due = time.monotonic() + LINE_SECONDS
            self.console.print(line(status, replay), soft_wrap=True, markup=False, highlight=False)


def _samples(url: str) -> list[Sample]:
    try:
        answer = requests.get(f"{url}/metrics", timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
    except requests.RequestException:
        return []
    return [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]


def _alerts(url: str) -> tuple[Firing, ...]:
    try:
        answer = requests.get(f"{url}/api/v2/alerts", timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        return _grouped(answer.json())
    except requests.RequestException:
        return ()


def _grouped(alerts: Iterable[Mapping[str, Any]]) -> tuple[Firing, ...]:
    subjects: dict[tuple[str, str], set[str]] = {}
    for labels in (item["labels"] for item in alerts if item["status"]["state"] == "active"):
        if labels["alertname"] != HEARTBEAT:
            subject = labels.get(names.FEATURE) or labels.get("metric", "")
            subjects.setdefault((labels["alertname"], labels.get("severity", "")), set()).add(subject)
    firing = (Firing(name, severity, tuple(sorted(about))) for (name, severity), about in subjects.items())
    return tuple(sorted(firing, key=lambda group: (GRAVITY.get(group.severity, len(GRAVITY)), group.name)))


def _no_alerts(status: Status) -> str:
    return "(Alertmanager is not running)" if status.alerts is None else "none"


def _coloured(firing: Firing) -> str:
    colour = {"critical": "red", "warning": "yellow"}.get(firing.severity, "cyan")
    return f"[{colour}]{firing.name}[/] {' '.join(firing.subjects)}"


def _colour(psi: float) -> str:
    """As the default levels of the configuration's `feature_drift` have it."""
    return "red" if psi >= 0.3 else "yellow" if psi >= 0.1 else "green"


def _day(ts: float) -> str:
    return f"{datetime.fromtimestamp(ts, NEW_YORK):%a %d %b %Y %H:%M}" if ts == ts else "-"  # noqa: PLR0124 - NaN


def _lag(replay: Replay) -> str:
    return f", {replay.behind_seconds:.0f} s behind" if replay.behind_seconds >= 1 else ""
