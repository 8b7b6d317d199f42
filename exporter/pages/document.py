"""What every page and report is made of: sections of text, tables and charts, without a word of markup."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from exporter.pages.charts import Chart

Level = Literal["critical", "warning", "info", "ok", "none"]
LEVELS: tuple[Level, ...] = ("critical", "warning", "info", "ok", "none")
"""Gravest first."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a link leads to: a kind of page, and what it is of."""

    page: Literal["landing", "model", "feature", "quality", "status", "file"]
    model: str = ""
    feature: str = ""
    version: str = ""
    window: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """A text with a link, a level or a bar behind it; `share`, from 0 to 1, is the bar's length."""

    text: str
    target: Target | None = None
    level: Level | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A column's head; numbers stand to the right."""

    head: str
    number: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column names its rows."""

    caption: str
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Cell | str, ...]]
    empty: str = "Nothing yet."


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Sentences; `code` is set apart and taken over letter by letter."""

    text: str
    level: Level | None = None
    code: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """Links of which one leads to where the reader is."""

    label: str
    options: Sequence[tuple[str, Target]]
    chosen: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list, each with its level and where to look."""

    items: Sequence[Cell]
    empty: str


Block = Table | Paragraph | Choice | Items | Chart


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks under a heading; charts that follow each other stand side by side."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Document:
    """A page: where it stands, its title, and its sections; `lead` comes before them."""

    target: Target
    title: str
    lead: Sequence[Block]
    sections: Sequence[Section]


def texts(*heads: str) -> tuple[Column, ...]:
    """Columns of texts."""
    return tuple(Column(head) for head in heads)


def numbers(*heads: str) -> tuple[Column, ...]:
    """Columns of numbers."""
    return tuple(Column(head, number=True) for head in heads)


def columns(first: str, *rest: str) -> tuple[Column, ...]:
    """A column that names the rows, and numbers."""
    return texts(first) + numbers(*rest)
