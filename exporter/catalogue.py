"""The metric catalogue as a page: every family of the vocabulary, by dashboard row."""

from exporter.names import FAMILIES, Family, Row

TITLES = {
    Row.PERFORMANCE: "Model performance",
    Row.DRIFT: "Drift detection",
    Row.OPERATIONS: "Operational metrics",
    Row.QUALITY: "Data quality",
    Row.COST: "Cost and resource usage",
    Row.EXPORTER: "The exporter itself",
    Row.RESPONDER: "The alert responder",
}


def catalogue() -> str:
    """The page's Markdown."""
    sections = [f"## {title}\n\n{_table(row)}" for row, title in TITLES.items()]
    head = "# Metrics\n\nGenerated from `exporter/names.py` by `make generate`; do not edit.\n"
    return "\n".join([head, *sections])


def _table(row: Row) -> str:
    lines = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    lines += [_line(family) for family in FAMILIES if family.row is row]
    return "\n".join(lines) + "\n"


def _line(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels)
    meaning = family.help.replace("|", "\\|")
    return f"| `{family.name}` | {family.kind} | {labels} | {meaning} |"


if __name__ == "__main__":
    print(catalogue(), end="")  # noqa: T201 - the page goes to standard output
