"""A configuration reference as a page: every section and key of a schema, with kind, default and meaning."""

import json
import re
from collections.abc import Iterator
from typing import Any

from exporter.config import config_schema

_HEAD = """# Configuration

Generated from `exporter/config/` by `make generate`; do not edit.

One YAML file. Unknown keys are errors, and `prediction-exporter check-config FILE` names every problem with its path.
`prediction-exporter init` writes a first file, and `check-config --schema` prints this reference as a JSON Schema, with
which editors complete the keys. Paths are seen from the file's folder, but for the secrets under
`alerting`, which Alertmanager reads. A duration is a whole number and a unit: `30s`,
`5m`, `1h`, `7d`, `2w`.
"""
_BOUNDS = {"exclusiveMinimum": "above", "minimum": "from", "exclusiveMaximum": "below", "maximum": "up to"}

Schema = dict[str, Any]


def configuration() -> str:
    """The page of the exporter's configuration, as Markdown."""
    return reference(_HEAD, config_schema())


def reference(head: str, schema: Schema) -> str:
    """The Markdown under `head`: the file itself, then each section under its path, in the order of the keys.

    A section that stands in several places is told at the first of them.
    """
    places: dict[str, str] = {}
    found = list(_sections("", schema, schema["$defs"], places))
    return "\n".join([head, *(_section(path, section, places) for path, section in found)])


def _sections(
    path: str, schema: Schema, known: dict[str, Schema], places: dict[str, str]
) -> Iterator[tuple[str, Schema]]:
    """Each mapping with its path; `[]` stands behind a list's. `places` is filled: what is told where."""
    yield path, schema
    for key, value in schema["properties"].items():
        name = _referred(value)
        if name and name not in places:
            places[name] = f"{path}.{key}".lstrip(".") + ("[]" if "items" in value else "")
            yield from _sections(places[name], _mapping(known[name]), known, places)


def _referred(value: Schema) -> str:
    """The name of the section under a key; empty where there is none."""
    found = next((part for part in (*_choices(value), value.get("items", {})) if "$ref" in part), {"$ref": ""})
    return str(found["$ref"]).rpartition("/")[2]


def _mapping(schema: Schema) -> Schema:
    """The mapping itself of a section that may also stand as a text."""
    return next((part for part in _choices(schema) if "properties" in part), schema)


def _choices(schema: Schema) -> list[Schema]:
    return [part for part in schema.get("anyOf", [schema]) if part.get("type") != "null"]


def _section(path: str, schema: Schema, places: dict[str, str]) -> str:
    title = f"`{path}`" if path else "The file"
    lines = [f"## {title}", "", schema["description"], "", "| key | kind | default | meaning |", "|---|---|---|---|"]
    required = schema.get("required", [])
    for key, value in schema["properties"].items():
        cells = (f"`{key}`", _kind(value), _default(value, key in required), _meaning(value, places))
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _meaning(value: Schema, places: dict[str, str]) -> str:
    """What the schema says of the key, and for a section where it stands on the page."""
    told = [value["description"]] if "description" in value else []
    if name := _referred(value):
        told.append(f"See [`{places[name]}`](#{re.sub(r'[^a-z_]', '', places[name])}).")
    return " ".join(told)


def _kind(schema: Schema) -> str:
    if "items" in schema:
        return f"list of {_kind(schema['items'])}"
    return " or ".join(_of_one(part) for part in _choices(schema))


def _of_one(schema: Schema) -> str:
    if "$ref" in schema:
        return "section"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "examples" in schema:
        return "duration"
    if isinstance(schema["type"], list):
        return "text, number or boolean"
    if "additionalProperties" in schema:
        return f"mapping to {_kind(schema['additionalProperties'])}"
    kind = {"string": "text", "integer": "whole number"}.get(schema["type"], schema["type"])
    bounds = [f"{word} {schema[key]:g}" for key, word in _BOUNDS.items() if key in schema]
    return " ".join([str(schema.get("format", kind)), *bounds])


def _default(schema: Schema, required: bool) -> str:  # noqa: FBT001 - the schema's own fact
    default = schema.get("default")
    if required:
        return "required"
    if isinstance(default, dict) and _referred(schema):
        return ""
    if default is None:
        return "none"
    text = default if isinstance(default, str) else json.dumps(default).replace('"', "")
    return f"`{text}`"


if __name__ == "__main__":
    print(configuration(), end="")  # noqa: T201 - the page goes to standard output
