"""Arrow arrays of every layout become columns: what is missing, what is wrong, and how it is spelled."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from exporter.profile.columns import (
    NumericColumn,
    TextColumn,
    absent,
    combined,
    numbers_of,
    numeric_column,
    string_array,
    text_array,
    text_column,
    texts_of,
)


def plain(column: NumericColumn | TextColumn) -> list[Any]:
    """Each row's value; None where missing, "WRONG" where of a wrong type."""
    if isinstance(column, TextColumn):
        return [None if code < 0 else column.texts[code] or "WRONG" for code in column.codes]
    rows = range(len(column.values))
    missing = [column.missing is not None and bool(column.missing[row]) for row in rows]
    wrong = [column.wrong is not None and bool(column.wrong[row]) for row in rows]
    return [None if missing[row] else "WRONG" if wrong[row] else float(column.values[row]) for row in rows]


def long(values: list[Any], kind: pa.DataType) -> pa.Array:
    """A slice whose offset is no multiple of eight."""
    return pa.array([values[0]] * 11 + values + values, kind).slice(11, len(values))


DICTIONARY = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 0], pa.int8()), pa.array(["2", None]))

NUMERIC = {
    "sliced doubles": (long([1.0, None, 2.5], pa.float64()), [1.0, None, 2.5]),
    "sliced integers": (long([1, None, 2], pa.int16()), [1.0, None, 2.0]),
    "large unsigned integers": (pa.array([2**63, None], pa.uint64()), [2.0**63, None]),
    "halves": (pa.array([np.float16(1.5), None], pa.float16()), [1.5, None]),
    "decimals": (long([1, None, 3], pa.decimal128(12, 2)), [1.0, None, 3.0]),
    "sliced booleans": (long([True, None, False], pa.bool_()), [1.0, None, 0.0]),
    "texts": (long(["1.5", None, "abc"], pa.string()), [1.5, None, "WRONG"]),
    "large texts": (long(["1.5", None, "abc"], pa.large_string()), [1.5, None, "WRONG"]),
    "text views": (long(["1.5", None, "true"], pa.string_view()), [1.5, None, 1.0]),
    "a dictionary with a null in it": (DICTIONARY, [2.0, None, None, 2.0]),
    "nothing at all": (pa.nulls(2), [None, None]),
    "time stamps": (pa.array([5, None], pa.timestamp("s")), ["WRONG", None]),
    "lists": (pa.array([[1.0], None]), ["WRONG", None]),
    "no rows": (pa.array([], pa.float64()), []),
    "no integers": (pa.array([], pa.int32()), []),
    "no booleans": (pa.array([], pa.bool_()), []),
}

TEXT = {
    "sliced texts": (long(["a", None, "b"], pa.string()), ["a", None, "b"]),
    "large texts": (long(["a", None, "b"], pa.large_string()), ["a", None, "b"]),
    "text views": (long(["a", None, "b"], pa.string_view()), ["a", None, "b"]),
    "bytes": (pa.array([b"a", None, b"\xff"]), ["a", None, "\ufffd"]),
    "numbers": (pa.array([1.0, None, 0.5]), ["1", None, "0.5"]),
    "integers": (long([1, None, 2], pa.int64()), ["1", None, "2"]),
    "booleans": (pa.array([True, None, False]), ["1", None, "0"]),
    "a dictionary with a null in it": (DICTIONARY, ["2", None, None, "2"]),
    "a sliced dictionary": (pa.array(["a", None, "b", "c"]).dictionary_encode().slice(1, 2), [None, "b"]),
    "small unsigned indices": (pa.array(["a", None, "b"], pa.dictionary(pa.uint8(), pa.string())), ["a", None, "b"]),
    "structs": (pa.array([{"a": 1}, None]), ["WRONG", None]),
    "JSON objects in texts": (pa.array(['{"a":1}', "[1]", "[0, 1)", "{"]), ["WRONG", "WRONG", "[0, 1)", "{"]),
    "nothing at all": (pa.nulls(2), [None, None]),
    "no rows": (pa.array([], pa.string()), []),
}  # fmt: skip


@pytest.mark.parametrize("name", NUMERIC)
def test_numbers_come_from_every_layout(name: str) -> None:
    array, expected = NUMERIC[name]
    assert plain(numeric_column(array)) == expected


@pytest.mark.parametrize("name", TEXT)
def test_texts_come_from_every_layout(name: str) -> None:
    array, expected = TEXT[name]
    assert plain(text_column(array)) == expected


def test_chunks_whose_dictionaries_differ_become_one_column() -> None:
    chunks = pa.chunked_array(
        [pa.array(["a", "b"]).dictionary_encode(), pa.array(["b", "c", None]).dictionary_encode()]
    )
    assert plain(text_column(combined(chunks))) == ["a", "b", "b", "c", None]
    assert plain(numeric_column(combined(pa.chunked_array([], pa.float64())))) == []


def test_python_values_are_read_as_arrow_ones_are() -> None:
    values: list[Any] = [None, 1, 1.5, True, "2", "x", [1], 10**400]
    assert plain(numbers_of(values)) == [None, 1.0, 1.5, 1.0, 2.0, "WRONG", "WRONG", np.inf]
    assert plain(texts_of([None, 1, 1.0, "1", True, {"a": 1}, "a"])) == [None, "1", "1", "1", "1", "WRONG", "a"]


def test_two_spellings_of_one_text_count_as_one() -> None:
    column = texts_of([1, "1", "1.0"])
    assert column.recode({"1": 5}, other=0, missing=-1, wrong=-2).tolist() == [5, 5, 5]


def test_absent_is_what_is_missing_or_wrong() -> None:
    assert absent(texts_of(["a", None, [1]])).tolist() == [False, True, True]
    assert absent(numbers_of([1.0, None, "x"])).tolist() == [False, True, True]


def test_texts_survive_the_way_to_arrow_and_back() -> None:
    texts = ["é", None, "", "a\x00b", "😀"]
    assert string_array(texts).to_pylist() == texts
    assert text_array(texts_of(["a", None, "b", "a"])).to_pylist() == ["a", None, "b", "a"]
    assert text_array(numbers_of([0.1, None, 1e300])).to_pylist() == ["0.1", None, "1e+300"]
    assert string_array([]).to_pylist() == []
