"""SageMaker's data capture and Azure ML's data collector, by the lines in their documentation."""

import base64
import copy
import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config import Model, Task
from exporter.formats import azureml, sagemaker
from exporter.formats.common import Half, Record, Target, translate

HOUSING = ("crim", "zn", "indus")


def target(task: Task = "regression", features: tuple[str, ...] = HOUSING) -> Target:
    return Target(Model(name="m", task=task, baseline="m.json"), "v1", features, frozenset(features))


def side(data: str, encoding: str, kind: str, mode: str) -> dict[str, str]:
    return {"observedContentType": kind, "mode": mode, "data": data, "encoding": encoding}


def capture(given: str, got: str, encoding: str = "CSV", kind: str = "text/csv", **about: str) -> Record:
    """A line as the developer guide shows it."""
    return {
        "captureData": {"endpointInput": side(given, encoding, kind, "INPUT"),
                        "endpointOutput": side(got, encoding, f"{kind}; charset=utf-8", "OUTPUT")},
        "eventMetadata": {"eventId": "8f45e35c", "inferenceTime": "2020-07-30T13:36:30Z"} | about,
        "eventVersion": "0",
    }  # fmt: skip


def test_the_documented_capture_becomes_a_record() -> None:
    assert sagemaker.records(capture("0.00632,18.00,2.310", "30.4133586884"), target()) == [
        {"kind": "prediction", "ts": "2020-07-30T13:36:30Z", "model": "m", "version": "v1", "id": "8f45e35c",
         "features": {"crim": 0.00632, "zn": 18.0, "indus": 2.31}, "prediction": 30.4133586884}
    ]  # fmt: skip


def test_the_callers_inference_id_is_the_one_that_outcomes_carry() -> None:
    assert sagemaker.records(capture("1,2,3", "4", inferenceId="mine"), target())[0]["id"] == "mine"


@pytest.mark.parametrize("outputs", ["0.25\n0.75\n", "0.25,0.75", "0.25,0.75\n"])
def test_rows_of_csv_find_their_outputs(outputs: str) -> None:
    found = sagemaker.records(capture("1,2,\n4,x,6\n", outputs), target("binary"))
    assert [record["score"] for record in found] == [0.25, 0.75]
    assert [record["features"] for record in found] == [{"crim": 1, "zn": 2, "indus": None},
                                                        {"crim": 4, "zn": "x", "indus": 6}]  # fmt: skip
    assert [record["id"] for record in found] == ["8f45e35c:0", "8f45e35c:1"]


def test_one_row_may_have_a_field_for_each_class() -> None:
    [record] = sagemaker.records(capture("1,2,3", "0.125,0.625,0.25"), target("multiclass"))
    assert (record["prediction"], record["score"]) == (1, 0.625)


JSONS = [
    ('{"instances": [[1, 2, 3]]}', '{"predictions": [{"score": 0.9, "predicted_label": 1}]}'),
    ('[{"crim": 1, "zn": 2, "indus": 3}]', '[{"probability": 0.9, "prediction": 1}]'),
    ("[1, 2, 3]", '{"score": 0.9, "label": 1}'),
]


@pytest.mark.parametrize(("given", "got"), JSONS)
@pytest.mark.parametrize("encoding", ["JSON", "BASE64"])
def test_json_is_read_plain_and_packed(given: str, got: str, encoding: str) -> None:
    if encoding == "BASE64":
        given, got = (base64.b64encode(text.encode()).decode() for text in (given, got))
    [record] = sagemaker.records(capture(given, got, encoding, "application/json"), target("binary"))
    assert (record["features"], record["score"], record["prediction"]) == ({"crim": 1, "zn": 2, "indus": 3}, 0.9, 1)


def collected(data: Any, **more: Any) -> Record:
    """A line as the article on the collector shows it."""
    return {
        "specversion": "1.0", "id": "725aa8af-0834-415c-aaf5-c76d0c08f694", "source": "/subscriptions/x",
        "type": "azureml.inference.model_inputs_outputs", "datacontenttype": "application/json",
        "time": "2022-12-01T08:51:30Z", "data": data, "correlationid": "3711655d", "xrequestid": "3711655d",
        "modelversion": "default", "collectdatatype": "pandas.core.frame.DataFrame", "agent": "monitoring-sdk/0.1.2",
        "contentrange": "bytes 0-116/117",
    } | more  # fmt: skip


def test_the_joined_collection_becomes_a_record_for_each_row() -> None:
    rows: list[Record] = [
        {"crim": 1.5, "zn": 2, "indus": 3, "price": 20.5},
        {"crim": 1, "zn": None, "indus": 3, "price": 21},
    ]
    assert azureml.records(collected(rows), target()) == [
        {"kind": "prediction", "ts": "2022-12-01T08:51:30Z", "model": "m", "version": "v1", "id": f"3711655d:{row}",
         "features": {name: rows[row][name] for name in HOUSING}, "prediction": rows[row]["price"]}
        for row in range(2)
    ]  # fmt: skip


