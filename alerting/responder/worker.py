"""The hands: deliveries become plans, due actions are decided on and carried out, on threads of their own.

Each kind of target has its lane, so that a ticket system that hangs delays no retraining. Whatever fails is tried
again, later and later, until it succeeds or is no longer wanted.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from alerting.responder.calls import Caller, CallError
from alerting.responder.decide import Facts, Go, Skip, Verdict, Wait, decide, last_retraining
from alerting.responder.evidence import DriftedFeature, evidence_of, label_seconds
from alerting.responder.payload import parse_delivery
from alerting.responder.plan import plan, plan_schedule
from alerting.responder.settings import Settings, Trigger
from alerting.responder.state import Action, Incident, Kind, State
from alerting.responder.store import Store
from alerting.responder.tickets import ticket_system
from alerting.responder.triggers import trigger
from alerting.responder.words import notification, request, ticket
from exporter.config import parse_duration

logger = logging.getLogger(__name__)

LANES: tuple[tuple[Kind, ...], ...] = (("notify",), ("open_ticket", "close_ticket"), ("retrain",), ("rollback",))
TICK = 1.0  # seconds between two looks at what is due
FIRST_RETRY, LONGEST_RETRY = 1, 900  # seconds, doubling: a blip costs a second, a mended target is found in 15 minutes
FORGET_EVERY = 3_600  # seconds: a horizon of days need not be kept to the minute
PROMETHEUS_AGAIN = 30  # seconds: two scrapes at its usual pace


def retry_after(attempts: int) -> int:
    """Seconds to wait after this many failed attempts.

    >>> [retry_after(attempts) for attempts in (1, 2, 3, 10, 11, 5_000)]
    [1, 2, 4, 512, 900, 900]
    """
    return min(LONGEST_RETRY, FIRST_RETRY << min(attempts - 1, 10))


@dataclass
class Worker:
    """Plans and acts on what stands in the store; `clock` gives Unix seconds."""

    settings: Settings
    store: Store
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        self._caller = Caller(parse_duration(self.settings.timeout))
        self._evidence = evidence_of(self.settings, self._caller)
        self._wakes = [threading.Event() for _ in range(1 + len(LANES))]
        self._forgets = 0.0
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin, each lane on a thread of its own."""
        works = [("plan", self.plan_next), *((lane[0], lambda lane=lane: self.act_next(lane)) for lane in LANES)]
        for (name, work), wake in zip(works, self._wakes, strict=True):
            thread = threading.Thread(target=self._run, args=(work, wake), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End after what is being done now."""
        self._stopped.set()
        self.wake()
        for thread in self._threads:
            thread.join()

    def alive(self) -> bool:
        """Whether every thread works."""
        return bool(self._threads) and all(thread.is_alive() for thread in self._threads)

    def wake(self) -> None:
        """There is something to do."""
        for event in self._wakes:
            event.set()

    def _run(self, work: Callable[[], bool], wake: threading.Event) -> None:
        while not self._stopped.is_set():
            wake.clear()
            try:
                done = work()
            except Exception:  # a full disk must not end the thread that would go on once it is mended
                logger.exception("the responder cannot go on, and tries again")
                done = False
            if not done:
                wake.wait(TICK)

    def plan_next(self) -> bool:
        """Plan one delivery, or what the schedule asks for; whether there was anything."""
        now = self.clock()
        waiting = self.store.next_delivery()
        if waiting is None:
            self._forget(now)
            due = plan_schedule(self.settings, self.store.state(dry_run=self.settings.dry_run), now)
            if due.actions:
                self.store.record(due, now)
                self.wake()
            return bool(due.actions)
        number, received, body = waiting
        delivery = parse_delivery(body, received)
        fingerprints = {alert.fingerprint for alert in delivery.alerts}
        with self.store.alone():  # or a person's review meanwhile would be overwritten
            state = self.store.state(dry_run=self.settings.dry_run, fingerprints=fingerprints)
            self.store.record(plan(delivery, self.settings, state), now, number)
        self.wake()
        return True

    def _forget(self, now: float) -> None:
        if now >= self._forgets:
            self.store.forget(now - parse_duration(self.settings.retention))
            self._forgets = now + FORGET_EVERY

    def act_next(self, lane: tuple[Kind, ...]) -> bool:
        """Decide on one due action of the lane, and carry it out; whether there was any."""
        now = self.clock()
        action = self.store.due(lane, now)
        if action is None:
            return False
        state = self.store.state(dry_run=self.settings.dry_run, investigation=action.investigation)
        match self._decide(action, state, now):
            case Skip(reason):
                self.store.settle(action, "skipped", reason, now)
            case Wait(reason, until):
                self.store.postpone(action, "waiting", reason, now, until)
            case Go(reason) if self.settings.dry_run:
                self.store.settle(action, "dry_run", reason, now)
            case Go(reason, to_version):
                self._carry_out(action, state, reason, to_version)
        return True

    def _decide(self, action: Action, state: State, now: float) -> Verdict:
        try:
            facts = self._facts(action, state, now)
        except CallError as error:
            if not action.by_hand:
                return Wait(f"Prometheus: {error}", now + PROMETHEUS_AGAIN)
            facts = Facts()
        return decide(action, self.settings, state, facts, now)

    def _facts(self, action: Action, state: State, now: float) -> Facts:
        retraining, rollback = self.settings.retraining, self.settings.rollback
        if self._evidence and retraining and action.kind == "retrain" and retraining.fresh_labels:
            seconds = label_seconds(retraining.label_window, last_retraining(action.model, state), now)
            return Facts(labels=self._evidence.fresh_labels(action.model, seconds))
        if self._evidence and rollback and action.kind == "rollback":
            return Facts(performance=self._evidence.performance(action.model, rollback))
        return Facts()

    def _carry_out(self, action: Action, state: State, reason: str, to_version: str) -> None:
        self.store.begin(action)
        try:
            result = self._call(action, state, to_version)
        except CallError as error:
            self._failed(action, str(error), self.clock())
        except Exception as error:  # an answer of another shape than the target's documentation has it
            logger.exception("%s %s", action.kind, action.key)
            self._failed(action, f"unexpected answer: {type(error).__name__}", self.clock())
        else:
            logger.info("%s %s: %s", action.kind, action.model or action.investigation, reason)
            self.store.settle(action, "done", reason, self.clock(), result)

    def _failed(self, action: Action, reason: str, now: float) -> None:
        wait = retry_after(action.attempts + 1)
        logger.warning("%s %s failed: %s; again in %d s", action.kind, action.key, reason, wait)
        self.store.postpone(action, "retrying", reason, now, now + wait)

    def _call(self, action: Action, state: State, to_version: str) -> str:
        """Call the target; what it answered that is worth keeping."""
        incidents = state.investigation(action.investigation) if action.investigation else []
        settings = self.settings
        match action.kind:
            case "notify":
                if settings.notify:
                    self._caller.post(settings.notify, notification(action, incidents[0], settings), action.key)
                return ""
            case "open_ticket":
                assert settings.tickets
                return ticket_system(settings.tickets, self._caller).open(
                    ticket(action, incidents, self._features(incidents[0]), settings)
                )
            case "close_ticket":
                assert settings.tickets
                number = state.actions[f"open_ticket-{action.investigation}"].result
                ticket_system(settings.tickets, self._caller).close(number, action.cause)
                return number
        section = settings.retraining if action.kind == "retrain" else settings.rollback
        assert section
        return self._trigger(section.target, action, incidents, to_version)

    def _trigger(self, target: Trigger, action: Action, incidents: list[Incident], to_version: str) -> str:
        told = request(action, incidents[0] if incidents else None, self.settings, to_version)
        return trigger(target, self._caller, told, again=action.attempts > 0)

    def _features(self, incident: Incident) -> list[DriftedFeature]:
        try:
            return self._evidence.features(incident) if self._evidence and incident.model else []
        except CallError as error:
            logger.warning("a ticket goes without numbers: Prometheus %s", error)
            return []
