"""What other systems send or leave in files, from their form to the counts."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from exporter import names
from exporter.config import load_config
from exporter.errors import ConfigError
from exporter.intake import halves
from tests.exporters import Make, predictions, series, step, write
from tests.intake.sender import WITH_INTAKE, Sender
from tests.world import CONFIG, START, world

Start = Callable[..., Sender]
REQUEST, RESPONSE = "org.kubeflow.serving.inference.request", "org.kubeflow.serving.inference.response"
GIVEN, GOT = {"instances": [[30, "red"], [40, "blue"]]}, {"predictions": [0.25, 0.75]}


def configured() -> str:
    head, _, intake = WITH_INTAKE.rpartition("intake: {")
    service = "services: [{name: iris, model: churn, version: v2, features: [age, colour]}]"
    return f"{head}intake: {{{service}, {intake}"


def binary(sender: Sender, kind: str, data: Any, identity: str = "a", **more: str) -> httpx.Response:
    attributes = {"ce_id": identity, "ce_type": kind, "ce_inferenceservicename": "iris", "ce_specversion": "1.0",
                  "ce_time": f"2023-11-15T0{1 + (kind == RESPONSE)}:00:00Z"}  # fmt: skip
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return sender.post(body, path="/v1/cloudevents", content_type="application/json", **attributes | more)


def structured(kind: str, data: Any, identity: str = "a") -> dict[str, Any]:
    return {"specversion": "1.0", "id": identity, "type": kind, "source": "x", "time": START,
            "inferenceservicename": "iris", "data": data}  # fmt: skip


@pytest.mark.parametrize("order", [(REQUEST, RESPONSE), (RESPONSE, REQUEST)])
def test_a_pair_counts_when_its_second_half_comes(intake: Start, order: tuple[str, str]) -> None:
    sender = intake(configured())
    data = {REQUEST: GIVEN, RESPONSE: GOT}
    first, second = (binary(sender, kind, data[kind]) for kind in order)
    assert (first.status_code, first.json()["held"]) == (202, 1)
    assert (second.status_code, second.json()["accepted"]) == (200, 2)
    step(sender.exporter)
    found = series(sender.exporter)
    assert found[names.PREDICTIONS_LOGGED_TOTAL.name, "churn", "v2"] == 2
    assert found["prediction_latency_seconds_sum", "churn", "v2"] == 2 * 3_600
    assert found[names.MISSING_FEATURES_TOTAL.name, "churn", "v2"] == 0
    assert found[names.INTAKE_WAITING_HALVES.name,] == 0


def test_structured_events_come_alone_packed_and_in_batches(intake: Start) -> None:
    sender = intake(configured())
    packed = structured(RESPONSE, None) | {"data_base64": base64.b64encode(json.dumps(GOT).encode()).decode()}
    del packed["data"]
    alone = {"path": "/v1/cloudevents", "content_type": "application/cloudevents+json; charset=utf-8"}
    assert sender.post(json.dumps(structured(REQUEST, GIVEN)).encode(), **alone).status_code == 202
    assert sender.post(json.dumps(packed).encode(), **alone).json()["accepted"] == 2
    batch = [
        structured(kind, data, identity) for identity in "bc" for kind, data in ((REQUEST, GIVEN), (RESPONSE, GOT))
    ]
    answer = sender.post(json.dumps(batch).encode(), path="/v1/cloudevents",
                         content_type="application/cloudevents-batch+json")  # fmt: skip
    assert answer.json()["accepted"] == 4
    step(sender.exporter)
    assert predictions(sender.exporter) == 6


def test_a_pair_sent_again_counts_once(intake: Start) -> None:
    sender = intake(configured())
    for _ in range(2):
        binary(sender, REQUEST, GIVEN)
        assert binary(sender, RESPONSE, GOT).status_code == 200
    step(sender.exporter)
    assert predictions(sender.exporter) == 2


def test_halves_that_nobody_completes_are_given_up_and_counted(intake: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halves, "MAX_HALVES", 3)
    sender = intake(configured())
    for number in range(5):
        binary(sender, REQUEST, GIVEN, identity=str(number))
    binary(sender, RESPONSE, GOT, identity="0")
    step(sender.exporter)
    found = series(sender.exporter)
    assert found[names.INTAKE_UNMATCHED_HALVES_TOTAL.name, "request"] == 3
    assert found[names.INTAKE_WAITING_HALVES.name,] == 3
    assert predictions(sender.exporter) == 0


def test_a_half_is_given_up_in_time_or_for_memory() -> None:
    from exporter.formats.kserve import Event

    kept = halves.Halves()
    kept.wait(Event("request", "iris", "old", 0.0, {}), 10, now=0.0)
    kept.wait(Event("request", "iris", "big", 0.0, {}), halves.MAX_BYTES, now=halves.WAIT_SECONDS)
    assert (len(kept), kept.unmatched) == (1, {"request": 1}), "both would be too much, and the old one goes"
    kept.wait(Event("response", "iris", "new", 0.0, {}), 0, now=2 * halves.WAIT_SECONDS + 1)
    assert (len(kept), kept.unmatched) == (1, {"request": 2})


@pytest.mark.parametrize(
    ("options", "data"),
    [({"ce_type": "other"}, GIVEN), ({"ce_id": ""}, GIVEN), ({}, b"{torn"), ({"content_encoding": "gzip"}, GIVEN)],
)
def test_what_is_no_event_of_the_logger_is_refused(intake: Start, options: dict[str, str], data: Any) -> None:
    assert binary(intake(configured()), REQUEST, data, **options).status_code == 400


def test_events_of_services_that_nobody_knows_are_named(intake: Start) -> None:
    answer = binary(intake(configured()), REQUEST, GIVEN, ce_inferenceservicename="nobody")
    assert (answer.status_code, answer.json()["refused"]) == (400, [{"line": 1, "reason": "unknown_model"}])


def test_halves_that_do_not_fit_are_refused_and_wait_no_more(intake: Start) -> None:
    sender = intake(configured())
    binary(sender, REQUEST, {"instances": [[1]]})
    assert binary(sender, RESPONSE, GOT).json()["refused"] == [{"line": 1, "reason": "malformed"}]
    assert binary(sender, RESPONSE, GOT).status_code == 202, "the request is gone"


def capture(number: int, given: str = "30,red") -> bytes:
    data = [{"observedContentType": "text/csv", "mode": mode, "data": text, "encoding": "CSV"}
            for mode, text in (("INPUT", given), ("OUTPUT", "0.25"))]  # fmt: skip
    about = {"eventId": f"s-{number}", "inferenceTime": "2023-11-15T01:00:00Z"}
    line = {"captureData": dict(zip(("endpointInput", "endpointOutput"), data, strict=True)), "eventMetadata": about}
    return json.dumps(line).encode() + b"\n"


def test_foreign_lines_are_posted_for_a_service(intake: Start) -> None:
    sender = intake(configured())
    body = capture(0) + b"{torn\n" + capture(1, "30") + capture(2) + capture(3).replace(b"2023", b"2999")
    answer = sender.post(body, path="/v1/records?format=sagemaker&service=iris")
    refused = [(one["line"], one["reason"]) for one in answer.json()["refused"]]
    assert answer.json()["accepted"] == 2
    assert refused == [(2, "malformed"), (3, "malformed"), (5, "future_timestamp")]
    step(sender.exporter)
    assert series(sender.exporter)[names.PREDICTIONS_LOGGED_TOTAL.name, "churn", "v2"] == 2


@pytest.mark.parametrize("asked", ["format=other&service=iris", "format=sagemaker&service=nobody", "format=azureml"])
def test_a_format_or_service_that_nobody_knows_is_refused(intake: Start, asked: str) -> None:
    assert intake(configured()).post(capture(0), path=f"/v1/records?{asked}").status_code == 400


LOG = CONFIG.replace(
    'log: [{path: "logs/*.ndjson*"}]',
    'log: [{path: "logs/*.ndjson*"}, {path: captured/, format: sagemaker, '
    "foreign: {model: churn, features: [age, colour]}}]",
)


def test_foreign_logs_are_followed_like_ours(make: Make, tmp_path: Path) -> None:
    (tmp_path / "captured").mkdir()
    captured = tmp_path / "captured/a.jsonl"
    captured.write_bytes(capture(0) + b"{torn\n" + capture(1))
    exporter = make(LOG)
    step(exporter)
    with captured.open("ab") as file:
        file.write(capture(2) + capture(3)[:50])
    step(exporter)
    exporter.stop()
    with captured.open("ab") as file:
        file.write(capture(3)[50:])
    write(tmp_path, b'{"kind": "prediction", "ts": 1700006400, "model": "churn", "version": "v1", "score": 0.5}\n')
    again = make(LOG)
    step(again)
    found = series(again)
    assert found[names.PREDICTIONS_LOGGED_TOTAL.name, "churn", "default"] == 4
    assert found[names.PREDICTIONS_LOGGED_TOTAL.name, "churn", "v1"] == 1
    assert found[names.REJECTED_RECORDS_TOTAL.name, "malformed"] == 1


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("format: sagemaker, foreign: {model: nobody}", r"log\[1\].foreign.model: there is no model 'nobody'"),
        ("format: sagemaker", r"log\[1\]: format and foreign go together"),
        ("foreign: {model: churn}", r"log\[1\]: format and foreign go together"),
        ("format: other", r"log\[1\].format: input should be"),
    ],
)
def test_a_source_that_does_not_say_whose_it_is_is_refused(tmp_path: Path, change: str, problem: str) -> None:
    text = CONFIG.replace("}]\n", f"}}, {{path: captured/, {change}}}]\n", 1)
    with pytest.raises(ConfigError, match=problem):
        load_config(world(tmp_path, text))
