"""The planner: a delivery and the state in, what to do and why out. Pure, and the same however deliveries repeat.

Alertmanager delivers at least once, by several routes, and tells a group anew whenever it changes. An alert's
fingerprint and start name an incident, which acts once. A later start of an alert that still stands is the same
incident (Prometheus forgets when an alert began when it restarts), unless nothing was heard of it for `stale_after`.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from alerting.responder.payload import Alert, Delivery
from alerting.responder.settings import Response, Settings
from alerting.responder.state import STARTED, Action, Decision, Incident, Kind, Plan, State, Verdict
from exporter.config import parse_duration


def plan(delivery: Delivery, settings: Settings, state: State) -> Plan:
    """What `delivery` asks for, alert by alert; telling it in parts asks for the same."""
    found = Plan()
    for alert in delivery.alerts:
        step = _fire(alert, delivery, settings, state) if alert.firing else _end(alert, delivery, state)
        found, state = found + step, state.after(step)
    if delivery.truncated:
        reason = f"Alertmanager left {delivery.truncated} alerts out of {delivery.group}; raise its max_alerts"
        found += _decided(delivery.group, "", "incomplete", reason)
    return found


def plan_review(investigation: str, verdict: Verdict, state: State, now: float) -> Plan:
    """A person's verdict on an investigation: once for each incident; a false one closes its ticket."""
    judged = [
        replace(one, verdict=verdict, acknowledged=one.acknowledged or now)
        for one in state.investigation(investigation)
        if one.verdict is None
    ]
    if not judged:
        return Plan()
    found = Plan(tuple(judged)) + _decided(judged[0].name, investigation, f"judged {verdict}", "a person's verdict")
    return found + (_close(judged[0], state.after(found), now, "judged false") if verdict == "false" else Plan())


def plan_acknowledgement(investigation: str, state: State, now: float) -> Plan:
    """A person has taken an investigation."""
    taken = [replace(one, acknowledged=now) for one in state.investigation(investigation) if one.acknowledged is None]
    if not taken:
        return Plan()
    return Plan(tuple(taken)) + _decided(taken[0].name, investigation, "acknowledged", "a person has taken it")


def plan_by_hand(investigation: str, kind: Kind, state: State, now: float) -> Plan:
    """A person asks for a retraining or a rollback: once for each investigation, whatever holds alerts back."""
    incidents = state.investigation(investigation)
    key = f"{kind}-{investigation}-by-hand"
    if not incidents or key in state.actions:
        return Plan()
    action = Action(key, kind, incidents[0].model, investigation, "asked for by a person", now, by_hand=True)
    return Plan(actions=(action,)) + _decided(kind, investigation, "planned", action.cause)


def plan_schedule(settings: Settings, state: State, now: float) -> Plan:
    """Retrainings that are due without an alert: a period after the model's last one, or after the first start."""
    found = Plan()
    for model, period in (settings.retraining.every if settings.retraining else {}).items():
        runs = state.retrainings(model)
        if any(run.pending for run in runs):
            continue
        # One that was refused counts too: its period is over, and the next one asks again.
        ended = [run.settled for run in runs if run.outcome in STARTED or not run.investigation]
        last = max(ended, default=state.since)
        if now < last + parse_duration(period):
            continue
        key = hashlib.sha256(f"{model} {last!r}".encode()).hexdigest()[
            :16
        ]  # of the run it follows: asked for twice, it is one
        action = Action(f"retrain-{key}", "retrain", model, "", f"scheduled every {period}", now)
        found += Plan(actions=(action,)) + _decided("retrain", "", "planned", f"{model}: {action.cause}")
    return found


def _fire(alert: Alert, delivery: Delivery, settings: Settings, state: State) -> Plan:
    last = state.latest(alert.fingerprint)
    if last is None:
        return _begin(alert, delivery, settings, state)
    if last.resolved is not None:
        if alert.starts_at <= last.resolved:
            return _decided(alert.name, last.investigation, "ignored", "a late telling of an incident that has ended")
        return _begin(alert, delivery, settings, state)
    if alert.starts_at <= last.starts_at or delivery.received - last.told < settings.stale_seconds:
        again = replace(last, told=max(last.told, delivery.received))
        return Plan((again,)) + _decided(alert.name, last.investigation, "ignored", "told before, and acted on")
    ended = _resolve(last, last.told, delivery.received, state)
    return ended + _begin(alert, delivery, settings, state.after(ended))


