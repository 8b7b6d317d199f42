"""Alertmanager's payloads: what is read of them, and what is refused."""

import json
import re
from typing import Any

import pytest

from alerting.responder.payload import parse_delivery

from .world import START, alert, delivery, payload, told


def test_an_alert_is_read_with_its_times_in_unix_seconds() -> None:
    [firing, ended] = told(alert(), alert(feature="tenure", end=START + 600))
    assert (firing.name, firing.model, firing.version) == ("PredictionFeatureDriftSevere", "churn", "v2")
    assert (firing.firing, firing.starts_at, firing.ends_at) == (True, START, 0)
    assert (ended.firing, ended.ends_at) == (False, START + 600)


def test_fields_of_newer_releases_are_ignored() -> None:
    body = payload(alert() | {"silenceURL": "x"}, newer={"a": 1})
    assert len(parse_delivery(json.dumps(body).encode(), 1.0).alerts) == 1


def test_a_key_names_an_episode_in_every_repetition_and_no_other() -> None:
    again = delivery(alert(), at=START + 4 * 3600).alerts[0]
    keys = {told(one)[0].key for one in (alert(), alert(start=START + 1), alert(feature="b"), alert("A"))}
    assert again.key in keys
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "invalid JSON"),
        (b"[]", "input should be an object"),
        (json.dumps(payload(version="3")).encode(), "version: input should be '4'"),
        (json.dumps(payload(alert() | {"startsAt": "yesterday"})).encode(), "alerts[0].startsAt: "),
        (json.dumps(payload(alert() | {"startsAt": "2026-01-01T00:00:00"})).encode(), "alerts[0].startsAt: "),
        (json.dumps(payload({"status": "firing"})).encode(), "alerts[0].labels: required key is missing"),
        (json.dumps(payload(alert() | {"status": "maybe"})).encode(), "alerts[0].status: "),
    ],
)
def test_what_is_no_webhook_is_refused_with_the_place(body: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        parse_delivery(body, 1.0)


def test_a_zero_time_is_no_error_on_any_platform() -> None:
    changed: dict[str, Any] = alert() | {"startsAt": "0001-01-01T00:00:00Z"}
    assert told(changed)[0].starts_at == 0
