"""A running stack, and what a test may ask of it: Prometheus's queries, Alertmanager's alerts, and patience."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import requests

from exporter import names
from exporter.demo.model import DelayModel
from exporter.demo.processes import Server

from .receiver import Json, Receiver

TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Stack:
    """The servers, where their files are, and the flights that are replayed."""

    exporter: Server
    prometheus: Server
    alertmanager: Server
    receiver: Receiver
    logs: Path
    built: Path
    year: tuple[pd.DataFrame, DelayModel] = field(repr=False)

    def query(self, expr: str, at: float | None = None) -> list[Json]:
        """The series of an instant query, each with `metric` and `value`."""
        return self._prometheus("query", {"query": expr} | ({} if at is None else {"time": at}))

    def query_range(self, expr: str, start: float, end: float) -> list[Json]:
        """The series of a query at every second, each with `metric` and `values`."""
        return self._prometheus("query_range", {"query": expr, "start": start, "end": end, "step": 1})

    def _prometheus(self, path: str, form: dict[str, Any]) -> list[Json]:
        answer = requests.post(f"{self.prometheus.url}/api/v1/{path}", data=form, timeout=TIMEOUT_SECONDS).json()
        assert answer["status"] == "success", (form, answer)
        found: list[Json] = answer["data"]["result"]
        return found

    def alerts(self) -> list[Json]:
        """What Alertmanager holds and has not seen resolved, suppressed or not."""
        return alerts_of(self.alertmanager)

    def logged(self) -> int:
        """Predictions that stand in the log."""
        return sum(path.read_bytes().count(b'"kind":"prediction"') for path in self.logs.iterdir())

    def counted(self, at: float | None = None) -> float:
        """Predictions that the exporter has counted, as Prometheus scraped it."""
        return sum(float(series["value"][1]) for series in self.query(names.PREDICTIONS_LOGGED_TOTAL.name, at))


@dataclass(frozen=True)
class Moment:
    """What stood at one instant of the story: its time by the wall clock, and Alertmanager's alerts."""

    time: float
    alerts: tuple[Json, ...] = field(repr=False)


def alerts_of(alertmanager: Server) -> list[Json]:
    """What Alertmanager holds and has not seen resolved, suppressed or not."""
    found: list[Json] = requests.get(f"{alertmanager.url}/api/v2/alerts", timeout=TIMEOUT_SECONDS).json()
    return found


def features(alerts: Iterable[Json], name: str, state: str) -> set[str]:
    """The features for which the alert `name` stands in `state`, active or suppressed."""
    return {
        alert["labels"]["feature"]
        for alert in alerts
        if alert["labels"]["alertname"] == name and alert["status"]["state"] == state
    }


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether `condition` came true within `seconds`; what it did not bring, the tests name."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False
