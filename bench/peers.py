"""Univariate drift of the same Parquet by ours, by its peers and by nobody (the floor), each in its own process.

Every run of a contestant follows a run of ours, and ratios are taken within such pairs. Peers are installed into
environments of their own; one that does not install or does not run is skipped, and that is said. README.md beside this
file says what is timed.

usage: python bench/peers.py [--folder FOLDER] [--rounds N] [--only NAME ...] [--python PYTHON]
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from contest import JobError, Run, median, ratio, run_job, write_data

ROWS, REFERENCE_ROWS = 1_000_000, 100_000
OURS = "ours_evaluate"
HEAD = (
    "| | version | scores | read, s | work, s | CPU, s | peak, MiB "
    "| work / ours | read + work / ours | CPU / ours | peak / ours | runs |\n"
    f"|{'---|' * 12}"
)


@dataclass(frozen=True)
class Contestant:
    """A job under `jobs`; what it needs installed (nothing: our own environment); `slow` ones run in fewer rounds."""

    name: str
    job: str
    needs: tuple[str, ...] = ()
    slow: bool = False


# Versions are lower bounds, those of the figures in README.md. Evidently breaks with pandas 3, whylogs with numpy 2.
CONTESTANTS = (
    Contestant("floor: `pyarrow.parquet.read_table`", "pyarrow_read"),
    Contestant(
        "Evidently DataDriftPreset", "evidently_preset", ("evidently>=0.7.23", "pandas<3", "pyarrow"), slow=True
    ),
    Contestant(
        "whylogs profile", "whylogs_profile", ("whylogs>=1.6.4", "numpy<2", "pandas<3", "pyarrow<20"), slow=True
    ),
    Contestant("popmon stability metrics", "popmon_metrics", ("popmon>=1.4.12", "pandas<3", "pyarrow")),
    Contestant("NannyML univariate", "nannyml_univariate", ("nannyml>=0.13.1", "statsmodels", "pandas<3", "pyarrow")),
    Contestant("alibi-detect TabularDrift", "alibi_tabular", ("alibi-detect>=0.13.0", "pandas<3", "pyarrow<20")),
    Contestant("frouros PSI, 40 numeric columns", "frouros_psi", ("frouros>=0.9.0", "pyarrow")),
)
SLOW_ROUNDS = 2


def main(folder: Path, rounds: int, only: Sequence[str], python: str) -> None:
    """Print the table."""
    data = folder / "drift"
    write_data(data, ROWS, REFERENCE_ROWS)
    chosen = [one for one in CONTESTANTS if not only or any(word in one.job for word in only)]
    racing = [Racer(one, at) for one in chosen if (at := _environment(one, folder / "environments", python))]
    for turn in range(rounds):
        for racer in racing:
            if turn < SLOW_ROUNDS or not racer.contestant.slow:
                racer.race(data)
    _print([racer for racer in racing if racer.pairs])


@dataclass
class Racer:
    """A contestant whose environment stands, with its runs, each behind one of ours."""

    contestant: Contestant
    python: Path
    pairs: list[tuple[Run, Run]] = field(default_factory=list)
    is_out: bool = False

    def race(self, data: Path) -> None:
        """One run of ours and one of the contestant, who is out once its job has failed."""
        if self.is_out:
            return
        ours = run_job(OURS, data)
        try:
            theirs = run_job(self.contestant.job, data, self.python)
        except JobError as error:
            self.is_out = True
            print(f"skipped: {self.contestant.name} fails: {error}", flush=True)
        else:
            self.pairs.append((ours, theirs))
            times = (f"{run.seconds:.2f} s (CPU {run.cpu:.2f})" for run in (ours, theirs))
            print(f"{self.contestant.name}: ours and theirs {', '.join(times)}", file=sys.stderr, flush=True)


def _environment(one: Contestant, folder: Path, python: str) -> Path | None:
    """The Python of the contestant's environment, made when it is not there; None, and why, when it does not install.

    It is complete when the list of what it needs stands in it.
    """
    if not one.needs:
        return Path(sys.executable)
    home, wanted = folder / one.job, "\n".join(one.needs)
    log, complete = folder / f"{one.job}.log", home / "complete"
    if not complete.exists() or complete.read_text() != wanted:
        folder.mkdir(parents=True, exist_ok=True)
        with log.open("w") as out:
            for command in [python, "-m", "venv", "--clear", str(home)], [f"{home}/bin/pip", "install", *one.needs]:
                if subprocess.run(command, stdout=out, stderr=out, check=False).returncode:
                    print(f"skipped: {one.name} does not install; {log} says why", flush=True)
                    return None
        complete.write_text(wanted)
    return home / "bin/python"


def _print(racing: Sequence[Racer]) -> None:
    every = [ours for racer in racing for ours, _ in racer.pairs]
    if not every:
        return
    print(HEAD)
    print(_row("ours, from the Parquet", every, [1] * 4))
    for racer in racing:
        work = ratio(racer.pairs, lambda run: run.work, to=lambda run: run.seconds) if racer.contestant.needs else ""
        others = (lambda run: run.seconds, lambda run: run.cpu, lambda run: run.peak)
        ratios = [work, *(ratio(racer.pairs, of) for of in others)]
        print(_row(racer.contestant.name, [theirs for _, theirs in racer.pairs], ratios))


def _row(name: str, runs: Sequence[Run], ratios: Sequence[object]) -> str:
    seconds = [f"{median(runs, of):.2f}" for of in (lambda run: run.read, lambda run: run.work, lambda run: run.cpu)]
    mebibytes = f"{median(runs, lambda run: run.peak) / 2**20:.0f}"
    cells = (name, runs[0].version, runs[0].scores, *seconds, mebibytes, *ratios, len(runs))
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default="/tmp/prediction_exporter_bench", help="data, environments")
    parser.add_argument("--rounds", type=int, default=5, help=f"slow peers take at most {SLOW_ROUNDS}")
    parser.add_argument("--only", nargs="*", default=(), help="words in the names of the jobs to run")
    parser.add_argument("--python", default=sys.executable, help="the Python that peers' environments are made with")
    given = parser.parse_args()
    main(given.folder.resolve(), given.rounds, given.only, given.python)
