"""The configuration reference: it leaves no key out and none untold, and its links lead somewhere."""

import re

from exporter.config import config_schema
from exporter.config.page import configuration

ROW = re.compile(r"^\| `(\w+)` \| (.*) \| (.*) \| (.*) \|$", re.MULTILINE)


def test_every_key_of_the_schema_has_a_row_with_a_meaning() -> None:
    schema = config_schema()
    sections = [schema, *schema["$defs"].values()]
    keys = [key for section in sections for part in (section, *section.get("anyOf", [])) if "properties" in part
            for key in part["properties"]]  # fmt: skip
    rows = ROW.findall(configuration())
    assert sorted(key for key, *_ in rows) == sorted(keys)
    assert [
        key for key, kind, default, meaning in rows if not (kind and meaning and (default or kind == "section"))
    ] == []


def test_links_lead_to_headings_of_the_page() -> None:
    page = configuration()
    headings = {re.sub(r"[^a-z_]", "", title.lower()) for title in re.findall(r"^## (.*)$", page, re.MULTILINE)}
    links = re.findall(r"\]\(#(.*?)\)", page)
    assert len(links) == len(headings) - 1
    assert set(links) < headings


def test_durations_bounds_and_choices_are_spelled_out() -> None:
    rows = {key: cells for key, *cells in ROW.findall(configuration())}
    assert rows["interval"][:2] == ["duration", "`1m`"]
    assert rows["low_confidence"][:2] == ["number above 0.5 up to 1", "`0.6`"]
    assert rows["clock"][:2] == ["`wall`, `log`", "`wall`"]
    assert rows["segments"][0] == "list of section"
    assert rows["slack"][:2] == ["section", "none"]
