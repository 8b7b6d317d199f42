"""A backtest told: as plain data for machines, and as Markdown tables, which people and pages both read."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from exporter.history.backtest import Backtest, Event, Verdict
from exporter.history.firing import Notification

_LISTED = 6  # stretches of one alert in the table; the JSON has all


def summary(found: Backtest, budget: float | None) -> dict[str, Any]:
    """Everything that was found, as JSON takes it; times in RFC 3339."""
    span = found.span
    return {
        "history": {"start": _time(span.start), "end": _time(span.end), "step_seconds": span.step},
        "pages_per_week": round(found.pages_a_week, 4),
        "budget_pages_per_week": budget,
        "alerts": [_alert(found, verdict) for verdict in found.verdicts if verdict.obstacle is None],
        "events": [_event(found, event) for event in found.events],
        "not_judged": {verdict.rule.name: verdict.obstacle for verdict in found.verdicts if verdict.obstacle},
    }


def _alert(found: Backtest, verdict: Verdict) -> dict[str, Any]:
    told = verdict.notifications
    return {
        "alert": verdict.rule.name,
        "severity": verdict.rule.labels.get("severity", ""),
        "pages": verdict.pages,
        "notifications_per_week": round(found.a_week(len(told)), 4),
        "false_per_month": round(found.a_month(len(verdict.false(found.events))), 4) if found.events else None,
        "firing_hours": round(verdict.seconds(found.span.end) / 3_600, 2),
        "notifications": [
            {
                "start": _time(one.start),
                "end": None if one.end is None else _time(one.end),
                "firings": [
                    {"start": _time(of.start), "end": None if of.end is None else _time(of.end), "labels": of.labels}
                    for of in one.firings
                ],
            }
            for one in told
        ],
    }


def _event(found: Backtest, event: Event) -> dict[str, Any]:
    times = {verdict.rule.name: verdict.detected(event) for verdict in found.verdicts}
    detected = {name: seconds for name, seconds in times.items() if seconds is not None}
    return {
        "event": event.name,
        "start": _time(event.start),
        "end": _time(event.end),
        "seconds_to_detect": detected,
        "fired_already": [verdict.rule.name for verdict in found.verdicts if verdict.fired_already(event)],
    }


def tables(found: Backtest, budget: float | None) -> str:
    """The same as Markdown."""
    span, quiet = found.span, [of for of in found.verdicts if of.obstacle is None and not of.notifications]
    days = found.seconds / 86_400
    lines = [f"{_day(span.start)} to {_day(span.end)}, {days:.0f} days, a sample every {_length(span.step)}.", ""]
    lines += _alert_table(found)
    if found.events:
        lines += ["", *_event_table(found)]
    if quiet:
        lines += ["", f"Silent: {', '.join(verdict.rule.name for verdict in quiet)}."]
    lines += ["", *_unjudged(found.verdicts)]
    within = "" if budget is None else f"; the budget is {budget:g}"
    return "\n".join([*lines, f"Pages a week: {found.pages_a_week:.2f}{within}."]).replace("\n\n\n", "\n\n") + "\n"


def _alert_table(found: Backtest) -> Iterator[str]:
    yield from _head("alert", "severity", "firings", "told", "a week", "false a month", "hours firing", "when")
    for verdict in found.verdicts:
        if told := verdict.notifications:
            false = f"{found.a_month(len(verdict.false(found.events))):.2f}" if found.events else "-"
            severity = verdict.rule.labels.get("severity", "") + (", pages" if verdict.pages else "")
            rate, hours = f"{found.a_week(len(told)):.2f}", f"{verdict.seconds(found.span.end) / 3_600:.0f}"
            counts = str(len(verdict.firings)), str(len(told))
            yield _row(verdict.rule.name, severity, *counts, rate, false, hours, _when(told))


def _event_table(found: Backtest) -> Iterator[str]:
    yield from _head("event", "from", "to", "new firings after", "fired already")
    for event in found.events:
        times = {verdict.rule.name: verdict.detected(event) for verdict in found.verdicts}
        known = sorted((seconds, name) for name, seconds in times.items() if seconds is not None)
        said = ", ".join(f"{name} {_length(seconds)}" for seconds, name in known)
        already = ", ".join(verdict.rule.name for verdict in found.verdicts if verdict.fired_already(event))
        yield _row(event.name, _day(event.start), _day(event.end), said or "none", already or "none")


def _unjudged(verdicts: Iterable[Verdict]) -> Iterator[str]:
    reasons: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.obstacle is not None:
            reasons.setdefault(verdict.obstacle, []).append(verdict.rule.name)
    if reasons:
        yield "Not judged, for this history cannot tell:"
        yield ""
        yield from (f"- {', '.join(names)}: {reason}" for reason, names in reasons.items())
        yield ""


def _when(told: Iterable[Notification]) -> str:
    several = list(told)
    texts = [f"{_day(one.start)[5:]} to {'the end' if one.end is None else _day(one.end)[5:]}" for one in several]
    more = len(texts) - _LISTED
    return "; ".join(texts[:_LISTED]) + (f"; {more} more" if more > 0 else "")


def _head(*titles: str) -> Iterator[str]:
    yield _row(*titles)
    yield "|" + "---|" * len(titles)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _time(ts: float) -> str:
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _day(ts: float) -> str:
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%d %H:%M")


def _length(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size or (seconds == size):
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
