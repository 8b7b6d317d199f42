"""Jobs in processes of their own, so that each has its own memory and environment; standard library only.

A process counts its parent's peak memory as its own until it starts another program, so what starts jobs stays small.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

BENCH = Path(__file__).parent


@dataclass(frozen=True)
class Run:
    """What one process told: seconds (`cpu`: of the processors, for both), scores made, peak memory in bytes."""

    version: str
    read: float
    work: float
    cpu: float
    scores: int
    peak: int

    @property
    def seconds(self) -> float:
        """Reading the current data and working on it."""
        return self.read + self.work


class JobError(Exception):
    """A job that ended without a result; the text is the last line that it wrote."""


def write_data(folder: Path, rows: int, reference_rows: int, numeric: int = 40, categorical: int = 10) -> None:
    """Data and baseline in `folder`, unless they are there."""
    sizes = map(str, (rows, reference_rows, numeric, categorical))
    subprocess.run([sys.executable, BENCH / "drift_data.py", folder, *sizes], check=True)


def run_job(job: str, folder: Path, python: Path | None = None) -> Run:
    """One run of `jobs/JOB.py` on the data in `folder`; ours and the floor run in this Python, peers in their own."""
    script = BENCH / "jobs" / f"{job}.py"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if python is None:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(BENCH), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [python or sys.executable, script, folder],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise JobError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"ended by {-done.returncode}")
    return Run(**json.loads(done.stdout.strip().splitlines()[-1]))


def median(runs: Sequence[Run], of: Callable[[Run], float]) -> float:
    """The median of one number of several runs."""
    return statistics.median(map(of, runs))


def ratio(
    pairs: Sequence[tuple[Run, Run]], of: Callable[[Run], float], to: Callable[[Run], float] | None = None
) -> str:
    """The median of the pairs' ratios, second to first, and their range."""
    ratios = sorted(of(second) / (to or of)(first) for first, second in pairs)
    middle = f"{statistics.median(ratios):.3g}"
    return middle if len(ratios) == 1 else f"{middle} ({ratios[0]:.3g} to {ratios[-1]:.3g})"
