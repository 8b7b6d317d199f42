"""What a baseline holds, for a person and for programs: `summary` as plain values, `tables` of it for a terminal."""

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from exporter.baseline import Baseline, CategoryFeature, NumericFeature
from exporter.profile.columns import Floats
from exporter.profile.layout import Layout, Profile, feature_part
from exporter.stats.result import ratio

SHOWN = 8  # categories named in a table's line; JSON has all


def summary(baseline: Baseline, source: str) -> dict[str, Any]:
    """The baseline of the file `source` as plain values: times in Unix seconds, shares from 0 to 1, None if unknown."""
    profile = Profile.reference(Layout(baseline))
    return {
        "file": source,
        "fingerprint": baseline.fingerprint,
        "model": baseline.model,
        "task": baseline.task,
        "classes": list(baseline.classes),
        "settings": baseline.settings,
        "provenance": baseline.provenance.model_dump(),
        "features": [feature_summary(feature, profile) for feature in baseline.features],
        "performance": dict(baseline.performance),
        "usual": {str(length): {name: of.model_dump() for name, of in ranges.items()}
                  for length, ranges in baseline.usual.items()},
        "thresholds": _thresholds(baseline),
    }  # fmt: skip


def feature_summary(feature: NumericFeature | CategoryFeature, profile: Profile) -> dict[str, Any]:
    """One feature: its kind and cells, and which share of the reference's rows is missing, invalid or out of them.

    `range` is None for a number of which the reference holds no value.
    """
    counts = profile.part(feature_part(feature.name))
    placed, missing, rows = counts[: feature.placed], counts[feature.placed], counts.sum()
    invalid = rows - placed.sum() - missing
    facts = {"name": feature.name, "kind": feature.kind, "missing_ratio": _share(missing, rows),
             "invalid_ratio": _share(invalid, rows)}  # fmt: skip
    return facts | (_number(feature, placed) if isinstance(feature, NumericFeature) else _category(feature, placed))


def _number(feature: NumericFeature, placed: Floats) -> dict[str, Any]:
    highest = math.nextafter(feature.edges[-1], -math.inf)  # edges lie above the values that they close
    return {
        "bins": len(feature.edges) - 1,
        "groups": len(feature.groups),
        "range": [feature.edges[0], highest] if placed.any() else None,
        "out_of_range_ratio": _share(placed[0] + placed[-1], placed.sum()),
    }


def _category(feature: CategoryFeature, placed: Floats) -> dict[str, Any]:
    return {
        "categories": list(feature.values),
        "rare": len(feature.rare),
        "complete": feature.complete,
        "unseen_ratio": _share(placed[-1], placed.sum()),
    }


def _share(part: float, whole: float) -> float | None:
    value = ratio(float(part), float(whole), "the reference has no rows")
    return value if isinstance(value, float) else None


def _thresholds(baseline: Baseline) -> dict[str, Any] | None:
    spreads = baseline.spreads
    if spreads is None:
        return None
    return {"window": spreads.window, "features": len(spreads.features), "why_not": spreads.why}


def tables(found: Mapping[str, Any]) -> Iterator[Table]:
    """A summary as tables: what it is and where it comes from, features, performance, usual ranges."""
    yield _facts(found)
    features = Table("feature", "kind", "bins", "range or categories", "missing", "invalid", "outside")
    for of in found["features"]:
        numeric = of["kind"] == "numeric"
        cells = of["bins"] if numeric else len(of["categories"])
        outside = of["out_of_range_ratio" if numeric else "unseen_ratio"]
        shares = (percent(value) for value in (of["missing_ratio"], of["invalid_ratio"], outside))
        features.add_row(of["name"], of["kind"], str(cells), held(of), *shares)
    yield features
    if found["performance"]:
        performance = Table("performance", "value")
        for name, value in sorted(found["performance"].items()):
            performance.add_row(name, f"{value:.4g}")
        yield performance
    if found["usual"]:
        yield _usual(found["usual"])


def _facts(found: Mapping[str, Any]) -> Table:
    of, thresholds = found["provenance"], found["thresholds"]
    facts = Table("baseline", found["file"])
    rows = {
        "fingerprint": found["fingerprint"],
        "model": f"{found['model']} ({found['task']})",
        "source": of["source"],
        "digest": of["digest"],
        "rows": f"{of['rows']:,}",
        "from": utc(of["first"]),
        "to": utc(of["last"]),
        "created": utc(of["created"]),
        "settings": found["settings"],
    }
    if found["classes"]:
        rows["classes"] = listed(found["classes"])
    if thresholds:
        reason = f" ({thresholds['why_not']})" if thresholds["why_not"] else ""
        rows["thresholds"] = f"windows of {thresholds['window']}: {thresholds['features']} features{reason}"
    for name, text in rows.items():
        facts.add_row(name, text)
    return facts


def _usual(usual: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Table:
    table = Table("window", "usual", "mean", "deviation", "windows")
    for length, ranges in usual.items():
        for name, of in ranges.items():
            table.add_row(f"{int(length)} s", name, f"{of['mean']:.4g}", f"{of['deviation']:.4g}", f"{of['windows']}")
    return table


def brief(feature: Mapping[str, Any]) -> str:
    """A feature's summary in a line."""
    numeric = feature["kind"] == "numeric"
    outside = ("out of range", "out_of_range_ratio") if numeric else ("unseen", "unseen_ratio")
    odd = (("missing", "missing_ratio"), ("invalid", "invalid_ratio"), outside)
    shares = (f", {percent(feature[key])} {word}" for word, key in odd if feature[key])
    return f"{feature['kind']}, {held(feature)}{''.join(shares)}"


def held(feature: Mapping[str, Any]) -> str:
    """A feature's range, or its categories, in a few words."""
    if feature["kind"] == "numeric":
        return "no value" if feature["range"] is None else f"{feature['range'][0]:g} to {feature['range'][1]:g}"
    more = f" and {feature['rare']:,} rare" if feature["rare"] else ""
    return listed(feature["categories"]) + more + ("" if feature["complete"] else ", of more than can be named")


def listed(texts: list[str]) -> str:
    """The first few texts, and how many more there are."""
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more


def percent(share: float | None) -> str:
    """A share in per cent; empty when unknown."""
    return "" if share is None else f"{100 * share:.3g} %"


def utc(ts: float) -> str:
    """Unix seconds as a date and time in UTC; what lies outside the calendar stays a number."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(ts))
    except (OverflowError, OSError, ValueError):
        return f"{ts:g}"
