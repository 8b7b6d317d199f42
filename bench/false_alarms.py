"""False alarms of daily drift tests on stationary streams, and whether a shift is found: fixed rules, usual ones, ours.

Each kind of stream: 50 features, 2,400 rows a day, 30 reference days, then 20 months in which nothing drifts, every day
compared with the reference; the budget is one false alarm a month over all features. Rows are drawn as counts in 100
cells of equal probability for each hour (KS sees these, PSI ten merged ones), which is exact for what the rules read.

- independent rows: every row is a draw of its own.
- shared within the hour: between 0 and 30 % of a feature's variance is an hourly level (AR(1), 0.8), the same for all
  rows of the hour.
- shared within the day: the same with a level for each day, as of a daily batch, each independent of the last.
- seasons: independent rows about a daily wave (amplitude 0 to 0.5 standard deviations, by feature) and a level for each
  weekday (standard deviation half of that); `seasons, quiet weekends`: and a third of the rows on two days of the week.

Power is the share of first windows in which a shift of 0.3 standard deviations in a feature of independent rows is
found. Prints a Markdown table of means over the runs, then the calibrated rule's range over runs, and what the held-out
check says.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import kolmogorov, ndtr, ndtri

from exporter.stats.distances import each, merge_cells
from exporter.stats.result import NotEnoughData
from exporter.stats.spread import Spread, moderated, spread, window_counts
from exporter.stats.tolerance import alarm_probability, held_out, threshold

Floats = NDArray[np.float64]
Rule = Callable[["Feature"], NDArray[np.bool_]]

FEATURES, HOURLY_ROWS, REFERENCE_DAYS, MONTHS = 50, 100, 30, 20
DAYS_PER_MONTH = 365.25 / 12
DAYS = REFERENCE_DAYS + 609  # 20 months
START = REFERENCE_DAYS * 24
CELLS, COARSE = 100, np.arange(0, 100, 10)
EDGES = ndtri(np.arange(1, CELLS) / CELLS)
SHIFT, SHIFTED_WINDOWS = 0.3, 20
BUDGET = alarm_probability(1, DAYS_PER_MONTH, FEATURES)


@dataclass(frozen=True)
class Feature:
    """One feature's stream: its reference and the days after it, in fine and coarse cells, and what the fit knows."""

    fine: Floats
    windows: Floats
    reference_days: Floats
    known: Spread

    def scores(self, windows: Floats) -> Floats:
        reference = self.reference_days.sum(axis=0)
        return each("psi", np.broadcast_to(reference, windows.shape), windows)


def counts(rng: np.random.Generator, means: Floats, deviation: float, rows: NDArray[np.int64]) -> Floats:
    below = ndtr((EDGES - means[:, None]) / deviation)
    drawn = rng.multinomial(rows, np.diff(below, axis=1, prepend=0, append=1))
    return drawn.astype(np.float64)


def hourly_levels(rng: np.random.Generator, hours: int) -> Floats:
    """A stationary AR(1) series of unit variance with coefficient 0.8."""
    levels = rng.normal(size=hours)
    for hour in range(1, hours):
        levels[hour] = 0.8 * levels[hour - 1] + 0.6 * levels[hour]
    return levels


