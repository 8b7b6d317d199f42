"""One-shot evaluation over more features and more rows, each size in a process of its own.

Time for each feature with 1,000 features beside 50 (100,000 rows), and peak memory with ten million rows beside a
million, which is to stay where it is: rows stream through. The data of ten million rows takes 4 GB of disk.

usage: python bench/scale.py [FOLDER] [ROUNDS]
"""

import shutil
import sys
from pathlib import Path

from contest import Run, ratio, run_job, write_data

JOB = "ours_evaluate"


def main(folder: Path, rounds: int) -> None:
    """Print both ratios, and delete the data of ten million rows."""
    narrow, wide, few, many = (folder / name for name in ("50-features", "1000-features", "1m-rows", "10m-rows"))
    write_data(narrow, 100_000, 100_000)
    write_data(wide, 100_000, 100_000, 800, 200)
    pairs = _pairs(narrow, wide, rounds)
    print("1,000 features, against 20 times the time of 50:")
    print(f"wall {ratio(pairs, lambda run: run.seconds, to=lambda run: 20 * run.seconds)}")
    print(f"CPU {ratio(pairs, lambda run: run.cpu, to=lambda run: 20 * run.cpu)}")
    write_data(few, 1_000_000, 100_000)
    write_data(many, 10_000_000, 100_000)
    pairs = _pairs(few, many, rounds)
    print(f"peak memory of 10 million rows, against a million: {ratio(pairs, lambda run: run.peak)}")
    shutil.rmtree(many)


def _pairs(first: Path, second: Path, rounds: int) -> list[tuple[Run, Run]]:
    return [(run_job(JOB, first), run_job(JOB, second)) for _ in range(rounds)]


if __name__ == "__main__":
    arguments = [*sys.argv[1:], *("/tmp/prediction_exporter_bench", "3")[len(sys.argv) - 1 :]]
    main(Path(arguments[0]).resolve(), int(arguments[1]))
