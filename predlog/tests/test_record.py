import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from predlog import PredictionLog
from predlog.record import Unencodable, encode, identity

Read = Callable[..., list[dict[str, Any]]]


def test_a_prediction_has_the_fields_of_the_record_format(folder: Path, read: Read) -> None:
    with PredictionLog("churn", version="v2", path=folder) as log:
        log.log(
            {"age": 41, "plan": "gold", "active": True, "income": None},
            score=0.83, probabilities={"yes": 0.83, "no": 0.17}, prediction=1, id="c-1042", latency_seconds=0.012,
            ts=1700000000.5, error="Timeout", segments={"region": "eu"}, trace_id="4bf9", cost_usd=0.0001,
            metadata={"host": "a"},
        )  # fmt: skip
    assert read("prediction") == [
        {
            "kind": "prediction", "ts": 1700000000.5, "model": "churn", "version": "v2", "id": "c-1042",
            "features": {"age": 41, "plan": "gold", "active": True, "income": None},
            "prediction": 1, "score": 0.83, "probabilities": {"yes": 0.83, "no": 0.17}, "error": "Timeout",
            "latency_seconds": 0.012, "cost_usd": 0.0001, "trace_id": "4bf9", "segments": {"region": "eu"},
            "metadata": {"host": "a"}, "weight": 1.0,
        }
    ]  # fmt: skip


def test_fields_that_were_not_given_are_absent(folder: Path, read: Read) -> None:
    with PredictionLog("churn", version="v2", path=folder) as log:
        log.log({"age": 41})
    assert set(read("prediction")[0]) == {"kind", "ts", "model", "version", "features", "weight"}


def test_an_outcome_carries_id_label_and_time(folder: Path, read: Read) -> None:
    with PredictionLog("churn", version="v2", path=folder) as log:
        log.outcome("c-1042", label=1, ts="2024-01-01T00:00:00Z")
    expected = {"kind": "outcome", "ts": "2024-01-01T00:00:00Z", "model": "churn", "version": "v2"}
    assert read("outcome") == [{**expected, "id": "c-1042", "label": 1}]


def test_counts_tell_requests_errors_and_cumulative_latency_buckets(folder: Path, read: Read) -> None:
    with PredictionLog("churn", version="v2", path=folder) as log:
        for latency in (0.001, 0.003, 0.003, 99):
            log.log({}, latency_seconds=latency)
        log.log({}, error=ValueError("not kept"), latency_seconds=math.nan)
    (counts,) = read("counts")
    assert (counts["requests"], counts["errors"], counts["skipped"], counts["dropped"]) == (5, {"ValueError": 1}, 0, 0)
    buckets = counts["latency_buckets"]
    assert (buckets["0.001"], buckets["0.0025"], buckets["0.005"], buckets["10"], buckets["+Inf"]) == (1, 1, 3, 3, 4)
    assert counts["latency_sum"] == pytest.approx(99.007)


def test_counts_records_add_up_and_none_is_written_when_nothing_happened(folder: Path, read: Read) -> None:
    with PredictionLog("churn", version="v2", path=folder) as log:
        log.log({})
        log.flush()
        log.flush()
        log.log({})
        log.log({})
    assert [counts["requests"] for counts in read("counts")] == [1, 2]


