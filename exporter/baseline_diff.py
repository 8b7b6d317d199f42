"""Two baselines held against each other: what differs, and how far each feature moved from the first to the second.

Distances count the second reference in the bins of the first. Where their edges are equal this is exact; where they
are not, a bin's rows are taken to lie evenly in it, and those beyond the outer edges at the edge.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from rich.table import Table

from exporter.baseline import Baseline, CategoryFeature, NumericFeature
from exporter.measures.distribution import Distribution, feature_distribution
from exporter.profile.columns import Floats
from exporter.profile.layout import Layout, Profile
from exporter.stats import distances

Feature = NumericFeature | CategoryFeature

FACTS = ("model", "task", "settings", "classes", "label_offset")


def difference(before: Baseline, after: Baseline) -> dict[str, Any]:
    """What differs, as plain values: `equal`, facts, features with their distances, performance before and after.

    Two are equal when all but their provenance is: the same data read again makes an equal baseline.
    """
    one, other = (baseline.model_dump(exclude={"provenance"}) for baseline in (before, after))
    return {
        "equal": one == other,
        "differing": [name for name in one if one[name] != other[name]],
        "fingerprints": [before.fingerprint, after.fingerprint],
        "rows": [before.provenance.rows, after.provenance.rows],
        "facts": {name: [one[name], other[name]] for name in FACTS if one[name] != other[name]},
        "features": list(_features(before, after)),
        "performance": {
            name: [before.performance.get(name), after.performance.get(name)]
            for name in sorted(before.performance.keys() | after.performance.keys())
        },
    }


def _features(before: Baseline, after: Baseline) -> Iterator[dict[str, Any]]:
    profiles = [Profile.reference(Layout(baseline)) for baseline in (before, after)]
    ones, others = ({feature.name: feature for feature in baseline.features} for baseline in (before, after))
    for name in sorted(ones.keys() | others.keys()):
        one, other = ones.get(name), others.get(name)
        kinds = [None if of is None else of.kind for of in (one, other)]
        found: dict[str, Any] = {"name": name, "kinds": kinds, "same_bins": one == other}
        if one is not None and other is not None and one.kind == other.kind:
            past, now = feature_distribution(profiles[0], one), feature_distribution(profiles[1], other)
            found |= _distances(past, _recounted(one, other, past, now))
        yield found


def _distances(past: Distribution, now: Distribution) -> dict[str, float | None]:
    """PSI, JS and, of what has an order, KS; None where a side has no rows."""
    merged = past.merged, now.merged
    values = {
        "psi": distances.psi(*merged, past.rows, now.rows),
        "js": distances.js(*merged),
        "ks": None if past.at is None else distances.ks(past.fine, now.fine),
    }
    return {method: value if isinstance(value, float) else None for method, value in values.items()}


def _recounted(one: Feature, other: Feature, past: Distribution, now: Distribution) -> Distribution:
    """`now`, counted in the cells of `one`, which is of the same kind as `other`."""
    if isinstance(one, NumericFeature) and isinstance(other, NumericFeature):
        fine = _rebinned(now.fine, np.array(other.edges), np.array(one.edges))
    else:
        assert isinstance(one, CategoryFeature)
        assert isinstance(other, CategoryFeature)
        fine = _relisted(now.fine, other, one)
    return Distribution(fine, past.groups, past.at, now.rows)


def _rebinned(counts: Floats, edges: Floats, wanted: Floats) -> Floats:
    """Counts between other edges.

    >>> _rebinned(np.array([0.0, 4.0, 6.0, 0.0]), np.array([0.0, 2.0, 4.0]), np.array([0.0, 1.0, 4.0])).tolist()
    [0.0, 2.0, 8.0, 0.0]
    """
    if np.array_equal(edges, wanted):
        return counts
    below = np.cumsum(counts)
    at = np.interp(wanted, edges, below[:-1], left=0.0, right=below[-1])
    moved: Floats = np.maximum(np.diff(at, prepend=0.0, append=below[-1]), 0.0)  # interpolation may miss a hair
    return moved


def _relisted(counts: Floats, listing: CategoryFeature, wanted: CategoryFeature) -> Floats:
    """Counts by another list of categories; rare ones stay in the cell that they share."""
    place = {text: cell for cell, text in enumerate(wanted.values)}
    rare, unseen = len(wanted.values), len(wanted.values) + 1
    known = dict.fromkeys(wanted.rare, rare) | place
    cells = [*(known.get(text, unseen) for text in listing.values), rare, unseen]
    return np.bincount(cells, weights=counts, minlength=unseen + 1).astype(np.float64)


def tables(found: Mapping[str, Any], names: tuple[str, str]) -> Iterator[Table]:
    """A difference as tables; `names` are those of the two files."""
    differing = ", ".join(found["differing"]) or "nothing"
    facts = Table("", *names, caption=f"differs in: {differing}")
    facts.add_row("fingerprint", *found["fingerprints"])
    facts.add_row("rows", *(f"{rows:,}" for rows in found["rows"]))
    for name, pair in found["facts"].items():
        facts.add_row(name, *map(str, pair))
    yield facts
    features = Table("feature", "change", "bins", "PSI", "JS", "KS")
    for of in sorted(found["features"], key=lambda of: -(of.get("psi") or 0.0)):
        scores = (_number(of.get(method)) for method in ("psi", "js", "ks"))
        features.add_row(of["name"], change(of), "same" if of["same_bins"] else "other", *scores)
    yield features
    if found["performance"]:
        performance = Table("performance", *names)
        for name, pair in found["performance"].items():
            performance.add_row(name, *map(_number, pair))
        yield performance


def change(feature: Mapping[str, Any]) -> str:
    """What became of a feature: added, removed, another kind, or nothing of that."""
    before, after = feature["kinds"]
    if before == after:
        return ""
    if before is None:
        return f"added ({after})"
    return f"removed ({before})" if after is None else f"{before} -> {after}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
