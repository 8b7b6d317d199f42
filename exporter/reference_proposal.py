"""A schema proposed from reference data: what each feature looks like, and why, for a person to edit.

The guesses are made here, once, where a person sees them; building from the edited file guesses nothing.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import yaml
from numpy.typing import NDArray

from exporter.errors import DataError
from exporter.profile.columns import (
    Floats,
    Mask,
    TextColumn,
    absent,
    combined,
    is_text,
    numbers_from_texts,
    numeric_column,
    text_column,
)
from exporter.reference_schema import LARGEST, MAX_CATEGORIES, OUTPUTS, feature_arrays

FEW = 10  # whole numbers as few as this may well be codes; most counts and ages have more
# Words that end names of codes and keys, whose numbers have no size.
_CODE = re.compile(r"(?i:(^|[_\W])(id|uuid|key|code|zip|postcode|sku)$)|[a-z](Id|Code|Key)$")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Proposal:
    """One feature's kind, and why; its ends or its categories, where the data show them."""

    name: str
    kind: str
    why: str
    range: tuple[float, float] | None = None
    categories: tuple[str, ...] = field(default=())


def propose(table: pa.Table, source: str) -> list[Proposal]:
    """A proposal for each feature of the reference `table`; DataError when `source` has none."""
    arrays = feature_arrays(table)
    if not arrays:
        raise DataError(f"{source}: no features; reference data has columns `features.NAME` or a struct `features`")
    label = combined(table.column("label")) if "label" in table.column_names else None
    return [_proposal(name, arrays[name], label) for name in sorted(arrays)]


def to_yaml(proposals: list[Proposal], source: str, rows: int) -> str:
    """The proposals as a schema file with their reasons as comments."""
    head = (
        f"# Proposed from {source}, {rows:,} rows. Read it, correct it, then build the baseline with --schema.\n"
        "# kind: numeric (range: [low, high]; beyond is out of range), category (categories: a list; others are\n"
        "# unseen) or ignore. Without a range or a list, what the data hold counts.\n"
        "features:\n"
    )
    return head + "".join(line + "\n" for proposal in proposals for line in _lines(proposal))


def _lines(proposal: Proposal) -> Iterator[str]:
    yield f"  {_spelled(proposal.name)}:"
    yield f"    kind: {proposal.kind}  # {proposal.why}"
    if proposal.range is not None and max(map(abs, proposal.range)) <= LARGEST:
        yield f"    range: [{', '.join(map(_number, proposal.range))}]"
    if proposal.categories:
        yield "    categories:"
        yield from (f"      - {_spelled(text)}" for text in proposal.categories)


def _number(value: float) -> str:
    """As short as it reads back the same; YAML's numbers have a point before an exponent."""
    if value == int(value) and abs(value) < 2**53:
        return str(int(value))
    digits, exponent, power = repr(value).partition("e")
    return digits + ("" if "." in digits else ".0") + exponent + power


def _spelled(text: str) -> str:
    """Plain where YAML reads it as this very text, else in quotes."""
    plain = _PLAIN.fullmatch(text) and yaml.safe_load(text) == text
    return text if plain else yaml.safe_dump(text, default_style='"', width=math.inf).rstrip("\n")


def _proposal(name: str, array: pa.Array, label: pa.Array | None) -> Proposal:
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if reason := next(_reasons_to_ignore(name, array, kind, label), None):
        return Proposal(name, "ignore", reason)
    if pa.types.is_boolean(kind):
        return Proposal(name, "numeric", "true and false count as 1 and 0", (0.0, 1.0))
    if is_text(kind):
        return _of_texts(name, text_column(array))
    return _of_numbers(name, numeric_column(array).or_nan())


def _reasons_to_ignore(name: str, array: pa.Array, kind: pa.DataType, label: pa.Array | None) -> Iterator[str]:
    if name in OUTPUTS:
        yield "what a model says or is to tell is none of its features"
    if array.null_count == len(array):
        yield f"all {len(array):,} values are missing"
    if pa.types.is_temporal(kind):
        yield "a time, which never comes again; watch what is computed from it"
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        yield "lists, objects or bytes have no bins"
    if label is not None and _same(array, label):
        yield "equals the label in every row: it would not be known in time"