def test_values_of_numpy_and_pandas_are_written_as_plain_ones(folder: Path, read: Read) -> None:
    features = {"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True), "d": pd.NA, "e": pd.NaT, "f": np.str_("x")}
    with PredictionLog("churn", version="v2", path=folder) as log:
        log.log(features, score=np.array([0.25]), prediction=np.array([[1]]), id=np.int64(7))
        log.log(pd.Series({"a": 1.5}), prediction=np.str_("yes"))
    first, second = read("prediction")
    assert first["features"] == {"a": 0.5, "b": 3, "c": True, "d": None, "e": None, "f": "x"}
    assert (first["score"], first["prediction"], first["id"]) == (0.25, 1, "7")
    assert (second["features"], second["prediction"]) == ({"a": 1.5}, "yes")


def test_what_json_lacks_is_repaired(folder: Path, read: Read) -> None:
    class Thing:
        def __str__(self) -> str:
            return "a thing"

    odd = {
        "nan": math.nan, "infinite": math.inf, "decimal": Decimal("1.5"), "thing": Thing(), "surrogate": "a\ud800b",
        "huge": 2**80, "beyond": 10**400, 5: "key", "day": datetime(2024, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    with PredictionLog("churn", version="v2", path=folder) as log:
        log.log(odd)
    assert read("prediction")[0]["features"] == {
        "nan": None, "infinite": None, "decimal": 1.5, "thing": "a thing", "surrogate": "a?b",
        "huge": float(2**80), "beyond": None, "5": "key", "day": "2024-01-01T00:00:00+00:00",
    }  # fmt: skip


def test_what_cannot_be_encoded_is_dropped_counted_and_harms_no_neighbour(
    folder: Path, read: Read, total: Callable[[str], int]
) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("no")

    with PredictionLog("churn", version="v2", path=folder) as log:
        log.log({"a": 1})
        log.log({"a": Hostile()})
        log.log({"a": "x" * (1 << 20)})
        log.log({"a": 2})
        assert log.flush() == 2
    assert [record["features"]["a"] for record in read("prediction")] == [1, 2]
    assert (total("requests"), total("dropped")) == (4, 2)


def test_endless_nesting_ends_in_text_not_in_a_lost_record() -> None:
    loop: dict[str, Any] = {}
    loop["self"] = loop
    assert b"nested too deep" in encode({"kind": "prediction", "metadata": loop})


def test_a_line_above_one_mebibyte_is_refused() -> None:
    with pytest.raises(Unencodable, match="longer than 1048576"):
        encode({"a": "x" * (1 << 20)})


@pytest.mark.parametrize(
    ("ts", "written"),
    [
        (1.5, 1.5),
        (datetime(1970, 1, 1, 0, 1), 60.0),  # noqa: DTZ001 - a naive time is the point
        (datetime(1970, 1, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), 60.0),
        (pd.Timestamp("1970-01-01T00:01:00Z"), 60.0),
        ("1970-01-01T00:01:00Z", "1970-01-01T00:01:00Z"),
    ],
)
def test_a_time_may_be_seconds_text_or_a_datetime(folder: Path, read: Read, ts: object, written: object) -> None:
    with PredictionLog("churn", version="v2", path=folder) as log:
        log.log({}, ts=ts)
    assert read("prediction")[0]["ts"] == written


def test_long_ids_stay_different_and_join_their_outcomes(folder: Path, read: Read) -> None:
    ids = ["x" * 200 + "1", "x" * 200 + "2"]
    assert len({identity(one) for one in ids}) == 2
    with PredictionLog("churn", version="v2", path=folder) as log:
        log.log({}, id=ids[0])
        log.outcome(ids[0], label=1)
    assert read("prediction")[0]["id"] == read("outcome")[0]["id"]
    assert len(read("outcome")[0]["id"]) == 128


def test_a_row_without_names_gets_positions_and_with_names_its_names(folder: Path, read: Read) -> None:
    with PredictionLog("churn", version="v2", path=folder) as log:
        log.log([1, 2], probabilities=np.array([[0.25, 0.75]]))
    with PredictionLog("churn", version="v2", path=folder, feature_names=["age", "income"]) as log:
        log.log(np.array([[1.0, 2.0]]))
    found = sorted(read("prediction"), key=lambda record: record["ts"])
    assert [record["features"] for record in found] == [{"f0": 1, "f1": 2}, {"age": 1.0, "income": 2.0}]
    assert found[0]["probabilities"] == {"0": 0.25, "1": 0.75}


def test_error_names_are_bounded_so_that_they_can_be_labels(folder: Path, read: Read) -> None:
    with PredictionLog("churn", version="v2", path=folder) as log:
        for index in range(200):
            log.log({}, error=f"failure {index} " + "x" * 500)
    (counts,) = read("counts")
    assert sum(counts["errors"].values()) == 200
    assert len(counts["errors"]) == 51
    assert max(map(len, counts["errors"])) <= 64


def test_text_with_newlines_and_quotes_stays_one_line(folder: Path) -> None:
    with PredictionLog("churn", version="v2", path=folder) as log:
        log.log({'a"\n': "b\n\r\u2028"})
    lines = next(folder.glob("*.ndjson")).read_bytes().split(b"\n")
    assert json.loads(lines[0])["features"] == {'a"\n': "b\n\r\u2028"}
    assert len(lines) == 3  # the prediction, the counts, and nothing after the last newline
