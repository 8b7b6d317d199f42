"""What bad lines cost: NDJSON with 1 % of them beside the same without, for the live tail and for reading in bulk.

usage: python bench/bad_lines.py [FOLDER] [ROWS] [ROUNDS]
"""

import random
import sys
import time
from pathlib import Path

import data
from pairs import pairs

from exporter.evaluate import evaluate
from exporter.ingest.ndjson import CHUNK, LineReader
from exporter.ingest.sources import LogReader
from exporter.monitor import Monitor
from exporter.reference import build_baseline, read_reference

SHARE = 0.01
BAD = (
    b"{",
    b'{"kind":"prediction","ts":1700000000,"model":"bench","version":"v1","features":{"n00":0.1',
    b"2026-01-01 ERROR something else writes here too",
    b'{"kind":"prediction","ts":1700000000,"model":"bench","features":{"n00":"text"},"score":0.5}',
    b'{"kind":"prediction","ts":1700000000,"model":"bench","features":{"n00":NaN},"score":0.5}',
    b"\xff\xfe\x00",
    b"[1,2,3]",
)


def main(folder: Path, rows: int, rounds: int) -> None:
    """Print the times with bad lines beside those without."""
    data.write(folder, rows)
    config = data.config(folder)
    baseline = build_baseline(config.models[0], read_reference(folder / "reference.parquet"), time.time())
    monitor = Monitor(config, {"bench": baseline})
    good, bad = folder / "current.ndjson", folder / "bad.ndjson"
    spoil(good, bad)
    print(f"{rows} records, {SHARE:.0%} bad{'with':>42} {'without':>10}")
    tail = [chunks(path, 20_000) for path in (bad, good)]
    pairs("live tail, line by line", lambda: lines(monitor, tail[0]), lambda: lines(monitor, tail[1]), rounds)
    pairs("followed log, in blocks", lambda: follow(monitor, bad), lambda: follow(monitor, good), rounds)
    pairs("one-shot evaluation", lambda: once(monitor, bad), lambda: once(monitor, good), rounds)


def spoil(good: Path, bad: Path) -> None:
    """Write the lines of `good` with bad ones among them."""
    if bad.exists():
        return
    chance = random.Random(1)  # noqa: S311 - no secret is drawn
    with good.open("rb") as source, bad.open("wb") as target:
        for line in source:
            if chance.random() < SHARE:
                target.write(chance.choice(BAD) + b"\n")
            target.write(line)


def chunks(path: Path, most: int) -> list[bytes]:
    """The file's first lines, in the pieces that the live tail reads."""
    pieces: list[list[bytes]] = [[]]
    size = 0
    with path.open("rb") as file:
        for line, _ in zip(file, range(most), strict=False):
            if size > CHUNK:
                pieces.append([])
                size = 0
            pieces[-1].append(line)
            size += len(line)
    return [b"".join(lines) for lines in pieces]


def lines(monitor: Monitor, pieces: list[bytes]) -> None:
    reader = LineReader(monitor.schema)
    for piece in pieces:
        reader.read(piece)


def follow(monitor: Monitor, path: Path) -> None:
    reader = LogReader([str(path)], monitor.schema, "bench")
    for _ in reader.poll():
        pass
    reader.close()


def once(monitor: Monitor, path: Path) -> None:
    evaluate(monitor, [str(path)], None, time.time())


if __name__ == "__main__":
    arguments = [*sys.argv[1:], *("/tmp/prediction_exporter_bench", "1000000", "3")[len(sys.argv) - 1 :]]
    main(Path(arguments[0]), int(arguments[1]), int(arguments[2]))