def _of_numbers(name: str, column: Floats, why: str = "") -> Proposal:
    """A number, unless it reads like a code or a key."""
    values = column[np.isfinite(column)]
    if not len(values):
        return Proposal(name, "ignore", "no value is a finite number")
    distinct = np.unique(values)
    ends, count = (float(distinct[0]), float(distinct[-1])), len(distinct)
    whole = bool((np.mod(distinct, 1) == 0).all())
    if count == 1:
        return Proposal(name, "numeric", f"constant ({_number(ends[0])}): any other value counts as drift", ends)
    if whole and count == len(values) > MAX_CATEGORIES and ends[1] - ends[0] == count - 1:
        return Proposal(name, "ignore", "each whole number once, without gaps: it numbers the rows")
    if whole and _CODE.search(name):
        return _codes(
            name, [_number(value) for value in distinct.tolist()], len(values), "whole numbers named as codes"
        )
    reason = why or f"{count:,} distinct values in {len(values):,} rows"
    if whole and count <= FEW:
        reason += f", whole ones ({', '.join(map(_number, distinct.tolist()))}): set kind: category if they are codes"
    elif whole and count == len(values) > MAX_CATEGORIES:
        reason += ", no value twice: set kind: ignore if it is an identifier"
    return Proposal(name, "numeric", reason, ends)


def _of_texts(name: str, column: TextColumn) -> Proposal:
    """A category, unless every text is a number or hardly one comes back."""
    texts = sorted({text for code in np.unique(column.codes) if code >= 0 and (text := column.texts[code]) is not None})
    present = int((~absent(column)).sum())
    if not texts:
        return Proposal(name, "ignore", "lists or objects have no bins")
    numbers = numbers_from_texts(column)
    if not (absent(numbers) & ~absent(column)).any():
        if any(re.match(r"[+-]?0\d", text) for text in texts):
            return _codes(name, texts, present, "digits with leading zeros, so codes")
        return _of_numbers(name, numbers.or_nan(), "texts, all of them numbers: set kind: category if they are codes")
    return _codes(name, texts, present, "texts")


def _codes(name: str, texts: list[str], rows: int, what: str) -> Proposal:
    """A category with its list, where that can be read; what hardly comes back is an identifier."""
    count = len(texts)
    if count > MAX_CATEGORIES and 2 * count > rows:  # of a category worth counting, values come back
        return Proposal(name, "ignore", f"{what}; {count:,} distinct ones in {rows:,} rows: an identifier or free text")
    if count > MAX_CATEGORIES:
        many = f"{count:,} distinct ones: the {MAX_CATEGORIES} commonest get cells of their own, the others share one"
        return Proposal(name, "category", f"{what}; {many}")
    reason = f"{what}; {count:,} distinct ones in {rows:,} rows"
    if count == 1:
        reason = f"{what}; constant: any other value counts as drift"
    return Proposal(name, "category", reason, categories=tuple(texts))


def _same(array: pa.Array, label: pa.Array) -> bool:
    """Whether a feature and the label hold the same wherever both are known, and more than one value."""
    (one, known), (other, too) = (_values(side) for side in (array, label))
    if one.dtype != other.dtype or not (both := known & too).any():
        return False
    return bool((one[both] == other[both]).all() and (one[both] != one[both][0]).any())


def _values(array: pa.Array) -> tuple[NDArray[Any], Mask]:
    """Numbers where the type has them, else texts as objects, by row; and where there is one."""
    if is_text(array.type) or pa.types.is_dictionary(array.type):
        texts = text_column(array)
        return np.array([*texts.texts, None], dtype=object)[texts.codes], ~absent(texts)
    numbers = numeric_column(array).or_nan()
    return numbers, ~np.isnan(numbers)
