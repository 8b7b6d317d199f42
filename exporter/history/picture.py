"""A backtest as a plain SVG: a line for each alert that fired, a bar for each stretch, a band for each event."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import escape

from exporter.history.backtest import Backtest, Verdict

_WIDTH, _LEFT, _TOP, _ROW = 960, 260, 40, 20  # pixels
_MARGIN = 120  # at the right, where words end at their place instead of beginning there
_COLOURS = {"critical": "#c4162a", "warning": "#e0792a", "info": "#3274d9"}  # as the dashboards colour severities
_OTHER, _BAND, _INK, _GRID = "#6b7280", "#fff3bf", "#1f2937", "#d1d5db"
_DAY_TICKS_BELOW = 60 * 86_400  # seconds; longer histories get a tick a month


def picture(found: Backtest) -> str:
    """The SVG's text."""
    return "\n".join(_Canvas(found).drawn()) + "\n"


class _Canvas:
    def __init__(self, found: Backtest) -> None:
        self._found = found
        self._told = [verdict for verdict in found.verdicts if verdict.notifications]
        self._bottom = _TOP + _ROW * max(len(self._told), 1)

    def drawn(self) -> Iterator[str]:
        height = self._bottom + 30
        box, font = f'viewBox="0 0 {_WIDTH} {height}"', 'font-family="sans-serif" font-size="11"'
        yield f'<svg xmlns="http://www.w3.org/2000/svg" {box} {font}>'
        yield f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>'
        yield from self._events()
        yield from self._ticks()
        for place, verdict in enumerate(self._told):
            yield from self._alert(_TOP + _ROW * place, verdict)
        yield "</svg>"

    def _x(self, ts: float) -> float:
        span = self._found.span
        share = (ts - span.start) / self._found.seconds
        return round(_LEFT + min(max(share, 0.0), 1.0) * (_WIDTH - _LEFT - 10), 1)

    def _bar(self, start: float, end: float, top: float, height: float, colour: str, title: str) -> str:
        left, right = self._x(start), self._x(end)
        size = f'x="{left}" y="{top}" width="{max(right - left, 1.0):.1f}" height="{height}"'
        return f'<rect {size} fill="{colour}"><title>{escape(title)}</title></rect>'

    @staticmethod
    def _label(x: float, y: int, text: str) -> str:
        anchor = ' text-anchor="end"' if x > _WIDTH - _MARGIN else ""
        return f'<text x="{x}" y="{y}" fill="{_INK}"{anchor}>{text}</text>'

    def _events(self) -> Iterator[str]:
        for place, event in enumerate(self._found.events):
            yield self._bar(event.start, event.end, 30, self._bottom - 30, _BAND, event.name)
            yield self._label(self._x(event.start), 14 + 12 * (place % 2), escape(event.name))

    def _ticks(self) -> Iterator[str]:
        for ts, label in _ticks(self._found.span.start, self._found.span.end):
            x = self._x(ts)
            yield f'<line x1="{x}" y1="30" x2="{x}" y2="{self._bottom}" stroke="{_GRID}"/>'
            yield self._label(x, self._bottom + 14, label)

    def _alert(self, top: float, verdict: Verdict) -> Iterator[str]:
        yield f'<text x="{_LEFT - 8}" y="{top + 13}" text-anchor="end" fill="{_INK}">{escape(verdict.rule.name)}</text>'
        colour = _COLOURS.get(verdict.rule.labels.get("severity", ""), _OTHER)
        for one in verdict.notifications:
            end = self._found.span.end if one.end is None else one.end
            first, last = (f"{datetime.fromtimestamp(ts, UTC):%Y-%m-%d %H:%M}" for ts in (one.start, end))
            yield self._bar(one.start, end, top + 4, _ROW - 8, colour, f"{verdict.rule.name}: {first} to {last}")


def _ticks(start: float, end: float) -> Iterator[tuple[float, str]]:
    """Midnights, or first days of months in a long history, each with its label."""
    daily = end - start < _DAY_TICKS_BELOW
    day = datetime.fromtimestamp(start, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    while day.timestamp() <= end:
        if day.timestamp() >= start and (day.day == 1 or (daily and day.day % 5 == 1)):
            yield day.timestamp(), f"{day:%d %b}" if daily else f"{day:%b}"
        day += timedelta(days=1)
