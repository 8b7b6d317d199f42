"""Azure Machine Learning's data collector: one CloudEvent a line, whose data are rows of a data frame.

The collection `model_inputs_outputs` holds inputs and outputs together, joined by the serving script; it is the one
that is read. Its columns that the model's baseline knows are features, the others are the output.

| ours | theirs |
|---|---|
| `id` | `correlationid` |
| `ts` | `time` |
| `version` | `modelversion`, unless it is `default` |
| `features` | the columns of `data` that are features |
| output | the other columns of `data`: one alone, or by name as the table of `common` says |

Source: Azure Machine Learning, "Collect production data from models deployed for real-time inferencing".
"""

from collections.abc import Mapping
from typing import Any

from exporter.formats.common import Record, Target

_COLLECTION = "model_inputs_outputs"


def records(line: Any, target: Target) -> list[Record]:
    """The records of one decoded line."""
    if not str(line["type"]).endswith(f".{_COLLECTION}"):
        raise ValueError(f"of another collection than {_COLLECTION}")
    rows: list[Mapping[str, Any]] = line["data"]
    inputs = [{name: value for name, value in row.items() if name in target.known} for row in rows]
    outputs = [_alone({name: value for name, value in row.items() if name not in target.known}) for row in rows]
    version = line.get("modelversion")
    fields = {"version": version} if version not in (None, "", "default") else {}
    return target.records(line["correlationid"], line["time"], inputs, outputs, **fields)


def _alone(rest: Mapping[str, Any]) -> Any:
    return next(iter(rest.values())) if len(rest) == 1 else rest
