"""What the responder knows: incidents, actions and decisions, all frozen; and the state that they make together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Self

from alerting.responder.payload import Labelled

Kind = Literal["notify", "open_ticket", "close_ticket", "retrain", "rollback"]
KINDS: tuple[Kind, ...] = ("notify", "open_ticket", "close_ticket", "retrain", "rollback")
Verdict = Literal["true", "false"]
VERDICTS: tuple[Verdict, ...] = ("true", "false")
Outcome = Literal["done", "dry_run", "skipped", "failed"]
OUTCOMES: tuple[Outcome, ...] = ("done", "dry_run", "skipped", "failed")
STARTED: tuple[Outcome, ...] = ("done", "dry_run")


@dataclass(frozen=True, slots=True)
class Incident(Labelled):
    """One episode of one alert: from its first telling to its end; times in Unix seconds, `told` the newest telling.

    Incidents of one alert name and model that overlap make one investigation, named by the first one's key.
    """

    key: str
    investigation: str
    fingerprint: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: float
    told: float
    resolved: float | None = None
    acknowledged: float | None = None
    verdict: Verdict | None = None

    @property
    def stands(self) -> bool:
        """Whether it goes on and nobody has judged it false."""
        return self.resolved is None and self.verdict != "false"


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do once: `key` is what targets know it by. `outcome` is None until it is settled.

    `by_hand` is one that a person asked for. `investigation` is "" for a scheduled retraining.
    """

    key: str
    kind: Kind
    model: str
    investigation: str
    cause: str
    created: float
    by_hand: bool = False
    attempts: int = 0
    outcome: Outcome | None = None
    settled: float = 0.0
    result: str = ""

    @property
    def pending(self) -> bool:
        """Whether it is still to be done."""
        return self.outcome is None


@dataclass(frozen=True, slots=True)
class Decision:
    """A line of the audit log: about what (an alert's or an action's name), what was decided, and why."""

    subject: str
    investigation: str
    decided: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a delivery changes: incidents as they are now, actions to take, and the reason of each decision."""

    incidents: tuple[Incident, ...] = ()
    actions: tuple[Action, ...] = ()
    decisions: tuple[Decision, ...] = ()

    def __add__(self, later: "Plan") -> "Plan":
        return Plan(self.incidents + later.incidents, self.actions + later.actions, self.decisions + later.decisions)


@dataclass(frozen=True)
class State:
    """Incidents by key, oldest first (all open ones, and the newest of each alert asked about); actions by key."""

    since: float = 0.0
    incidents: Mapping[str, Incident] = field(default_factory=dict)
    actions: Mapping[str, Action] = field(default_factory=dict)

    @classmethod
    def of(cls, since: float, incidents: Iterable[Incident], actions: Iterable[Action]) -> Self:
        """The state of these incidents and actions."""
        return cls(since, {one.key: one for one in incidents}, {one.key: one for one in actions})

    def after(self, plan: Plan) -> "State":
        """The state once `plan` is recorded; an action that is known already stays as it is."""
        incidents = {**self.incidents, **{one.key: one for one in plan.incidents}}
        return State(self.since, incidents, {one.key: one for one in plan.actions} | dict(self.actions))

    def latest(self, fingerprint: str) -> Incident | None:
        """The newest incident of an alert."""
        found = [one for one in self.incidents.values() if one.fingerprint == fingerprint]
        return max(found, key=lambda one: one.starts_at, default=None)

    def investigation(self, key: str) -> list[Incident]:
        """The incidents of one investigation."""
        return [one for one in self.incidents.values() if one.investigation == key]

    def retrainings(self, model: str | None = None) -> list[Action]:
        """Retrainings of one model, or of all, planned and started."""
        every = [action for action in self.actions.values() if action.kind == "retrain"]
        return [action for action in every if model in (None, action.model)]
