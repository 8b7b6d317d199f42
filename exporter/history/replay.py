"""The log read once, each record filed under the first past instant at which it was known.

A prediction is known at its own time, an outcome at its own too, but never before its prediction. So what an instant
adds is what came since the instant before, and the sums at each instant equal those of the log cut off there.
"""

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from exporter.errors import ConfigError, DataError
from exporter.evaluate import Job
from exporter.history.sums import Sums
from exporter.ingest.engine import Admitted, Delta, ErrorKey
from exporter.ingest.files import find_files
from exporter.ingest.records import Sorted
from exporter.ingest.sources import Piece
from exporter.measures import Scope
from exporter.monitor import Monitor
from exporter.profile.batch import Outcomes
from exporter.profile.columns import Codes, Floats, index_array
from exporter.profile.layout import Profile
from exporter.profile.packed import Packed
from exporter.windows import Starts, Stretch

_STEPS = 2**20  # instants and places that one number of 40 bits, as the engine takes, can tell apart


@dataclass(frozen=True)
class Grid:
    """The instants of a backfill, in order, and every instant at which a window of theirs is cut off."""

    instants: tuple[float, ...]
    bounds: tuple[int, ...]

    @classmethod
    def of(cls, monitor: Monitor, start: float, end: float, step: float) -> "Grid":
        """Instants from `start` to `end`, both included where the step fits; ConfigError where there are none."""
        count = math.floor((end - start) / step) + 1
        if not 1 <= count < _STEPS:
            problem = f"{max(count, 0)} instants; give a stretch and a step that make 1 to {_STEPS - 1}"
            raise ConfigError("--start, --end and --step", [problem])
        instants = tuple(start + step * number for number in range(count))
        bounds = set().union(*(monitor.bounds(at) for at in instants))
        return cls(instants, tuple(sorted(bounds)))

    @cached_property
    def _edges(self) -> tuple[Floats, Floats]:
        return np.array(self.instants), np.array(self.bounds, dtype=np.float64)

    def codes(self, ts: Floats, known: Floats) -> Starts:
        """Place and step of each record as one number; `parted` is the inverse."""
        places = np.searchsorted(self._edges[1], ts, side="right")
        return places * _STEPS + self.steps(known)

    def steps(self, known: Floats) -> Codes:
        """The number of the first instant at which each record was known; as many as there are for later ones."""
        return np.searchsorted(self._edges[0], known, side="left")

    def place(self, bound: int) -> int:
        """The first place whose records are not older than `bound`, which must be one of the bounds."""
        return bisect_right(self.bounds, bound)

    def start(self, place: int) -> int:
        """Where a place starts: at a bound, or at 0 before all of them."""
        return self.bounds[place - 1] if place else 0


def parted(code: int) -> tuple[int, int]:
    """The place and the step of a code of `Grid.codes`."""
    return divmod(code, _STEPS)


