"""One contestant's job in a process of its own: what is timed, and how it is told.

Standard library only, and no newer than what the peers' Pythons know: each job runs in an environment of its own.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def run(
    version: str, load: Callable[[Path], Any], read: Callable[[Path], Any], work: Callable[[Any, Any], int]
) -> None:
    """Time `read` and `work` on the folder that the command line names, and print them as one line of JSON.

    `load(path)` makes of the reference whatever can be made before current data comes; `read(path)` brings the current
    data into the form that `work(reference, current)` takes, which returns how many scores it made. Imports and `load`
    are not timed. `cpu` is what both took of the processors, all threads together. A first round over few rows loads
    what is loaded late and compiles what is compiled late.
    """
    folder = Path(sys.argv[1])
    reference = load(folder / "reference.parquet")
    work(reference, read(folder / "few.parquet"))
    started, spent = time.perf_counter(), time.process_time()
    current = read(folder / "current.parquet")
    ready = time.perf_counter()
    scores = work(reference, current)
    done, cpu = time.perf_counter(), time.process_time() - spent
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # Linux counts in KiB
    seconds = {"read": ready - started, "work": done - ready, "cpu": cpu}
    told = {"version": version, **seconds, "scores": scores, "peak": peak}
    print("\n" + json.dumps(told))


def numbers(columns: Iterable[Any]) -> list[str]:
    """The columns of features that are numbers."""
    return [name for name in columns if name.startswith("features.n")]


def categories(columns: Iterable[Any]) -> list[str]:
    """The columns of features that are categories."""
    return [name for name in columns if name.startswith("features.c")]
