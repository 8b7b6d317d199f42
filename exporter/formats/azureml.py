"""Azure Machine Learning's data collector: one CloudEvent a line, whose data are rows of a data frame.

The collection `model_inputs_outputs` holds inputs and outputs together, joined by the serving script. Its columns that
the model's baseline knows are features, the others are the output. `model_inputs` and `model_outputs`, as deployments
of MLflow models collect them by themselves, are halves: the lines of one `correlationid` are joined row by row.

| ours | theirs |
|---|---|
| `id` | the row's column `correlationid`, else the line's `correlationid`; with several rows `correlationid:0`, ... |
| `ts` | `time`, of two halves that of the inputs |
| `version` | `modelversion`, unless it is `default` |
| `features` | the columns of `data` that are features |
| output | the other columns, of halves those of the outputs: one alone, or by name as the table of `common` says |

Source: Azure Machine Learning, "Collect production data from models deployed for real-time inferencing".
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from exporter.formats.common import Half, Record, Target

_WHOLE = "model_inputs_outputs"
_SIDES = {"model_inputs": "inputs", "model_outputs": "outputs"}
_ID = "correlationid"
Rows = Sequence[Mapping[str, Any]]


def records(line: Any, target: Target) -> list[Record] | Half:
    """The records of one decoded line, or the half that it is."""
    collection = str(line["type"]).rpartition(".")[2]
    if collection == _WHOLE:
        rows: Rows = line["data"]
        outputs = [{name: value for name, value in row.items() if name not in target.known} for row in rows]
        return _records(line, rows, outputs, target)
    if collection not in _SIDES:
        raise ValueError(f"of another collection than {_WHOLE} or {', '.join(_SIDES)}")
    identity = line[_ID]
    if not isinstance(identity, str) or not isinstance(line["data"], list):
        raise TypeError("a half needs a correlationid and rows")
    return Half(target.model.name, identity, _SIDES[collection], line, partial(joined, target=target))


def joined(inputs: Any, outputs: Any, target: Target) -> list[Record]:
    """The records of two decoded lines that belong together."""
    return _records(inputs, inputs["data"], outputs["data"], target)


def _records(line: Any, inputs: Rows, outputs: Rows, target: Target) -> list[Record]:
    given = [{name: value for name, value in row.items() if name in target.known} for row in inputs]
    got = [_alone({name: value for name, value in row.items() if name != _ID}) for row in outputs]
    version = line.get("modelversion")
    fields = {"version": version} if version not in (None, "", "default") else {}
    made = target.records(line[_ID], line["time"], given, got, **fields)
    return [
        record | {"id": row[_ID]} if isinstance(row.get(_ID), str) else record
        for record, row in zip(made, inputs, strict=True)
    ]


def _alone(rest: Mapping[str, Any]) -> Any:
    return next(iter(rest.values())) if len(rest) == 1 else rest
