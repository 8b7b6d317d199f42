"""What the database forgets, and what it never does."""

from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from alerting.responder.decide import last_retraining
from alerting.responder.metrics import ResponderCollector
from alerting.responder.plan import plan, plan_acknowledgement, plan_review
from alerting.responder.settings import DAY
from alerting.responder.store import Store
from alerting.responder.worker import FORGET_EVERY, Worker

from .world import FULL, START, alert, delivery, settings_of

ENDED = START + 3_600
LATER = START + 100 * DAY
KEPT_FAMILIES = ("alert_response_seconds", "alerts_reviewed_total", "responder_actions_total")


class World:
    """A store that plans what it is told, and settles actions as done."""

    def __init__(self, folder: Path) -> None:
        self.settings = settings_of(folder, **FULL)
        self.store = Store(self.settings.state, START)

    def tell(self, *alerts: dict[str, Any], at: float) -> None:
        told = delivery(*alerts, at=at)
        state = self.store.state(dry_run=False, fingerprints=[one.fingerprint for one in told.alerts])
        self.store.record(plan(told, self.settings, state), at)

    def settle(self, at: float, *kinds: Any) -> None:
        while action := self.store.due(kinds or ("open_ticket", "close_ticket", "retrain"), at):
            self.store.settle(action, "done", "said", at, "7")

    def incident_of_a_day(self) -> str:
        """An alert that was acted on, taken, judged and ended; its investigation."""
        self.tell(alert(), at=START + 60)
        self.settle(START + 61)
        [incident] = self.store.recent(0)
        state = self.store.state(dry_run=False)
        self.store.record(plan_acknowledgement(incident.investigation, state, START + 120), START + 120)
        state = self.store.state(dry_run=False)
        self.store.record(plan_review(incident.investigation, "true", state, START + 130), START + 130)
        self.tell(alert(end=ENDED), at=ENDED)
        self.settle(ENDED)
        return incident.investigation

    def counted(self) -> list[str]:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(ResponderCollector(self.settings, self.store))
        return [line for line in generate_latest(registry).decode().splitlines() if line.startswith(KEPT_FAMILIES)]

    def size(self, table: str) -> int:
        [(count,)] = self.store.rows(f"SELECT count(*) FROM {table}")
        return int(count)


def test_what_ended_before_the_horizon_goes_and_no_counter_falls_and_the_audit_log_stays(tmp_path: Path) -> None:
    world = World(tmp_path)
    investigation = world.incident_of_a_day()
    counted, audited = world.counted(), world.store.rows("SELECT * FROM audit")
    assert 'alerts_reviewed_total{verdict="true"} 1.0' in counted
    world.store.forget(ENDED)
    assert (world.size("incidents"), world.size("actions")) == (1, 3)
    world.store.forget(ENDED + 1)
    assert world.size("incidents") == 0
    assert world.store.rows("SELECT kind FROM actions") == [("retrain",)]
    assert world.counted() == counted
    assert world.store.rows("SELECT * FROM audit") == audited
    assert world.store.state(dry_run=False, investigation=investigation).incidents == {}
    world.store.forget(LATER)
    assert world.counted() == counted
    world.store.close()


def test_what_stands_or_is_still_to_be_done_stays_however_old_it_is(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.tell(alert(), at=START + 60)
    world.settle(START + 61)
    world.tell(alert("PredictionFeatureDriftModerate"), at=START + 60)
    world.tell(alert("PredictionFeatureDriftModerate", end=ENDED), at=ENDED)  # its ticket was never opened
    world.store.forget(LATER)
    assert world.size("incidents") == 2
    assert world.size("actions") == 4
    world.store.close()


def test_the_newest_retraining_of_each_model_stays_for_cooldown_and_schedule(tmp_path: Path) -> None:
    world = World(tmp_path)
    for number, model in enumerate(("churn", "fraud", "churn")):
        begins = START + number * DAY
        world.tell(alert(model_name=model, start=begins), at=begins + 60)
        world.settle(begins + 61)
        world.tell(alert(model_name=model, start=begins, end=begins + 90), at=begins + 90)
        world.settle(begins + 91)
    before = world.store.state(dry_run=False)
    world.store.forget(LATER)
    after = world.store.state(dry_run=False)
    assert len(before.retrainings()) == 3
    assert len(after.retrainings()) == 2
    for model in ("churn", "fraud"):
        assert last_retraining(model, after) == last_retraining(model, before) > 0
    world.store.close()


def test_the_worker_forgets_by_the_configured_horizon(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.incident_of_a_day()
    now = ENDED + 90 * DAY - FORGET_EVERY
    worker = Worker(world.settings, world.store, lambda: now)
    worker.plan_next()
    assert world.size("incidents") == 1
    now += FORGET_EVERY + 1
    worker.plan_next()
    assert world.size("incidents") == 0
    world.store.close()
