"""Explanations as text for a person and as plain values for programs."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from exporter.explain.base import Cell, Explanation, Table
from exporter.stats.result import NotEnoughData

WIDE = 120  # characters of a line of words; tables are as wide as they need


def as_text(found: Sequence[Explanation]) -> str:
    """One paragraph for each number."""
    return "\n".join("\n".join(_lines(explanation)) + "\n" for explanation in found)


def as_values(explanation: Explanation) -> dict[str, Any]:
    """The explanation as JSON has it: `value` is None where `absent` says why there is none."""
    working, value = explanation.working, explanation.value
    absent = {"have": value.have, "need": value.need, "why": value.why} if isinstance(value, NotEnoughData) else None
    table = working.table
    return {
        "metric": explanation.family.name,
        "labels": dict(zip(explanation.family.labels, explanation.labels, strict=True)),
        "formula": working.formula,
        "given": dict(working.given),
        "table": None if table is None else [dict(zip(table.heads, row, strict=True)) for row in table.rows],
        "steps": dict(working.steps),
        "value": None if isinstance(value, NotEnoughData) else value,
        "absent": absent,
    }


def why_absent(value: NotEnoughData) -> str:
    """The reason in words."""
    return f"absent: {value.why} (has {number(value.have)}, needs {number(value.need)})"


def number(value: Cell) -> str:
    """Twelve significant digits, as many as survive the sums; whole numbers as such."""
    return value if isinstance(value, str) else f"{value:.12g}"


def _lines(explanation: Explanation) -> Iterator[str]:
    labels = zip(explanation.family.labels, explanation.labels, strict=True)
    yield f"{explanation.family.name}{{{', '.join(f'{name}={value!r}' for name, value in labels)}}}"
    working = explanation.working
    yield textwrap.fill(working.formula, WIDE, initial_indent="  ", subsequent_indent="  ")
    yield from _aligned(working.given)
    if working.table is not None:
        yield from _table(working.table)
    yield from _aligned(working.steps)
    value = explanation.value
    yield f"  {why_absent(value)}" if isinstance(value, NotEnoughData) else f"  = {number(value)}"


def _aligned(numbers: Mapping[str, float]) -> Iterator[str]:
    width = max(map(len, numbers), default=0)
    for name, value in numbers.items():
        yield f"    {name:<{width}}  {number(value)}"


def _table(table: Table) -> Iterator[str]:
    rows = [table.heads, *(tuple(number(cell) for cell in row) for row in table.rows)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(table.heads))]
    for first, *rest in rows:
        cells = (f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True))
        yield f"    {first:<{widths[0]}}  {'  '.join(cells)}".rstrip()