def _begin(alert: Alert, delivery: Delivery, settings: Settings, state: State) -> Plan:
    first = next(
        (one for one in state.incidents.values() if one.stands and (one.name, one.model) == (alert.name, alert.model)),
        None,
    )
    incident = _incident(alert, delivery.received, first.investigation if first else alert.key)
    if first:
        reason = "joins the open investigation of this alert and model"
        return Plan((incident,)) + _decided(alert.name, incident.investigation, "joined", reason)
    found = Plan((incident,))
    for response in settings.responses_to(alert.name):
        found += _respond(response, incident, settings, state.after(found))
    return found if found.decisions else found + _decided(alert.name, incident.key, "ignored", "asks for no response")


def _incident(alert: Alert, received: float, investigation: str) -> Incident:
    return Incident(
        alert.key, investigation, alert.fingerprint, alert.labels, alert.annotations, alert.starts_at, received
    )


def _respond(response: Response, incident: Incident, settings: Settings, state: State) -> Plan:
    kind: Kind = "open_ticket" if response == "ticket" else response
    refusal = _refusal(response, incident, settings, state)
    if refusal:
        return _decided(kind, incident.investigation, "skipped", refusal)
    cause = " ".join(incident.annotations.get("summary", incident.name).split())  # one line, for logs
    action = Action(f"{kind}-{incident.key}", kind, incident.model, incident.key, cause, incident.told)
    return Plan(actions=(action,)) + _decided(kind, incident.key, "planned", f"{incident.name}: {cause}")


def _refusal(response: Response, incident: Incident, settings: Settings, state: State) -> str:
    """Why nothing is planned; "" where something is."""
    targets = {"ticket": settings.tickets, "retrain": settings.retraining, "rollback": settings.rollback}
    if response in targets and targets[response] is None:
        return "no target is configured"
    if response in ("retrain", "rollback") and not incident.model:
        return "the alert names no model"
    if response == "retrain" and any(run.pending for run in state.retrainings(incident.model)):
        return f"a retraining of {incident.model} is planned already"
    return ""


def _end(alert: Alert, delivery: Delivery, state: State) -> Plan:
    last = state.latest(alert.fingerprint)
    if last is None or (last.resolved is not None and alert.starts_at > last.resolved):
        # Kept, so that its firing, should it come late, is known to be over.
        over = replace(_incident(alert, delivery.received, alert.key), resolved=alert.ends_at)
        return Plan((over,)) + _decided(alert.name, alert.key, "ignored", "ended before it was heard of")
    if last.resolved is not None:
        return _decided(alert.name, last.investigation, "ignored", "its end was told before")
    if alert.ends_at <= last.starts_at:
        return _decided(alert.name, last.investigation, "ignored", "a late telling of an earlier end")
    return _resolve(last, max(alert.ends_at, last.starts_at), delivery.received, state)


def _resolve(incident: Incident, ended: float, now: float, state: State) -> Plan:
    over = Plan((replace(incident, resolved=ended, told=now),))
    over += _decided(incident.name, incident.investigation, "resolved", "the alert has ended")
    return over + _close(incident, state.after(over), now, "resolved")


def _close(incident: Incident, state: State, now: float, cause: str) -> Plan:
    """Close the investigation's ticket when none of its incidents stands."""
    investigation = incident.investigation
    opened, closing = f"open_ticket-{investigation}", f"close_ticket-{investigation}"
    if opened not in state.actions or closing in state.actions or _any_stands(state.investigation(investigation)):
        return Plan()
    action = Action(closing, "close_ticket", incident.model, investigation, cause, now)
    return Plan(actions=(action,)) + _decided("close_ticket", investigation, "planned", cause)


def _any_stands(incidents: Iterable[Incident]) -> bool:
    return any(one.stands for one in incidents)


def _decided(subject: str, investigation: str, decided: str, reason: str) -> Plan:
    return Plan(decisions=(Decision(subject, investigation, decided, reason),))
