"""The code blocks of the pages that people read, under their headings."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[1]
OF_HISTORY = ROOT / "docs/backtest.md"  # its commands stand on a history: tests/e2e/test_history.py runs them
PAGES = [ROOT / "README.md", ROOT / "predlog/README.md", *sorted({*(ROOT / "docs").glob("*.md")} - {OF_HISTORY})]
OURS = {
    "prediction-exporter": "exporter.cli",
    "prediction-dashboards": "dashboards.cli",
    "prediction-alerting": "alerting.cli",
}
# Why these programs' commands are not run here; their fenced blocks say `sh norun`.
NOT_RUN = {
    "make": "its targets make an environment, and run the demo or all tests, this one too",
    "docker": "images are pulled from a registry",
    "apt-get": "it changes the machine",
}


@dataclass(frozen=True)
class Block:
    """A code block: its page, the heading above it, what its fence says (nothing when it is indented), its text."""

    page: Path
    line: int
    heading: str
    info: str
    text: str

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def tokens(page: Path) -> list[Token]:
    """The page as its reader's parser sees it."""
    return MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8"))


def blocks(page: Path) -> Iterator[Block]:
    """The code blocks of a page, in order."""
    heading, in_heading = "", False
    for token in tokens(page):
        if in_heading:
            heading = token.content
        elif token.type in ("fence", "code_block") and token.map is not None:
            yield Block(page, token.map[0] + 1, heading, token.info.strip(), token.content)
        in_heading = token.type == "heading_open"


def of_kind(info: str) -> list[Block]:
    """The blocks of all pages whose fence says `info`."""
    return [block for page in PAGES for block in blocks(page) if block.info == info]


def scripts() -> dict[str, str]:
    """The Python under each heading, its blocks together, by the place of the first."""
    found: dict[tuple[Path, str], list[Block]] = {}
    for block in of_kind("python"):
        found.setdefault((block.page, block.heading), []).append(block)
    return {several[0].place: "\n".join(block.text for block in several) for several in found.values()}


def commands(block: Block) -> list[list[str]]:
    """The words of each command of a block; none of one that is no shell's.

    An indented block is a shell's when it begins with a program that is known here.
    """
    known = block.text.split(maxsplit=1)[:1]
    if block.info not in ("sh", "sh norun") and (block.info or not {*known} & {*OURS, *NOT_RUN}):
        return []
    lines = block.text.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]
