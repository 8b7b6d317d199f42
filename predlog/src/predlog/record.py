"""Records as the log holds them: Python values enter, one encoded line leaves, or `Unencodable`.

A value that JSON lacks is repaired where its meaning survives (NaN and infinity become null, a Decimal a number, an
unknown object its `str`), so that one odd feature does not cost the record.
"""

import math
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

Record = dict[str, Any]

MOST_LINE_BYTES = 1 << 20  # the record format's bound
PREDICTION_START = b'{"kind":"prediction"'
OUTCOME_START = b'{"kind":"outcome"'

_MOST_ID_CHARACTERS = 128  # the record format's bound
_MOST_ERROR_CHARACTERS = 64  # an error's name becomes a label; messages belong elsewhere
_DEEPEST = 16  # levels of nesting that a repair follows; features are flat, metadata rarely deeper than three
_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NAIVE_UTC
_PLAIN = frozenset((int, float, str, bool, type(None)))


class Unencodable(Exception):  # noqa: N818 - reads as a state of the record, not as a program's error
    """A record that cannot become a line, even repaired."""


class Prediction(NamedTuple):
    """One prediction as its caller gave it; `ts` is set, the rest is not looked at yet."""

    features: Any
    score: Any
    probabilities: Any
    prediction: Any
    id: Any
    latency_seconds: Any
    ts: Any
    error: Any
    segments: Any
    trace_id: Any
    cost_usd: Any
    metadata: Any


class Outcome(NamedTuple):
    """What really happened to the prediction called `id`."""

    id: Any
    label: Any
    ts: Any


def prediction_record(entry: Prediction, model: str, version: str, names: tuple[str, ...] | None) -> Record:
    """The record of `entry`, with only the fields that it has; the weight is the sampler's to add."""
    record: Record = {"kind": "prediction", "ts": moment(entry.ts), "model": model, "version": version}
    if entry.id is not None:
        record["id"] = identity(entry.id)
    features = entry.features
    record["features"] = features if type(features) is dict else named(features, names, "f")
    if entry.prediction is not None:
        record["prediction"] = scalar(entry.prediction)
    if entry.score is not None:
        record["score"] = scalar(entry.score)
    if entry.probabilities is not None:
        record["probabilities"] = named(entry.probabilities, None, "")
    if entry.error is not None and (error := error_name(entry.error)) is not None:
        record["error"] = error
    _add_rest(record, entry)
    return record


def _add_rest(record: Record, entry: Prediction) -> None:
    if entry.latency_seconds is not None:
        record["latency_seconds"] = entry.latency_seconds
    if entry.cost_usd is not None:
        record["cost_usd"] = entry.cost_usd
    if entry.trace_id is not None:
        record["trace_id"] = str(entry.trace_id)
    if entry.segments is not None:
        record["segments"] = entry.segments
    if entry.metadata is not None:
        record["metadata"] = entry.metadata


def outcome_record(entry: Outcome, model: str, version: str) -> Record:
    """The record of an outcome."""
    start = {"kind": "outcome", "ts": moment(entry.ts), "model": model, "version": version}
    return {**start, "id": identity(entry.id), "label": scalar(entry.label)}


def encode(record: Record) -> bytes:
    """One line, newline included, of at most 1 MiB."""
    try:
        line = orjson.dumps(record, _repaired, _options())
    except (TypeError, RecursionError):
        line = _encode_cleaned(record)
    if len(line) > MOST_LINE_BYTES:
        raise Unencodable(f"a record of {len(line)} bytes is longer than {MOST_LINE_BYTES}")
    return line


def _options() -> int:
    # Where the process has not loaded numpy there are no numpy values, and orjson, told to write them, would load it.
    return _OPTIONS | orjson.OPT_SERIALIZE_NUMPY if "numpy" in sys.modules else _OPTIONS


def _encode_cleaned(record: Record) -> bytes:
    try:
        return orjson.dumps(_cleaned(record, _DEEPEST), _repaired, _options())
    except Exception as error:  # a value's own __str__ may raise anything
        raise Unencodable(f"a record cannot be encoded: {error!r}") from error


def _repaired(value: Any) -> Any:
    """What orjson writes in place of a value that it does not know."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, Decimal):
        return float(value)
    if type(value).__name__ in ("NAType", "NaTType"):  # what pandas means by missing, without importing it
        return None
    for conversion in ("as_py", "tolist", "to_pylist", "isoformat"):
        if hasattr(value, conversion):
            return getattr(value, conversion)()
    return str(value)


def _cleaned(value: Any, depth: int) -> Any:
    """A copy with keys made text, text made UTF-8, integers made 64-bit, and what nests too deep made text."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        return float(value) if abs(value) < 1 << 1023 else None
    if isinstance(value, (Mapping, list, tuple)) and depth == 0:
        return "nested too deep"
    if isinstance(value, Mapping):
        return {_cleaned(str(key), 0): _cleaned(item, depth - 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(item, depth - 1) for item in value]
    return value


def identity(value: Any) -> str:
    """`value` as an id of at most 128 characters; a longer one keeps its start and ends in a hash of the whole."""
    text = value if type(value) is str else str(scalar(value))
    if len(text) <= _MOST_ID_CHARACTERS:
        return text
    digest = blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
    return f"{text[: _MOST_ID_CHARACTERS - len(digest) - 1]}-{digest}"


def error_name(error: Any) -> str | None:
    """An error as a short name: an exception's class, or the text given; None when nothing failed."""
    if error is None or error is False:
        return None
    if isinstance(error, BaseException):
        return type(error).__name__
    if error is True:
        return "error"
    return str(error)[:_MOST_ERROR_CHARACTERS]


def moment(ts: Any) -> Any:
    """A time as the format has it: seconds, RFC 3339 text as given, and a datetime (UTC if naive) as seconds."""
    if isinstance(ts, datetime):
        aware = ts if ts.tzinfo else ts.replace(tzinfo=UTC)
        return aware.timestamp()
    return ts


def scalar(value: Any) -> Any:
    """The one value in `value`: `model.predict(row)` gives arrays and lists of one element."""
    if type(value) in _PLAIN:
        return value
    if hasattr(value, "tolist"):
        value = value.tolist()
    while isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    return value


def named(values: Any, names: tuple[str, ...] | None, prefix: str) -> Any:
    """`values` as an object: a mapping as it is, a pandas Series by its index, a row by `names`.

    Without names, the positions serve: features are f0, f1, ...; classes are 0, 1, ...
    """
    if isinstance(values, Mapping):
        return values
    if hasattr(values, "to_dict"):
        return values.to_dict()
    if hasattr(values, "tolist"):
        values = values.tolist()
    if values is None:
        return {}
    while len(values) == 1 and isinstance(values[0], (list, tuple)):
        values = values[0]
    return dict(zip(names or positions(len(values), prefix), values, strict=True))


def positions(count: int, prefix: str) -> tuple[str, ...]:
    """Names for `count` values that have none."""
    return tuple(f"{prefix}{index}" for index in range(count))


def number(value: Any) -> float:
    """`value` as a float, NaN for what is none, for conditions that compare."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
