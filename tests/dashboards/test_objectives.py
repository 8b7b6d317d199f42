"""The objectives' panels: there where something is promised, of the whole model, coloured where a budget is spent."""

import pytest

from dashboards.colors import BAD
from exporter import names

from .configs import built, drawn, titled

TITLES = {"Error budget left", "Bad events"}


@pytest.mark.parametrize(("name", "shown"), [("production", TITLES), ("mixed", set()), ("regression", set())])
def test_they_are_shown_where_an_objective_is_agreed(name: str, shown: set[str]) -> None:
    assert {panel["title"] for panel in drawn(built(name))} & TITLES == shown


def test_a_budget_is_of_the_model_with_all_its_versions() -> None:
    [target] = titled(built("production"), "Error budget left", "timeseries")["targets"]
    assert target["expr"] == f'min by (objective) ({names.OBJECTIVE_BUDGET_LEFT}{{model_name="$model"}})'


def test_a_spent_budget_is_bad() -> None:
    steps = titled(built("production"), "Error budget left", "timeseries")["fieldConfig"]["defaults"]["thresholds"]
    assert [(step["color"], step["value"]) for step in steps["steps"]] == [(BAD, None), ("transparent", 0.0)]
