"""What the page shows: investigations with their alerts and actions, and the newest decisions; read from the store.

Tellings that were ignored stand in the audit log alone: Alertmanager repeats itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from alerting.responder.settings import DAY, REVIEW_DAYS, Settings
from alerting.responder.state import Action, Decision, Incident, Kind
from alerting.responder.store import Store
from alerting.responder.words import links

NEWEST = 50  # decisions: a screen or two


@dataclass(frozen=True, slots=True)
class Deed:
    """An action as the page tells it: how it stands, and why."""

    kind: str
    standing: str
    reason: str
    result: str


@dataclass(frozen=True, slots=True)
class Investigation:
    """Alerts of one name and model; `offers` are the actions that a person may still ask for."""

    key: str
    incidents: tuple[Incident, ...]
    deeds: tuple[Deed, ...]
    links: Mapping[str, str]
    offers: tuple[Kind, ...]

    @property
    def first(self) -> Incident:
        """The oldest of its alerts."""
        return self.incidents[-1]

    @property
    def open(self) -> bool:
        """Whether any of its alerts goes on."""
        return any(one.resolved is None for one in self.incidents)

    @property
    def acknowledged(self) -> bool:
        """Whether a person has taken every one of its alerts."""
        return all(one.acknowledged is not None for one in self.incidents)

    @property
    def reviewed(self) -> bool:
        """Whether a person has judged every one of its alerts."""
        return all(one.verdict is not None for one in self.incidents)


@dataclass(frozen=True, slots=True)
class View:
    """The whole page."""

    investigations: tuple[Investigation, ...]
    decisions: tuple[tuple[float, Decision], ...]
    dry_run: bool


def view(settings: Settings, store: Store, now: float) -> View:
    """What there is to see at `now`."""
    grouped: dict[str, list[Incident]] = {}
    for incident in store.recent(now - REVIEW_DAYS * DAY):
        asked = set(settings.responses_to(incident.name)) - (set() if incident.resolved is None else {"notify"})
        if asked:
            grouped.setdefault(incident.investigation, []).append(incident)
    every = tuple(_investigation(key, incidents, settings, store) for key, incidents in grouped.items())
    lines = store.rows(
        "SELECT at, subject, investigation, decided, reason FROM audit WHERE decided <> 'ignored' "
        "ORDER BY id DESC LIMIT ?",
        [NEWEST],
    )
    return View(every, tuple((at, Decision(*rest)) for at, *rest in lines), settings.dry_run)


def offers(settings: Settings, model: str, actions: Mapping[str, Action], investigation: str) -> tuple[Kind, ...]:
    """What a person may ask for: what has a target and was not asked for before."""
    targets: dict[Kind, object] = {"retrain": settings.retraining, "rollback": settings.rollback}
    return tuple(
        kind
        for kind, target in targets.items()
        if target and model and f"{kind}-{investigation}-by-hand" not in actions
    )


def _investigation(key: str, incidents: list[Incident], settings: Settings, store: Store) -> Investigation:
    deeds = store.rows(
        "SELECT kind, coalesce(outcome, standing), coalesce(nullif(reason, ''), cause), result FROM actions "
        "WHERE investigation = ? ORDER BY created, key",
        [key],
    )
    known = store.state(dry_run=settings.dry_run, investigation=key).actions
    first = incidents[-1]
    return Investigation(
        key,
        tuple(incidents),
        tuple(Deed(*row) for row in deeds),
        {name: url for name, url in links(first, settings).items() if name != "Investigation"},
        offers(settings, first.model, known, key),
    )
