"""Documents as Markdown, for a ticket: the texts and tables of a page; a chart becomes its sentence."""

import re
from collections.abc import Iterator, Sequence

from exporter.pages.charts import describe
from exporter.pages.document import Block, Cell, Choice, Document, Items, Paragraph, Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&!$@])")  # @: a ticket system would call a person of that name


def markdown_report(title: str, lead: Sequence[Block], documents: Sequence[Document], foot: str) -> str:
    """Several documents under one title."""
    parts = [f"# {escape(title)}", *_blocks(lead)]
    for document in documents:
        parts += [f"## {escape(document.title)}", *_blocks(document.lead)]
        for section in document.sections:
            parts += [f"### {escape(section.title)}", *_blocks(section.blocks)]
    return "\n\n".join([*parts, escape(foot)]) + "\n"


def escape(text: str) -> str:
    r"""The text as Markdown shows it letter by letter, in one line.

    >>> print(escape("a_b | <script>"))
    a\_b \| \<script\>
    """
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _blocks(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        match block:
            case Paragraph():
                yield escape(_levelled(Cell(block.text, level=block.level)))
                if block.code:
                    yield "\n".join(f"    {line}" for line in block.code.splitlines())
            case Items():
                yield "\n".join(f"- {escape(_levelled(item))}" for item in block.items) or escape(block.empty)
            case Table():
                yield _table(block)
            case Choice():
                pass  # there is nowhere else to go
            case _:
                yield escape(f"{block.title}: {describe(block)}")


def _table(table: Table) -> str:
    if not table.rows:
        return f"{escape(table.caption)}: {escape(table.empty)}"
    heads = [escape(column.head) for column in table.columns]
    rules = ["---:" if column.number else "---" for column in table.columns]
    rows = [[escape(cell if isinstance(cell, str) else _levelled(cell)) for cell in row] for row in table.rows]
    lines = (f"| {' | '.join(cells)} |" for cells in (heads, rules, *rows))
    return "\n".join([escape(table.caption), "", *lines])


def _levelled(cell: Cell) -> str:
    told = cell.level not in (None, "ok", "none") and cell.level != cell.text
    return f"{cell.text} ({cell.level})" if told else cell.text
