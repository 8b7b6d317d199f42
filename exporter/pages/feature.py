"""The page of one feature in one window: whether it drifted or its source broke, since when, in which version."""

import shlex
from collections.abc import Iterator

import numpy as np

from exporter import names
from exporter.baseline import CategoryFeature, NumericFeature
from exporter.config import parse_duration
from exporter.explain.cells import feature_cells
from exporter.explain.distance import score_working
from exporter.explain.drift import feature_pair
from exporter.explain.printed import why_absent
from exporter.explain.quality import feature_counts
from exporter.measures import Scope
from exporter.measures.comparison import JUDGED, Comparison
from exporter.measures.distribution import feature_distribution
from exporter.pages.charts import Bars, Chart, Histogram, Lines, Mark
from exporter.pages.document import Block, Cell, Choice, Document, Paragraph, Section, Table, Target, columns
from exporter.pages.history import Point, steps, trace
from exporter.pages.seen import Seen
from exporter.pages.shapes import QUANTILES, equal_bins, largest, quantiles
from exporter.pages.verdicts import drift_level, feature_level
from exporter.pages.words import MISSING, between, moment, number, percent, pvalue
from exporter.profile.layout import Profile, feature_part
from exporter.stats.result import NotEnoughData

MOST_TERMS = 15  # of a PSI, so that a hundred categories do not fill the page

_SAID = {
    "critical": "Severe drift: PSI {score}. If the inputs are sound, the model needs recent data.",
    "warning": "Moderate drift: PSI {score}. Did the source, its unit or the population change?",
    "info": "Minor drift: PSI {score}. Worth a look again if it grows.",
    "ok": "No drift that stands out: PSI {score}.",
    "none": "No drift score: {why}.",
}


def feature_page(seen: Seen, scope: Scope, window: str, name: str) -> Document:
    """The page of the feature called `name`; KeyError for an unknown one."""
    feature = {of.name: of for of in scope.totals.layout.features}[name]
    sections = [
        Section("Drift", list(_drift(seen, scope, window, feature))),
        Section("Data quality", [_quality(scope, window, feature)]),
        *([Section("Quantiles", [_quantiles(scope, window, feature)])] if isinstance(feature, NumericFeature) else []),
        Section("By version", [_versions(seen, scope, window, feature)]),
        Section("Behind the PSI", list(_behind(scope, window, feature))),
    ]
    here = Target("feature", scope.model.name, name, scope.version, window)
    return Document(here, f"{name} of {scope.model.name}", list(_lead(seen, scope, here, feature)), sections)


def choices(seen: Seen, here: Target) -> Iterator[Choice]:
    """Links to the same page for other windows and versions."""
    scopes, windows = seen.versions(here.model), seen.config.evaluation.windows

    def other(version: str, window: str) -> Target:
        return Target(here.page, here.model, here.feature, version, window)

    yield Choice("Window", [(window, other(here.version, window)) for window in windows], here.window)
    yield Choice("Version", [(of.version, other(of.version, here.window)) for of in scopes], here.version)


def _lead(seen: Seen, scope: Scope, here: Target, feature: NumericFeature | CategoryFeature) -> Iterator[Block]:
    yield from choices(seen, here)
    level = feature_level(seen, scope, here.window, feature.name)
    score = seen.of(scope, names.FEATURE_DRIFT_SCORE, here.window, feature.name, JUDGED)
    lacking = feature_pair(scope, here.window, feature).lacking
    why = "it could not be computed; the status page has the error" if lacking is None else (
        f"{lacking.why} ({number(lacking.have)} of {number(lacking.need)})")  # fmt: skip
    yield Paragraph(_SAID[level].format(score=number(score), why=why), level)


def distribution_chart(title: str, fine: list[str], pair_at: tuple[float, ...] | None, reference: np.ndarray,
                       current: np.ndarray) -> Chart | None:  # fmt: skip
    """Both sides overlaid: over the values' axis where they have one, else by category."""
    if pair_at is not None:
        bins = equal_bins(np.asarray(pair_at), reference, current)
        if bins is None:
            return None
        return Histogram(title, bins.edges.tolist(), bins.reference.tolist(), bins.current.tolist())
    made = largest(fine, reference, current)
    return Bars(title, made.names, made.reference.tolist(), made.current.tolist(), made.rest) if made.names else None


def _drift(seen: Seen, scope: Scope, window: str, feature: NumericFeature | CategoryFeature) -> Iterator[Block]:
    pair = feature_pair(scope, window, feature)
    edges = feature.edges if isinstance(feature, NumericFeature) else None
    chart = distribution_chart(
        f"{feature.name}: share of rows", feature_cells(feature), edges, pair.reference.fine, pair.current.fine
    )
    if chart is not None:
        yield chart
    yield _over_time(seen, scope, window, feature)
    yield _methods(seen, scope, window, feature.name)


def _methods(seen: Seen, scope: Scope, window: str, name: str) -> Table:
    families = (names.FEATURE_DRIFT_SCORE, names.FEATURE_DRIFT_SCORE_LOWER, names.FEATURE_DRIFT_SCORE_UPPER,
                names.FEATURE_DRIFT_PVALUE, names.FEATURE_DRIFT_THRESHOLD)  # fmt: skip
    found = {method: [seen.of(scope, family, window, name, method) for family in families]
             for method in scope.model.drift.methods}  # fmt: skip
    calibrated = any(limit is not None for *_, limit in found.values())
    rows = [(method, number(score), between(lower, upper), pvalue(chance), *[number(limit)] * calibrated)
            for method, (score, lower, upper, chance, limit) in found.items()]  # fmt: skip
    heads = columns("Method", "Score", "95 % bounds", "p-value", *["Usual limit"] * calibrated)
    return Table("Distance from the reference, by method", heads, rows)


