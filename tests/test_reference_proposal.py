"""A proposal guesses as a person would, says why, and reads back as the schema that it is."""

import datetime as dt
import math
from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import DataError
from exporter.reference import ReferenceData, build_baseline
from exporter.reference_proposal import Proposal, propose, to_yaml
from exporter.reference_schema import LARGEST, load_schema
from tests.strategies import model_of

ROWS = 400


def one(values: list[Any], name: str = "x", label: list[Any] | None = None) -> Proposal:
    table = pa.table({f"features.{name}": values} | ({} if label is None else {"label": label}))
    [proposal] = propose(table, "r.parquet")
    return proposal


def times(*values: Any) -> list[Any]:
    return [values[row % len(values)] for row in range(ROWS)]


NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
GUESSES: dict[str, tuple[list[Any], str, str, Any]] = {
    "floats": ([row / 7 for row in range(ROWS)], "numeric", "400 distinct values in 400 rows", (0.0, 57.0)),
    "gaps": (times(0.5, None, 2.5, math.nan), "numeric", "2 distinct values in 200 rows", (0.5, 2.5)),
    "infinities": (times(0.5, math.inf, 2.5), "numeric", "2 distinct values in 267 rows", (0.5, 2.5)),
    "few whole numbers": (times(3, 1, 2), "numeric",
                          "3 distinct values in 400 rows, whole ones (1, 2, 3): set kind: category if they are codes",
                          (1.0, 3.0)),
    "whole numbers, each once": ([7 * row for row in range(ROWS)], "numeric",
                                 ("400 distinct values in 400 rows, no value twice: set kind: ignore if it is an "
                                  "identifier"), (0.0, 2793.0)),
    "row numbers": (list(range(5, ROWS + 5)), "ignore",
                    "each whole number once, without gaps: it numbers the rows", None),
    "a constant": (times(7), "numeric", "constant (7): any other value counts as drift", (7.0, 7.0)),
    "all missing": (times(None), "ignore", "all 400 values are missing", None),
    "all NaN": (times(math.nan), "ignore", "no value is a finite number", None),
    "booleans": (times(True, False), "numeric", "true and false count as 1 and 0", (0.0, 1.0)),
    "texts": (times("b", "a", None), "category", "texts; 2 distinct ones in 267 rows", ("a", "b")),
    "one text": (times("a"), "category", "texts; constant: any other value counts as drift", ("a",)),
    "texts of numbers": (times("1", "2.5"), "numeric",
                         "texts, all of them numbers: set kind: category if they are codes", (1.0, 2.5)),
    "texts, some of them numbers": (times("1", "n/a"), "category", "texts; 2 distinct ones in 400 rows", ("1", "n/a")),
    "leading zeros": (times("007", "012"), "category",
                      "digits with leading zeros, so codes; 2 distinct ones in 400 rows", ("007", "012")),
    "many texts": (times(*(f"t{k}" for k in range(150))), "category",
                   ("texts; 150 distinct ones: the 100 commonest get cells of their own, the others share one"), ()),
    "identifiers": ([f"u-{row}" for row in range(ROWS)], "ignore",
                    "texts; 400 distinct ones in 400 rows: an identifier or free text", None),
    "times": (times(NOW), "ignore", "a time, which never comes again; watch what is computed from it", None),
    "lists": (times([1]), "ignore", "lists, objects or bytes have no bins", None),
    "lists as texts": (times("[1]"), "ignore", "lists or objects have no bins", None),
}  # fmt: skip


@pytest.mark.parametrize("name", GUESSES)
def test_a_guess_has_its_reason(name: str) -> None:
    values, kind, why, held = GUESSES[name]
    found = one(values)
    assert found.kind == kind
    assert found.why.startswith(why)
    if kind == "numeric":
        assert found.range == held
    elif kind == "category":
        assert found.categories == held


