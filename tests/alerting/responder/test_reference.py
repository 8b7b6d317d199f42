"""The responder's schema and reference page: the shipped files pass, every key is told, and links lead somewhere."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from alerting.responder.reference import responder
from alerting.responder.settings import settings_schema

ROOT = Path(__file__).parents[3]
ROW = re.compile(r"^\| `(\w+)` \| (.*) \| (.*) \| (.*) \|$", re.MULTILINE)


@pytest.mark.parametrize("file", ["deploy/responder.yml", "deploy/flights/responder.yml"])
def test_the_shipped_files_are_as_the_schema_has_it(file: str) -> None:
    given: dict[str, Any] = yaml.safe_load((ROOT / file).read_text())
    jsonschema.validate(given, settings_schema())
    for wrong in ({"dryrun": True}, {"stale_after": "soon"}, {"responses": {"A": ["sleep"]}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(given | wrong, settings_schema())


def test_every_key_of_the_schema_has_a_row_with_a_meaning() -> None:
    schema = settings_schema()
    sections = {name: one for name, one in schema["$defs"].items() if "properties" in one}
    rows = ROW.findall(responder())
    assert sorted(key for key, *_ in rows) == sorted(
        key for section in (schema, *sections.values()) for key in section["properties"]
    )
    assert [row for row in rows if not all(row)] == []


def test_links_lead_to_headings_of_the_page() -> None:
    page = responder()
    headings = {re.sub(r"[^a-z_]", "", title) for title in re.findall(r"^## (`.*`)$", page, re.MULTILINE)}
    links = set(re.findall(r"\]\(#(.*?)\)", page))
    assert links == headings
