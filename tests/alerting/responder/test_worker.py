"""The worker, step by step by an injected clock and against real targets: once, again after failures, never lost."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alerting.responder.settings import load_settings
from alerting.responder.store import Store
from alerting.responder.worker import LANES, Worker

from .world import START, Request, Target, alert, payload, settings_file, wait_until

Answer = tuple[int, Any]


class World:
    """A responder whose clock the test holds, and the target of everything it does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = START + 60
        self.status = {"/retrain": 200, "/tickets": 200, "/rollback": 200, "/notify": 200}
        self.numbers: dict[str, list[tuple[dict[str, str], float]]] = {"labelled": [({}, 5000.0)]}
        self.target = Target(self.answer)
        self.changes: dict[str, Any] = {}
        self.open()

    def answer(self, request: Request) -> Answer:
        if request.path == "/api/v1/query":
            if self.status.get("/api", 200) != 200:
                return 503, None
            found = next((series for part, series in self.numbers.items() if part in request.body), [])
            return 200, {"data": {"result": [{"metric": labels, "value": [0, str(value)]} for labels, value in found]}}
        return self.status[request.path], None

    def open(self, **changes: Any) -> None:
        url = self.target.url
        base: dict[str, Any] = {
            "dry_run": False,
            "prometheus": {"url": url},
            "notify": {"url": f"{url}/notify"},
            "tickets": {"webhook": {"url": f"{url}/tickets"}},
            "retraining": {"target": {"webhook": {"url": f"{url}/retrain"}}},
            "rollback": {"target": {"webhook": {"url": f"{url}/rollback"}}},
        }
        self.settings = load_settings(settings_file(self.folder, **base | changes))
        self.store = Store(self.settings.state, self.now)
        self.worker = Worker(self.settings, self.store, lambda: self.now)

    def crash(self, **changes: Any) -> None:
        """As after SIGKILL: only what is on disk is left."""
        self.store.close()
        self.open(**changes)

    def tell(self, *alerts: dict[str, Any]) -> None:
        self.store.accept(json.dumps(payload(*alerts)).encode(), self.now)

    def work(self) -> None:
        """Until nothing is left that is due now."""
        while any([self.worker.plan_next(), *(self.worker.act_next(lane) for lane in LANES)]):
            pass

    def calls(self, path: str) -> list[Any]:
        return [request.body for request in self.target.sent(path)]

    def audit(self, subject: str) -> list[tuple[str, str]]:
        return self.store.rows("SELECT decided, reason FROM audit WHERE subject = ? ORDER BY id", [subject])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    with found.target:
        yield found
        found.store.close()


def test_severe_drift_retrains_and_opens_a_ticket_and_is_closed_when_it_ends(world: World) -> None:
    world.tell(alert())
    world.work()
    [retraining] = world.calls("/retrain")
    assert (retraining["model"], retraining["version"], retraining["alert"]) == (
        "churn",
        "v2",
        "PredictionFeatureDriftSevere",
    )
    world.now += 900
    world.tell(alert(end=START + 900))
    world.work()
    assert [body["action"] for body in world.calls("/tickets")] == ["open_ticket", "close_ticket"]
    assert world.calls("/notify") == []


def test_repetitions_and_crashes_between_any_two_steps_act_once(world: World) -> None:
    for _ in range(6):
        world.tell(alert())
        world.crash()
        world.worker.plan_next()
        world.crash()
        for lane in LANES:
            world.worker.act_next(lane)
            world.crash()
    assert len(world.calls("/retrain")) == 1
    assert len(world.calls("/tickets")) == 1


def test_a_call_cut_off_by_a_crash_is_repeated_under_the_same_key(world: World) -> None:
    world.tell(alert())
    world.worker.plan_next()
    action = world.store.due(["retrain"], world.now)
    assert action
    world.store.begin(action)  # and killed before the answer
    world.crash()
    world.work()
    [sent] = world.target.sent("/retrain")
    assert sent.headers["idempotency-key"] == action.key == sent.body["key"]


def test_a_target_out_of_reach_is_retried_later_and_later_until_it_takes_it(world: World) -> None:
    world.status["/retrain"] = 503
    world.tell(alert())
    world.work()
    tried = []
    for _ in range(40):
        world.now += 1
        before = len(world.calls("/retrain"))
        world.work()
        if len(world.calls("/retrain")) > before:
            tried.append(world.now - START - 60)
    assert tried == [1, 3, 7, 15, 31]
    assert len(world.calls("/tickets")) == 1  # another lane, and not held up
    world.status["/retrain"] = 200
    world.now += 900
    world.crash()
    world.work()
    assert world.audit("retrain")[-1][0] == "done"
    assert [decided for decided, _ in world.audit("retrain")].count("failed") == 6


