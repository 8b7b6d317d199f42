"""What the archive makes of logs: its share of the NDJSON's bytes, by zstd level, and the CPU it takes.

Four kinds of number, for they decide the size: rounded as in `data.py` (six decimals), all the digits of a float64,
the digits of a float32, and counts. Beside them the log itself under gzip and zstd, and Parquet as pyarrow writes it.
Each log is read in slices, as the archiver does; CPU is this process's, all threads.
"""

import argparse
import gzip
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import data
import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from exporter.archive import encoding
from exporter.archive.archiver import BATCH_BYTES, _slices
from exporter.archive.columns import Sorter

Numbers = Callable[[np.random.Generator, int], np.ndarray]
KINDS: dict[str, Numbers | None] = {
    "six decimals": None,
    "float64": lambda rng, rows: rng.normal(size=rows),
    "float32": lambda rng, rows: rng.normal(size=rows).astype(np.float32).astype(np.float64),
    "counts": lambda rng, rows: rng.poisson(40, rows),
}


def log_of(kind: str, rows: int, folder: Path) -> Path:
    """A log of so many records; its numbers are of the kind."""
    path = folder / f"{kind.replace(' ', '-')}-{rows}.ndjson"
    if path.exists():
        return path
    table, made = data.table(rows, seed=1), KINDS[kind]
    rng = np.random.default_rng(3)
    for place, name in enumerate(table.column_names):
        if made is not None and name.startswith("features.n"):
            table = table.set_column(place, name, pa.array(made(rng, rows)))
    packed = ", ".join(f'"{name}" := "features.{name}"' for name in data.features())
    columns = f"kind, ts, model, version, id, struct_pack({packed}) AS features, score, prediction"
    with duckdb.connect() as connection:
        connection.register("current", table)
        connection.execute(f"COPY (SELECT {columns} FROM current) TO '{path}' (FORMAT json)")
    return path


def tables(path: Path) -> Iterator[pa.Table]:
    """The log's columns, batch by batch."""
    sorter, size = Sorter({"bench"}), 0
    with path.open("rb") as stream:
        for text in _slices(stream):
            sorter.add(text)
            size += len(text)
            if size >= BATCH_BYTES:
                yield from (table for _, table in sorter.tables())
                sorter, size = Sorter({"bench"}), 0
    yield from (table for _, table in sorter.tables())
    assert not sorter.left


def cpu(work: Callable[[], int]) -> tuple[int, float]:
    """What `work` returns, and the seconds of CPU that it took."""
    started = time.process_time()
    return work(), time.process_time() - started


def archived(path: Path, folder: Path) -> int:
    """Bytes of the log's archive."""
    size = 0
    for table in tables(path):
        encoding.write_parquet(table, folder / "x.parquet")
        size += (folder / "x.parquet").stat().st_size
    return size


def plain_parquet(path: Path, folder: Path) -> int:
    """Bytes of the same batches with pyarrow's own choices and zstd."""
    size = 0
    for table in tables(path):
        pq.write_table(table, folder / "x.parquet", compression="zstd")
        size += (folder / "x.parquet").stat().st_size
    return size


def packed_log(path: Path, pack: Callable[[bytes], bytes]) -> int:
    """Bytes of the log packed in pieces of a batch."""
    with path.open("rb") as stream:
        return sum(len(pack(text)) for text in iter(lambda: stream.read(BATCH_BYTES), b""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where the logs stand, or are made; a temporary one by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for kind in KINDS:
            path = log_of(kind, arguments.rows, folder)
            measure(kind, path, Path(scratch), arguments.rows)


def measure(kind: str, path: Path, scratch: Path, rows: int) -> None:
    whole = path.stat().st_size
    print(f"{kind}: {rows:,} records, {whole / rows:.0f} bytes of NDJSON each")

    def tell(way: str, size: int, seconds: float) -> None:
        print(f"  {way:<28} {size / whole:6.1%}  {seconds * 1e6 / rows:6.1f} s of CPU a million records", flush=True)

    usual = encoding.LEVEL
    for level in (1, usual, 9):
        encoding.LEVEL = level
        tell(f"archive, zstd {level}", *cpu(lambda: archived(path, scratch)))
    encoding.LEVEL = usual
    tell("Parquet as pyarrow chooses", *cpu(lambda: plain_parquet(path, scratch)))
    tell("NDJSON, zstd 3", *cpu(lambda: packed_log(path, zstandard.ZstdCompressor(3).compress)))
    tell("NDJSON, gzip 6", *cpu(lambda: packed_log(path, lambda text: gzip.compress(text, 6))))


if __name__ == "__main__":
    main()