def _over_time(seen: Seen, scope: Scope, window: str, feature: NumericFeature | CategoryFeature) -> Lines:
    reference, least = feature_distribution(scope.reference, feature), scope.model.drift.min_rows

    def psi(profile: Profile) -> Point:
        current = feature_distribution(profile, feature)
        if min(reference.rows, current.rows) < least:
            return None, None, None
        held = Comparison([(reference, current)])
        (value,), ((lower,), (upper,)) = held.scores(JUDGED).tolist(), (end.tolist() for end in held.bounds())
        return value, lower, upper

    levels = scope.model.thresholds.feature_drift
    marks = [Mark("minor", levels.minor), Mark("moderate", levels.moderate), Mark("severe", levels.severe)]
    return lines("PSI over time", trace(steps(seen, scope, parse_duration(window)), psi), marks)


def lines(title: str, points: list[tuple[float, Point]], marks: list[Mark]) -> Lines:
    """A line chart of a trace."""
    values, lower, upper = ([point[side] for _, point in points] for side in range(3))
    return Lines(title, [at for at, _ in points], values, lower, upper, marks)


def _quality(scope: Scope, window: str, feature: NumericFeature | CategoryFeature) -> Table:
    sides = [feature_counts(profile, feature) for profile in (scope.reference, scope.windows[window])]
    rows: list[tuple[Cell | str, ...]] = [("rows", *(number(side["rows"]) for side in sides))]
    for name in (name for name in sides[0] if name not in ("rows", "usable")):
        of = "usable" if "reference" in name else "rows"
        rows.append((name, *(percent(side[name] / side[of]) if side[of] else percent(None) for side in sides)))
    return Table("What is missing or odd", columns("Values", "Reference", "Window"), rows)


def _quantiles(scope: Scope, window: str, feature: NumericFeature) -> Table:
    placed = (profile.part(feature_part(feature.name))[: feature.placed]
              for profile in (scope.reference, scope.windows[window]))  # fmt: skip
    sides = [quantiles(feature, counts) for counts in placed]
    rows = [(f"{share:.0%} lie below", number(p, 4), number(q, 4))
            for share, p, q in zip(QUANTILES, *sides, strict=True)]  # fmt: skip
    return Table("Quantiles, as fine as the bins are", columns("Rows", "Reference", "Window"), rows)


def _versions(seen: Seen, scope: Scope, window: str, feature: NumericFeature | CategoryFeature) -> Table:
    rows: list[tuple[Cell | str, ...]] = []
    for of in seen.versions(scope.model.name):
        placed = of.windows[window].part(feature_part(feature.name))[: feature.placed]
        if isinstance(feature, NumericFeature):
            typical = number(quantiles(feature, placed)[2], 4)
        else:
            typical = feature_cells(feature)[int(placed.argmax())] if placed.any() else number(None)
        score = seen.of(of, names.FEATURE_DRIFT_SCORE, window, feature.name, JUDGED)
        complete = seen.of(of, names.FEATURE_COMPLETENESS, window, feature.name)
        link = Target("feature", of.model.name, feature.name, of.version, window)
        psi = Cell(number(score), level=drift_level(of, score))
        rows.append((Cell(of.version, link), number(of.windows[window].weight), psi, percent(complete), typical))
    middle = "Median" if isinstance(feature, NumericFeature) else "Commonest"
    heads = columns("Version", "Predictions", "PSI", "Complete", middle)
    return Table("The same feature in each version", heads, rows)


def _behind(scope: Scope, window: str, feature: NumericFeature | CategoryFeature) -> Iterator[Block]:
    working = score_working(JUDGED, feature_pair(scope, window, feature))
    yield Paragraph(f"PSI is the {working.formula}.")
    if isinstance(working.value, NotEnoughData):
        yield Paragraph(f"Here it is {why_absent(working.value)}.")
    if working.table is not None:
        terms = dict(zip(working.table.column("cell"), map(float, working.table.column("term")), strict=True))
        kept = sorted(terms, key=lambda cell: -terms[cell])[:MOST_TERMS]
        top = max(terms.values(), default=0.0)
        rows: list[tuple[Cell | str, ...]] = [
            (str(cell), percent(float(p)), percent(float(q)),
             Cell(f"{term:.4f}", share=term / top if top > 0 else None), number(float(r)), number(float(c)))
            for cell, r, c, p, q, _, term in working.table.rows if cell in kept and isinstance(term, float)
        ]  # fmt: skip
        if len(kept) < len(terms):
            rest = sum(terms.values()) - sum(terms[cell] for cell in kept)
            rows.append((f"({len(terms) - len(kept)} others)", MISSING, MISSING, f"{rest:.4f}", MISSING, MISSING))
        heads = columns("Values", "p, reference", "q, window", "Term", "Reference rows", "Window rows")
        yield Table("Which values the PSI comes from", heads, rows)
    named = shlex.join((scope.model.name, feature.name, "--window", window, "--version", scope.version))
    yield Paragraph(
        "Every number here, with its counts, from the log:",
        code=f"prediction-exporter explain --config FILE --log PATH {named}",
    )
    yield Paragraph(f"Bins and reference come from the baseline {scope.totals.layout.baseline.fingerprint}, built from "
                    f"data of {moment(scope.totals.layout.baseline.provenance.first)} to "
                    f"{moment(scope.totals.layout.baseline.provenance.last)}.")  # fmt: skip
