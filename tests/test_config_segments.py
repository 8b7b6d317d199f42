"""Segments in the configuration: a name alone or with its values, and what cannot be one."""

import jsonschema
import pytest
import yaml

from exporter.config import Config, config_schema, parse_config
from exporter.errors import ConfigError

GOOD = "log: [{path: logs}]\nmodels: [{name: m, task: binary, baseline: m.json, segments: SEGMENTS}]\n"


def parsed(segments: str) -> Config:
    text = GOOD.replace("SEGMENTS", segments)
    jsonschema.validate(yaml.safe_load(text), config_schema())
    return parse_config(text)


def test_a_name_alone_stands_for_its_ten_most_frequent_values() -> None:
    [carrier, origin] = parsed("[carrier, {name: origin, values: [EWR, 7, true]}]").models[0].segments
    assert (carrier.name, carrier.values, carrier.max_values) == ("carrier", (), 10)
    assert origin.values == ("EWR", "7", "1")  # spelled as in the records


@pytest.mark.parametrize(
    ("segments", "problem"),
    [
        ("['']", "segments[0].name: string should match pattern '^[^\"\\\\\\x00-\\x1f]+$' (found '')"),
        ("['a\"b']", "segments[0].name: string should match pattern '^[^\"\\\\\\x00-\\x1f]+$' (found 'a\"b')"),
        ("[{name: a, value: [b]}]", "segments[0].value: unknown key; remove it or correct its spelling"),
        ("[a, b, {name: a}]", ": segments: the name 'a' stands twice; remove one"),
        ("[{name: a, values: [1, true]}]", "segments[0]: values: one stands twice; remove it"),
        ("[{name: a, values: [other]}]", "segments[0]: values: 'other' is what the rest is counted as; remove it"),
        ("[{name: a, values: ['']}]", "segments[0].values[0]: empty; add an item"),
        (
            "[{name: a, values: [b], max_values: 3}]",
            "segments[0]: max_values chooses among values that are not listed; remove it or values",
        ),
        ("[{name: a, features: [x, x]}]", "segments[0]: features: one stands twice; remove it"),
        (
            f"[{', '.join(f'{{name: s{k}, max_values: 100}}' for k in range(8))}]",
            ": segments: too many values in all; have fewer segments, or fewer values of each",
        ),
    ],
)
def test_what_cannot_be_a_segment_says_why(segments: str, problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_config(GOOD.replace("SEGMENTS", segments))
    place = "models[0]" if problem.startswith(":") else "models[0]."
    assert raised.value.problems == (place + problem,)
