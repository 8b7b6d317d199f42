"""Two things measured in turn in one run, so that a noisy machine slows both: medians, and the median ratio."""

import statistics
import time
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def pairs(name: str, ours: Callable[[], object], floor: Callable[[], object], rounds: int) -> float:
    """Print the medians of `ours` and `floor` after one warm-up each, and return the median ratio."""
    ours(), floor()
    taken = [(seconds(ours), seconds(floor)) for _ in range(rounds)]
    mine, theirs = (statistics.median(column) for column in zip(*taken, strict=True))
    ratio = statistics.median(a / b for a, b in taken)
    spread = f"{min(a / b for a, b in taken):.2f} to {max(a / b for a, b in taken):.2f}"
    print(f"{name:<42} {mine:8.3f} s {theirs:8.3f} s   ratio {ratio:.2f} ({spread})", flush=True)
    return ratio
