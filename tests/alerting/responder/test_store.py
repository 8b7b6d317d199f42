"""The database: durable before it answers, the same after a crash, appended to only, and of one responder."""

import sqlite3
from pathlib import Path

import pytest

from alerting.responder.plan import plan
from alerting.responder.state import Action, Decision, Plan, State
from alerting.responder.store import Store
from exporter.errors import PredictionExporterError

from .world import FULL, START, alert, delivery, settings_of


def reopened(store: Store, path: Path) -> Store:
    store.close()
    return Store(path, START + 99)


def test_deliveries_come_back_in_order_until_they_are_planned(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "r.sqlite"
    store = Store(path, START)
    for body in (b"first", b"second"):
        store.accept(body, START)
    store = reopened(store, path)
    number, received, body = store.next_delivery() or (0, 0.0, b"")
    assert (received, body) == (START, b"first")
    store.record(Plan(), START, number)
    store = reopened(store, path)
    assert (store.next_delivery() or (0, 0, b""))[2] == b"second"
    store.close()


def test_the_state_comes_back_as_it_was_planned(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, **FULL)
    store = Store(settings.state, START)
    planned = plan(
        delivery(alert(feature='"odd" ünïcode'), alert("PredictionFeatureDriftMinor")), settings, State(START)
    )
    store.record(planned, START)
    store = reopened(store, settings.state)
    assert store.state(dry_run=False) == State(START).after(planned)
    store.close()


def test_an_action_that_is_known_stays_as_it_is(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.sqlite", START)
    action = Action("a", "notify", "churn", "i", "why", START)
    store.record(Plan(actions=(action,)), START)
    store.settle(action, "done", "said", START + 1, "result")
    store.record(Plan(actions=(action,)), START + 2)
    [kept] = store.state(dry_run=False, investigation="i").actions.values()
    assert (kept.outcome, kept.settled, kept.result) == ("done", START + 1, "result")
    assert store.due(["notify"], START + 99) is None
    store.close()


def test_an_attempt_is_known_after_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    store = Store(path, START)
    action = Action("a", "retrain", "churn", "i", "why", START)
    store.record(Plan(actions=(action,)), START)
    store.begin(action)
    store = reopened(store, path)
    again = store.due(["retrain"], START)
    assert again is not None
    assert (again.attempts, again.pending) == (1, True)
    store.close()


def test_what_is_postponed_is_due_when_its_time_comes(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.sqlite", START)
    action = Action("a", "retrain", "churn", "i", "why", START)
    store.record(Plan(actions=(action,)), START)
    store.postpone(action, "waiting", "labels: 3 of churn", START, START + 60)
    assert store.due(["retrain"], START + 59.9) is None
    assert store.due(["notify"], START + 60) is None
    assert store.due(["retrain"], START + 60) == action
    store.close()


def test_a_wait_is_told_once_for_its_cause_and_a_failure_each_time(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.sqlite", START)
    action = Action("a", "retrain", "churn", "i", "why", START)
    store.record(Plan(actions=(action,)), START)
    for reason in ("labels: 3", "labels: 4", "budget: spent"):
        store.postpone(action, "waiting", reason, START, START)
    for _ in range(2):
        store.postpone(action, "retrying", "answered 503", START, START)
    told = store.rows("SELECT decided, reason FROM audit ORDER BY id")
    assert told == [("waiting", "labels: 3"), ("waiting", "budget: spent"), *[("failed", "answered 503")] * 2]
    store.close()


def test_retrainings_of_a_dry_run_count_in_a_dry_run_only(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.sqlite", START)
    action = Action("a", "retrain", "churn", "i", "why", START)
    store.record(Plan(actions=(action,)), START)
    store.settle(action, "dry_run", "would", START)
    assert list(store.state(dry_run=True).actions) == ["a"]
    assert list(store.state(dry_run=False).actions) == []
    store.close()


@pytest.mark.parametrize("change", ["DELETE FROM audit", "UPDATE audit SET reason = 'better'"])
def test_the_audit_log_can_only_grow(tmp_path: Path, change: str) -> None:
    path = tmp_path / "r.sqlite"
    store = Store(path, START)
    store.record(Plan(decisions=(Decision("a", "i", "skipped", "why"),)), START)
    store.close()
    with sqlite3.connect(path) as other, pytest.raises(sqlite3.IntegrityError, match="the audit log is kept"):
        other.execute(change)
    other.close()


def test_a_plan_is_recorded_whole_or_not_at_all(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.sqlite", START)
    store.accept(b"body", START)
    action = Action("a", "notify", "churn", "i", "why", START)
    broken = Decision("a", "i", "skipped", None)  # type: ignore[arg-type]  # NOT NULL refuses it, after the action
    with pytest.raises(sqlite3.IntegrityError):
        store.record(Plan(actions=(action,), decisions=(broken,)), START, 1)
    assert store.due(["notify"], START) is None
    assert store.next_delivery() is not None
    store.close()


def test_a_second_responder_is_refused_while_people_may_read(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    store = Store(path, START)
    with pytest.raises(PredictionExporterError, match="another responder uses it"):
        Store(path, START)
    with sqlite3.connect(path) as reader:
        assert reader.execute("SELECT count(*) FROM audit").fetchall() == [(0,)]
    reader.close()
    store.close()
    Store(path, START).close()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PredictionExporterError, match="give a file that can be written"):
        Store(tmp_path / "file" / "r.sqlite", START)
