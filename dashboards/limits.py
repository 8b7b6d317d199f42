"""Limits that the configuration sets: lines in graphs and colours of numbers, true for whichever model is chosen.

Where all models agree, a limit is a constant that Grafana draws. Where they differ, it becomes a query that yields
the chosen model's value, and numbers stay uncoloured: a colour that is right for another model would be a lie.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from dashboards.colors import BAD
from exporter import names
from exporter.config import Config, Model, Thresholds

Steps = Sequence[tuple[str, float | None]]


@dataclass(frozen=True, slots=True)
class Line:
    """One limit: what it is called, the colour beyond it, and its value for each model."""

    name: str
    color: str
    values: tuple[tuple[str, float], ...]

    @property
    def common(self) -> float | None:
        """The value on which all models agree, else None."""
        values = {value for _, value in self.values}
        return values.pop() if len(values) == 1 else None

    @property
    def highest(self) -> float:
        """The highest of the models' values."""
        return max(value for _, value in self.values)

    @property
    def lowest(self) -> float:
        """The lowest of the models' values."""
        return min(value for _, value in self.values)


@dataclass(frozen=True, slots=True)
class Limit:
    """The lines of one panel; `below` when falling below them is what is bad."""

    lines: tuple[Line, ...] = ()
    below: bool = False

    @property
    def common(self) -> bool:
        """Whether there are lines, and each is the same for all models."""
        return bool(self.lines) and all(line.common is not None for line in self.lines)

    @property
    def shared(self) -> "Limit":
        """Itself where it is the same for all models, else no line."""
        return self if self.common else Limit()

    @property
    def soft_top(self) -> float | None:
        """An axis end that keeps the highest line in sight."""
        return None if self.below or not self.lines else round(max(line.highest for line in self.lines) * 1.1, 9)

    @property
    def soft_floor(self) -> float | None:
        """An axis end that keeps the lowest line in sight."""
        return round(min(line.lowest for line in self.lines) * 0.95, 9) if self.below and self.lines else None

    def queries(self) -> Iterator[tuple[str, str, str]]:
        """Expression, name and colour of each line that must be asked for, as the models differ."""
        if self.common:
            return
        for line in self.lines:
            by_value = sorted((value, model) for model, value in line.values)
            for value, members in groupby(by_value, key=lambda pair: pair[0]):
                yield _chosen(value, [model for _, model in members]), line.name, line.color


def limit(
    models: Sequence[Model], *lines: tuple[str, str, Callable[[Thresholds], float]], below: bool = False
) -> Limit:
    """The lines (name, colour, threshold), each read from the thresholds of every one of `models`."""
    return Limit(
        tuple(
            Line(name, color, tuple((model.name, float(pick(model.thresholds))) for model in models))
            for name, color, pick in lines
        ),
        below,
    )


def classifiers(config: Config) -> list[Model]:
    """The models to which the limits of accuracy and AUC apply."""
    return [model for model in config.models if model.task != "regression"]


def fixed(name: str, value: float, color: str = BAD, *, below: bool = False) -> Limit:
    """One line at a value that is not a model's own."""
    return Limit((Line(name, color, (("", value),)),), below)


def steps(limit: Limit, ok: str) -> Steps:
    """Grafana's ascending colour steps for a common limit; `ok` is the colour on the good side."""
    pairs = sorted((value, line.color) for line in limit.lines if (value := line.common) is not None)
    if not limit.below:
        return ((ok, None), *((color, value) for value, color in pairs))
    colors = [*(color for _, color in pairs), ok]
    return ((colors[0], None), *((color, value) for color, (value, _) in zip(colors[1:], pairs, strict=True)))


def _chosen(value: float, models: Sequence[str]) -> str:
    selector = "|".join(map(re.escape, models)).replace("\\", "\\\\").replace('"', '\\"')
    info = f'{names.MODEL_INFO.name}{{{names.MODEL_NAME}="$model",{names.MODEL_NAME}=~"{selector}"}}'
    return f"{value:g} * group({info})"
