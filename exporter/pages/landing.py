"""The landing page: every model with its state, what stands out, and where everything else is."""

from collections.abc import Sequence

from exporter import names
from exporter.config import Model
from exporter.measures import Scope
from exporter.pages.document import (
    LEVELS,
    Block,
    Cell,
    Document,
    Items,
    Paragraph,
    Section,
    Table,
    Target,
    numbers,
    texts,
)
from exporter.pages.model import stands_out
from exporter.pages.seen import Seen
from exporter.pages.verdicts import state
from exporter.pages.words import MISSING, moment, number, percent

FILES = {
    "metrics": "what Prometheus scrapes",
    "debug": "the raw counts behind each number",
    "runbook": "what each alert means and asks for",
    "-/healthy": "the probe that asks for a restart",
    "-/ready": "the probe that asks for traffic",
}
"""The other addresses of the server."""


def landing_page(seen: Seen, lead: Sequence[Block]) -> Document:
    """The page over all models."""
    sections = [
        Section("Models", [_models(seen)]),
        Section("What stands out", [_all(seen)]),
        Section("Pages", [Items([Cell("Status: ingestion, failures, configuration", Target("status"))], ""),
                          _files()]),
    ]  # fmt: skip
    return Document(Target("landing"), "prediction_exporter", lead, sections)


def _models(seen: Seen) -> Table:
    rows = [row for model in seen.config.models for row in _rows(seen, model)]
    figures = numbers("Predictions", "Performance", "Drifted features", "Least complete")
    heads = texts("Model", "State") + figures + texts("Newest record")
    return Table("Over each model's drift window", heads, rows)


def _rows(seen: Seen, model: Model) -> list[tuple[Cell | str, ...]]:
    newest = moment(seen.number(names.LAST_RECORD_TIMESTAMP_SECONDS, model.name))
    scopes = seen.versions(model.name)
    if not scopes:
        return [(Cell(model.name), Cell("no data", level="none"), *[MISSING] * 4, newest)]
    return [(*_row(seen, scope), newest) for scope in reversed(scopes)]


def _row(seen: Seen, scope: Scope) -> tuple[Cell | str, ...]:
    model, window = scope.model, scope.model.drift.window
    link = Target("model", model.name, version=scope.version, window=window)
    quality = Target("quality", model.name, version=scope.version, window=window)
    level = state(seen, scope)
    complete = [value for feature in scope.totals.layout.features
                if (value := seen.of(scope, names.FEATURE_COMPLETENESS, window, feature.name)) is not None]  # fmt: skip
    return (
        Cell(f"{model.name} {scope.version}", link),
        Cell("no data" if level == "none" else level, level=level),
        f"{number(scope.windows[window].weight)} in {window}",
        _performance(seen, scope, window),
        number(seen.of(scope, names.DRIFTED_FEATURES, window)),
        Cell(percent(min(complete)), quality) if complete else MISSING,
    )


def _performance(seen: Seen, scope: Scope, window: str) -> str:
    if scope.model.task == "regression":
        error = seen.of(scope, names.MODEL_MAE, window)
        return MISSING if error is None else f"MAE {number(error)}"
    accuracy = seen.of(scope, names.MODEL_ACCURACY, window)
    return MISSING if accuracy is None else f"accuracy {percent(accuracy)}"


def _all(seen: Seen) -> Items:
    several = len(seen.scopes) > 1
    items = [
        Cell(f"{scope.model.name} {scope.version}: {item.text}" if several else item.text, item.target, item.level)
        for scope in seen.scopes
        for item in stands_out(seen, scope).items
    ]
    return Items(sorted(items, key=lambda item: LEVELS.index(item.level or "none")), "Nothing.")


def _files() -> Table:
    rows = [(Cell(f"/{name}", Target("file", name)), what) for name, what in FILES.items()]
    return Table("For programs", texts("Address", "What is there"), rows)


def waiting(text: str) -> Document:
    """The landing page before the first evaluation."""
    return Document(Target("landing"), "prediction_exporter", [Paragraph(text)], [Section("Pages", [_files()])])
