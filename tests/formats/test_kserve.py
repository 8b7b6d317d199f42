"""KServe's inference logger, by the events in its documentation and its protocols' examples."""

import math
from typing import Any

import pytest

from exporter.config import Model, Task
from exporter.formats.common import Target
from exporter.formats.kserve import Event, event, records

IRIS = ("sepal_length", "sepal_width", "petal_length", "petal_width")
ID = "0009174a-24a8-4603-b098-09c8799950e9"
# The basic logger's example: two irises, by position, and their classes.
ATTRIBUTES = {
    "specversion": "1.0", "type": "org.kubeflow.serving.inference.request", "source": "http://localhost:9081/",
    "id": ID, "time": "2021-04-10T00:23:26.0789529Z", "datacontenttype": "application/json", "endpoint": "",
    "inferenceservicename": "sklearn-iris", "namespace": "default",
}  # fmt: skip
REQUEST = {"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}
ANSWERED = ATTRIBUTES | {
    "type": "org.kubeflow.serving.inference.response", "time": "2021-04-10T00:23:26.080736102Z"
}  # fmt: skip
RESPONSE = {"predictions": [1, 1]}


def target(task: Task = "multiclass", features: tuple[str, ...] = IRIS) -> Target:
    return Target(Model(name="iris", task=task, baseline="iris.json"), "v1", features, frozenset(features))


def made(request: Any, response: Any, of: Target) -> list[dict[str, Any]]:
    return records(event(ATTRIBUTES, request), event(ANSWERED, response), of)


def test_the_documented_pair_becomes_a_record_for_each_instance() -> None:
    first, second = made(REQUEST, RESPONSE, target())
    assert first["latency_seconds"] == pytest.approx(0.001783, abs=1e-6)
    assert first["ts"] == pytest.approx(1618014206.078953)
    del first["latency_seconds"], first["ts"]
    assert first == {
        "kind": "prediction", "model": "iris", "version": "v1", "id": f"{ID}:0",
        "features": dict(zip(IRIS, REQUEST["instances"][0], strict=True)), "prediction": 1,
    }  # fmt: skip
    assert (second["id"], second["features"]["petal_width"]) == (f"{ID}:1", 1.6)


def test_instances_may_name_their_features() -> None:
    [record] = made({"instances": [{"age": 3}]}, {"predictions": [0.25]}, target("binary", ()))
    assert (record["id"], record["features"], record["score"]) == (ID, {"age": 3}, 0.25)


# Examples of the Open Inference Protocol: one tensor of rows, and a tensor for each column.
TENSOR = {"inputs": [{"name": "input-0", "shape": [2, 4], "datatype": "FP32",
                      "data": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}]}  # fmt: skip
FLAT = {"inputs": [{"name": "input-0", "shape": [2, 4], "datatype": "FP32",
                    "data": [6.8, 2.8, 4.8, 1.4, 6.0, 3.4, 4.5, 1.6]}]}  # fmt: skip
BY_NAME = dict(zip(IRIS, ([6.8, 6.0], [2.8, 3.4], [4.8, 4.5], [1.4, 1.6]), strict=True))
COLUMNS = {"inputs": [{"name": name, "shape": [2, 1], "datatype": "FP32", "data": column}
                      for name, column in BY_NAME.items()]}  # fmt: skip
ANSWER = {"model_name": "sklearn-iris", "model_version": "7", "id": ID,
          "outputs": [{"name": "output-0", "shape": [2], "datatype": "INT32", "data": [1, 2]}]}  # fmt: skip


@pytest.mark.parametrize("request_", [TENSOR, FLAT, COLUMNS])
def test_tensors_become_rows(request_: Any) -> None:
    first, second = made(request_, ANSWER, target())
    assert first["features"] == dict(zip(IRIS, [6.8, 2.8, 4.8, 1.4], strict=True))
    assert second["features"] == dict(zip(IRIS, [6.0, 3.4, 4.5, 1.6], strict=True))
    assert [(record["prediction"], record["version"]) for record in (first, second)] == [(1, "7"), (2, "7")]


def test_probabilities_are_taken_before_classes() -> None:
    outputs = [{"name": "predict", "shape": [1, 1], "data": [1]},
               {"name": "predict_proba", "shape": [1, 3], "data": [0.125, 0.625, 0.25]}]  # fmt: skip
    request = {"inputs": [{"name": "x", "shape": [1, 4], "data": [1, 2, 3, 4]}]}
    [record] = made(request, {"outputs": outputs}, target())
    assert (record["prediction"], record["score"]) == (1, 0.625)


def test_a_request_without_a_time_has_no_latency() -> None:
    bare = {name: value for name, value in ATTRIBUTES.items() if name != "time"}
    record = records(event(bare, REQUEST), event(ANSWERED, RESPONSE), target())[0]
    assert "latency_seconds" not in record
    assert math.isnan(record["ts"])


@pytest.mark.parametrize(
    "change",
    [
        {"type": "org.kubeflow.serving.inference.reply"},
        {"id": None},
        {"id": ""},
        {"inferenceservicename": 3},
        {"id": 3},
    ],
)
def test_events_of_others_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises((ValueError, LookupError)):
        event(ATTRIBUTES | change, REQUEST)


@pytest.mark.parametrize(
    ("request_", "response"),
    [
        (REQUEST, {"predictions": [1]}), ({"instances": [[1, 2]]}, {"predictions": [1]}), (REQUEST, {}), ({}, RESPONSE),
        ({"inputs": [{"name": "x", "shape": [2, 4], "data": [1]}]}, ANSWER),
        ({"inputs": [{"name": "x", "shape": [10**9, 0], "data": []}]}, ANSWER),
        ({"instances": [[1, 2, 3, 4]] * 10_001}, {"predictions": [1] * 10_001}),
         ([], RESPONSE), (REQUEST, []),
    ],
)  # fmt: skip
def test_halves_that_do_not_fit_are_refused(request_: Any, response: Any) -> None:
    with pytest.raises((ValueError, LookupError, TypeError, AttributeError)):
        made(request_, response, target())


def test_the_other_half_shares_service_and_id() -> None:
    keys = {one.key for one in (event(ATTRIBUTES, REQUEST), event(ANSWERED, RESPONSE))}
    assert keys == {("sklearn-iris", ID)}
    assert isinstance(event(ATTRIBUTES, REQUEST), Event)
