"""A report: the pages of one evaluation as one file, alone or beside those of another instant."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from exporter import names
from exporter.evaluate import Evaluation
from exporter.measures import Scope
from exporter.measures.comparison import JUDGED, Comparison
from exporter.measures.distribution import Distribution, feature_distribution
from exporter.measures.performance import METRICS, performance_of
from exporter.monitor import Monitor
from exporter.pages.document import Cell, Document, Paragraph, Section, Table, Target, columns
from exporter.pages.feature import feature_page
from exporter.pages.history import step_starts
from exporter.pages.html import html_report
from exporter.pages.landing import landing_page
from exporter.pages.links import within
from exporter.pages.markdown import markdown_report
from exporter.pages.model import model_page
from exporter.pages.quality import quality_page
from exporter.pages.seen import Seen
from exporter.pages.status import status_page
from exporter.pages.words import moment, number, percent, said
from exporter.profile.packed import Packed


@dataclass(frozen=True)
class SteppedMonitor(Monitor):
    """A monitor whose evaluations keep the steps of the charts apart too."""

    def bounds(self, at: float) -> set[int]:
        """Where windows, periods and steps are cut off."""
        return super().bounds(at).union(*(step_starts(at, length) for length in self.windows.values()))


def seen_in(evaluation: Evaluation) -> Seen:
    """What an evaluation of files gives to look at."""
    snapshot = evaluation.snapshot()
    history: dict[tuple[str, str], list[tuple[int, Packed]]] = {}
    failures = {(failure.model, failure.statistic): repr(failure.error) for failure in snapshot.failures}
    for (model, version, start), parts in evaluation.delta.profiles.items():
        history.setdefault((model, version), []).extend((start, part) for part in parts)
    scopes = tuple(evaluation.scopes())
    return Seen(snapshot.at, evaluation.monitor.config, scopes, snapshot.samples, failures, history)


def html(now: Seen, then: Seen | None, foot: str) -> str:
    """The report as a page that opens from disk."""
    documents = [*_compared(now, then), *_documents(now)]
    title, lead = _head(now, then)
    return html_report(title, lead, documents, within(frozenset(of.target for of in documents)), foot)


def markdown(now: Seen, then: Seen | None, foot: str) -> str:
    """The report for a ticket: without the features' own pages."""
    documents = [of for of in _documents(now) if of.target.page in ("landing", "model", "quality")]
    title, lead = _head(now, then)
    return markdown_report(title, lead, [*_compared(now, then), *documents], foot)


def _head(now: Seen, then: Seen | None) -> tuple[str, list[Paragraph]]:
    against = "" if then is None else f", compared with {moment(then.at)}"
    return f"Models at {moment(now.at)}", [Paragraph(f"Windows end at {moment(now.at)}{against}.")]


def _documents(seen: Seen) -> Iterator[Document]:
    """The overview, then each model's newest version over its drift window, with every feature."""
    overview = landing_page(seen, [])
    sections = [section for section in overview.sections if section.title != "Pages"]
    yield replace(overview, title="Overview", sections=sections)
    for scope in _newest(seen):
        window = scope.model.drift.window
        pages = [model_page(seen, scope, window), quality_page(seen, scope, window)]
        pages += [feature_page(seen, scope, window, feature.name) for feature in scope.totals.layout.features]
        yield from (replace(page, lead=page.lead[2:]) for page in pages)  # without the choices of another page
    yield status_page(seen)


def _newest(seen: Seen) -> list[Scope]:
    return [scopes[-1] for model in seen.config.models if (scopes := seen.versions(model.name))]


def _compared(now: Seen, then: Seen | None) -> Iterator[Document]:
    if then is None:
        return
    before = {scope.model.name: scope for scope in _newest(then)}
    for scope in _newest(now):
        if (older := before.get(scope.model.name)) is not None:
            yield _side_by_side(now, then, scope, older)


def _side_by_side(now: Seen, then: Seen, scope: Scope, older: Scope) -> Document:
    window = scope.model.drift.window
    then_, now_ = (f"version {of.version} at {moment(seen.at)}" for of, seen in ((older, then), (scope, now)))
    told = f"Then: {then_}. Now: {now_}. Both over {window}."
    sections = [
        Section("Performance", [_performance(now, then, scope, older)]),
        Section("Features", [_features(now, then, scope, older)]),
    ]
    target = Target("model", scope.model.name, version=f"{scope.version} against {older.version}")
    return Document(target, f"{scope.model.name}, then and now", [Paragraph(told)], sections)


def _performance(now: Seen, then: Seen, scope: Scope, older: Scope) -> Table:
    window = scope.model.drift.window
    rows: list[tuple[Cell | str, ...]] = []
    families = {said(metric): METRICS[metric] for metric in performance_of(scope.labelled[window])}
    families |= {"outcome coverage": names.MODEL_OUTCOME_COVERAGE_RATIO, "predictions": names.PREDICTIONS_IN_WINDOW,
                 "drifted features": names.DRIFTED_FEATURES}  # fmt: skip
    for name, family in families.items():
        before, after = then.of(older, family, window), now.of(scope, family, window)
        change = None if before is None or after is None else after - before
        rows.append((name, number(before), number(after), number(change)))
    return Table("Of the window", columns("Metric", "Then", "Now", "Change"), rows)


def _features(now: Seen, then: Seen, scope: Scope, older: Scope) -> Table:
    """Scores against the baseline at both instants, and of the windows against each other."""
    window, features = scope.model.drift.window, scope.totals.layout.features
    sides = [[feature_distribution(of.windows[window], feature) for feature in features] for of in (older, scope)]
    between = _between(sides, scope.model.drift.min_rows)
    rows: list[tuple[float, tuple[Cell | str, ...]]] = []
    for feature, moved in zip(features, between, strict=True):
        scores = (seen.of(of, names.FEATURE_DRIFT_SCORE, window, feature.name, JUDGED)
                  for seen, of in ((then, older), (now, scope)))  # fmt: skip
        complete = (seen.of(of, names.FEATURE_COMPLETENESS, window, feature.name)
                    for seen, of in ((then, older), (now, scope)))  # fmt: skip
        link = Target("feature", scope.model.name, feature.name, scope.version, window)
        figures = (number(moved), *map(number, scores), *map(percent, complete))
        rows.append((moved or 0.0, (Cell(feature.name, link), *figures)))
    heads = columns("Feature", "PSI, now against then", "PSI then", "PSI now", "Complete then", "Complete now")
    return Table("The largest move first", heads, [row for _, row in sorted(rows, key=lambda pair: -pair[0])])


def _between(sides: Sequence[Sequence[Distribution]], least: int) -> list[float | None]:
    """The judged distance of each pair with enough rows on both sides."""
    pairs = list(zip(*sides, strict=True))
    scores = Comparison(pairs).scores(JUDGED).tolist()
    enough = [min(then.rows, now.rows) >= least for then, now in pairs]
    return [score if held and score == score else None  # noqa: PLR0124 - NaN is not itself
            for score, held in zip(scores, enough, strict=True)]  # fmt: skip
