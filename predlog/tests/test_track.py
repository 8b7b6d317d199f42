import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from predlog import PredictionLog

Read = Callable[..., list[dict[str, Any]]]


def test_a_plain_function_returns_its_value_and_is_logged_with_its_latency(folder: Path, read: Read) -> None:
    with PredictionLog("m", "v", folder) as log:

        @log.track_predictions
        def predict(features: dict[str, Any]) -> int:
            """Says one."""
            time.sleep(0.02)
            return len(features)

        assert predict({"a": 5}) == 1
        assert predict(features={"a": 6}) == 1
    assert (predict.__name__, predict.__doc__) == ("predict", "Says one.")
    first, second = read("prediction")
    assert (first["features"], first["prediction"]) == ({"a": 5}, 1)
    assert second["features"] == {"a": 6}
    assert 0.02 <= first["latency_seconds"] < 5


def test_an_async_function_is_awaited_and_tasks_do_not_mix(folder: Path, read: Read) -> None:
    with PredictionLog("m", "v", folder) as log:

        @log.track_predictions(output="score", id="request")
        async def predict(features: dict[str, float], request: str = "none") -> float:
            assert request
            await asyncio.sleep(0.001 * features["a"])
            return features["a"] / 10

        async def many() -> list[float]:
            return await asyncio.gather(*(predict({"a": a}, request=f"r{a}") for a in range(10)), predict({"a": 0}))

        assert asyncio.run(many()) == [*(a / 10 for a in range(10)), 0.0]
    found = {record["id"]: (record["features"]["a"], record["score"]) for record in read("prediction")}
    assert found == {**{f"r{a}": (a, a / 10) for a in range(10)}, "none": (0, 0.0)}


def test_an_exception_is_logged_as_an_error_and_raised_on(folder: Path, read: Read) -> None:
    with PredictionLog("m", "v", folder) as log:

        @log.track_predictions
        def predict(features: dict[str, Any]) -> int:
            raise KeyError(features["a"])

        @log.track_predictions
        async def predict_later(features: dict[str, Any]) -> int:
            raise TimeoutError(features["a"])

        with pytest.raises(KeyError, match="5"):
            predict({"a": 5})
        with pytest.raises(TimeoutError):
            asyncio.run(predict_later({"a": 6}))
    first, second = read("prediction")
    assert (first["error"], second["error"]) == ("KeyError", "TimeoutError")
    assert "prediction" not in first
    assert read("counts")[-1]["errors"] == {"KeyError": 1, "TimeoutError": 1}


def test_a_cancelled_request_is_an_error_and_stays_cancelled(folder: Path, read: Read) -> None:
    with PredictionLog("m", "v", folder) as log:

        @log.track_predictions
        async def predict(features: dict[str, Any]) -> int:
            await asyncio.sleep(60)
            return len(features)

        async def impatient() -> None:
            async with asyncio.timeout(0.01):
                await predict({"a": 1})

        with pytest.raises(TimeoutError):
            asyncio.run(impatient())
    assert read("prediction")[0]["error"] == "CancelledError"


def test_features_are_logged_as_they_were_before_the_call(folder: Path, read: Read) -> None:
    with PredictionLog("m", "v", folder) as log:

        @log.track_predictions
        def predict(features: dict[str, Any]) -> int:
            return int(features.pop("a"))

        predict({"a": 1})
    assert read("prediction")[0]["features"] == {"a": 1}


def test_a_returned_mapping_may_name_the_fields(folder: Path, read: Read) -> None:
    with PredictionLog("m", "v", folder) as log:

        class Service:
            @log.track_predictions(features=lambda _, request: request["inputs"])
            def predict(self, request: dict[str, Any]) -> dict[str, Any]:
                return {"score": 0.9, "prediction": 1, "id": "7", "served_by": request["host"]}

        assert Service().predict({"inputs": {"a": 1}, "host": "x"})["served_by"] == "x"
    (record,) = read("prediction")
    assert (record["features"], record["score"], record["prediction"], record["id"]) == ({"a": 1}, 0.9, 1, "7")
    assert "served_by" not in record


def test_a_method_takes_features_from_its_first_argument_after_self(folder: Path, read: Read) -> None:
    with PredictionLog("m", "v", folder) as log:

        class Service:
            @log.track_predictions
            def predict(self, features: dict[str, Any]) -> int:
                return len(features)

        Service().predict({"a": 1})
    assert read("prediction")[0]["features"] == {"a": 1}


@pytest.mark.parametrize(
    "features", [pd.DataFrame({"f0": [1.0, 2.0]}), np.array([[1.0], [2.0]]), [{"f0": 1}, {"f0": 2}]]
)
def test_a_call_with_many_rows_is_logged_as_many_predictions(folder: Path, read: Read, features: Any) -> None:
    with PredictionLog("m", "v", folder) as log:

        @log.track_predictions(output="score")
        def predict(rows: Any) -> Any:
            return np.full(len(rows), 0.5)

        assert list(predict(features)) == [0.5, 0.5]
    assert [(record["features"], record["score"]) for record in read("prediction")] == [
        ({"f0": 1}, 0.5),
        ({"f0": 2}, 0.5),
    ]


def test_what_cannot_be_read_for_the_log_does_not_reach_the_caller(folder: Path) -> None:
    with PredictionLog("m", "v", folder) as log:

        @log.track_predictions(features=lambda text: text["no such key"], output=lambda value: value.nothing)
        def predict(text: str) -> str:
            return text.upper()

        assert predict("a") == "A"


def test_a_name_that_is_no_argument_is_refused_when_decorating(folder: Path) -> None:
    log = PredictionLog("m", "v", folder)
    with pytest.raises(TypeError, match="no argument is called 'row'; there are features"):
        log.track_predictions(features="row")(lambda features: features)
    with pytest.raises(TypeError, match="has no argument to take features from"):
        log.track_predictions(lambda: 1)
