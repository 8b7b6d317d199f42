"""The gate before a target: an action, the state and the facts in; go, skip or wait out, with the reason. Pure.

What will not change is skipped; what may change while the alert stands (labels arrive, the budget's day passes) waits.
A person's own request passes. In a dry run everything is decided alike, and counts alike against cooldown and budget.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from alerting.responder.settings import DAY, Retraining, Settings
from alerting.responder.state import STARTED, Action, State
from exporter.config import parse_duration

LOOK_AGAIN = 600  # seconds: labels and outcomes arrive over hours, and Prometheus is asked each time


@dataclass(frozen=True, slots=True)
class Go:
    """Call the target; a rollback goes to `to_version`."""

    reason: str
    to_version: str = ""


@dataclass(frozen=True, slots=True)
class Skip:
    """Never."""

    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Not before `until` (Unix seconds)."""

    reason: str
    until: float


Verdict = Go | Skip | Wait


@dataclass(frozen=True)
class Facts:
    """What Prometheus says: fresh labels of the model (None: no series), and each version's performance interval."""

    labels: float | None = None
    performance: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def decide(action: Action, settings: Settings, state: State, facts: Facts, now: float) -> Verdict:
    """Whether `action` may be carried out at `now`."""
    if not _has_target(action, settings):
        return Skip("no target is configured any more")
    match action.kind:
        case "retrain" if not action.by_hand and settings.retraining:
            return _retrain(action, settings, settings.retraining, state, facts, now)
        case "rollback":
            return _rollback(action, state, facts, now)
        case "open_ticket" if action.attempts == 0 and not _stands(action, state):
            return Skip("the alert ended before a ticket was opened")
        case "close_ticket":
            return _close(action, settings, state, now)
    return Go(action.cause)


def _has_target(action: Action, settings: Settings) -> bool:
    tickets = settings.tickets
    targets: Mapping[str, object] = {
        "open_ticket": tickets,
        "close_ticket": tickets,
        "retrain": settings.retraining,
        "rollback": settings.rollback,
    }
    return action.kind == "notify" or targets[action.kind] is not None


def _close(action: Action, settings: Settings, state: State, now: float) -> Verdict:
    opened = state.actions.get(f"open_ticket-{action.investigation}")
    if opened is None or opened.outcome == "skipped" or (opened.outcome == "dry_run" and not settings.dry_run):
        return Skip("no ticket was opened")
    if opened.pending:
        return Wait("its ticket is still to be opened", now + 1)
    return Go(action.cause)


def _retrain(
    action: Action, settings: Settings, retraining: Retraining, state: State, facts: Facts, now: float
) -> Verdict:
    if action.investigation and not _wanted(action, settings, state):
        return Skip("every alert that asks for it has ended")
    begun = last_retraining(action.model, state)
    cooled = begun + parse_duration(retraining.cooldown)
    if now < cooled:
        past, left = _span(now - begun), _span(cooled - now)
        return Skip(f"cooldown: {action.model} was retrained {past} ago; the next may be in {left}")
    today = sorted(run.settled for run in state.retrainings() if run.outcome in STARTED and run.settled > now - DAY)
    if len(today) >= retraining.daily_budget:
        free = today[-retraining.daily_budget] + DAY if retraining.daily_budget else now + DAY
        return Wait(f"budget: {len(today)} of {retraining.daily_budget} retrainings in 24 hours are spent", free)
    if facts.labels is None and retraining.fresh_labels:
        return Wait(f"labels: no label of {action.model} has been seen", now + LOOK_AGAIN)
    if (facts.labels or 0) < retraining.fresh_labels:
        reason = f"labels: {facts.labels:.0f} fresh ones of {action.model}, {retraining.fresh_labels} are needed"
        return Wait(reason, now + LOOK_AGAIN)
    known = f"; {facts.labels:.0f} fresh labels" if facts.labels is not None else ""
    return Go(f"{action.cause}{known}; {len(today)} other retrainings in 24 hours")


def last_retraining(model: str, state: State) -> float:
    """When the model's last retraining was started; 0 before any."""
    return max((run.settled for run in state.retrainings(model) if run.outcome in STARTED), default=0.0)


def _rollback(action: Action, state: State, facts: Facts, now: float) -> Verdict:
    version = next((one.version for one in state.investigation(action.investigation)), "")
    ours = facts.performance.get(version)
    others = {name: interval for name, interval in facts.performance.items() if name != version}
    best = max(others, key=lambda name: others[name][0], default="")
    if action.by_hand:
        return Go(action.cause, to_version=best)
    if not _stands(action, state):
        return Skip("the alert has ended")
    if ours is None or not best:
        missing = f"version {version}" if ours is None else "any other version"
        return Wait(f"outcomes: Prometheus knows no performance of {missing}", now + LOOK_AGAIN)
    told = f"{best} has {_interval(others[best])}, {version} has {_interval(ours)}"
    if others[best][0] <= ours[1]:  # intervals that overlap prove nothing
        return Skip(f"no other version was better on outcomes: {told}")
    return Go(f"{action.cause}; {told}", to_version=best)


def _stands(action: Action, state: State) -> bool:
    return any(one.stands for one in state.investigation(action.investigation))


def _wanted(action: Action, settings: Settings, state: State) -> bool:
    """Whether any alert that asks for a retraining of the model stands, be it another than the one that began it."""
    return any(
        one.stands and one.model == action.model and "retrain" in settings.responses_to(one.name)
        for one in state.incidents.values()
    )


def _interval(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.3f} to {interval[1]:.3f}"


def _span(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"
