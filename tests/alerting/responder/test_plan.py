"""The planner: what each alert asks for; and laws that hold for whatever deliveries come, however often."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as sized
from hypothesis import strategies as st

from alerting.responder.payload import Alert, Delivery
from alerting.responder.plan import plan, plan_acknowledgement, plan_by_hand, plan_review, plan_schedule
from alerting.responder.settings import DAY, Settings
from alerting.responder.state import Action, Plan, State

from .world import FULL, START, alert, delivery, settings_of


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_of(tmp_path_factory.mktemp("plan"), **FULL)


def run(settings: Settings, *deliveries: Delivery, state: State | None = None) -> tuple[State, list[Plan]]:
    """The state after `deliveries`, and what each was answered with."""
    state, plans = state or State(), []
    for one in deliveries:
        plans.append(plan(one, settings, state))
        state = state.after(plans[-1])
    return state, plans


def kinds(state: State) -> list[str]:
    return sorted(action.kind for action in state.actions.values())


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("PredictionFeatureDriftMinor", ["notify"]),
        ("PredictionFeatureDriftModerate", ["open_ticket"]),
        ("PredictionFeatureDriftSevere", ["open_ticket", "retrain"]),
        ("PredictionAucLow", ["open_ticket", "retrain"]),
        ("PredictionPerformanceBelowBaseline", ["open_ticket", "retrain"]),
        ("PredictionExporterDown", ["notify"]),
        ("Watchdog", []),
    ],
)
def test_each_degree_asks_for_its_response(settings: Settings, name: str, asked: list[str]) -> None:
    state, [answer] = run(settings, delivery(alert(name)))
    assert kinds(state) == asked
    assert answer.decisions


def test_alerts_of_one_name_and_model_make_one_investigation(settings: Settings) -> None:
    told = [alert("PredictionFeatureDriftModerate", feature=feature) for feature in ("age", "tenure", "plan")]
    state, _ = run(settings, delivery(*told))
    assert kinds(state) == ["open_ticket"]
    assert len({incident.investigation for incident in state.incidents.values()}) == 1


def test_models_are_investigated_apart(settings: Settings) -> None:
    state, _ = run(settings, delivery(alert(), alert(model_name="fraud")))
    assert kinds(state) == ["open_ticket", "open_ticket", "retrain", "retrain"]


def test_two_causes_of_one_model_plan_one_retraining(settings: Settings) -> None:
    state, [_, second] = run(settings, delivery(alert()), delivery(alert("PredictionDriftSevere")))
    assert kinds(state) == ["open_ticket", "open_ticket", "retrain"]
    assert [one.reason for one in second.decisions if one.decided == "skipped"] == [
        "a retraining of churn is planned already"
    ]


def test_a_ticket_is_closed_when_the_last_alert_of_its_investigation_ends(settings: Settings) -> None:
    both = [alert("PredictionFeatureDriftModerate", feature=feature) for feature in ("age", "tenure")]
    ends = [alert("PredictionFeatureDriftModerate", feature=feature, end=START + 900) for feature in ("age", "tenure")]
    state, _ = run(settings, delivery(*both), delivery(ends[0], at=START + 950))
    assert kinds(state) == ["open_ticket"]
    state, _ = run(settings, delivery(ends[1], at=START + 960), state=state)
    assert kinds(state) == ["close_ticket", "open_ticket"]


def test_an_alert_that_returns_after_its_end_is_a_new_incident(settings: Settings) -> None:
    state, _ = run(
        settings,
        delivery(alert("PredictionFeatureDriftModerate")),
        delivery(alert("PredictionFeatureDriftModerate", end=START + 900), at=START + 950),
        delivery(alert("PredictionFeatureDriftModerate", start=START + 5000), at=START + 5010),
    )
    assert kinds(state) == ["close_ticket", "open_ticket", "open_ticket"]


def test_a_firing_told_late_after_its_end_does_nothing(settings: Settings) -> None:
    state, plans = run(settings, delivery(alert(end=START + 900), at=START + 950), delivery(alert(), at=START + 960))
    assert kinds(state) == []
    assert plans[1].decisions[0].reason == "a late telling of an incident that has ended"


def test_a_later_start_while_it_stands_is_the_same_incident(settings: Settings) -> None:
    """Prometheus forgets when an alert began when it restarts."""
    state, _ = run(settings, delivery(alert()), delivery(alert(start=START + 3600), at=START + 3700))
    assert kinds(state) == ["open_ticket", "retrain"]
    [incident] = state.incidents.values()
    assert incident.told == START + 3700


def test_a_later_start_after_long_silence_is_another_whose_end_was_not_heard(settings: Settings) -> None:
    later = START + 3 * DAY
    state, _ = run(settings, delivery(alert("PredictionFeatureDriftModerate")), delivery(
        alert("PredictionFeatureDriftModerate", start=later), at=later + 60
    ))  # fmt: skip
    assert kinds(state) == ["close_ticket", "open_ticket", "open_ticket"]
    assert [incident.resolved is None for incident in state.incidents.values()] == [False, True]


def test_the_same_start_after_long_silence_is_the_same_incident(settings: Settings) -> None:
    state, _ = run(settings, delivery(alert()), delivery(alert(), at=START + 9 * DAY))
    assert kinds(state) == ["open_ticket", "retrain"]


def test_without_a_target_nothing_is_planned_and_the_reason_is_told(tmp_path: Path) -> None:
    state, [answer] = run(settings_of(tmp_path), delivery(alert()))
    assert kinds(state) == []
    assert [(one.subject, one.reason) for one in answer.decisions] == [
        ("open_ticket", "no target is configured"),
        ("retrain", "no target is configured"),
    ]


def test_a_cause_is_one_line(settings: Settings) -> None:
    told = alert("PredictionFeatureDriftMinor", feature="a\nb\r\tc")
    state, _ = run(settings, delivery(told))
    assert [action.cause for action in state.actions.values()] == ["a b c of churn has drifted"]


def test_alerts_left_out_of_a_delivery_are_told(settings: Settings) -> None:
    whole = delivery(alert())
    cut = Delivery(whole.received, whole.group, whole.alerts, truncated=7)
    assert "left 7 alerts out" in plan(cut, settings, State()).decisions[-1].reason


def test_a_false_verdict_closes_the_ticket_and_is_given_once(settings: Settings) -> None:
    state, _ = run(settings, delivery(alert("PredictionFeatureDriftModerate")))
    [incident] = state.incidents.values()
    judged = plan_review(incident.key, "false", state, START + 700)
    assert [action.kind for action in judged.actions] == ["close_ticket"]
    assert judged.incidents[0].acknowledged == START + 700
    state = state.after(judged)
    assert plan_review(incident.key, "true", state, START + 800) == Plan()
    state, _ = run(
        settings, delivery(alert("PredictionFeatureDriftModerate", end=START + 900), at=START + 950), state=state
    )
    assert kinds(state) == ["close_ticket", "open_ticket"]


def test_after_a_false_verdict_another_feature_is_investigated_anew(settings: Settings) -> None:
    state, _ = run(settings, delivery(alert("PredictionFeatureDriftModerate")))
    state = state.after(plan_review(next(iter(state.incidents)), "false", state, START + 700))
    state, _ = run(settings, delivery(alert("PredictionFeatureDriftModerate", feature="tenure")), state=state)
    assert kinds(state) == ["close_ticket", "open_ticket", "open_ticket"]


def test_acknowledging_twice_keeps_the_first_time(settings: Settings) -> None:
    state, _ = run(settings, delivery(alert()))
    [key] = state.incidents
    state = state.after(plan_acknowledgement(key, state, START + 100))
    assert plan_acknowledgement(key, state, START + 200) == Plan()
    assert state.incidents[key].acknowledged == START + 100
    assert plan_acknowledgement("unknown", state, START) == Plan()


def test_a_person_asks_once_for_each_investigation(settings: Settings) -> None:
    state, _ = run(settings, delivery(alert("PredictionFeatureDriftModerate")))
    [key] = state.incidents
    state = state.after(plan_by_hand(key, "retrain", state, START + 100))
    assert kinds(state) == ["open_ticket", "retrain"]
    assert plan_by_hand(key, "retrain", state, START + 200) == Plan()


def scheduled(folder: Path) -> Settings:
    retraining = FULL["retraining"] | {"every": {"churn": "7d", "a model\nwith odd letters": "1d"}}
    return settings_of(folder, **FULL | {"retraining": retraining})


def ran(settled: float, outcome: Any, investigation: str = "i", model: str = "churn") -> Action:
    key = f"retrain-{settled}"
    return Action(key, "retrain", model, investigation, "", settled, outcome=outcome, settled=settled)


def test_the_schedule_counts_from_the_first_start_and_from_each_retraining(tmp_path: Path) -> None:
    settings = scheduled(tmp_path)

    def due(state: State, now: float) -> set[str]:
        return {action.model for action in plan_schedule(settings, state, now).actions}

    fresh = State(since=START)
    assert due(fresh, START + DAY - 1) == set()
    assert due(fresh, START + DAY) == {"a model\nwith odd letters"}
    assert due(fresh, START + 7 * DAY) == {"churn", "a model\nwith odd letters"}
    alerted = State.of(START, [], [ran(START + 6 * DAY, "done")])
    assert "churn" not in due(alerted, START + 12 * DAY)
    assert "churn" in due(alerted, START + 13 * DAY)


def test_a_refused_schedule_asks_again_a_period_later_and_a_pending_one_not_twice(tmp_path: Path) -> None:
    settings = scheduled(tmp_path)
    refused = State.of(START, [], [ran(START + 7 * DAY, "skipped", investigation="")])
    assert "churn" not in [one.model for one in plan_schedule(settings, refused, START + 8 * DAY).actions]
    first = plan_schedule(settings, State(since=START), START + 7 * DAY)
    assert plan_schedule(settings, State(since=START).after(first), START + 30 * DAY) == Plan()
    assert all(action.key.isascii() and action.key.isprintable() for action in first.actions)


# Laws. Alerts live through episodes; Alertmanager tells any of them in any grouping, as often as it likes.

NAMES = (
    "PredictionFeatureDriftMinor",
    "PredictionFeatureDriftModerate",
    "PredictionFeatureDriftSevere",
    "PredictionAucLow",
    "Watchdog",
)
EPISODE = 10_000


@st.composite
def histories(draw: st.DrawFn) -> list[Delivery]:
    """Deliveries in the order of their sending: each tells some alerts as they stand at its time."""
    about = st.tuples(st.sampled_from(NAMES), st.sampled_from(["churn", "fraud"]), st.sampled_from(["age", "plan"]))
    known = draw(st.lists(about, min_size=1, max_size=4, unique=True))
    times = sorted(draw(st.lists(st.integers(0, 4 * EPISODE), min_size=1, max_size=8)))
    found = []
    for time in times:
        chosen = draw(st.lists(st.sampled_from(known), min_size=1, max_size=4, unique=True))
        alerts = [episode(one, time) for one in chosen]
        found.append(delivery(*alerts, at=START + time))
    return found


def episode(about: tuple[str, str, str], time: int) -> dict[str, Any]:
    """Each alert fires for the first half of every episode."""
    name, model, feature = about
    start = START + time // EPISODE * EPISODE
    over = time % EPISODE >= EPISODE // 2
    return alert(name, model_name=model, feature=feature, start=start, end=start + EPISODE // 2 if over else None)


def acts(state: State) -> list[tuple[str, str, str]]:
    return sorted((action.key, action.kind, action.investigation) for action in state.actions.values())


@sized(max_examples=40)
@given(histories(), st.lists(st.integers(0, 3), max_size=8))
def test_repeated_deliveries_act_as_one(settings: Settings, history: list[Delivery], repeats: list[int]) -> None:
    counts = [1 + repeats[place] if place < len(repeats) else 1 for place in range(len(history))]
    repeated = [one for one, count in zip(history, counts, strict=True) for _ in range(count)]
    assert acts(run(settings, *repeated)[0]) == acts(run(settings, *history)[0])


@sized(max_examples=40)
@given(histories())
def test_a_delivery_told_again_after_all_others_changes_nothing(settings: Settings, history: list[Delivery]) -> None:
    state, _ = run(settings, *history)
    for late in history:
        again = plan(Delivery(history[-1].received, late.group, late.alerts), settings, state)
        assert [action for action in again.actions if action.key not in state.actions] == []


@sized(max_examples=40)
@given(histories())
def test_a_delivery_in_parts_asks_for_the_same(settings: Settings, history: list[Delivery]) -> None:
    parts = [Delivery(one.received, one.group, (single,)) for one in history for single in one.alerts]
    assert acts(run(settings, *parts)[0]) == acts(run(settings, *history)[0])


@sized(max_examples=40)
@given(histories())
def test_every_alert_gets_a_decision_and_every_action_a_reason(settings: Settings, history: list[Delivery]) -> None:
    _, plans = run(settings, *history)
    for one, answer in zip(history, plans, strict=True):
        assert len(answer.decisions) >= len(one.alerts)
        assert all(decision.reason for decision in answer.decisions)
        planned = sum(decision.decided == "planned" for decision in answer.decisions)
        assert planned == len(answer.actions)


@sized(max_examples=40)
@given(histories())
def test_no_model_has_two_retrainings_pending(settings: Settings, history: list[Delivery]) -> None:
    state, _ = run(settings, *history)
    for model in ("churn", "fraud"):
        assert sum(one.pending for one in state.retrainings(model)) <= 1


@sized(max_examples=40)
@given(histories())
def test_when_all_has_ended_every_ticket_is_closed_once(settings: Settings, history: list[Delivery]) -> None:
    state, _ = run(settings, *history)
    standing = [incident for incident in state.incidents.values() if incident.resolved is None]
    ends = tuple(
        Alert(one.fingerprint, False, one.labels, {}, one.starts_at, one.starts_at + EPISODE // 2) for one in standing
    )
    state, _ = run(settings, Delivery(history[-1].received + 1, "g", ends), state=state)
    opened = {one.investigation for one in state.actions.values() if one.kind == "open_ticket"}
    assert {one.investigation for one in state.actions.values() if one.kind == "close_ticket"} == opened
    assert not any(one.resolved is None for one in state.incidents.values())


@sized(max_examples=40)
@given(histories())
def test_planning_leaves_its_arguments_as_they_were(settings: Settings, history: list[Delivery]) -> None:
    state, _ = run(settings, *history[:-1])
    before = (dict(state.incidents), dict(state.actions), repr(history[-1]))
    assert plan(history[-1], settings, state) == plan(history[-1], settings, state)
    assert (dict(state.incidents), dict(state.actions), repr(history[-1])) == before
