"""Amazon SageMaker data capture: one JSON line a request, with the endpoint's input and output.

| ours | theirs |
|---|---|
| `id` | `eventMetadata.inferenceId` (the caller's own, which outcomes carry), else `eventMetadata.eventId` |
| `ts` | `eventMetadata.inferenceTime` |
| `features` | `captureData.endpointInput.data`: CSV rows by position; JSON `instances`, an array or an object |
| output | `captureData.endpointOutput.data`: CSV, a line or a field a row; JSON `predictions`, array or value |

`encoding` is `CSV`, `JSON` or `BASE64`; what is in BASE64 is read by `observedContentType`. Of batch transform jobs,
`eventMetadata` has the same fields. Captures of one side alone are refused.
Source: Amazon SageMaker Developer Guide, "Capture data from real-time endpoint".
"""

import base64
import csv
import io
from collections.abc import Mapping
from typing import Any

import msgspec

from exporter.formats.common import Record, Target


def records(line: Any, target: Target) -> list[Record]:
    """The records of one decoded line."""
    captured, about = line["captureData"], line["eventMetadata"]
    inputs = _rows(_content(captured["endpointInput"]), "instances")
    outputs = _rows(_content(captured["endpointOutput"]), "predictions")
    if len(target.features) > 1 and not any(isinstance(value, list | Mapping) for value in inputs):
        inputs = [inputs]  # one row, as a plain array
    if len(inputs) == 1 < len(outputs):
        outputs = [outputs]  # one row's probabilities, each a field
    elif len(outputs) == 1 < len(inputs) and isinstance(outputs[0], list):
        outputs = outputs[0]  # one line with a field for each row
    return target.records(about.get("inferenceId") or about["eventId"], about["inferenceTime"], inputs, outputs)


def _content(side: Mapping[str, Any]) -> Any:
    """What was captured of one side: rows of CSV, or decoded JSON."""
    data, encoding = side["data"], side["encoding"]
    kind = str(side.get("observedContentType", ""))
    if encoding == "BASE64":
        data = base64.b64decode(data, validate=True).decode()
        encoding = "CSV" if kind.startswith("text/csv") else "JSON"
    if encoding == "CSV":
        return _csv(data)
    if encoding == "JSON":
        return msgspec.json.decode(data)
    raise ValueError(f"the encoding {encoding} is not read")


def _csv(text: str) -> list[list[Any]]:
    try:
        return [[_value(field) for field in row] for row in csv.reader(io.StringIO(text)) if row]
    except csv.Error as error:
        raise ValueError(str(error)) from error


def _rows(content: Any, key: str) -> list[Any]:
    if isinstance(content, Mapping) and key in content:
        content = content[key]
    return content if isinstance(content, list) else [content]


def _value(field: str) -> Any:
    """A CSV field as the JSON value that it looks like; an empty one is missing."""
    text = field.strip()
    if not text:
        return None
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return text if isinstance(value, list | dict) else value