def stream(kind: str, rng: np.random.Generator, place: float) -> Floats:
    """Hourly counts of the feature at `place`, 0 for the first and 1 for the last."""
    hours, rows = np.arange(DAYS * 24), np.full(DAYS * 24, HOURLY_ROWS)
    if "shared" in kind:
        shared = 0.3 * place
        levels = hourly_levels(rng, len(hours)) if "hour" in kind else np.repeat(rng.normal(size=DAYS), 24)
        return counts(rng, np.sqrt(shared) * levels, float(np.sqrt(1 - shared)), rows)
    if kind == "independent rows":
        return counts(rng, np.zeros(len(hours)), 1.0, rows)
    size, weekday = 0.5 * place, hours // 24 % 7
    wave = np.sin(2 * np.pi * (hours / 24 + rng.random())) + 0.5 * rng.normal(size=7)[weekday]
    return counts(rng, size * wave, 1.0, np.where((weekday > 4) & ("quiet" in kind), rows // 3, rows))


KINDS = ("independent rows", "shared within the hour", "seasons", "seasons, quiet weekends", "shared within the day")


def features(kind: str, seed: int) -> Iterator[Feature]:
    """All features of one run, fitted together as a model's are."""
    rng = np.random.default_rng([KINDS.index(kind), seed])
    fine = [stream(kind, rng, index / (FEATURES - 1)) for index in range(FEATURES)]
    spreads = moderated([spread(merge_cells(hourly[:START], COARSE), 24, 7) for hourly in fine])
    for hourly, known in zip(fine, spreads, strict=True):
        if isinstance(known, NotEnoughData):
            raise SystemExit(f"no threshold: {known.why}")
        days = window_counts(hourly, 24)
        coarse = merge_cells(days, COARSE)
        yield Feature(days, coarse[REFERENCE_DAYS:], coarse[:REFERENCE_DAYS], known)


def ks_rejects(feature: Feature) -> NDArray[np.bool_]:
    reference, current = feature.fine[:REFERENCE_DAYS].sum(axis=0), feature.fine[REFERENCE_DAYS:]
    distance = each("ks", np.broadcast_to(reference, current.shape), current)
    pvalues = kolmogorov(distance / np.sqrt(1 / reference.sum() + 1 / current.sum(axis=1)))
    return np.asarray(pvalues < 0.05)


def three_deviations(feature: Feature) -> NDArray[np.bool_]:
    usual = feature.scores(feature.reference_days)
    return np.asarray(feature.scores(feature.windows) > usual.mean() + 3 * usual.std(ddof=1))


def calibrated(feature: Feature) -> NDArray[np.bool_]:
    sizes, size = np.unique(feature.windows.sum(axis=1), return_inverse=True)
    limits = np.array([threshold(feature.known, BUDGET, rows) for rows in sizes])[size]
    return np.asarray(feature.scores(feature.windows) > limits)


RULES: dict[str, Rule] = {
    "PSI > 0.1": lambda feature: np.asarray(feature.scores(feature.windows) > 0.1),
    "PSI > 0.2": lambda feature: np.asarray(feature.scores(feature.windows) > 0.2),
    "KS p < 0.05": ks_rejects,
    "mean + 3 standard deviations": three_deviations,
    "calibrated, one a month": calibrated,
}


def shifted(feature: Feature, rng: np.random.Generator) -> Feature:
    """The feature with days that are all shifted in place of its own; each serves as a first window."""
    days = counts(rng, np.full(SHIFTED_WINDOWS, SHIFT), 1.0, np.full(SHIFTED_WINDOWS, 24 * HOURLY_ROWS))
    fine = np.concatenate([feature.fine[:REFERENCE_DAYS], days])
    return Feature(fine, merge_cells(days, COARSE), feature.reference_days, feature.known)


def alarms_of(kind: str, runs: int) -> dict[str, Floats]:
    """False alarms a month of each rule, by run."""
    found = {name: np.zeros(runs) for name in RULES}
    for run in range(runs):
        for feature in features(kind, run):
            for name, rule in RULES.items():
                found[name][run] += rule(feature).sum() / MONTHS
    return found


def power_of(runs: int) -> dict[str, float]:
    """The share of first shifted windows that each rule finds."""
    rng = np.random.default_rng(2)
    found: dict[str, list[float]] = {name: [] for name in RULES}
    for run in range(runs):
        for feature in features("independent rows", run):
            moved = shifted(feature, rng)
            for name, rule in RULES.items():
                found[name].append(float(rule(moved).mean()))
    return {name: float(np.mean(shares)) for name, shares in found.items()}


def check_of(kind: str) -> str:
    """What `held_out` says of the first run's reference."""
    rng = np.random.default_rng([KINDS.index(kind), 0])
    streams = [stream(kind, rng, index / (FEATURES - 1)) for index in range(FEATURES)]
    seen = held_out([merge_cells(hourly[:START], COARSE) for hourly in streams], 24, 7)
    return f"{seen.above} of {seen.windows}, {seen.expected:.0f} expected"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1, help="runs of 20 months for each kind of stream")
    runs = parser.parse_args().runs
    began = time.perf_counter()
    alarms = {kind: alarms_of(kind, runs) for kind in KINDS}
    power = power_of(1)
    print(f"| rule | {' | '.join(KINDS)} | shift of {SHIFT} found at once |")
    print("|---" * (len(KINDS) + 2) + "|")
    for name in RULES:
        rates = [alarms[kind][name].mean() for kind in KINDS]
        means = [f"{rate:,.0f}" if rate >= 10 else f"{rate:.2f}" for rate in rates]
        print(f"| {name} | {' | '.join(means)} | {power[name]:.1%} |")
    for kind in KINDS:
        months = np.sort(alarms[kind]["calibrated, one a month"])
        inside = ((months >= 0.2) & (months <= 2)).mean()
        print(
            f"\n{kind}: {runs} run(s) from {months[0]:.2f} to {months[-1]:.2f}, {inside:.0%} between 0.2 and 2", end=""
        )
        print(f"; held-out windows above their 1-in-20 threshold: {check_of(kind)}")
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
