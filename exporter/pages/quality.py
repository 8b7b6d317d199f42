"""The data-quality page: every feature's missing, odd and invalid values in one window, against the reference."""

from exporter import names
from exporter.explain.quality import feature_counts
from exporter.measures import Scope
from exporter.pages.document import Cell, Document, Level, Paragraph, Section, Table, Target, columns
from exporter.pages.feature import choices
from exporter.pages.model import feature_table
from exporter.pages.seen import Seen
from exporter.pages.words import number, percent

_ODD = ("not in the reference", "below the reference's range", "above the reference's range")


def quality_page(seen: Seen, scope: Scope, window: str) -> Document:
    """The page of the model and version of `scope`."""
    here = Target("quality", scope.model.name, version=scope.version, window=window)
    sections = [
        Section("Values", [_values(seen, scope, window), Paragraph(_LEGEND)]),
        Section("Drift of every feature", [feature_table(seen, scope, window, "By PSI, the largest first")]),
        Section("Since the state was made", [_totals(seen, scope)]),
    ]
    return Document(here, f"Data quality of {scope.model.name}", list(choices(seen, here)), sections)


_LEGEND = (
    "Missing: null or absent. Odd: outside the reference's range, or a category that it lacks. Invalid: of a wrong "
    "type or not finite. In brackets: in the reference."
)


def _values(seen: Seen, scope: Scope, window: str) -> Table:
    rows: list[tuple[Cell | str, ...]] = []
    least = scope.model.thresholds.completeness
    for feature in scope.totals.layout.features:
        now, then = (feature_counts(profile, feature) for profile in (scope.windows[window], scope.reference))
        complete = seen.of(scope, names.FEATURE_COMPLETENESS, window, feature.name)
        level: Level | None = "warning" if complete is not None and complete < least else None
        link = Target("feature", scope.model.name, feature.name, scope.version, window)
        rows.append((Cell(feature.name, link), Cell(_both(now, then, "missing"), level=level),
                     _both(now, then, *_ODD), _both(now, then, "wrong type", "non-finite")))  # fmt: skip
    return Table(f"Share of the window's rows; below {percent(least)} complete warns",
                 columns("Feature", "Missing", "Odd", "Invalid"), rows)  # fmt: skip


def _both(now: dict[str, float], then: dict[str, float], *kinds: str) -> str:
    counted = ((sum(side.get(kind, 0.0) for kind in kinds), side["rows"]) for side in (now, then))
    shares = (count / rows if rows else None for count, rows in counted)
    current, reference = map(percent, shares)
    return f"{current} ({reference})"


def _totals(seen: Seen, scope: Scope) -> Table:
    who = (scope.model.name, scope.version)
    rows = [("values expected", number(seen.number(names.FEATURE_VALUES_TOTAL, *who))),
            ("missing", number(seen.number(names.MISSING_FEATURES_TOTAL, *who)))]  # fmt: skip
    for reason in ("wrong_type", "non_finite", "unseen_category"):
        count = seen.number(names.INVALID_INPUTS_TOTAL, *who, reason)
        rows.append((reason.replace("_", " "), number(count)))
    return Table("Feature values, all features together", columns("Values", "Count"), rows)
