"""CloudEvents over HTTP: one in binary mode (`ce-` headers), one structured, or a structured batch."""

import base64
from collections.abc import Mapping
from typing import Any

import msgspec

from exporter.formats.kserve import Event, event

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
_PREFIX = "ce-"


def events(headers: Mapping[str, str], content_type: str, content: bytes) -> list[tuple[int, Event]]:
    """The events of a request, each with its size in bytes; ValueError or LookupError when it holds none of KServe's.

    Source: CloudEvents 1.0, HTTP Protocol Binding and JSON Event Format.
    """
    data = msgspec.json.decode(content)
    if content_type == BATCH:
        return [(len(content) // len(data) + 1, _structured(one)) for one in data]
    if content_type == STRUCTURED:
        return [(len(content), _structured(data))]
    attributes = {name.removeprefix(_PREFIX): value for name, value in headers.items() if name.startswith(_PREFIX)}
    return [(len(content), event(attributes, data))]


def _structured(one: Mapping[str, Any]) -> Event:
    if "data" in one:
        return event(one, one["data"])
    return event(one, msgspec.json.decode(base64.b64decode(one["data_base64"], validate=True)))
