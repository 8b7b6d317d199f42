"""What the formats share: names for positions, the reading of an output, and lines in which all is one of ours.

An output says what it is by its JSON type, for none of the formats does:

| output | becomes |
|---|---|
| a number with a fraction or exponent (`0.83`, `1.0`) | `score` of a binary model, else `prediction` |
| a whole number, a text, a boolean | `prediction` |
| an array of one | what the one becomes |
| an array of two, binary | `score`: the second |
| an array of numbers, multiclass | `prediction`: the place of the largest; `score`: the largest |
| an object | its `prediction` (`predicted_label`, `label`), `score` (`probability`) and `probabilities` |

Inputs by position need names from the configuration: a baseline does not know in which order a model takes them.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from exporter.config import Model, Task
from exporter.ingest.ndjson import MAX_LINE

MAX_ROWS = 10_000  # of one request: some megabytes of ours, and more than serving answers at once
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Half:
    """One side of predictions whose other side stands elsewhere: of which model, under which id, and the decoded line.

    `join` makes the records of inputs and outputs; it raises what reading a line may raise.
    """

    model: str
    identity: str
    side: str
    line: Any
    join: Callable[[Any, Any], Sequence[Record]]


Events = Callable[[Any], Iterable[Record] | Half]
"""The records of one decoded line, or a half; ValueError, TypeError or LookupError when it is not of the format."""

WRONG = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RecursionError,
    OverflowError,
)
"""What reading a foreign record may raise; msgspec's errors are ValueErrors."""
_ALIASES = {
    "prediction": ("prediction", "predicted_label", "label"),
    "score": ("score", "probability"),
    "probabilities": ("probabilities",),
}


@dataclass(frozen=True, slots=True)
class Target:
    """The model that records are of, and the version of those that name none.

    `features` are names by position, empty where inputs come by name; `known` are the features of the baseline.
    """

    model: Model
    version: str
    features: tuple[str, ...]
    known: frozenset[str]

    def records(
        self, identity: str, ts: Any, inputs: Sequence[Any], outputs: Sequence[Any], **fields: Any
    ) -> list[Record]:
        """A record for each row; the rows of a request with several are `identity:0`, `identity:1`, ..."""
        if len(inputs) != len(outputs) or len(inputs) > MAX_ROWS:
            raise ValueError(f"{len(inputs)} inputs and {len(outputs)} outputs, of {MAX_ROWS} at most")
        several = len(inputs) > 1
        common = {"kind": "prediction", "ts": ts, "model": self.model.name, "version": self.version} | fields
        return [
            {**common, "id": f"{identity}:{row}" if several else identity,
             "features": self._named(given), **_output(output, self.model.task)}
            for row, (given, output) in enumerate(zip(inputs, outputs, strict=True))
        ]  # fmt: skip

    def _named(self, given: Any) -> Mapping[str, Any]:
        if isinstance(given, Mapping):
            return given
        values = given if isinstance(given, list) else [given]
        if len(values) != len(self.features):
            raise ValueError(f"{len(values)} values for {len(self.features)} features")
        return dict(zip(self.features, values, strict=True))


def _output(output: Any, task: Task) -> Record:
    if isinstance(output, Mapping):
        found = {name: next((output[alias] for alias in aliases if alias in output), None)
                 for name, aliases in _ALIASES.items()}  # fmt: skip
        return {name: value for name, value in found.items() if value is not None}
    if not isinstance(output, list):
        return {"score": output} if task == "binary" and isinstance(output, float) else {"prediction": output}
    if len(output) == 1:
        return _output(output[0], task)
    if task == "binary" and len(output) == 2:
        return {"score": output[1]}
    if task == "multiclass" and output:
        best = max(range(len(output)), key=output.__getitem__)
        return {"prediction": best, "score": output[best]}
    raise ValueError("an array is no output of this task")


@dataclass(frozen=True, slots=True)
class Translated:
    """Lines of ours, the line from 1 that each came from, the lines refused with the reason, and halves by line."""

    lines: bytes
    origins: tuple[int, ...]
    refused: tuple[tuple[int, str], ...]
    halves: tuple[tuple[int, Half], ...] = ()


class Gathered:
    """What several foreign lines became, in no more than `limit` bytes; a line beyond is refused as `oversized`."""

    def __init__(self, limit: float = math.inf) -> None:
        self._limit = limit
        self._lines: list[bytes] = []
        self._origins: list[int] = []
        self._refused: list[tuple[int, str]] = []
        self._halves: list[tuple[int, Half]] = []
        self._size = 0

    def refuse(self, number: int, reason: str) -> None:
        """Line `number` became nothing."""
        self._refused.append((number, reason))

    def add(self, number: int, make: Callable[[], Iterable[Record] | Half]) -> None:
        """Line `number` becomes what `make` returns."""
        try:
            found = make()
            if isinstance(found, Half):
                self._halves.append((number, found))
                return
            made = [msgspec.json.encode(record) + b"\n" for record in found]
        except WRONG:
            self.refuse(number, "malformed")
            return
        size = sum(map(len, made))
        if self._size + size > self._limit:
            self.refuse(number, "oversized")
            return
        self._size += size
        self._lines += made
        self._origins += [number] * len(made)

    def translated(self) -> Translated:
        """All of it."""
        return Translated(b"".join(self._lines), tuple(self._origins), tuple(self._refused), tuple(self._halves))


def translate(text: bytes, events: Events, limit: float = math.inf) -> Translated:
    """The records of all lines of `text`, in no more than `limit` bytes."""
    gathered = Gathered(limit)
    for number, line in enumerate(text.split(b"\n"), 1):
        if len(line) > MAX_LINE:
            gathered.refuse(number, "oversized")
        elif line.strip():
            gathered.add(number, partial(_read, events, line))
    return gathered.translated()


def _read(events: Events, line: bytes) -> Iterable[Record] | Half:
    return events(msgspec.json.decode(line))