def test_a_retraining_waits_for_labels_and_goes_when_they_have_come(world: World) -> None:
    world.numbers["labelled"] = [({}, 10.0)]
    world.tell(alert())
    world.work()
    world.now += 599
    world.work()
    assert world.calls("/retrain") == []
    world.numbers["labelled"] = [({}, 5000.0)]
    world.now += 1
    world.work()
    assert len(world.calls("/retrain")) == 1
    assert [decided for decided, _ in world.audit("retrain")] == ["planned", "waiting", "done"]


def test_a_silent_prometheus_delays_a_retraining_and_not_a_ticket(world: World) -> None:
    world.status["/api"] = 503
    world.tell(alert())
    world.work()
    assert (world.calls("/retrain"), len(world.calls("/tickets"))) == ([], 1)
    assert world.audit("retrain")[-1] == ("waiting", "Prometheus: answered 503")
    world.status["/api"] = 200
    world.now += 30
    world.work()
    assert len(world.calls("/retrain")) == 1


def test_a_dry_run_decides_and_calls_nothing_and_holds_back_nothing_afterwards(world: World) -> None:
    world.crash(dry_run=True)
    world.tell(alert())
    world.work()
    world.tell(alert(end=START + 900))
    world.work()
    assert [world.calls(path) for path in ("/retrain", "/tickets")] == [[], []]
    assert world.audit("retrain")[-1][0] == "dry_run"
    world.now += 1000
    world.crash(dry_run=False)
    world.tell(alert(start=START + 1000))
    world.work()
    assert len(world.calls("/retrain")) == 1
    assert [body["action"] for body in world.calls("/tickets")] == ["open_ticket"]


def test_minor_drift_is_notified_and_told_in_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "alerting")
    world.tell(alert("PredictionFeatureDriftMinor"))
    world.work()
    assert world.calls("/notify")[0]["text"] == "PredictionFeatureDriftMinor: age of churn has drifted"
    assert "notify churn: age of churn has drifted" in caplog.text


def test_a_rollback_names_the_version_that_was_better(world: World) -> None:
    world.crash(responses={"PredictionAucLow": ["rollback"]})
    lower = [({"model_version": "v1"}, 0.8), ({"model_version": "v2"}, 0.6)]
    upper = [({"model_version": "v1"}, 0.9), ({"model_version": "v2"}, 0.7)]
    world.numbers |= {"lower": lower, "upper": upper}
    world.tell(alert("PredictionAucLow"))
    world.work()
    assert [body["to_version"] for body in world.calls("/rollback")] == ["v1"]


def test_a_scheduled_retraining_runs_each_period_and_only_once(world: World) -> None:
    target = {"webhook": {"url": f"{world.target.url}/retrain"}}
    world.crash(retraining={"target": target, "every": {"churn": "1d"}})
    for _ in range(3 * 24):
        world.now += 3600
        world.work()
    assert [body["cause"] for body in world.calls("/retrain")] == ["scheduled every 1d"] * 3


def test_an_answer_of_an_unknown_shape_is_a_failure_and_not_the_end(tmp_path: Path) -> None:
    with Target(lambda _: (200, {"unlike": "an issue"})) as target:
        github = {"url": target.url, "repository": "o/r", "token": {"file": "target.token"}}
        settings = load_settings(settings_file(tmp_path, dry_run=False, tickets={"github": github}))
        store = Store(settings.state, START)
        worker = Worker(settings, store, lambda: START)
        store.accept(json.dumps(payload(alert("PredictionFeatureDriftModerate"))).encode(), START)
        assert worker.plan_next()
        assert worker.act_next(("open_ticket",))
        [(standing, reason)] = store.rows("SELECT standing, reason FROM actions")
        assert (standing, reason.partition(":")[0]) == ("retrying", "unexpected answer")
        store.close()


def test_the_threads_do_all_this_by_themselves_and_end_when_told(tmp_path: Path) -> None:
    with Target() as target:
        changes: dict[str, Any] = {
            "dry_run": False,
            "tickets": {"webhook": {"url": f"{target.url}/tickets"}},
            "retraining": {"target": {"webhook": {"url": f"{target.url}/retrain"}}, "fresh_labels": 0},
        }
        settings = load_settings(settings_file(tmp_path, **changes))
        store = Store(settings.state, START)
        worker = Worker(settings, store)
        assert not worker.alive()
        worker.start()
        store.accept(json.dumps(payload(alert())).encode(), START)
        worker.wake()
        wait_until(lambda: target.sent("/tickets") and target.sent("/retrain"))
        assert worker.alive()
        worker.stop()
        assert not worker.alive()
        store.close()
