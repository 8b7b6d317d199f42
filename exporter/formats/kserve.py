"""KServe's inference logger: a CloudEvent for a request and one for its response, which share their id.

| ours | theirs |
|---|---|
| `model` | the attribute `inferenceservicename` |
| `id` | the attribute `id` |
| `ts`, `latency_seconds` | the request's `time`, and how long after it the response's is |
| `version` | `model_version` of an Open Inference Protocol (V2) response, else the target's |
| `features` | V1: each of `instances`, by position or name; V2: one tensor's columns, or a tensor for each feature |
| output | V1: each of `predictions`; V2: the tensor named like `proba`, if there is one, else the first |

Source: KServe, "Inference Logger", and the logger's own code; the V1 and the Open Inference Protocol.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from exporter.formats.common import Record, Target
from exporter.ingest.ndjson import timestamp

Half = Literal["request", "response"]
_TYPES: Mapping[str, Half] = {
    "org.kubeflow.serving.inference.request": "request",
    "org.kubeflow.serving.inference.response": "response",
}


@dataclass(frozen=True, slots=True)
class Event:
    """One half: of which service, under which id, when (Unix seconds, NaN if unknown), and the payload."""

    half: Half
    service: str
    identity: str
    time: float
    data: Any

    @property
    def key(self) -> tuple[str, str]:
        """What the other half has too."""
        return self.service, self.identity


def event(attributes: Mapping[str, Any], data: Any) -> Event:
    """The event of some attributes; ValueError or LookupError when the logger does not send such."""
    service, identity = attributes["inferenceservicename"], attributes["id"]
    if not (isinstance(service, str) and isinstance(identity, str) and service and identity):
        raise ValueError("an inferenceservicename and an id are needed")
    return Event(_TYPES[attributes["type"]], service, identity, timestamp(attributes.get("time")), data)


def records(request: Event, response: Event, target: Target) -> list[Record]:
    """The records of two halves that belong together."""
    fields: Record = {}
    if math.isfinite(took := response.time - request.time) and took >= 0:
        fields["latency_seconds"] = took
    if version := response.data.get("model_version"):
        fields["version"] = version
    return target.records(request.identity, request.time, _inputs(request.data), _outputs(response.data), **fields)


def _inputs(data: Mapping[str, Any]) -> Sequence[Any]:
    if "instances" in data:
        rows: Sequence[Any] = data["instances"]
        return rows
    tensors = data["inputs"]
    if len(tensors) == 1 and len(tensors[0]["shape"]) > 1:
        return _rows(tensors[0])
    columns = {tensor["name"]: [_scalar(value) for value in _rows(tensor)] for tensor in tensors}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _outputs(data: Mapping[str, Any]) -> Sequence[Any]:
    if "predictions" in data:
        values: Sequence[Any] = data["predictions"]
        return values
    tensors = data["outputs"]
    return _rows(next((tensor for tensor in tensors if "proba" in tensor["name"]), tensors[0]))


def _rows(tensor: Mapping[str, Any]) -> list[Any]:
    """The tensor's rows: values where it has one dimension, else flat lists."""
    flat, (rows, *rest) = _flat(tensor["data"]), tensor["shape"]
    width = math.prod(rest)
    if rows * width != len(flat) or not width:
        raise ValueError(f"the shape {tensor['shape']} is not that of {len(flat)} values")
    return [flat[row * width : (row + 1) * width] for row in range(rows)] if rest else flat


def _flat(data: Sequence[Any]) -> list[Any]:
    """Values in a row; tensors may come nested."""
    return [value for part in data for value in (_flat(part) if isinstance(part, list) else (part,))]


def _scalar(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value
