"""NDJSON to columns, line by line: complete lines in memory, each bad one reported. For the live tail."""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from exporter.ingest.records import NUMBERS, OBJECTS, TEXTS, Records
from exporter.ingest.schema import FeatureSchema
from exporter.labels import canonical_label
from exporter.profile.columns import (
    Column,
    NumericColumn,
    TextColumn,
    numbers_of,
    string_array,
    texts_of,
)

CHUNK = 256 * 1024  # bytes; 8 MB chunks were 2.3 times slower, their objects no longer fit the cache
MAX_LINE = 1024 * 1024  # bytes, as the record format says

# Times as RFC 3339 writes them, a date alone included; the clock part is bounded, so that all readers agree on it.
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-]([01]\d|2[0-3])(:?[0-5]\d)?)?"
MOMENT = rf"\d{{4}}-\d\d-\d\d([T ]{_CLOCK})?"
_IS_MOMENT = re.compile(MOMENT, re.ASCII).fullmatch

# What DuckDB takes beyond JSON: strings stay, a trailing comma goes, NaN and Infinity may be spelled in any case.
_LOOSE = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])|-?\b(?:nan|inf(?:inity)?)\b', re.IGNORECASE)

Scalar = int | float | str | bool | None


class LineReader:
    """Reads complete lines in memory, naming what it refuses.

    Typed decoding is fast and takes nearly all lines; one that it refuses is decoded leniently (NaN literals,
    features of a wrong type) and refused only when it is no JSON object.
    """

    def __init__(self, schema: FeatureSchema) -> None:
        self._schema = schema
        self._places = {name: f"f{place}" for place, name in enumerate(schema.names)}
        fields: list[Any] = [
            (place, Scalar if name in schema.category else float | None, None) for name, place in self._places.items()
        ]
        self._segment_places = {name: f"s{place}" for place, name in enumerate(sorted(schema.segments))}
        self._features = _struct_of("Features", self._places, fields)
        texts = [(place, Scalar, None) for place in self._segment_places.values()]
        self._segments = _struct_of("Segments", self._segment_places, texts)
        inner = [("features", self._features | None, None)]
        inner += [("segments", self._segments | None, None)] if schema.segments else []
        self._line: Any = msgspec.defstruct("Line", [*_LINE_FIELDS, *inner])
        self._decode = msgspec.json.Decoder(self._line).decode
        self._decode_outline = msgspec.json.Decoder(msgspec.defstruct("Outline", _LINE_FIELDS, gc=False)).decode

    def read(self, text: bytes) -> tuple[list[Records], Counter[str]]:
        """The records of `text`, and how many lines were refused for which reason; blank lines are none."""
        good, mended, refused = self._lines(text, self._decode)
        parts = [(good, _typed_numbers), (mended, numbers_of)]
        records = [self._columns([line for _, line in lines], numeric) for lines, numeric in parts if lines]
        return records, Counter(reason for _, reason in refused)

    def outline(self, text: bytes) -> tuple[list[tuple[list[int], Records]], list[tuple[int, str]]]:
        """As `read`, but without features, which no record is refused for, and with each line's number from 0."""
        # What msgspec passes over it checks as it checks what it takes, but for UTF-8 and halves of surrogate pairs.
        strict = b"\\u" in text or not _is_utf8(text)
        good, mended, refused = self._lines(text, self._decode if strict else self._decode_outline)
        parts = [(good, _typed_numbers), (mended, numbers_of)]
        records = [([number for number, _ in lines], _records([line for _, line in lines], {}, {}, numeric))
                   for lines, numeric in parts if lines]  # fmt: skip
        return records, refused

    def _lines(
        self, text: bytes, decode: Callable[[bytes], Any]
    ) -> tuple[list[tuple[int, Any]], list[tuple[int, Any]], list[tuple[int, str]]]:
        """Lines decoded, lines mended and lines refused, with their numbers."""
        good: list[tuple[int, Any]] = []
        mended: list[tuple[int, Any]] = []
        refused: list[tuple[int, str]] = []
        for number, entry in enumerate(text.split(b"\n")):
            if len(entry) > MAX_LINE:
                refused.append((number, "oversized"))
                continue
            try:
                good.append((number, decode(entry)))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                if (line := self._mend(entry)) is not None:
                    mended.append((number, line))
                elif entry.strip():
                    refused.append((number, "malformed"))
        return good, mended, refused

    def _mend(self, entry: bytes) -> Any:
        """The line as Python reads it, types unchecked; None when it is no JSON object."""
        try:
            data = lenient_json(entry.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            return None
        if not isinstance(data, dict):
            return None
        known = {name: data.get(name) for name, *_ in _LINE_FIELDS}
        inner = {"features": self._features(**_placed(data.get("features"), self._places))}
        if self._schema.segments:
            inner["segments"] = self._segments(**_placed(data.get("segments"), self._segment_places))
        return self._line(**known, **inner)

    def _columns(self, lines: list[Any], numeric: Callable[[list[Any]], NumericColumn]) -> Records:
        nothing = self._features()
        inner = [line.features or nothing for line in lines]
        features: dict[str, Column] = {}
        for name, place in self._places.items():
            values = [getattr(row, place) for row in inner]
            features[name] = texts_of(values) if name in self._schema.category else numeric(values)
        return _records(lines, features, self._columns_of_segments(lines), numeric)

    def _columns_of_segments(self, lines: list[Any]) -> dict[str, TextColumn]:
        if not self._schema.segments:
            return {}
        nothing = self._segments()
        inner = [line.segments or nothing for line in lines]
        return {name: texts_of([getattr(row, place) for row in inner])
                for name, place in self._segment_places.items()}  # fmt: skip


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _struct_of(name: str, places: Mapping[str, str], fields: list[Any]) -> Any:
    return msgspec.defstruct(name, fields, rename={place: key for key, place in places.items()})


def _placed(inner: Any, places: Mapping[str, str]) -> dict[str, Any]:
    """The values of an inner object by their fields; none where it is no object."""
    values = inner if isinstance(inner, dict) else {}
    return {place: values[name] for name, place in places.items() if name in values}


def lenient_json(text: str) -> Any:
    """What a JSON text says, with the liberties that DuckDB takes: see `_LOOSE`, and `null` is an empty object.

    ValueError when it is no such text, or has half of a surrogate pair in it.
    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError:
        data = json.loads(_LOOSE.sub(_strictly, text))
    if "\\u" in text:
        json.dumps(data, ensure_ascii=False).encode()
    return {} if data is None else data


def _strictly(found: re.Match[str]) -> str:
    if found[0].startswith('"'):
        return found[0]
    return "" if found[0] == "," else canonical_label(found[0])


_LINE_FIELDS: list[Any] = [
    ("kind", str | None, None),
    ("ts", float | str | None, None),
    ("model", str | None, None),
    ("version", Scalar, None),
    ("id", Scalar, None),
    *((name, float | None, None) for name in NUMBERS),
    *((name, Scalar, None) for name in TEXTS),
    ("probabilities", dict[str, float] | None, None),
    ("errors", float | dict[str, float] | None, None),
    ("latency_buckets", dict[str, float] | None, None),
]


def _typed_numbers(values: list[Any]) -> NumericColumn:
    """Floats and None, checked by the decoder, which takes no NaN: so NaN stands for None alone."""
    numbers = np.array(values, dtype=np.float64)
    missing = np.isnan(numbers)
    return NumericColumn(numbers, missing if missing.any() else None)


def _records(lines: Sequence[Any], features: dict[str, Column], segments: dict[str, TextColumn],
             numeric: Callable[[list[Any]], NumericColumn]) -> Records:  # fmt: skip
    return Records(
        kind=texts_of([line.kind for line in lines]),
        model=texts_of([line.model for line in lines]),
        version=texts_of([line.version for line in lines]),
        ts=np.array([timestamp(line.ts) for line in lines]),
        ids=string_array([_id(line.id) for line in lines]),
        numbers={name: numeric([getattr(line, name) for line in lines]) for name in NUMBERS},
        texts={name: texts_of([getattr(line, name) for line in lines]) for name in TEXTS},
        objects={name: column for name in OBJECTS
                 if any(column := [getattr(line, name) for line in lines])},
        features=features,
        segments=segments,
    )  # fmt: skip


def timestamp(value: object) -> float:
    """Unix seconds of a number or an RFC 3339 text; NaN for anything else. A text without a zone is UTC."""
    if isinstance(value, float):
        return value
    if isinstance(value, bool) or value is None:
        return math.nan
    text = str(value)
    try:
        if text.isascii():
            return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text.upper()) if _IS_MOMENT(text.upper()) else None
    except ValueError:
        moment = None
    if moment is None:
        return math.nan
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _id(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