@dataclass
class Dated(Delta):
    """A delta whose keys hold codes of a grid, and that dates what else the metrics tell."""

    failures: dict[int, Counter[ErrorKey]] = field(default_factory=lambda: defaultdict(Counter))
    """Failed requests by the step at which they were known."""
    last: dict[int, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    """The time of each model's newest record among those of a step."""

    def absorb(self, other: Delta) -> None:
        """Take in what `other` holds."""
        super().absorb(other)
        if isinstance(other, Dated):
            for step, errors in other.failures.items():
                self.failures[step].update(errors)
            for step, newest in other.last.items():
                for model, ts in newest.items():
                    self.saw_at(step, model, ts)

    def saw_at(self, step: int, model: str, ts: float) -> None:
        """Note a record's time at the step that it was known."""
        self.last[step][model] = max(ts, self.last[step].get(model, ts))


@dataclass(frozen=True)
class _DatedJob(Job):
    """Reads files whole, and dates what it counts."""

    grid: Grid = field(default_factory=lambda: Grid((), ()))

    def sort(self, piece: Piece) -> Sorted:
        records = super().sort(piece)
        for several in records.outcomes.values():
            several[:] = [part for outcomes in several for part in _one_by_one(outcomes)]
        return records

    def nothing(self) -> Dated:
        return Dated()

    def counted(self, records: Sorted, admitted: Admitted) -> Dated:
        counted = super().counted(records, admitted)
        dated = Dated(**vars(counted))
        for model, batch, _ in admitted.predictions:
            self._see(dated, model, batch.ts)
            failed = np.flatnonzero(batch.failed)
            steps = self.grid.steps(batch.ts[failed])
            for step in np.unique(steps).tolist():
                dated.failures[step].update(self.engine.errors_of(model, batch.take(failed[steps == step])))
        for model, several in records.outcomes.items():
            for outcomes in several:
                self._see(dated, model, outcomes.ts)
        for model, report in admitted.reports:
            self._see(dated, model, np.array([report.ts]))
            [step] = self.grid.steps(np.array([report.ts])).tolist()
            dated.failures[step].update(self.engine.reported_errors(model, report))
        return dated

    def _see(self, dated: Dated, model: str, ts: Floats) -> None:
        order = np.argsort(ts)
        steps, ends = self.grid.steps(ts[order]), [*np.flatnonzero(np.diff(self.grid.steps(ts[order]))), len(ts) - 1]
        for place in ends:
            dated.saw_at(int(steps[place]), model, float(ts[order[place]]))


def _one_by_one(outcomes: Outcomes) -> Iterator[Outcomes]:
    """Outcomes in parts that hold each id once, in the order of time: a label counted until it was corrected."""
    ids = np.unique(outcomes.ids.to_pylist(), return_inverse=True)[1]
    order = np.lexsort((outcomes.ts, ids))
    firsts = np.flatnonzero(np.diff(ids[order], prepend=-1))
    turn = np.empty(len(ids), dtype=np.intp)
    turn[order] = np.arange(len(ids)) - np.repeat(firsts, np.diff([*firsts, len(ids)]))
    if not turn.any():
        yield outcomes
        return
    for number in range(int(turn.max()) + 1):
        rows = np.flatnonzero(turn == number)
        yield Outcomes(outcomes.ts[rows], outcomes.label.take(rows), outcomes.ids.take(index_array(rows)))


def read_dated(monitor: Monitor, paths: Sequence[str], grid: Grid, latest: float) -> Dated:
    """Read `paths` whole and date what they hold up to the last instant; DataError when that is nothing."""
    files = find_files(paths)
    if not files:
        raise DataError(f"no file at {', '.join(paths)}; give files, globs, directories or URLs that exist")
    result = Dated()
    with _DatedJob.open(monitor, grid.codes, latest, grid.instants[-1], grid=grid) as job:
        for delta, _ in job.files(files):
            result.absorb(delta)
    if not result.newest:
        raise DataError(f"no usable record in {', '.join(paths)} up to --end; give another stretch")
    return result


@dataclass
class _Past:
    """One version's counts up to an instant."""

    sums: Sums
    total: Floats
    oldest: int


class Replay:
    """The state at one instant after the other, for scopes to be made of."""

    def __init__(self, monitor: Monitor, grid: Grid, dated: Dated) -> None:
        self._monitor, self._grid, self._dated = monitor, grid, dated
        self._versions: dict[str, dict[str, _Past]] = defaultdict(dict)
        self._errors: Counter[ErrorKey] = Counter()
        self._now = -np.inf
        self.newest: dict[str, float] = {}
        self._added = self._by_step()

    def _by_step(self) -> Mapping[int, list[tuple[str, str, int, list[Packed]]]]:
        added: dict[int, list[tuple[str, str, int, list[Packed]]]] = defaultdict(list)
        for (model, version, code), packed in self._dated.profiles.items():
            place, step = parted(code)
            added[step].append((model, version, place, packed))
        return added

    def advance(self, step: int) -> None:
        """Take in what became known since the step before."""
        self._now = self._grid.instants[step]
        for model, version, place, several in self._added.get(step, ()):
            past = self._versions[model].get(version)
            if past is None:
                size = self._monitor.layouts[model].size
                past = self._versions[model][version] = _Past(Sums(size), np.zeros(size), place)
            past.oldest = min(place, past.oldest)
            for packed in several:
                past.sums.add(place, packed)
                past.total[packed.places] += packed.values
        self._errors.update(self._dated.failures.get(step, {}))
        for model, ts in self._dated.last.get(step, {}).items():
            self.newest[model] = max(ts, self.newest.get(model, ts))
        kept = self._grid.place(min(self._monitor.bounds(self._grid.instants[step])))
        for versions in self._versions.values():
            for past in versions.values():
                past.sums.forget(kept)

    def scopes(self, at: float) -> Iterator[Scope]:
        """One scope for each model and version seen, windows ending at `at`, the instant that was advanced to."""
        return self._monitor.scopes(at, self)

    def stretch(self, model: str, version: str, of: Stretch) -> Profile:
        """The sum of what lies in `of`; of what ends now it is all from its start on, for nothing later is known."""
        sums, place = self._versions[model][version].sums, self._grid.place
        ends_now = of.last > self._now
        vector = sums.since(place(of.first)) if ends_now else sums.between(place(of.first), place(of.last))
        return Profile(self._monitor.layouts[model], vector)

    def total(self, model: str, version: str) -> Profile:
        """Everything counted of the version until now."""
        return Profile(self._monitor.layouts[model], self._versions[model][version].total.copy())

    def errors(self, model: str, version: str, source: str) -> dict[str, float]:
        """Failed requests by error, from `records` or `reports`."""
        return {e: n for (m, v, e, s), n in self._errors.items() if (m, v, s) == (model, version, source)}

    def past(self, model: str, stretch: Stretch) -> Profile:
        """The sum over all versions of what lies in `stretch`."""
        first, last = map(self._grid.place, stretch)
        vectors = (past.sums.between(first, last) for past in self._versions[model].values())
        return Profile.total(self._monitor.layouts[model], vectors)

    def oldest(self, model: str) -> dict[str, int]:
        """Where each version's oldest records stand."""
        return {version: self._grid.start(past.oldest) for version, past in self._versions[model].items()}
