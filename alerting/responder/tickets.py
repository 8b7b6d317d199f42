"""Ticket systems: GitHub issues, Jira, or a webhook. Opening twice opens once, where the system can be searched."""

from typing import Any, Protocol
from urllib.parse import quote

from alerting.responder.calls import Caller, CallError
from alerting.responder.settings import Access, GitHub, GitHubIssues, Jira, Tickets, Webhook
from alerting.responder.words import Ticket

PAGE = 100  # the most that GitHub gives at a time


class TicketSystem(Protocol):
    """What the responder asks of one; both raise CallError."""

    def open(self, ticket: Ticket) -> str:
        """Open the ticket, unless it stands already; its number or key there."""

    def close(self, number: str, reason: str) -> None:
        """Close it with a word why; closing twice is harmless."""


def ticket_system(settings: Tickets, caller: Caller) -> TicketSystem:
    """The one that is configured."""
    if settings.github:
        return _GitHubIssues(settings.github, caller)
    if settings.jira:
        return _Jira(settings.jira, caller)
    assert settings.webhook
    return _TicketWebhook(settings.webhook, caller)


def github_access(settings: GitHub) -> Access:
    """The repository's part of GitHub's API."""
    return Access(url=f"{settings.url}/repos/{settings.repository}", token=settings.token)


class _GitHubIssues:
    def __init__(self, settings: GitHubIssues, caller: Caller) -> None:
        self._access = github_access(settings)
        self._label = settings.label
        self._caller = caller

    def open(self, ticket: Ticket) -> str:
        found = self._find(ticket.marker)
        if found is None:
            body = {"title": ticket.title, "body": ticket.text, "labels": [self._label]}
            found = self._caller.call("POST", self._access, "/issues", json=body)
        return str(found["number"])

    def _find(self, marker: str) -> Any:
        # The list of issues, newest first, for GitHub's search lags behind; a ticket to be repeated is a recent one.
        query: dict[str, str | int] = {"labels": self._label, "state": "all", "per_page": PAGE}
        issues = self._caller.call("GET", self._access, "/issues", query=query)
        return next((issue for issue in issues if marker in (issue.get("body") or "")), None)

    def close(self, number: str, reason: str) -> None:
        path = f"/issues/{number}"
        if self._caller.call("GET", self._access, path)["state"] == "closed":
            return
        self._caller.call(
            "POST", self._access, f"{path}/comments", json={"body": f"Closed by the responder: {reason}."}
        )
        done = "not_planned" if reason == "judged false" else "completed"
        self._caller.call("PATCH", self._access, path, json={"state": "closed", "state_reason": done})


class _Jira:
    def __init__(self, settings: Jira, caller: Caller) -> None:
        self._settings = settings
        self._caller = caller

    def open(self, ticket: Ticket) -> str:
        label = ticket.marker.replace(":", "-")
        found = self._find(label)
        if found is None:
            fields = {
                "project": {"key": self._settings.project},
                "issuetype": {"name": self._settings.issue_type},
                "summary": ticket.title,
                "description": ticket.text,
                "labels": [label],
            }
            found = self._caller.call("POST", self._settings, "/rest/api/2/issue", json={"fields": fields})
        return str(found["key"])

    def _find(self, label: str) -> Any:
        # Cloud has dropped the older path, Data Center does not know the newer one.
        path = "/rest/api/2/search/jql" if self._settings.username else "/rest/api/2/search"
        query: dict[str, str | int] = {
            "jql": f'project = "{self._settings.project}" AND labels = "{label}"',
            "fields": "summary",
            "maxResults": 1,
        }
        return next(iter(self._caller.call("GET", self._settings, path, query=query)["issues"]), None)

    def close(self, number: str, reason: str) -> None:
        path = f"/rest/api/2/issue/{quote(number, safe='')}"
        offered = self._caller.call("GET", self._settings, f"{path}/transitions")["transitions"]
        wanted = self._settings.close_transition
        chosen = next((one["id"] for one in offered if one["name"] == wanted), None)
        if chosen is None:
            self._check_closed(path, wanted)
            return
        self._caller.call(
            "POST", self._settings, f"{path}/comment", json={"body": f"Closed by the responder: {reason}."}
        )
        self._caller.call("POST", self._settings, f"{path}/transitions", json={"transition": {"id": chosen}})

    def _check_closed(self, path: str, wanted: str) -> None:
        status = self._caller.call("GET", self._settings, path, query={"fields": "status"})["fields"]["status"]
        if status["statusCategory"]["key"] != "done":
            raise CallError(f"Jira offers no transition called {wanted!r}; set tickets.jira.close_transition")


class _TicketWebhook:
    def __init__(self, webhook: Webhook, caller: Caller) -> None:
        self._webhook = webhook
        self._caller = caller

    def open(self, ticket: Ticket) -> str:
        body = {"action": "open_ticket", "key": ticket.marker, "title": ticket.title, "text": ticket.text}
        self._caller.post(self._webhook, body, f"open-{ticket.marker}")
        return ticket.marker

    def close(self, number: str, reason: str) -> None:
        body = {"action": "close_ticket", "key": number, "reason": reason}
        self._caller.post(self._webhook, body, f"close-{number}")
