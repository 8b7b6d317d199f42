"""Documents as HTML: no script, nothing from elsewhere, every text escaped here and nowhere else."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from html import escape
from itertools import count, groupby

from exporter.pages.charts import Bars, Histogram, Lines, svg
from exporter.pages.document import Block, Cell, Choice, Column, Document, Items, Paragraph, Section, Table, Target
from exporter.pages.links import Links, anchor
from exporter.pages.style import STYLE

_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""Of every page: nothing runs, loads or frames, and nobody keeps yesterday's numbers."""

_SIGNS = {"critical": "●", "warning": "▲", "info": "◆", "ok": "✓", "none": "○"}
"""Beside each level's colour, for those who do not see it."""


def html_page(document: Document, links: Links, foot: str) -> str:
    """One document as a whole page; `foot` says what it is as of."""
    writer = _Writer(links)
    crumbs = "" if document.target.page == "landing" else writer.crumbs(document.target)
    body = f"<header>{crumbs}<h1>{escape(document.title)}</h1></header><main>{writer.document(document)}</main>"
    return _whole(document.title, f"{body}<footer>{escape(foot)}</footer>")


def html_report(title: str, lead: Sequence[Block], documents: Sequence[Document], links: Links, foot: str) -> str:
    """Several documents as one file that stands alone."""
    writer = _Writer(links)
    toc = "".join(f'<li><a href="#{anchor(of.target)}">{escape(of.title)}</a></li>' for of in documents)
    parts = "".join(
        f'<article id="{anchor(of.target)}"><h2>{escape(of.title)}</h2>{writer.document(of, level=3)}</article>'
        for of in documents
    )
    contents = f'<nav aria-label="Contents"><ul>{toc}</ul></nav>'
    head = f"<header><h1>{escape(title)}</h1></header><main>{writer.blocks(lead)}{contents}"
    return _whole(title, f"{head}{parts}</main><footer>{escape(foot)}</footer>", policy=True)


def _whole(title: str, body: str, *, policy: bool = False) -> str:
    """`policy`: in the page itself, for a file has no headers; frame-ancestors works in headers alone."""
    inner = escape(POLICY.replace("; frame-ancestors 'none'", ""))
    meta = f'<meta http-equiv="Content-Security-Policy" content="{inner}">\n' if policy else ""
    ours = "" if title == "prediction_exporter" else " | prediction_exporter"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'{meta}<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}{ours}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


class _Writer:
    """Writes blocks with links; numbers charts and tables, whose identifiers a page may hold once."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._charts, self._tables = count(1), count(1)

    def document(self, document: Document, level: int = 2) -> str:
        sections = "".join(self._section(section, level) for section in document.sections)
        return f"{self.blocks(document.lead)}{sections}"

    def crumbs(self, here: Target) -> str:
        ways = [("prediction_exporter", Target("landing"))]
        if here.model:
            place = {"version": here.version, "window": here.window}
            ways += [(here.model, Target("model", here.model, **place)),
                     ("data quality", Target("quality", here.model, **place))]  # fmt: skip
        ways.append(("status", Target("status")))
        links = "".join(f"<li>{self._link(text, to, current=to == here)}</li>" for text, to in ways)
        return f'<nav aria-label="Site"><ul class="crumbs">{links}</ul></nav>'

    def blocks(self, blocks: Sequence[Block]) -> str:
        """Charts that follow each other stand in one row."""
        parts = []
        for drawn, several in groupby(blocks, key=lambda block: isinstance(block, Histogram | Bars | Lines)):
            written = "".join(map(self._block, several))
            parts.append(f'<div class="charts">{written}</div>' if drawn else written)
        return "".join(parts)

    def _section(self, section: Section, level: int) -> str:
        return f"<section><h{level}>{escape(section.title)}</h{level}>{self.blocks(section.blocks)}</section>"

    def _block(self, block: Block) -> str:
        match block:
            case Table():
                return self._table(block)
            case Paragraph():
                code = f'<pre tabindex="0"><code>{escape(block.code)}</code></pre>' if block.code else ""
                return f"<p>{_sign(block.level)}{escape(block.text)}</p>{code}"
            case Choice():
                options = "".join(
                    f"<li>{self._link(text, to, current=text == block.chosen)}</li>" for text, to in block.options
                )
                label = escape(block.label)
                return f'<nav aria-label="{label}" class="choice"><span>{label}</span><ul>{options}</ul></nav>'
            case Items():
                items = "".join(f"<li>{self._cell(item)}</li>" for item in block.items)
                return f'<ul class="items">{items}</ul>' if items else f"<p>{escape(block.empty)}</p>"
            case Histogram() | Bars() | Lines():
                return self._figure(block)

    def _figure(self, chart: Histogram | Bars | Lines) -> str:
        keys = '<span class="key current"></span>window <span class="key reference"></span>reference'
        legend = "" if isinstance(chart, Lines) else f'<span class="legend">{keys}</span>'
        drawn = svg(chart, f"chart{next(self._charts)}")
        return f"<figure><figcaption>{escape(chart.title)}{legend}</figcaption>{drawn}</figure>"

    def _table(self, table: Table) -> str:
        if not table.rows:
            return f"<p>{escape(table.caption)}: {escape(table.empty[:1].lower() + table.empty[1:])}</p>"
        heads = "".join(f'<th scope="col"{_class(column)}>{escape(column.head)}</th>' for column in table.columns)
        name = f"table{next(self._tables)}"
        rows = "".join(f"<tr>{''.join(self._cells(table, row))}</tr>" for row in table.rows)
        return (
            f'<p class="caption" id="{name}">{escape(table.caption)}</p>'
            f'<div class="wide" role="group" aria-labelledby="{name}" tabindex="0"><table aria-labelledby="{name}">'
            f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
        )

    def _cells(self, table: Table, row: Sequence[Cell | str]) -> Iterator[str]:
        first, *rest = (cell if isinstance(cell, Cell) else Cell(cell) for cell in row)
        yield f'<th scope="row">{self._cell(first)}</th>'
        for column, cell in zip(table.columns[1:], rest, strict=True):
            yield f"<td{_class(column)}>{self._cell(cell)}</td>"

    def _cell(self, cell: Cell) -> str:
        text = escape(cell.text) if cell.target is None else self._link(cell.text, cell.target)
        bar = "" if cell.share is None else _meter(cell.share)
        return f"{bar}{_sign(cell.level)}{text}"

    def _link(self, text: str, to: Target, *, current: bool = False) -> str:
        address = self._links(to)
        if address is None:
            return escape(text)
        mark = ' aria-current="page"' if current else ""
        return f'<a href="{escape(address)}"{mark}>{escape(text)}</a>'


def _class(column: Column) -> str:
    return ' class="number"' if column.number else ""


def _sign(level: str | None) -> str:
    return (
        "" if level is None else f'<span class="sign {level}" role="img" aria-label="{level}">{_SIGNS[level]}</span> '
    )


def _meter(share: float) -> str:
    """A bar as a drawing of its own, for a style attribute would break the page's policy."""
    return (
        f'<svg class="meter" viewBox="0 0 60 10" aria-hidden="true"><rect class="current" width="{60 * share:.1f}" '
        'height="10"/></svg>'
    )
