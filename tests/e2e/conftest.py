"""The story that the end-to-end tests ask about, told once: January, weeks that drift, and January again.

Exporter, Prometheus and Alertmanager are real and run on the committed files of deploy/; only the receiver of alerts
comes from a configuration of the test's own, built by the real command.
"""

import subprocess
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml

from exporter import names
from exporter.demo.flights import DAY, WEEK, YEAR_START, year
from exporter.demo.processes import Servers, find_program, free_port
from exporter.demo.stage import ALERTMANAGER, build_baseline, start_alertmanager, start_exporter, start_prometheus
from exporter.demo.story import REPLAY_START
from exporter.demo.traffic import replay, write_year
from exporter.demo.workspace import DEPLOY, prepare

from .receiver import Receiver
from .stack import Moment, Stack, features, wait_until

SPEED = 4 * DAY
"""As fast as two cores score, log and read, with room: a day of flights costs a tenth of a second of each."""

DRIFT_END = YEAR_START + 62 * DAY
"""Until 4 March: temperature and pressure have drifted severely since 20 February, an airport's weather was not known
for an hour of that day, and from 1 March there are flights to a place where none went in January."""

AGAIN = 9 * WEEK
"""January comes again on 5 March, on the same weekdays."""

DRIFTED = {"temp", "pressure"}
SEEN_WELL = f"count_over_time({names.MODEL_AUC.name}[1m]) >= 6"
"""As many scrapes, a second apart, as `for` and group_wait take together and two more: what would fire has fired."""

PATIENCE_SECONDS = 40
"""An evaluation, a scrape, `for`, group_wait and group_interval take some fifteen seconds; machines are busy."""


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The servers, running, with the first 28 days of January in the log."""
    if not (find_program("prometheus") and find_program(*ALERTMANAGER)):
        pytest.skip("prometheus and alertmanager are not installed; scripts/install-prometheus installs them")
    folder = tmp_path_factory.mktemp("flights")
    work = prepare(folder)
    scored, model = year()
    build_baseline(work.config, scored)
    write_year(work.logs, scored, stop=REPLAY_START, files=1)
    with Receiver() as receiver, Servers(folder / "servers") as servers:
        built = build_alerting(folder / "built", receiver.url)
        alertmanager = start_alertmanager(servers, built / "alertmanager.yml", free_port())
        exporter = start_exporter(servers, work.config, free_port())
        assert alertmanager
        work.point_prometheus(exporter.address, alertmanager.address)
        prometheus = start_prometheus(servers, work.prometheus, free_port())
        assert prometheus
        running = Stack(exporter, prometheus, alertmanager, receiver, work.logs, built, (scored, model))
        wait_until(lambda: bool(running.query(SEEN_WELL)), PATIENCE_SECONDS)
        yield running
        servers.check()


@pytest.fixture(scope="session")
def calm(stack: Stack) -> Moment:
    """While all that was flown is January."""
    return moment(stack)


@pytest.fixture(scope="session")
def drifted(stack: Stack, calm: Moment) -> Moment:
    """After February, and once everybody who is to hear of it has heard."""
    assert calm.time
    replay(stack.logs, stack.year, speed=SPEED, start=REPLAY_START, stop=DRIFT_END)
    wait_until(lambda: has_settled(stack), PATIENCE_SECONDS)
    return moment(stack)


@pytest.fixture(scope="session")
def recovered(stack: Stack, drifted: Moment) -> Moment:
    """After another January, and once everybody has heard that it is over."""
    scored, model = stack.year
    again = january_again(scored)
    assert drifted.time
    replay(stack.logs, (again, model), speed=SPEED, start=YEAR_START + AGAIN, stop=YEAR_START + AGAIN + 31 * DAY)
    wait_until(lambda: has_recovered(stack), PATIENCE_SECONDS)
    return moment(stack)


def build_alerting(folder: Path, webhook: str) -> Path:
    """What `prediction-alerting build` makes of the committed configuration with a webhook added."""
    settings = yaml.safe_load((DEPLOY / "flights/prediction-exporter.yml").read_text())
    settings["alerting"]["webhook"] = {"url": webhook}
    folder.mkdir()
    config = folder / "prediction-exporter.yml"
    config.write_text(yaml.safe_dump(settings))
    program = Path(sysconfig.get_path("scripts")) / "prediction-alerting"
    subprocess.run([program, "build", "--config", config, "--out", folder], check=True, capture_output=True)
    return folder


def january_again(scored: pd.DataFrame) -> pd.DataFrame:
    """The flights of January, moved to where the log's clock only rises, and as new ones."""
    january = scored[scored["ts"] < YEAR_START + 31 * DAY]
    return january.assign(
        ts=january["ts"] + AGAIN, outcome_ts=january["outcome_ts"] + AGAIN, id=january["id"] + "-again"
    ).reset_index(drop=True)


def moment(stack: Stack) -> Moment:
    return Moment(time.time(), tuple(stack.alerts()))


def has_settled(stack: Stack) -> bool:
    alerts = stack.alerts()
    return (
        stack.counted() == stack.logged()
        and features(alerts, "PredictionFeatureDriftSevere", "active") >= DRIFTED
        and features(alerts, "PredictionFeatureDriftModerate", "suppressed") >= DRIFTED
        and stack.receiver.features("PredictionFeatureDriftSevere", "firing") >= DRIFTED
    )


def has_recovered(stack: Stack) -> bool:
    left = {alert["labels"].get("feature") for alert in stack.alerts()}
    return (
        stack.counted() == stack.logged()
        and stack.receiver.features("PredictionFeatureDriftSevere", "resolved") >= DRIFTED
        and not left & DRIFTED
    )
