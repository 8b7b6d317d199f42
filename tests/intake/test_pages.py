"""Requests to the intake, and what becomes of them."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import zstandard

from exporter import names
from tests.exporters import predictions, series, some, step, wait_until
from tests.intake.sender import TOKEN, WITH_INTAKE, Sender
from tests.world import CONFIG, outcome, prediction, text

Start = Callable[..., Sender]
NEW = TOKEN + "-renewed"
PACKED: dict[str, Callable[[bytes], bytes]] = {"identity": bytes, "gzip": gzip.compress, "zstd": zstandard.compress}


def told(answer: httpx.Response) -> tuple[int, int, list[tuple[int, str]]]:
    content = answer.json()
    return answer.status_code, content["accepted"], [(one["line"], one["reason"]) for one in content["refused"]]


@pytest.mark.parametrize("encoding", PACKED)
def test_what_is_acknowledged_is_counted_once(intake: Start, encoding: str) -> None:
    sender = intake()
    body = PACKED[encoding](some(0, 20) + text([outcome(3)]))
    assert told(sender.post(body, content_encoding=encoding)) == (200, 21, [])
    step(sender.exporter)
    step(sender.exporter)
    found = series(sender.exporter)
    assert found[names.RECORDS_TOTAL.name, "prediction"] == 20
    assert found[names.LABELLED_PREDICTIONS_TOTAL.name, "churn", "v1"] == 1
    assert found[names.INTAKE_RECORDS_TOTAL.name,] == 21
    assert found[names.INTAKE_REQUESTS_TOTAL.name, "200"] == 1
    assert found[names.INTAKE_BYTES_TOTAL.name,] == len(body)


def test_refused_lines_are_named_and_their_neighbours_count(intake: Start) -> None:
    sender = intake()
    lines = [
        text([prediction(0)]),
        b"{torn\n",
        b"\n",
        text([prediction(1, model="nobody")]),
        text([prediction(2, score=2)]),
        text([prediction(3, features={"age": "old", "colour": 3})]),
        text([{**outcome(0), "id": None}]),
        b'{"kind": "counts", "ts": 1, "model": "churn", "version": "v1", "requests": -1}\n',
        text([prediction(4)]).rstrip(),
    ]
    reasons = [(2, "malformed"), (4, "unknown_model"), (5, "invalid_score"), (7, "missing_id"), (8, "invalid_counts")]
    assert told(sender.post(b"".join(lines))) == (400, 3, reasons)
    step(sender.exporter)
    found = series(sender.exporter)
    assert found[names.RECORDS_TOTAL.name, "prediction"] == 3
    assert found[names.INTAKE_REFUSED_RECORDS_TOTAL.name, "unknown_model"] == 1
    assert not any(value for key, value in found.items() if key[0] == names.REJECTED_RECORDS_TOTAL.name)


def test_an_answer_names_no_more_than_a_hundred_lines(intake: Start) -> None:
    content = intake().post(b"{torn\n" * 250).json()
    assert (len(content["refused"]), content["refused_total"]) == (100, 250)


def test_batches_sent_twice_that_hold_no_ids_count_twice(intake: Start) -> None:
    # The reader knows files by how they begin; two segments that hold the same must not be taken for one.
    body = text(prediction(number, id=None) for number in range(5))
    first = intake()
    first.post(body)
    step(first.exporter)
    first.exporter.stop()
    second = intake()
    second.post(body)
    step(second.exporter)
    assert predictions(second.exporter) == 10


def test_batches_sent_twice_that_hold_ids_count_once(intake: Start) -> None:
    sender = intake()
    assert {answer.status_code for answer in sender.send(some(0, 5), some(0, 5))} == {200}
    step(sender.exporter)
    assert predictions(sender.exporter) == 5
    assert series(sender.exporter)[names.REJECTED_RECORDS_TOTAL.name, "duplicate_id"] == 5


def test_requests_at_the_same_time_lose_nothing(intake: Start) -> None:
    sender = intake()
    answers = sender.send(*(some(10 * number, 10 * number + 10) + b"{torn\n" for number in range(50)))
    assert [told(answer) for answer in answers] == [(400, 10, [(11, "malformed")])] * 50
    step(sender.exporter)
    assert predictions(sender.exporter) == 500


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {TOKEN}", 200), ("bearer other", 200), ("Basic a3NlcnZlOnMzY3JldA==", 200),
        ("Bearer wrong", 401), ("Bearer ", 401), ("Basic a3NlcnZlOg==", 401), ("Basic ü", 401), ("", 401),
        ("Digest s3cret", 401),
    ],
)  # fmt: skip
def test_only_those_with_a_token_may_send(intake: Start, authorization: str, status: int) -> None:
    sender = intake()
    answer = sender.post(some(0, 1), authorization=authorization)
    assert answer.status_code == status
    assert ("www-authenticate" in answer.headers) == (status == 401)


def test_tokens_are_read_again_when_their_file_changes(intake: Start, tmp_path: Path) -> None:
    sender = intake()
    (tmp_path / "tokens").write_text(NEW)
    assert sender.post(some(0, 1)).status_code == 401
    assert sender.post(some(0, 1), token=NEW).status_code == 200
    (tmp_path / "tokens").write_text("")
    assert sender.post(some(0, 1), token="").status_code == 401
    assert sender.post(some(0, 1), token=NEW).status_code == 200, "an empty file is a mistake"


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"content_type": "application/x-www-form-urlencoded"}, some(0, 1), 415),
        ({"content_encoding": "br"}, some(0, 1), 415),
        ({}, b" " * 100_001, 413),
        ({"content_encoding": "gzip"}, gzip.compress(b" " * 100_001), 413),
        ({"content_encoding": "zstd"}, zstandard.compress(b" " * 100_001), 413),
        ({"content_encoding": "gzip"}, gzip.compress(some(0, 9))[:-4], 400),
        ({"content_encoding": "gzip"}, some(0, 1), 400),
        ({"content_encoding": "zstd"}, zstandard.compress(some(0, 9))[:-4], 400),
        ({"content_encoding": "zstd"}, some(0, 1), 400),
    ],
)
def test_what_is_not_read_is_refused_in_full(intake: Start, headers: dict[str, str], body: bytes, status: int) -> None:
    sender = intake()
    assert sender.post(body, **headers).status_code == status
    step(sender.exporter)
    found = series(sender.exporter)
    assert found[names.RECORDS_TOTAL.name, "prediction"] == 0
    assert found[names.INTAKE_REQUESTS_TOTAL.name, str(status)] == 1


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_body_may_be_packed_in_several_members(intake: Start, encoding: str) -> None:
    pack = PACKED[encoding]
    answer = intake().post(pack(some(0, 3)) + pack(some(3, 5)), content_encoding=encoding)
    assert told(answer) == (200, 5, [])


def test_a_full_spool_asks_to_come_back_until_it_is_read(intake: Start) -> None:
    sender = intake()
    number = 0
    while (answer := sender.post(some(number, number + 400))).status_code == 200:
        number += 400
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert number * len(some(0, 1)) < 1_048_576
    step(sender.exporter)
    assert predictions(sender.exporter) == number


def test_there_is_no_intake_unless_one_is_configured(intake: Start) -> None:
    sender = intake(CONFIG)
    assert sender.post(some(0, 1)).status_code == 404
    step(sender.exporter)
    assert not any(key[0] == names.INTAKE_RECORDS_TOTAL.name for key in series(sender.exporter))


def test_what_was_taken_is_counted_though_the_intake_is_switched_off(intake: Start) -> None:
    first = intake()
    first.post(some(0, 5))
    first.exporter.stop()
    second = intake(CONFIG)
    step(second.exporter)
    assert predictions(second.exporter) == 5


def test_the_answer_is_json_that_says_what_was_taken(intake: Start) -> None:
    answer = intake().post(some(0, 2))
    assert json.loads(answer.content) == {"accepted": 2, "refused": [], "refused_total": 0}


def test_a_configuration_without_readable_tokens_is_refused(intake: Start) -> None:
    from exporter.errors import ConfigError

    with pytest.raises(ConfigError, match=r"absent: No such file.*; give the path of a readable file of tokens"):
        intake(WITH_INTAKE.replace("[tokens]", "[tokens, absent]"))


def test_a_spool_that_has_no_room_for_one_request_is_refused(intake: Start) -> None:
    from exporter.errors import ConfigError

    with pytest.raises(ConfigError, match=r"intake: max_spool: 1048576 has no room for a request of 2000000"):
        intake(WITH_INTAKE.replace("100000", "2000000"))


def test_a_reload_changes_the_rules_and_keeps_the_spool(intake: Start, tmp_path: Path) -> None:
    sender = intake()
    sender.exporter.start()
    assert told(sender.post(text([prediction(0)]))) == (200, 1, [])
    path = tmp_path / "prediction-exporter.yml"
    path.write_text(WITH_INTAKE.replace("max_body: 100000", "max_body: 5000"))
    assert list(sender.exporter.reload()) == []
    assert sender.post(b" " * 5_001).status_code == 413
    path.write_text(WITH_INTAKE.replace("[tokens]", "[absent]"))
    assert "absent" in sender.exporter.reload()[0]
    assert told(sender.post(text([prediction(1)]))) == (200, 1, []), "the old configuration stays in force"
    path.write_text(CONFIG)
    assert list(sender.exporter.reload()) == []
    assert sender.post(text([prediction(2)])).status_code == 404
    wait_until(lambda: sender.exporter.snapshot() is not None and predictions(sender.exporter) == 2)
