"""One spelling for each label."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.labels import canonical_label

SAME: dict[str, list[Any]] = {
    "1": [1, 1.0, True, "1", "1.0", "true", "True", " 1 ", "1e0", "10e-1"],
    "0": [0, 0.0, -0.0, False, "0", "-0", "false"],
    "0.5": [0.5, "0.5", "0.50", "5e-1"],
    "-3": [-3, -3.0, "-3"],
    "100000": [1e5, "1e5", "100000.0"],
    "NaN": [float("nan"), "nan", "NaN"],
    "Infinity": [float("inf"), "inf", "Infinity", "1e999"],
    "-Infinity": [float("-inf"), "-inf", "-1e999"],
    "9007199254740993": [2**53 + 1, "9007199254740993"],
    "1e+300": [1e300, "1e300"],
}
ITSELF = [
    "yes",
    "007",
    "+1",
    "1_000",
    ".5",
    "5.",
    "0x10",
    "\uff11",
    "1,5",
    "",
    "[0, 1)",
    "é",
    "1 2",
    "--1",
    "e5",
    "trueish",
]


@pytest.mark.parametrize(("spelling", "value"), [(s, value) for s, values in SAME.items() for value in values])
def test_kinds_are_unified(spelling: str, value: Any) -> None:
    assert canonical_label(value) == spelling


@pytest.mark.parametrize("text", ITSELF)
def test_meanings_are_not(text: str) -> None:
    assert canonical_label(text) == text


@given(st.one_of(st.text(), st.floats(), st.integers(), st.booleans()))
def test_a_spelling_is_spelled_as_itself(value: Any) -> None:
    assert canonical_label(canonical_label(value)) == canonical_label(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_keeps_its_value_and_reads_as_its_text_does(number: float) -> None:
    assert float(canonical_label(number)) == number
    assert canonical_label(repr(number)) == canonical_label(number)
