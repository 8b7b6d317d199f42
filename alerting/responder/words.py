"""The words of a ticket and of a request: incidents, numbers and links in; Markdown, plain text and JSON out.

Names of features and models come from data: they are written as code, where no markup and no mention acts.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from alerting.responder.evidence import DriftedFeature
from alerting.responder.settings import Settings
from alerting.responder.state import Action, Incident

MOST_TITLE = 200  # characters; GitHub and Jira take 255


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket's title and Markdown text; `marker` is found again by a search for tickets that were opened before."""

    title: str
    text: str
    marker: str


def ticket(
    action: Action, incidents: Sequence[Incident], features: Sequence[DriftedFeature], settings: Settings
) -> Ticket:
    """The ticket of an investigation; `incidents` are its alerts, the first one first."""
    first = incidents[0]
    about = " ".join(part for part in (first.model, first.version) if part)
    title = f"{first.name}: {about}" if about else first.name
    marker = f"responder:{action.key}"
    parts = [
        *(f"- {_sentence(one)}" for one in incidents),
        "",
        *_table(features),
        *(f"- {name}: {url}" for name, url in links(first, settings).items()),
        "",
        f"Opened by the alert responder. {marker}",
    ]
    return Ticket(_plain(title)[:MOST_TITLE], "\n".join(parts), marker)


def links(incident: Incident, settings: Settings) -> dict[str, str]:
    """Where to look: the exporter's page, dashboard, runbook and report as far as known, and the responder's page."""
    found = {
        "Page": incident.annotations.get("page_url", ""),
        "Dashboard": incident.annotations.get("dashboard_url", ""),
        "Runbook": incident.annotations.get("runbook_url", ""),
        "Report": _report(incident, settings),
        "Investigation": f"{settings.external_url}/#{incident.investigation}",
    }
    return {name: url for name, url in found.items() if re.match(r"https?://\S+$", url)}


def _report(incident: Incident, settings: Settings) -> str:
    names = {"model": incident.model, "version": incident.version, "alert": incident.name, "key": incident.key}
    return fill(settings.report_url or "", {name: quote(value, safe="") for name, value in names.items()})


def request(action: Action, incident: Incident | None, settings: Settings, to_version: str) -> dict[str, str]:
    """What a target is told, as flat JSON."""
    found = {
        "action": action.kind,
        "key": action.key,
        "model": action.model,
        "version": incident.version if incident else "",
        "alert": incident.name if incident else "",
        "cause": action.cause,
        "to_version": to_version,
    }
    more = links(incident, settings) if incident else {}
    return found | {f"{name.lower()}_url": url for name, url in more.items()}


def notification(action: Action, incident: Incident, settings: Settings) -> dict[str, str]:
    """A notification's JSON; `text` is what Slack and its like show."""
    summary = incident.annotations.get("summary", incident.name)
    return {"text": f"{incident.name}: {summary}"} | request(action, incident, settings, "")


def fill(template: str, names: Mapping[str, str]) -> str:
    """The template with its placeholders filled in; what has no value is blank."""
    return re.sub(r"\{(\w+)\}", lambda match: names.get(match[1], ""), template)


def _sentence(incident: Incident) -> str:
    text = incident.annotations.get("description") or incident.annotations.get("summary") or incident.name
    return f"`{_plain(incident.name)}` `{_plain(text)}`"


def _table(features: Sequence[DriftedFeature]) -> list[str]:
    if not features:
        return []
    rows = [f"| `{_plain(one.name)}` | {one.psi:.3f} | {_percent(one.completeness)} |" for one in features]
    return ["| feature | PSI | complete |", "|---|---|---|", *rows, ""]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f} %"


def _plain(text: str) -> str:
    """One line that neither ends a code span nor a table's cell."""
    return re.sub(r"[`|\s]+", " ", text).strip()
