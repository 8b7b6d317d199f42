"""Coverage-guided fuzzing of what reads lines: a line of any bytes costs itself alone, whichever reader meets it.

Needs atheris (`pip install atheris`), which is no dependency of the project. What it finds becomes a plain example in
`tests/ingest/test_ndjson.py` or `tests/formats/test_lines.py`.

usage: python bench/fuzz.py [CORPUS] [-max_total_time=SECONDS]
"""

import importlib
import sys
from functools import partial
from typing import Any

atheris: Any = importlib.import_module("atheris")

with atheris.instrument_imports(include=["exporter.ingest.ndjson", "exporter.ingest.records", "exporter.formats"]):
    from exporter.config import Model
    from exporter.formats import azureml, sagemaker
    from exporter.formats.common import Target, translate
    from exporter.ingest.ndjson import LineReader
    from exporter.ingest.records import sort_records
    from exporter.ingest.schema import FeatureSchema

MODEL = Model(name="m", task="binary", baseline="m.json")
READER = LineReader(FeatureSchema(frozenset({"age"}), frozenset({"colour"}), frozenset({"region"})))
TARGET = Target(MODEL, "v1", ("age", "colour"), frozenset({"age", "colour"}))
NEIGHBOUR = b'{"kind":"prediction","ts":%d,"model":"m","version":"v1","id":"%s","features":{"age":1},"score":0.5}'
LATEST = 2e9


def one(data: bytes) -> None:
    """Read a line between two good ones, as ours and as a line of others."""
    line = data.replace(b"\n", b" ")
    whole = [NEIGHBOUR % (1, b"before"), line, NEIGHBOUR % (2, b"after")]
    ours(b"\n".join(whole) + b"\n", 2 + bool(line.strip()))
    for read in (azureml.records, sagemaker.records):
        translated = translate(line + b"\n" + line, partial(_event, read))
        ours(NEIGHBOUR % (1, b"before") + b"\n" + translated.lines + NEIGHBOUR % (2, b"after") + b"\n",
             2 + translated.lines.count(b"\n"))  # fmt: skip


def _event(read: Any, line: Any) -> Any:
    return read(line, TARGET)


def ours(text: bytes, lines: int) -> None:
    """All lines are read or refused, and the neighbours are read and counted."""
    records, refused = READER.read(text)
    read = [name for part in records for name in part.ids.to_pylist()]
    assert {"before", "after"} <= set(read), "a neighbour is lost"
    assert len(read) + sum(refused.values()) == lines, "a line is lost"
    accepted = 0
    for part in records:
        result = sort_records(part, [MODEL], LATEST)
        accepted += result.accepted["prediction"]
    assert accepted >= 2, "a neighbour is not counted"


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