def test_several_outputs_are_told_apart_by_name_and_the_version_is_theirs() -> None:
    line = collected([{"crim": 1, "probability": 0.75, "prediction": 1, "other": 2}], modelversion="3")
    found = azureml.records(line, target("binary"))
    assert isinstance(found, list)
    [record] = found
    assert (record["score"], record["prediction"], record["version"]) == (0.75, 1, "3")


BROKEN = [
    "{torn", "[]", "3", "null", json.dumps(capture("1,2", "3")), json.dumps(capture("1,2,3\n4,5,6\n7,8,9", "1\n2")),
    json.dumps(capture("x", "y", "BASE64")), json.dumps(capture("1,2,3", "1", "XML")), json.dumps({"captureData": {}}),
]  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN)
def test_a_line_that_is_not_of_the_format_costs_itself_alone(broken: str) -> None:
    good = json.dumps(capture("1,2,3", "4"))
    found = translate(f"{good}\n{broken}\n\n{good}".encode(), lambda line: sagemaker.records(line, target()))
    assert found.refused == ((2, "malformed"),)
    assert found.origins == (1, 4)
    assert found.lines.count(b"\n") == 2


def test_another_collection_is_refused() -> None:
    line = json.dumps(collected([{"crim": 1}], type="azureml.inference.my_own")).encode()
    assert translate(line, lambda one: azureml.records(one, target())).refused == ((1, "malformed"),)


def test_rows_may_bring_an_id_of_their_own() -> None:
    rows: list[Record] = [{"crim": 1, "correlationid": "a", "price": 2}, {"crim": 2, "correlationid": "b", "price": 3}]
    found = azureml.records(collected(rows), target())
    assert isinstance(found, list)
    assert [(record["id"], record["features"], record["prediction"]) for record in found] == [
        ("a", {"crim": 1}, 2), ("b", {"crim": 2}, 3)
    ]  # fmt: skip


def halves(inputs: list[Record], outputs: list[Record]) -> tuple[Half, Half]:
    made = [
        azureml.records(collected(rows, type=f"azureml.inference.model_{side}"), target())
        for side, rows in (("inputs", inputs), ("outputs", outputs))
    ]
    assert isinstance(made[0], Half)
    assert isinstance(made[1], Half)
    return made[0], made[1]


def test_two_collections_are_halves_that_make_what_the_joined_one_does() -> None:
    inputs: list[Record] = [{"crim": 1.5, "zn": 2, "indus": 3}, {"crim": 1, "zn": None, "indus": 3}]
    outputs: list[Record] = [{"0": 20.5}, {"0": 21}]
    mine, other = halves(inputs, outputs)
    assert (mine.model, mine.identity, mine.side, other.side) == ("m", "3711655d", "inputs", "outputs")
    both: list[Record] = [{**given, "price": got["0"]} for given, got in zip(inputs, outputs, strict=True)]
    assert mine.join(mine.line, other.line) == azureml.records(collected(both), target())


def test_halves_of_unlike_length_make_no_records() -> None:
    mine, other = halves([{"crim": 1}], [{"0": 1}, {"0": 2}])
    with pytest.raises(ValueError, match="1 inputs and 2 outputs"):
        mine.join(mine.line, other.line)


@pytest.mark.parametrize("wrong", [{"correlationid": None}, {"data": "https://blob/raw"}])
def test_a_half_without_an_id_or_rows_is_refused(wrong: Record) -> None:
    line = json.dumps(collected([{"crim": 1}], type="azureml.inference.model_inputs") | wrong).encode()
    assert translate(line, lambda one: azureml.records(one, target())).refused == ((1, "malformed"),)


def test_what_would_become_more_than_the_limit_is_refused_line_by_line() -> None:
    line = json.dumps(capture("1,2,3", "4")).encode()
    size = len(translate(line, lambda one: sagemaker.records(one, target())).lines)
    found = translate(b"\n".join([line] * 5), lambda one: sagemaker.records(one, target()), limit=3 * size)
    assert found.origins == (1, 2, 3)
    assert found.refused == ((4, "oversized"), (5, "oversized"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
GOOD = [capture("1,2,3", "4"), capture("[1, 2, 3]", "[1]", "JSON"), collected([{"crim": 1, "price": 3}])]


@st.composite
def changed(draw: st.DrawFn) -> Any:
    """A line with something in it, at whatever depth, changed to anything."""
    line = here = copy.deepcopy(draw(st.sampled_from(GOOD)))
    while True:
        key = draw(st.sampled_from(sorted(here)))
        if not isinstance(here[key], dict) or draw(st.booleans()):
            here[key] = draw(json_values | st.text(alphabet='0123.,"[]{}\0\n\r x'))
            return line
        here = here[key]


@given(changed(), st.sampled_from(["binary", "multiclass", "regression"]))
def test_any_line_is_read_or_refused(line: Any, task: Task) -> None:
    for read in (sagemaker.records, azureml.records):
        found = translate(json.dumps(line).encode(), partial(read, target=target(task)))
        assert set(found.refused) <= {(1, "malformed")}
        assert len(found.origins) == found.lines.count(b"\n")
