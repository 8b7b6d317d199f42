"""The status page: what was read, what could not be computed and why, and the configuration in force."""

import re
from typing import Any

import yaml

from exporter import names
from exporter.config import Config
from exporter.pages.document import Cell, Document, Paragraph, Section, Table, Target, columns, texts
from exporter.pages.seen import Seen
from exporter.pages.words import moment, number

_URL = re.compile(r"^([a-z][a-z0-9+.-]*://)(?:[^/?#]*@)?([^/?#]*)([^?#]*)(.*)$", re.IGNORECASE)
HIDDEN = "…"


def status_page(seen: Seen) -> Document:
    """The page of the whole process, or of one evaluation of files."""
    sections = [
        Section("Ingestion", [_reading(seen), _records(seen), _rejected(seen)]),
        Section("Statistics that failed", [_failures(seen)]),
        Section("Models", [_models(seen)]),
        Section("Configuration in force", [Paragraph(_CONFIG, code=settings(seen.config))]),
    ]
    return Document(Target("status"), "Status", [], sections)


_CONFIG = (
    "With every default; passwords and keys stand in files of their own, and what a URL may hold of them is left out."
)


def _reading(seen: Seen) -> Table:
    rows: list[tuple[Cell | str, ...]] = [("windows end at", moment(seen.at))]
    ok = seen.number(names.INGESTION_SUCCESS)
    if ok is not None:
        said = Cell("fine", level="ok") if ok else Cell("fails; the process's log has the error", level="critical")
        rows.append(("reading the log", said))
    for label, family, form in (
        ("not read yet, bytes", names.LAG_BYTES, number),
        ("read, bytes", names.LOG_BYTES_TOTAL, number),
        ("last evaluation", names.LAST_EVALUATION_TIMESTAMP_SECONDS, moment),
        ("seconds it took", names.EVALUATION_DURATION_SECONDS, number),
        ("configuration loaded", names.CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS, moment),
        ("state, bytes", names.STATE_BYTES, number),
        ("series cut", names.SERIES_DROPPED_TOTAL, number),
    ):
        value = seen.number(family)
        if value is not None:
            rows.append((label, form(value)))
    if seen.number(names.CONFIG_LAST_RELOAD_SUCCESSFUL) == 0:
        rows.append(("last reload", Cell("refused; the configuration before it stays in force", level="critical")))
    return Table("What is read, and when it was computed", columns("What", "Now"), rows)


def _records(seen: Seen) -> Table:
    rows = [(kind, number(count)) for kind, count in seen.by_label(names.RECORDS_TOTAL).items()]
    return Table("Records accepted", columns("Kind", "Count"), rows)


def _rejected(seen: Seen) -> Table:
    found = sorted(seen.by_label(names.REJECTED_RECORDS_TOTAL).items(), key=lambda pair: -pair[1])
    rows = [(reason.replace("_", " "), number(count)) for reason, count in found if count]
    return Table("Records refused", columns("Reason", "Count"), rows, "None.")


def _failures(seen: Seen) -> Table:
    rows = [(Cell(model, Target("model", model)), statistic, Cell(error, level="critical"))
            for (model, statistic), error in sorted(seen.failures.items())]  # fmt: skip
    heads = texts("Model", "Statistic", "Error")
    return Table("Their series are absent; all others are there", heads, rows, "None.")


def _models(seen: Seen) -> Table:
    newest = seen.by_label(names.LAST_RECORD_TIMESTAMP_SECONDS)
    rows = []
    for sample in seen.samples:
        if sample.family is names.MODEL_INFO:
            name, task, baseline = sample.labels
            rows.append(
                (
                    Cell(name, Target("model", name) if seen.versions(name) else None),
                    task,
                    baseline,
                    moment(newest.get(name)),
                )
            )
    heads = texts("Model", "Task", "Baseline", "Newest record")
    return Table("Models and the baselines that they are held against", heads, rows)


def settings(config: Config) -> str:
    """The configuration as YAML, defaults included, without what a URL may keep secret."""
    shown = _cleaned(config.model_dump(mode="json"))
    webhook = (shown.get("alerting") or {}).get("webhook")
    if webhook:
        webhook["url"] = _URL.sub(rf"\1\2/{HIDDEN}", webhook["url"])  # such a path is often a secret
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=100)


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _cleaned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    return _without_secrets(value) if isinstance(value, str) else value


def _without_secrets(text: str) -> str:
    found = _URL.match(text)
    if found is None:
        return text
    scheme, host, path, rest = found.groups()
    return f"{scheme}{host}{path}{f'{rest[0]}{HIDDEN}' if rest else ''}"
