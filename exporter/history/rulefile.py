"""A rule file read for a backtest: its alerts and recorded series, what each reads, and which of it a history can tell.

A history that holds a sample an hour knows nothing of a rate over five minutes, and what the exporter or another
program says of itself is no part of it. Rules that read such series are not judged, rather than judged wrongly.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from exporter import names
from exporter.errors import ConfigError
from exporter.names import FAMILIES, Row

_WORDS = frozenset(
    (
        "and",
        "or",
        "unless",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "group_right",
        "bool",
        "offset",
        "inf",
        "nan",
    )
)
_QUOTED = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`""")
_LABELS = re.compile(r"\{[^}]*\}|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", re.IGNORECASE)
_RANGE = re.compile(r"\[\s*([0-9a-z]+)\s*(?::[^\]]*)?\]")
_NAME = re.compile(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\(|[\w:])")
_DURATION = re.compile(r"(\d+)(ms|[smhdwy])")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}

UNTOLD = frozenset({names.MONITORING_COST_USD.name})
"""Of the model's rows, what only a running exporter knows."""

PAST = frozenset(family.name for family in FAMILIES if family.row <= Row.COST) - UNTOLD
"""Families that a history tells: where one has no series, there was nothing to tell."""


@dataclass(frozen=True)
class Rule:
    """An alert or a recorded series, by its name."""

    name: str
    expr: str
    labels: Mapping[str, str]
    every: float
    wait: float = 0.0
    keep: float = 0.0
    is_alert: bool = True

    @property
    def reads(self) -> frozenset[str]:
        """Names of the series that the expression reads."""
        return series_read(self.expr)

    @property
    def shortest(self) -> float:
        """Seconds of the shortest range that it looks over; infinite without one."""
        ranges = (seconds(text) for text in _RANGE.findall(_QUOTED.sub("", self.expr)))
        return min(ranges, default=float("inf"))


@dataclass(frozen=True)
class RuleFile:
    """Rules in the file's order."""

    rules: Sequence[Rule] = field(default=())

    @property
    def alerts(self) -> list[Rule]:
        """The alerting rules."""
        return [rule for rule in self.rules if rule.is_alert]

    def recorded(self, name: str) -> list[Rule]:
        """The rules that record the series `name`."""
        return [rule for rule in self.rules if not rule.is_alert and rule.name == name]

    def obstacle(self, rule: Rule, held: Collection[str], step: float) -> str | None:
        """Why a history that holds the series `held`, `step` seconds apart, cannot tell of `rule`; None if it can."""
        if not rule.reads:
            return "it reads no series"
        if rule.shortest < 2 * step:
            return (
                f"it looks over {rule.shortest:g} s, less than two steps of {step:g} s; backfill with a smaller --step"
            )
        for name in sorted(rule.reads):
            recorded = self.recorded(name)
            reasons = [self.obstacle(other, held, step) for other in recorded]
            if recorded and None not in reasons:
                return f"{name}: {reasons[0]}"
            if not recorded and name not in held and _family(name) not in PAST:
                return f"the history has no {name}"
        return None

    def layers(self, rules: Collection[Rule]) -> Iterator[list[Rule]]:
        """The recorded series that `rules` need, in layers that read earlier ones only; ConfigError in a circle."""
        needed: list[Rule] = []
        wanted = list(rules)
        while wanted:
            found = [other for name in wanted.pop().reads for other in self.recorded(name) if other not in needed]
            needed += found
            wanted += found
        while needed:
            open_names = {rule.name for rule in needed}
            layer = [rule for rule in needed if not rule.reads & open_names]
            if not layer:
                raise ConfigError("rules", [f"{needed[0].name}: recorded from itself; break the circle"])
            yield layer
            needed = [rule for rule in needed if rule not in layer]


def load_rules(paths: Sequence[Path], every: float) -> RuleFile:
    """The rules of all files; groups that name no interval have `every` seconds. ConfigError where unreadable."""
    found = RuleFile([rule for path in paths for rule in _rules(path, every)])
    list(found.layers(found.rules))  # refuses a circle
    return found


def series_read(expr: str) -> frozenset[str]:
    """Names of the series that a PromQL expression reads.

    >>> sorted(series_read('sum by (job) (rate(a_total{x="b"}[5m])) / on (job) c:d:e offset 1d > 0.5'))
    ['a_total', 'c:d:e']
    """
    bare = _RANGE.sub("", _LABELS.sub("", _QUOTED.sub("", expr)))
    return frozenset(name for name in _NAME.findall(bare) if name.lower() not in _WORDS)


def seconds(text: str) -> float:
    """Seconds of a duration as Prometheus writes it.

    >>> seconds("1h30m")
    5400.0
    """
    return sum(int(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))


def _rules(path: Path, every: float) -> Iterator[Rule]:
    try:
        groups = yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for group in groups:
            interval = seconds(str(group["interval"])) if "interval" in group else every
            yield from (_rule(rule, interval) for rule in group["rules"])
    except OSError as error:
        raise ConfigError(str(path), [f"{error.strerror}; give a rule file"]) from error
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        remedy = "is no rule file; `promtool check rules` says more"
        raise ConfigError(str(path), [f"{remedy} ({str(error).splitlines()[0]})"]) from error


def _rule(given: Mapping[str, Any], every: float) -> Rule:
    labels = {name: str(value) for name, value in given.get("labels", {}).items()}
    wait, keep = (seconds(str(given.get(key, "0s"))) for key in ("for", "keep_firing_for"))
    is_alert = "alert" in given
    name = str(given["alert" if is_alert else "record"])
    return Rule(name, str(given["expr"]), labels, every, wait, keep, is_alert)


def _family(name: str) -> str:
    return re.sub(r"_(bucket|sum|count)$", "", name)
