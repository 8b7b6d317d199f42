"""The whole path in real processes: severe drift retrains exactly once, moderate drift opens and closes one ticket."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from exporter import names
from exporter.demo.processes import Servers, find_program
from exporter.demo.stage import ALERTMANAGER

from .stack import Metrics, Stack
from .world import Request, Target, wait_until

pytestmark = pytest.mark.e2e
PATIENCE = 90  # seconds for what takes some ten on a machine that has nothing else to do


class Pipeline:
    """Takes tickets; takes retrainings once it is `up`. What comes again under its key is the same, not another one."""

    def __init__(self) -> None:
        self.up = False
        self.accepted: list[Any] = []

    def __call__(self, request: Request) -> tuple[int, Any]:
        if request.path == "/retrain" and not self.up:
            return 503, None
        if request.body not in self.accepted:  # a call that a crash cut off is repeated
            self.accepted.append(request.body)
        return 200, None

    def of(self, action: str, model: str) -> list[Any]:
        """What was taken of one kind about one model."""
        return [one for one in self.accepted if one["action"] == action and model in str(one)]

    def standing(self, model: str) -> set[str]:
        """The keys of tickets about a model that were opened and not closed."""
        closed = {one["key"] for one in self.accepted if one["action"] == "close_ticket"}
        return {one["key"] for one in self.of("open_ticket", model)} - closed


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    if not (find_program("prometheus") and find_program(*ALERTMANAGER)):
        pytest.skip("prometheus and alertmanager are not installed; scripts/install-prometheus installs them")
    with Target(Pipeline()) as target, Metrics() as metrics, Servers(tmp_path / "servers") as servers:
        found = Stack(tmp_path, servers, metrics, target)
        found.configure()
        found.start()
        yield found


def test_severe_drift_retrains_once_though_everything_repeats_and_is_killed(stack: Stack) -> None:
    pipeline: Any = stack.target.answer
    stack.metrics.psi["churn"] = 0.41
    wait_until(lambda: stack.target.sent("/retrain"), PATIENCE)  # refused: the pipeline is down
    stack.kill("r")
    before = time.monotonic()
    wait_until(lambda: time.monotonic() - before > 3)  # Alertmanager repeats itself in vain meanwhile
    stack.start("r")
    told = stack.told("PredictionFeatureDriftSevere")
    wait_until(lambda: stack.told("PredictionFeatureDriftSevere") >= told + 2, PATIENCE)
    stack.kill("p", "a", "r")
    pipeline.up = True
    stack.start()
    wait_until(lambda: stack.audit("retrain", "done"), PATIENCE)
    stack.kill("r")
    stack.start("r")
    told = stack.told("PredictionFeatureDriftSevere")
    wait_until(lambda: stack.told("PredictionFeatureDriftSevere") >= told + 2, PATIENCE)
    assert len(pipeline.of("retrain", "churn")) == 1
    # While Prometheus is down Alertmanager may end the alert: its ticket is closed, and the alert anew opens another.
    wait_until(lambda: len(pipeline.standing("churn")) == 1, PATIENCE)
    assert len({request.headers["idempotency-key"] for request in stack.target.sent("/retrain")}) == 1
    assert stack.audit("retrain", "failed")
    [reason] = stack.audit("retrain", "done")
    assert reason.startswith("age of churn v2 has drifted (severe); ")
    opened = pipeline.of("open_ticket", "churn")[-1]
    assert "| `age` | 0.410 |" in opened["text"]


def test_moderate_drift_opens_one_ticket_and_its_end_closes_it(stack: Stack) -> None:
    pipeline: Any = stack.target.answer
    stack.metrics.psi["fraud"] = 0.25
    wait_until(lambda: pipeline.of("open_ticket", "fraud"), PATIENCE)
    wait_until(lambda: stack.told("PredictionFeatureDriftModerate") >= 2, PATIENCE)
    stack.metrics.psi["fraud"] = 0.01
    wait_until(lambda: stack.audit("close_ticket", "done"), PATIENCE)
    assert [one["action"] for one in pipeline.accepted] == ["open_ticket", "close_ticket"]
    assert pipeline.accepted[0]["key"] == pipeline.accepted[1]["key"]
    assert stack.target.sent("/retrain") == []
    wait_until(lambda: counted(stack) == 1, PATIENCE)


def counted(stack: Stack) -> float:
    """Tickets closed, as Prometheus scraped the responder."""
    query = f'{names.RESPONDER_ACTIONS_TOTAL.name}{{action="close_ticket",outcome="done"}}'
    url = f"{stack.running['p'].url}/api/v1/query"
    found = requests.post(url, data={"query": query}, timeout=10).json()["data"]["result"]
    return sum(float(series["value"][1]) for series in found)
