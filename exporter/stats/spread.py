"""How a feature's windows stray from the reference when nothing drifts: what a baseline learns from time stamps.

In go a feature's reference counts by time bucket; out comes a `Spread`, a few numbers worth keeping in a baseline, from
which `tolerance` makes drift thresholds. Its points are windows in the coordinates whose squares sum to PSI.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma, polygamma

from exporter.stats.distances import Floats, checked_counts, psi_kernel, shares
from exporter.stats.result import NotEnoughData

FEWEST = 7  # windows beyond one for each place of the cycle: for days and weeks, a reference of two weeks
OVERLAPS = 4  # windows started this often in a window's length hold nearly all that overlapping ones can tell
MANY = 1e6  # degrees of freedom that are as good as infinitely many
OUTAGE = 0.05  # part of a window's rows; less moves the rest of it by less than sampling does


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """How a feature's windows stray from the reference without drift, in the coordinates whose squares sum to PSI.

    One row for each place of the cycle. `strays`: sums of the first, second and third powers of the covariance's
    eigenvalues, for windows of `rows` rows. `usual`: the squared distance of the place's mean, and the same through the
    covariance and its square. `seen`: windows at the place. `degrees` is one less than the occupied cells, `windows`
    the number of independent windows behind the covariance and `freedom` behind its scale, `season` the part of
    `usual` that is not mere chance. `aligned` is the mean square of windows that begin with the first one's phase over
    that of overlapping ones, which were worth `overlapping` windows: more than 1 where days have levels of their own.
    """

    degrees: int
    rows: float
    windows: float
    freedom: float
    strays: Floats
    usual: Floats
    seen: Floats
    season: float
    aligned: float
    overlapping: float

    @property
    def design_effect(self) -> float:
        """Mean stray over that of independent rows: 1 for these, more when rows of a window move together."""
        return float(self.seen @ self.strays[:, 0] / self.seen.sum() * self.rows / self.degrees)

    @property
    def shape(self) -> Floats:
        """Mean square and cube of the eigenvalues over powers of their mean: 1 when all are alike; (2,)."""
        ratios: Floats = np.mean(self.strays[:, 1:] / self.strays[:, :1] ** np.array([2, 3]), axis=0)
        ratios *= self.degrees ** np.array([1.0, 2.0])
        return ratios

    @property
    def independent(self) -> float:
        """How many equal eigenvalues would make the mean stray vary as it does: from 1 to `degrees`."""
        return self.degrees / max(1.0, float(self.shape[0]))

    @property
    def explained(self) -> float:
        """What the cycle explains of the mean squares, over what it explains by chance where there is no season."""
        if len(self.seen) == 1:
            return 1.0
        return float(self.seen @ (self.usual[:, 0] / self.strays[:, 0])) / (len(self.seen) - 1)


def possible_powers(strays: Floats, degrees: int) -> Floats:
    """The sums of powers, held within what `degrees` eigenvalues of 0 and above allow; unbiased ones can leave it."""
    one, two, three = strays.T
    two = np.clip(two, one**2 / degrees, one**2)
    return np.stack([one, two, np.clip(three, two**2 / one, two**1.5)], axis=-1)


def window_counts(buckets: ArrayLike, width: int, start: int = 0) -> Floats:
    """Counts of consecutive windows of `width` buckets from bucket `start` on; (buckets, cells) to (windows, cells).

    >>> window_counts([[1], [2], [3], [4], [5]], width=2, start=1).ravel().tolist()
    [5.0, 9.0]
    """
    counts = checked_counts(buckets)
    if counts.ndim != 2 or width < 1:
        raise ValueError(f"counts have the shape (buckets, cells) and a window at least one bucket, not {counts.shape}")
    whole = max(len(counts) - start, 0) // width
    summed: Floats = counts[start : start + whole * width].reshape(whole, width, counts.shape[1]).sum(axis=1)
    return summed


def coordinates(reference: ArrayLike, windows: ArrayLike) -> Floats:
    """Each window as a point whose squared distance from the origin is its PSI; (cells), (windows, cells) in.

    A cell's coordinate is the root of its part of the index, with the sign of the change.

    >>> coordinates([50, 50], [[80, 20], [50, 50]]).round(4).tolist()
    [[0.3755, -0.5243], [0.0, 0.0]]
    """
    r, c = checked_counts(reference), checked_counts(windows)
    p, q = np.broadcast_to(shares(r), c.shape), shares(c)
    n, m = (np.where(rows > 0, rows, 1.0) for rows in (r.sum(keepdims=True), c.sum(axis=-1, keepdims=True)))
    parts = psi_kernel(p[..., None], q[..., None], n, m)  # one cell at a time
    points: Floats = np.sign(q - p) * np.sqrt(np.maximum(parts, 0.0))
    return points


def spread(buckets: ArrayLike, width: int, cycle: int = 1) -> Spread | NotEnoughData:
    """How windows of `width` buckets stray from the reference that they make up; arguments as in `drift_thresholds`.

    The mean at each place of the cycle is taken out, and the covariance of what is left is estimated from windows
    that overlap, which tells as much as 1.45 times as many separate ones; its scale, until `moderated` knows better, is
    that of the windows aligned with the first, as days may have levels of their own. From it stem the unbiased sums of
    powers (of a Wishart matrix). What a cycle explains is cut by what chance would make it explain. Windows without
    rows or with an outage are left out. NotEnoughData when fewer than `cycle` + 7 are left, or they do not differ.

    Meketon, M. S. and Schmeiser, B. (1984). Overlapping batch means. Winter Simulation Conference.
    Srivastava, M. S. (2005). Some tests concerning the covariance matrix. J. Japan Statistical Society 35.
    """
    counts = checked_counts(buckets)
    if counts.ndim != 2 or width < 1 or cycle < 1:
        raise ValueError("counts have the shape (buckets, cells), width and cycle are at least 1")
    degrees, need = int(counts.any(axis=0).sum()) - 1, cycle + FEWEST
    have = _complete(counts, width, cycle, 0).sum() if len(counts) >= need * width else len(counts) // width
    if have < need:
        return NotEnoughData(float(have), float(need), "whole windows with rows, to see how they stray")
    covariance, aligned, overlapping = _covariance(counts, width, cycle)
    if degrees < 1 or not covariance.trace() * aligned > 0:
        return NotEnoughData(1.0, 2.0, "the reference's windows do not differ, so they tell nothing about movement")
    here = _placed(counts, width, cycle, 0)
    windows = float(here.seen.sum() - len(here.seen))
    local = here.slopes[:, :, None] * covariance * here.slopes[:, None, :]
    found = Spread(
        degrees=degrees,
        rows=have / float((1 / here.rows).sum()),
        windows=windows,
        freedom=windows,
        strays=_power_sums(local, overlapping) * aligned ** np.arange(1, 4),
        usual=_distances(here.means, local) * aligned ** np.arange(3),
        seen=here.seen,
        season=0.0,
        aligned=aligned,
        overlapping=overlapping,
    )
    return replace(found, season=_beyond_chance(found.explained))


def moderated(spreads: Sequence[Spread | NotEnoughData]) -> list[Spread | NotEnoughData]:
    """The spreads of a model's features, drawn towards each other as far as their own differences allow.

    That is done to how aligned windows differ from overlapping ones, to the design effects, the shapes and what the
    cycle explains. Features that differ no more than so few windows make them differ are better known together; where
    what they share is worth less than a feature's own windows, nothing changes. The law of a number over the features
    is taken as inverse chi-square, its parameters from mean and variance of the logarithms.

    Smyth, G. K. (2004). Linear models and empirical Bayes methods. Stat. Appl. Genet. Mol. Biol. 3(1).
    """
    known = [item for item in spreads if isinstance(item, Spread)]
    if len(known) < 3:  # of two, a variance tells nothing
        return list(spreads)
    known = _aligned(known)
    effects, gains = _drawn([item.design_effect for item in known], [item.windows * item.independent for item in known])
    between = [max(len(item.seen) - 1, 1) * item.independent for item in known]
    cycles, _ = _drawn([item.explained for item in known], between)
    shapes = _shared([item.shape for item in known], [item.overlapping for item in known])
    moved = map(_moderate, known, effects, gains, shapes, cycles)
    return [next(moved) if isinstance(item, Spread) else item for item in spreads]


class _Placed(NamedTuple):
    """By place of the cycle: mean points, windows seen, slopes there; by window: its stray from that mean, its rows."""

    means: Floats
    seen: Floats
    slopes: Floats
    strays: Floats
    rows: Floats


def _placed(counts: Floats, width: int, cycle: int, start: int) -> _Placed:
    complete, reference = _complete(counts, width, cycle, start), counts.sum(axis=0)
    windows = window_counts(counts, width, start)[complete]
    places = np.unique(np.flatnonzero(complete) % cycle, return_inverse=True)[1]
    points = coordinates(reference, windows)
    at = (places == np.arange(places.max() + 1)[:, None]).astype(np.float64)
    means = at @ points / at.sum(axis=1, keepdims=True)
    slopes = _slopes(shares(reference), shares(at @ windows))
    return _Placed(means, at.sum(axis=1), slopes, (points - means[places]) / slopes[places], windows.sum(axis=1))


def _complete(counts: Floats, width: int, cycle: int, start: int) -> NDArray[np.bool_]:
    """Which windows lack no stretch of rows that their place in the cycle usually has, as an outage would make them."""
    whole = (len(counts) - start) // width
    rows = counts[start : start + whole * width].sum(axis=1).reshape(whole, width)
    usual = np.array([np.median(rows[place::cycle], axis=0) for place in range(cycle)])[np.arange(whole) % cycle]
    lost, held = np.where(rows == 0, usual, 0.0).sum(axis=1), rows.sum(axis=1)
    kept: NDArray[np.bool_] = (held > 0) & (lost <= OUTAGE * held)
    return kept


def _slopes(p: Floats, q: Floats) -> Floats:
    """How fast a cell's coordinate runs at share q, over its speed near the reference's p.

    Both in twice the root of the share, whose variance from sampling is the same everywhere.
    """
    both = (p > 0) & (q > 0)
    log = np.clip(np.log(np.where(both, q, 1.0)) - np.log(np.where(both, p, 1.0)), -3.0, 3.0)  # beyond, cells are empty
    log = np.where(both & (np.abs(log) > 1e-4), log, 1e-4)
    slopes: Floats = np.exp(log / 2) * (log - np.expm1(-log)) / (2 * np.sqrt(np.expm1(log) * log)) * np.sign(log)
    return slopes


def _covariance(counts: Floats, width: int, cycle: int) -> tuple[Floats, float, float]:
    """Covariance of overlapping windows' strays; the mean square of aligned ones over theirs; windows it is worth."""
    starts = np.unique(np.arange(OVERLAPS) * width // OVERLAPS)
    placed = [_placed(counts, width, cycle, int(start)) for start in starts]
    squares = np.array([part.strays.T @ part.strays for part in placed])
    free = np.array([len(part.strays) - len(part.seen) for part in placed], dtype=np.float64)
    covariance: Floats = squares.sum(axis=0) / free.sum()
    trace = float(covariance.trace())
    gain = 1 / (2 / 3 + 1 / (3 * starts.size**2))  # of k starts in a window's length over a single one
    return covariance, float(squares[0].trace()) / free[0] / trace if trace > 0 else 1.0, gain * free.mean()


def _power_sums(covariances: Floats, m: float) -> Floats:
    """Unbiased sums of the first three powers of the eigenvalues; (..., cells, cells) to (..., 3)."""
    squares = covariances @ covariances
    a, b, c = (np.trace(x, axis1=-2, axis2=-1) for x in (covariances, squares, squares @ covariances))
    two = m**2 / ((m - 1) * (m + 2)) * (b - a * a / m)
    three = m**4 / ((m - 1) * (m - 2) * (m + 2) * (m + 4)) * (c - 3 / m * a * b + 2 / m**2 * a**3)
    return np.stack([a, two, three], axis=-1)


def _distances(means: Floats, covariances: Floats) -> Floats:
    """Squared distance of each mean from the origin; the same through its covariance, and through its square."""
    through = (means[:, None, :] @ covariances)[:, 0]
    further = (through[:, None, :] @ covariances)[:, 0]
    return np.stack([(means * means).sum(1), (means * through).sum(1), (means * further).sum(1)], axis=-1)


def _drawn(values: Sequence[float], freedom: Sequence[float]) -> tuple[Floats, Floats]:
    """Scaled chi-squares drawn towards their common law, and the factors by which their degrees of freedom grow."""
    value, own = np.maximum(values, 1e-300), np.asarray(freedom)
    logs = np.log(value) - digamma(own / 2) + np.log(own / 2)
    excess = float(logs.var(ddof=1) - polygamma(1, own / 2).mean())
    prior = (1 + math.sqrt(1 + 2 * excess)) / excess if excess > 1 / MANY else MANY  # trigamma(x) ~ 1/x + 1/(2 x^2)
    if prior < own.mean():
        return value, np.ones_like(own)
    centre = math.exp(logs.mean() + digamma(prior / 2) - math.log(prior / 2))
    return (prior * centre + own * value) / (prior + own), 1 + prior / own


def _shared(shapes: Sequence[Floats], freedom: Sequence[float]) -> Floats:
    """Shapes drawn towards their mean, by how they vary beyond what `freedom` windows make equal ones vary."""
    own, noise = np.array(shapes), (2 / np.array(freedom)) ** 2
    excess = max(own[:, 0].var(ddof=1) - noise.mean(), 0.0)
    weight = (excess / (excess + noise))[:, None]
    drawn: Floats = weight * own + (1 - weight) * own.mean(axis=0)
    return drawn


def _beyond_chance(explained: float) -> float:
    """The part of an explained mean square that is left when the one of chance, 1, is taken off."""
    return max(1 - 1 / explained, 0.0) if explained > 0 else 0.0


def _aligned(known: Sequence[Spread]) -> list[Spread]:
    """The spreads with overlapping windows taken for aligned ones, as far as the features say that they are alike."""
    ends = [(item.windows, max(item.overlapping, item.windows + 1e-9)) for item in known]
    own = [near * far / (far - near) * item.independent for item, (near, far) in zip(known, ends, strict=True)]
    drawn, gains = _drawn([item.aligned for item in known], own)
    result = []
    for item, (near, far), to, gain in zip(known, ends, drawn, gains, strict=True):
        windows = 1 / (1 / far + (1 / near - 1 / far) / gain)
        result.append(_scaled(replace(item, windows=windows, freedom=windows, aligned=to), to / item.aligned))
    return result


def _scaled(known: Spread, factor: float) -> Spread:
    """The spread with its covariance times `factor`."""
    strays, usual = known.strays * factor ** np.arange(1, 4), known.usual * factor ** np.arange(3)
    return replace(known, strays=strays, usual=usual)


def _moderate(known: Spread, effect: float, gain: float, shape: Floats, cycle: float) -> Spread:
    scaled = _scaled(known, effect / known.design_effect)
    strays = scaled.strays * np.concatenate([[1.0], shape / known.shape])
    return replace(scaled, freedom=known.freedom * gain, strays=strays, season=_beyond_chance(cycle))
