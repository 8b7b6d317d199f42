"""`for` and `keep_firing_for` do what Prometheus does; groups are told of once."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter import names
from exporter.history.firing import Firing, firing_stretches, notifications, on_evaluations
from tests.alerting.promtool import run_promtool

CONDITIONS = st.lists(st.booleans(), max_size=60)
MINUTES = st.integers(0, 6)


def stepped(active: list[bool], wait: float, keep: float) -> list[bool]:
    """Whether the alert fires at each evaluation, a minute apart: the states one after the other."""
    state, since, quiet, fires = "inactive", 0, None, []
    for now, holds in enumerate(active):
        if holds:
            quiet = None
            if state == "inactive":
                state, since = "pending", now
            if state == "pending" and now - since >= wait:
                state = "firing"
        elif state == "firing":
            quiet = now if quiet is None else quiet
            if now - quiet >= keep:
                state, quiet = "inactive", None
        else:
            state = "inactive"
        fires.append(state == "firing")
    return fires


def spread(stretches: list[tuple[int, int]], count: int) -> list[bool]:
    return [any(first <= now < end for first, end in stretches) for now in range(count)]


@given(CONDITIONS, MINUTES, MINUTES)
def test_stretches_are_those_of_the_states_one_after_the_other(active: list[bool], wait: int, keep: int) -> None:
    found = firing_stretches(np.array(active, dtype=bool), 60, 60 * wait, 60 * keep)
    assert spread(found, len(active)) == stepped(active, wait, keep)
    assert all(before[1] < after[0] for before, after in pairwise(found))


@pytest.mark.parametrize(("wait", "keep"), [(0, 0), (0, 180), (120, 0), (150, 90), (60, 240)])
def test_prometheus_fires_at_the_same_minutes(tmp_path: Path, wait: int, keep: int) -> None:
    active = np.random.default_rng(wait + keep).uniform(size=120) < 0.6
    fires = spread(firing_stretches(active, 60, wait, keep), len(active))
    rule = {"alert": "A", "expr": "x > 0", "for": f"{wait}s", "keep_firing_for": f"{keep}s"}
    rule = {name: value for name, value in rule.items() if value != "0s"}
    expected = [
        {
            "expr": 'count(ALERTS{alertstate="firing"})',
            "eval_time": f"{minute}m",
            "exp_samples": [{"labels": "{}", "value": 1}] if firing else [],
        }
        for minute, firing in enumerate(fires)
    ]
    series = [{"series": "x", "values": " ".join(str(int(holds)) for holds in active)}]
    rules = yaml.safe_dump({"groups": [{"name": "g", "rules": [rule]}]})
    run_promtool(tmp_path, rules, [{"input_series": series, "promql_expr_test": expected}])
    assert True in fires
    assert False in fires


@given(CONDITIONS, st.sampled_from([(3_600, 60), (60, 60), (60, 300), (90, 60)]))
def test_between_instants_the_condition_holds_on(active: list[bool], apart: tuple[int, int]) -> None:
    step, every = apart
    found = on_evaluations(np.array(active, dtype=bool), step, every).tolist()
    last = (len(active) - 1) * step
    assert found == [active[math.floor(ts / step)] for ts in range(0, last + 1, every)]


def test_what_fires_at_the_end_has_no_end_yet_in_its_group() -> None:
    labels = {"alertname": "A", names.MODEL_NAME: "m"}
    several = [
        Firing(labels | {names.FEATURE: "x"}, 10, 20),
        Firing(labels | {names.FEATURE: "y"}, 15, 40),
        Firing(labels | {names.FEATURE: "x"}, 41, None),
        Firing(labels | {names.MODEL_NAME: "n"}, 12, 13),
        Firing(labels | {names.FEATURE: "z"}, 50, 60),
    ]
    found = [(one.group, one.start, one.end, len(one.firings)) for one in notifications(several)]
    assert found == [(("A", "m"), 10, 40, 2), (("A", "n"), 12, 13, 1), (("A", "m"), 41, None, 2)]