@pytest.mark.parametrize("name", ["zip", "region_code", "customerId", "id", "product-key"])
def test_whole_numbers_named_as_codes_are_categories(name: str) -> None:
    assert one(times(101, 205, 333), name).categories == ("101", "205", "333")
    assert one([7 * row for row in range(ROWS)], name).kind == "ignore"
    assert one(times(1.5, 2.5), name).kind == "numeric"


@pytest.mark.parametrize("name", ["paid", "valid", "encode", "ID_count"])
def test_names_that_only_sound_alike_are_not(name: str) -> None:
    assert one(times(101, 205, 333), name).kind == "numeric"


@pytest.mark.parametrize("name", ["label", "prediction", "score", "probabilities"])
def test_outputs_and_labels_are_never_proposed(name: str) -> None:
    found = one(times(0.5, 1.5), name)
    assert (found.kind, found.why) == ("ignore", "what a model says or is to tell is none of its features")


@pytest.mark.parametrize(("values", "label", "leaks"), [
    (times(1, 0), times(1, 0), True),
    (times(True, False), times(1, 0), True),
    (times("yes", "no"), times("yes", "no"), True),
    (times("yes", "no", None), times("yes", "no", "no"), True),
    (times(1, 0, 1), times(1, 0, 0), False),
    (times(1), times(1), False),
    (times("1", "0"), times(1, 0), False),
    (times(None, 1), times(1, None), False),
])  # fmt: skip
def test_what_equals_the_label_is_a_leak(values: list[Any], label: list[Any], leaks: bool) -> None:  # noqa: FBT001 - a case of the table
    assert ("equals the label" in one(values, label=label).why) == leaks


def test_data_without_features_propose_nothing() -> None:
    with pytest.raises(DataError, match=r"r\.csv: no features; reference data has columns"):
        propose(pa.table({"age": [1]}), "r.csv")


def test_a_struct_of_features_is_read_too() -> None:
    table = pa.Table.from_pylist([{"features": {"b": 1.5, "a": "t"}}, {"features": None}])
    assert [(found.name, found.kind) for found in propose(table, "r.parquet")] == [("a", "category"), ("b", "numeric")]


names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'), min_size=1, max_size=8)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
columns = st.one_of(
    st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), min_size=3, max_size=3),
    st.lists(st.one_of(st.none(), st.integers(-(2**60), 2**60)), min_size=3, max_size=3),
    st.lists(st.one_of(st.none(), texts), min_size=3, max_size=3),
    st.lists(st.booleans(), min_size=3, max_size=3),
)


@given(st.dictionaries(names, columns, min_size=1, max_size=4))
def test_what_is_proposed_reads_back_and_builds_what_the_types_say(
    tmp_path_factory: pytest.TempPathFactory, features: dict[str, list[Any]]
) -> None:
    table = pa.table({f"features.{name}": values for name, values in features.items()} | {"score": [0.1, 0.5, 0.9]})
    proposals = propose(table, "r.parquet")
    text = to_yaml(proposals, "r.parquet", 3)
    read = yaml.safe_load(text)["features"]
    assert {name: of["kind"] for name, of in read.items()} == {of.name: of.kind for of in proposals}
    if all(of.kind == "ignore" for of in proposals):
        return
    path = tmp_path_factory.mktemp("schema") / "schema.yml"
    path.write_text(text, encoding="utf-8")
    schema = load_schema(path)
    for proposal in proposals:
        told = schema.features[proposal.name]
        assert (told.kind, told.categories or ()) == (proposal.kind, proposal.categories)
        beyond = proposal.range is not None and max(map(abs, proposal.range)) > LARGEST
        assert told.range == (None if beyond else proposal.range)
    built = build_baseline(model_of(), ReferenceData(table, "r.parquet", "d"), 0.0, schema=schema)
    assert {feature.name: feature.kind for feature in built.features} == {
        of.name: of.kind for of in proposals if of.kind != "ignore"
    }
