"""The gate: what goes, what never goes, and what waits; at the boundaries."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as sized
from hypothesis import strategies as st

from alerting.responder.decide import LOOK_AGAIN, Facts, Go, Skip, Wait, decide
from alerting.responder.plan import plan
from alerting.responder.settings import DAY, Settings
from alerting.responder.state import Action, Kind, State

from .world import FULL, START, alert, delivery, settings_of

NOW = START + 1000
ENOUGH = Facts(labels=1000)
HOUR = 3600


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_of(tmp_path_factory.mktemp("decide"), **FULL)


def planned(settings: Settings, name: str, kind: Kind, *more: Action) -> tuple[Action, State]:
    """An action that an alert asked for, and the state around it with `more` actions."""
    state = State()
    state = state.after(plan(delivery(alert(name)), settings, state))
    actions = {**state.actions, **{one.key: one for one in more}}
    return next(one for one in actions.values() if one.kind == kind), State(0.0, state.incidents, actions)


def run_of(model: str, settled: float, outcome: Any = "done") -> Action:
    return Action(f"run-{model}-{settled}", "retrain", model, "", "", settled, outcome=outcome, settled=settled)


def retraining(settings: Settings, facts: Facts, *runs: Action, by_hand: bool = False) -> Go | Skip | Wait:
    action, state = planned(settings, "PredictionFeatureDriftSevere", "retrain", *runs)
    if by_hand:
        action = Action("by-hand", "retrain", action.model, action.investigation, "asked", NOW, by_hand=True)
    return decide(action, settings, state, facts, NOW)


def test_a_retraining_goes_with_enough_labels_and_says_how_many(settings: Settings) -> None:
    verdict = retraining(settings, ENOUGH)
    assert isinstance(verdict, Go)
    assert verdict.reason == "age of churn has drifted; 1000 fresh labels; 0 other retrainings in 24 hours"


@pytest.mark.parametrize("labels", [None, 0.0, 999.0])
def test_too_few_labels_wait(settings: Settings, labels: float | None) -> None:
    verdict = retraining(settings, Facts(labels=labels))
    assert isinstance(verdict, Wait)
    assert verdict.reason.startswith("labels: ")
    assert verdict.until == NOW + LOOK_AGAIN


@pytest.mark.parametrize(("ago", "goes"), [(12 * HOUR - 1, False), (12 * HOUR, True)])
def test_the_cooldown_ends_after_its_length(settings: Settings, ago: int, goes: bool) -> None:  # noqa: FBT001 - a table
    verdict = retraining(settings, ENOUGH, run_of("churn", NOW - ago))
    assert isinstance(verdict, Go if goes else Skip)


def test_a_cooldown_holds_back_its_own_model_only(settings: Settings) -> None:
    assert isinstance(retraining(settings, ENOUGH, run_of("fraud", NOW - 1)), Go)
    skipped = retraining(settings, ENOUGH, run_of("churn", NOW - HOUR))
    assert skipped == Skip("cooldown: churn was retrained 1.0 h ago; the next may be in 11.0 h")


def test_a_skipped_retraining_starts_no_cooldown(settings: Settings) -> None:
    assert isinstance(retraining(settings, ENOUGH, run_of("churn", NOW - 1, "skipped")), Go)


def test_a_spent_budget_waits_until_its_oldest_retraining_is_a_day_old(settings: Settings) -> None:
    runs = [run_of(model, NOW - ago * HOUR) for model, ago in (("a", 23), ("b", 5), ("c", 1))]
    assert retraining(settings, ENOUGH, *runs) == Wait(
        "budget: 3 of 3 retrainings in 24 hours are spent", NOW - 23 * HOUR + DAY
    )
    assert isinstance(retraining(settings, ENOUGH, *runs[1:], run_of("a", NOW - DAY)), Go)


def test_a_budget_of_none_never_ends(tmp_path: Path) -> None:
    none = settings_of(tmp_path, **FULL | {"retraining": FULL["retraining"] | {"daily_budget": 0}})
    assert isinstance(retraining(none, ENOUGH), Wait)


def test_a_person_is_not_held_back(settings: Settings) -> None:
    runs = [run_of("churn", NOW - ago) for ago in (1, 2, 3)]
    assert isinstance(retraining(settings, Facts(), *runs, by_hand=True), Go)


def test_a_retraining_whose_alerts_have_all_ended_is_skipped_and_one_still_wanted_goes(settings: Settings) -> None:
    action, state = planned(settings, "PredictionFeatureDriftSevere", "retrain")
    state = state.after(plan(delivery(alert("PredictionAucLow"), at=START + 70), settings, state))
    over = plan(delivery(alert(end=START + 500), at=START + 510), settings, state)
    assert isinstance(decide(action, settings, state.after(over), ENOUGH, NOW), Go)
    both = delivery(alert(end=START + 500), alert("PredictionAucLow", end=START + 500), at=START + 510)
    state = state.after(plan(both, settings, state))
    assert decide(action, settings, state, ENOUGH, NOW) == Skip("every alert that asks for it has ended")


def test_a_ticket_is_not_opened_for_what_has_ended_unless_it_may_have_been_already(settings: Settings) -> None:
    action, state = planned(settings, "PredictionFeatureDriftModerate", "open_ticket")
    over = plan(delivery(alert("PredictionFeatureDriftModerate", end=START + 500), at=START + 510), settings, state)
    assert isinstance(decide(action, settings, state.after(over), Facts(), NOW), Skip)
    tried = Action(action.key, action.kind, action.model, action.investigation, "", START, attempts=1)
    assert isinstance(decide(tried, settings, state.after(over), Facts(), NOW), Go)


@pytest.mark.parametrize(("outcome", "verdict"), [("done", Go), (None, Wait), ("skipped", Skip), ("dry_run", Skip)])
def test_closing_follows_what_became_of_the_opening(settings: Settings, outcome: Any, verdict: type) -> None:
    opening = Action("open_ticket-i", "open_ticket", "churn", "i", "", START, outcome=outcome)
    closing = Action("close_ticket-i", "close_ticket", "churn", "i", "resolved", START)
    state = State.of(0.0, [], [opening, closing])
    assert isinstance(decide(closing, settings, state, Facts(), NOW), verdict)


def test_what_lost_its_target_is_skipped(settings: Settings, tmp_path: Path) -> None:
    action, state = planned(settings, "PredictionFeatureDriftSevere", "retrain")
    assert decide(action, settings_of(tmp_path), state, ENOUGH, NOW) == Skip("no target is configured any more")


def rolling(settings: Settings, performance: dict[str, tuple[float, float]], *, by_hand: bool = False) -> Any:
    state = State()
    state = state.after(plan(delivery(alert()), settings, state))
    [key] = state.incidents
    action = Action("r", "rollback", "churn", key, "asked", START, by_hand=by_hand)
    return decide(action, settings, state, Facts(performance=performance), NOW)


def test_a_rollback_goes_to_the_version_that_was_surely_better(settings: Settings) -> None:
    verdict = rolling(settings, {"v2": (0.70, 0.74), "v1": (0.75, 0.79), "v0": (0.60, 0.90)})
    assert (type(verdict), verdict.to_version) == (Go, "v1")
    assert verdict.reason == "asked; v1 has 0.750 to 0.790, v2 has 0.700 to 0.740"


def test_a_rollback_to_what_is_not_surely_better_is_skipped(settings: Settings) -> None:
    assert isinstance(rolling(settings, {"v2": (0.70, 0.75), "v1": (0.75, 0.79)}), Skip)
    assert isinstance(rolling(settings, {"v2": (0.80, 0.85), "v1": (0.75, 0.79)}), Skip)


@pytest.mark.parametrize("known", [{}, {"v2": (0.7, 0.8)}, {"v1": (0.7, 0.8)}])
def test_a_rollback_without_outcomes_of_both_waits(settings: Settings, known: dict[str, tuple[float, float]]) -> None:
    assert isinstance(rolling(settings, known), Wait)


def test_a_persons_rollback_goes_to_the_best_other_version_there_is(settings: Settings) -> None:
    assert rolling(settings, {"v2": (0.8, 0.9), "v1": (0.7, 0.8)}, by_hand=True).to_version == "v1"
    assert rolling(settings, {}, by_hand=True) == Go("asked")


@sized(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 3 * DAY)), max_size=30))
def test_however_requests_come_cooldown_and_budget_hold(settings: Settings, asked: list[tuple[str, int]]) -> None:
    """A scheduled request at each of these times: what went never breaks the limits."""
    went: list[Action] = []
    for number, (model, after) in enumerate(sorted(asked, key=lambda one: one[1])):
        now = START + after
        action = Action(f"r{number}", "retrain", model, "", "scheduled", now)
        state = State.of(0.0, [], [*went, action])
        if isinstance(decide(action, settings, state, ENOUGH, now), Go):
            went.append(Action(action.key, "retrain", model, "", "", now, outcome="done", settled=now))
    times = [one.settled for one in went]
    assert all(sum(time - DAY < other <= time for other in times) <= 3 for time in times)
    for model in "abcd":
        own = [one.settled for one in went if one.model == model]
        assert all(later - earlier >= 12 * HOUR for earlier, later in pairwise(own))
