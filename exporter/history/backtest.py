"""Rules held against a history: when each alert would have fired, what that found, how often it would have paged."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import Field, ValidationError, model_validator

from exporter.config.base import Section
from exporter.errors import ConfigError
from exporter.history.firing import Firing, Notification, firing_stretches, notifications, on_evaluations
from exporter.history.rulefile import Rule, RuleFile
from exporter.history.server import History, Span, Workbench
from exporter.ingest.ndjson import timestamp

PAGES = {"severity": "critical", "page": "true"}
"""Labels of the alerts that page, as the generated routes know them; the others open tickets or inform."""

_MONTH, _WEEK = 30 * 86_400, 7 * 86_400


class EventText(Section):
    """One named event of an events file."""

    name: str = Field(min_length=1)
    start: str
    end: str

    @model_validator(mode="after")
    def _in_order(self) -> "EventText":
        if not timestamp(self.start) < timestamp(self.end):  # NaN, of what is no time, too
            raise ValueError("start must be before end; give both as RFC 3339 times")
        return self


class EventsFile(Section):
    """What really happened, for alerts to be held against."""

    events: tuple[EventText, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that alerts should tell of, in Unix seconds."""

    name: str
    start: float
    end: float

    def meets(self, one: Notification) -> bool:
        """Whether the notification's stretch overlaps the event."""
        return one.start <= self.end and (one.end is None or one.end >= self.start)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one alert would have done; `obstacle` says why the history cannot tell."""

    rule: Rule
    notifications: tuple[Notification, ...] = ()
    obstacle: str | None = None

    @property
    def pages(self) -> bool:
        """Whether its labels make it page."""
        return all(self.rule.labels.get(name) == value for name, value in PAGES.items())

    @property
    def firings(self) -> list[Firing]:
        """The firings of all notifications."""
        return [firing for one in self.notifications for firing in one.firings]

    def detected(self, event: Event) -> float | None:
        """Seconds from the event's start to the first firing that began within it; None when none did."""
        after = [one.start - event.start for one in self.firings if event.start <= one.start <= event.end]
        return min(after, default=None)

    def fired_already(self, event: Event) -> bool:
        """Whether it fired when the event began, so that it says nothing of it."""
        return any(one.start < event.start and event.meets(one) for one in self.notifications)

    def false(self, events: Iterable[Event]) -> list[Notification]:
        """Notifications outside every event."""
        known = list(events)
        return [one for one in self.notifications if not any(event.meets(one) for event in known)]

    def seconds(self, end: float) -> float:
        """How long it fired altogether, up to `end`."""
        return sum((one.end if one.end is not None else end) - one.start for one in self.notifications)


@dataclass(frozen=True)
class Backtest:
    """The verdicts of all alerts over a span."""

    span: Span
    verdicts: Sequence[Verdict]
    events: Sequence[Event] = ()

    @property
    def seconds(self) -> float:
        """How long the history is."""
        return max(self.span.end - self.span.start, self.span.step)

    def a_week(self, count: float) -> float:
        """So many in the whole history, as a rate a week."""
        return count / self.seconds * _WEEK

    def a_month(self, count: float) -> float:
        """The same a month of 30 days."""
        return count / self.seconds * _MONTH

    @property
    def pages_a_week(self) -> float:
        """Notifications a week of the alerts that page."""
        return self.a_week(sum(len(verdict.notifications) for verdict in self.verdicts if verdict.pages))


def load_events(path: Path | None) -> list[Event]:
    """The events of a YAML file, in the order of their start; ConfigError with every problem."""
    if path is None:
        return []
    try:
        given = EventsFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(str(path), [f"{error.strerror}; give an events file"]) from error
    except yaml.YAMLError as error:
        raise ConfigError(str(path), [f"is no YAML ({str(error).splitlines()[0]})"]) from error
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise ConfigError(str(path), problems) from error
    found = (Event(one.name, timestamp(one.start), timestamp(one.end)) for one in given.events)
    return sorted(found, key=lambda event: event.start)


def backtest(bench: Workbench, rules: RuleFile, events: Sequence[Event]) -> Backtest:
    """Evaluate every alert of `rules` that the history of `bench` can tell of."""
    span = bench.span()
    with bench.opened(span) as history:
        held = history.names
    obstacles = {id(rule): rules.obstacle(rule, held, span.step) for rule in rules.rules}
    judged = [rule for rule in rules.alerts if obstacles[id(rule)] is None]
    for layer in rules.layers(judged):
        if told := [rule for rule in layer if obstacles[id(rule)] is None]:
            bench.record(told, span)
    with bench.opened(span) as history:
        verdicts = [_verdict(history, rule, obstacles[id(rule)]) for rule in rules.alerts]
    return Backtest(span, verdicts, events)


def _verdict(history: History, rule: Rule, obstacle: str | None) -> Verdict:
    if obstacle is not None:
        return Verdict(rule, obstacle=obstacle)
    return Verdict(rule, tuple(notifications(_firings(history, rule))))


def _firings(history: History, rule: Rule) -> Iterator[Firing]:
    span = history.span
    for labels, active in history.active(rule.expr):
        evaluated = on_evaluations(active, span.step, rule.every)
        for first, end in firing_stretches(evaluated, rule.every, rule.wait, rule.keep):
            ended = None if end == len(evaluated) else span.start + end * rule.every
            yield Firing(_labels(rule, labels), span.start + first * rule.every, ended)


def _labels(rule: Rule, found: Mapping[str, str]) -> dict[str, str]:
    return {**found, **rule.labels, "alertname": rule.name}
