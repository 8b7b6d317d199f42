"""PromQL from typed parts: families, label values and thresholds in, expressions out.

Thresholds stand as literals. Models that share one share a comparison, without a selector where all models do.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from exporter.config import Config, Model, Thresholds
from exporter.names import MODEL_NAME, WINDOW, Family

REPLICA = ("instance", "pod")  # what tells replicas of one service apart; sums leave it out

Threshold = Callable[[Thresholds], float]
Models = tuple[str, ...]  # names of models that share something; none means all
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Level:
    """One threshold, the drift window it looks at ("" where there is none), and its models; no models means all."""

    value: float
    window: str
    models: Models = ()

    def select(self, series: Family | str, **labels: str) -> str:
        """The selector of `series` for these models, in their window where they have one."""
        window = {WINDOW: self.window} if self.window else {}
        return select(series, self.models, **labels, **window)


def select(series: Family | str, models: Models = (), **labels: str) -> str:
    """The selector of `series` for `models` and label values."""
    matchers = [f"{label}={quote(value)}" for label, value in labels.items()]
    if len(models) == 1:
        matchers.insert(0, f"{MODEL_NAME}={quote(models[0])}")
    elif models:
        matchers.insert(0, f"{MODEL_NAME}=~{quote('|'.join(map(re.escape, models)))}")
    return name_of(series) + (f"{{{','.join(matchers)}}}" if matchers else "")


def alike(config: Config, key: Callable[[Model], Key | None]) -> dict[Key, Models]:
    """The models by their `key`, in the configuration's order; those without one are left out."""
    groups: dict[Key, Models] = {}
    for model in config.models:
        if (found := key(model)) is not None:
            groups[found] = (*groups.get(found, ()), model.name)
    everyone = len(groups) == 1 and len(*groups.values()) == len(config.models)
    return dict.fromkeys(groups, ()) if everyone else groups


def levels(config: Config, threshold: Threshold, *, windowed: bool = True) -> tuple[Level, ...]:
    """The levels of `threshold`, models grouped by value (and drift window), in the configuration's order."""
    return grouped(config, lambda model: (threshold(model.thresholds), model.drift.window if windowed else ""))


def grouped(config: Config, key: Callable[[Model], tuple[float, str]]) -> tuple[Level, ...]:
    """One level for each value and window that `key` gives the models."""
    return tuple(Level(value, window, models) for (value, window), models in alike(config, key).items())


def compare(config: Config, series: Family | str, operator: str, threshold: Threshold, **labels: str) -> str:
    """`series` (in each model's drift window, where it has windows) against each model's own threshold."""
    windowed = isinstance(series, Family) and WINDOW in series.labels
    return either(
        f"{level.select(series, **labels)} {operator} {number(level.value)}"
        for level in levels(config, threshold, windowed=windowed)
    )


def told(config: Config, threshold: Threshold, *, percent: bool = False) -> str:
    """The threshold in words: `0.2`, or `0.2 (a, b), 0.3 (c)` where models differ; safe inside a Go template."""
    return spell(alike(config, lambda model: threshold(model.thresholds)), percent=percent)


def spell(values: dict[float, Models], *, percent: bool = False) -> str:
    """Each value in words, with its models where they are not all."""
    named = (
        (f"{100 * value:.6g} %" if percent else number(value)) + (f" ({', '.join(models)})" if models else "")
        for value, models in values.items()
    )
    return ", ".join(named).replace("{{", '{{"{{"}}')


def either(expressions: Iterable[str]) -> str:
    """The union of `expressions`, one a line."""
    return "\nor\n".join(expressions)


def total(expression: str, *labels: str) -> str:
    """The sum over replicas and over `labels`."""
    return f"sum without ({', '.join((*labels, *REPLICA))}) ({expression})"


def number(value: float) -> str:
    """A literal that reads back as the very same number, whole where it is whole."""
    return str(int(value)) if value == int(value) else repr(value)


def quote(text: str) -> str:
    """A PromQL string literal."""
    return json.dumps(text, ensure_ascii=False)


def name_of(series: Family | str) -> str:
    """The name of a family or of a recorded series."""
    return series.name if isinstance(series, Family) else series
