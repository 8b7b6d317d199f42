"""From YAML to a configuration, or to every problem with its path."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from exporter.config.base import Section
from exporter.config.root import Config
from exporter.errors import ConfigError

Kind = TypeVar("Kind", bound=Section)


def load_config(path: Path) -> Config:
    """Read and check the configuration at `path`; ConfigError names every problem with its path in the file."""
    return parse_config(read_text(path), source=str(path), folder=path.parent)


def parse_config(text: str, source: str = "configuration", folder: Path = Path()) -> Config:
    """Check the YAML `text`; relative paths in it are seen from `folder`."""
    config = parse_section(Config, text, source, "the keys log and models")
    config._folder = folder  # noqa: SLF001 - set once, by the one maker of configurations
    return config


def read_text(path: Path) -> str:
    """The text of the YAML file at `path`; ConfigError when there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise ConfigError(str(path), [f"{reason}; give the path of an existing YAML file"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), [f"not UTF-8 text at byte {error.start}; save it as UTF-8"]) from error


def parse_section(kind: type[Kind], text: str, source: str, keys: str, folder: Path = Path()) -> Kind:
    """The YAML `text` as a `kind`, which has `keys` at its top; ConfigError names every problem with its path.

    Validators see the `folder` of the file in their context.
    """
    try:
        data = yaml.load(text, Loader=UniqueKeyLoader)  # noqa: S506 - a subclass of the safe loader
    except yaml.YAMLError as error:
        raise ConfigError(source, [yaml_problem(error)]) from error
    if not isinstance(data, dict):
        raise ConfigError(source, [f"expected a mapping with {keys} at the top"])
    return validated(kind, data, source, folder)


def validated(kind: type[Kind], data: dict[Any, Any], source: str, folder: Path = Path()) -> Kind:
    """The mapping `data` as a `kind`; ConfigError names every problem with its path in `source`."""
    try:
        return kind.model_validate(data, context={"folder": folder})
    except ValidationError as error:
        raise ConfigError(source, list(problems_of(error))) from error


def config_schema() -> dict[str, Any]:
    """The configuration's JSON Schema, for editors."""
    return section_schema(Config)


def section_schema(kind: type[Section]) -> dict[str, Any]:
    """The JSON Schema of a file that is a `kind`."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **kind.model_json_schema()}


def schema_text(schema: dict[str, Any]) -> str:
    """A schema as committed beside the code."""
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


class UniqueKeyLoader(yaml.SafeLoader):
    """PyYAML keeps the last of two equal keys and says nothing; a configuration must not."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        """Refuse a key that stands twice, and go on as the safe loader does."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode):
                continue  # the safe loader refuses it
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice; remove one", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def yaml_problem(error: yaml.YAMLError) -> str:
    """What is wrong with a YAML text, and where."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{place}not valid YAML: {problem}"


def problems_of(error: ValidationError) -> Iterator[str]:
    """Each problem of a validation as `path: what is wrong`."""
    items = error.errors(include_url=False)
    places = [item["loc"] for item in items]
    for item in items:
        here = item["loc"]
        if item["type"] == "too_short" and any(place[: len(here)] == here != place for place in places):
            continue  # pydantic counts usable items only, and says of the others what is wrong with them
        path, message = _path(here), _message(item)
        yield f"{path}: {message}" if path else message


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


def _message(item: Any) -> str:
    match item["type"]:
        case "extra_forbidden":
            return "unknown key; remove it or correct its spelling"
        case "missing":
            return "required key is missing; add it"
        case "too_short":
            return "empty; add an item"
        case "value_error":
            return str(item["ctx"]["error"])
        case _:
            return f"{item['msg'][0].lower()}{item['msg'][1:]} (found {item['input']!r})"
