"""Charts as plain SVG: no script, no style of their own, crisp at every size and in print.

Colours are classes that the page's style sheet fills, so they follow its light and dark themes. Each chart has a title
and a description for those who do not see it, and each mark tells its numbers on hover.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from exporter.pages.words import number

WIDTH, HEIGHT = 400, 210  # user units; about a pixel on a phone
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 12, 26
BAR = 22  # height of a category's row
NAME = 112  # width of a category's name
LONGEST = 17  # letters of it
APART = 6  # of two marks, at least

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Shares of reference and current rows in bins of equal width between `edges`."""

    title: str
    edges: Sequence[float]
    reference: Sequence[float]
    current: Sequence[float]


@dataclass(frozen=True, slots=True)
class Bars:
    """Shares of reference and current rows by category; `rest`: how many more there are, and their shares."""

    title: str
    names: Sequence[str]
    reference: Sequence[float]
    current: Sequence[float]
    rest: tuple[int, float, float]


@dataclass(frozen=True, slots=True)
class Mark:
    """A level drawn across a line chart."""

    label: str
    value: float


@dataclass(frozen=True, slots=True)
class Lines:
    """One value over time (Unix seconds), with its bounds where it has them; None leaves a gap."""

    title: str
    times: Sequence[float]
    values: Sequence[float | None]
    lower: Sequence[float | None]
    upper: Sequence[float | None]
    marks: Sequence[Mark] = ()


Chart = Histogram | Bars | Lines


def svg(chart: Chart, identity: str) -> str:
    """The chart as an `svg` element; `identity` is unique on its page."""
    match chart:
        case Histogram():
            return _framed(identity, chart, HEIGHT, _histogram(chart))
        case Bars():
            return _framed(identity, chart, 8 + BAR * (len(chart.names) + (chart.rest[0] > 0)), _bars(chart))
        case Lines():
            return _framed(identity, chart, HEIGHT, _lines(chart))


def describe(chart: Chart) -> str:
    """What the chart shows, in a sentence."""
    return _extremes(chart) if isinstance(chart, Lines) else _largest_difference(chart)


def _framed(identity: str, chart: Chart, height: float, marks: Iterator[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-labelledby="{identity}-t {identity}-d">'
        f'<title id="{identity}-t">{escape(chart.title)}</title>'
        f'<desc id="{identity}-d">{escape(describe(chart))}</desc>'
        f"{''.join(marks)}</svg>"
    )


def _largest_difference(chart: Histogram | Bars) -> str:
    if isinstance(chart, Bars):
        names: Sequence[str] = chart.names
    else:
        names = [f"{number(low)} to {number(high)}" for low, high in pairwise(chart.edges)]
    moves = [(abs(q - p), name, p, q) for name, p, q in zip(names, chart.reference, chart.current, strict=True)]
    if not moves:
        return "No rows."
    _, name, p, q = max(moves)
    return f"The largest difference is at {name}: {p:.1%} of the reference, {q:.1%} of the window."


def _extremes(chart: Lines) -> str:
    known = [value for value in chart.values if value is not None]
    if not known:
        return "No values."
    ends = f"from {number(known[0])} to {number(known[-1])}"
    return f"{len(known)} values {ends}, lowest {number(min(known))}, highest {number(max(known))}."


def _histogram(chart: Histogram) -> Iterator[str]:
    top = max(*chart.reference, *chart.current, 1e-9)
    x = _scale((chart.edges[0], chart.edges[-1]), (LEFT, WIDTH - RIGHT))
    y = _scale((0.0, top * 1.05), (HEIGHT - BOTTOM, TOP))
    yield from _grid(y, ticks(0.0, top * 1.05, 4), _percents)
    for low, high, p, q in zip(chart.edges, chart.edges[1:], chart.reference, chart.current, strict=False):
        told = f"{number(low)} to {number(high)}: reference {p:.2%}, window {q:.2%}"
        yield (
            f'<g><title>{escape(told)}</title><rect class="current" x="{x(low) + 0.5:.1f}" y="{y(q):.1f}" '
            f'width="{max(x(high) - x(low) - 1, 0.5):.1f}" height="{y(0) - y(q):.1f}"/></g>'
        )
    yield _outline(chart, x, y)
    yield from _axis([(x(at), number(at, 4)) for at in ticks(chart.edges[0], chart.edges[-1], 5)])


def _outline(chart: Histogram, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    path = [f"M{x(chart.edges[0]):.1f},{y(0):.1f}"]
    for high, p in zip(chart.edges[1:], chart.reference, strict=True):
        path.append(f"V{y(p):.1f}H{x(high):.1f}")
    return f'<path class="reference" d="{"".join(path)}V{y(0):.1f}"/>'


def _bars(chart: Bars) -> Iterator[str]:
    top = max(*chart.reference, *chart.current, 1e-9)
    x = _scale((0.0, top), (NAME, WIDTH - 52))
    for place, (name, p, q) in enumerate(zip(chart.names, chart.reference, chart.current, strict=True)):
        y = 4 + place * BAR
        short = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
        yield (
            f"<g><title>{escape(name)}: reference {p:.2%}, window {q:.2%}</title>"
            f'<text x="{NAME - 6}" y="{y + 15}" text-anchor="end">{escape(short)}</text>'
            f'<rect class="current" x="{NAME}" y="{y + 3}" width="{x(q) - NAME:.1f}" height="{BAR - 6}"/>'
            f'<path class="reference" d="M{NAME},{y + 3}H{x(p):.1f}V{y + BAR - 3}H{NAME}Z"/>'
            f'<text x="{x(max(p, q)) + 5:.1f}" y="{y + 15}">{_percents(q)}</text></g>'
        )
    count, p, q = chart.rest
    if count:
        told = f"{count} others: {_percents(q)} (reference {_percents(p)})"
        yield f'<text x="{NAME}" y="{4 + len(chart.names) * BAR + 15}">{told}</text>'


def _lines(chart: Lines) -> Iterator[str]:
    if not any(value is not None for value in chart.values):
        yield f'<text x="{WIDTH / 2}" y="{HEIGHT / 2}" text-anchor="middle">no values in this window</text>'
        return
    span, marks = _reach(chart)
    x = _scale((chart.times[0], chart.times[-1]), (LEFT + 4, WIDTH - RIGHT - 4))
    y = _clipped(_scale(span, (HEIGHT - BOTTOM, TOP)))
    yield from _grid(y, ticks(*span, 4), lambda value: number(value, 4))
    for place, mark in enumerate(_apart(marks, y)):
        yield _mark(mark, y(mark.value), place)
    for run in _runs(chart.values):
        yield from _run(chart, run, x, y)
    yield from _axis(_time_labels(chart.times, x))


def _reach(chart: Lines) -> tuple[Span, list[Mark]]:
    """What the vertical axis spans, and the marks that lie near enough not to flatten the line.

    Bounds may be so wide that the line would lie flat: then they are cut off at twice the line's height.
    """
    values = [value for value in chart.values if value is not None]
    low, high = min(values), max(values)
    near = max(high - low, abs(high) / 4) / 2
    marks = [mark for mark in chart.marks if low - near <= mark.value <= high + near]
    ends = [end for side in (chart.lower, chart.upper) for end in side if end is not None]
    low = min([low, *(mark.value for mark in marks), *(max(end, low - near) for end in ends)])
    high = max([high, *(mark.value for mark in marks), *(min(end, high + near) for end in ends)])
    room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return (max(0.0, low - room) if low >= 0 else low - room, high + room), marks


def _apart(marks: Sequence[Mark], y: Callable[[float], float]) -> list[Mark]:
    """The highest mark, and of the others those that can be told from the one above."""
    kept: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: -mark.value):
        if not kept or y(mark.value) - y(kept[-1].value) >= APART:
            kept.append(mark)
    return kept


def _mark(mark: Mark, y: float, place: int) -> str:
    """Its label at the right, in the middle or at the left, in turn, so that those of near marks do not meet."""
    at, anchor = ((WIDTH - RIGHT, "end"), ((LEFT + WIDTH - RIGHT) / 2, "middle"), (LEFT + 4, "start"))[place % 3]
    return (
        f'<line class="mark" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="over" x="{at:g}" y="{y - 4:.1f}" text-anchor="{anchor}">{escape(mark.label)}</text>'
    )


def _run(chart: Lines, run: Sequence[int], x: Callable[[float], float], y: Callable[[float], float]) -> Iterator[str]:
    """A stretch without gaps: its band, its line, and a dot for each value."""
    upper = [(x(chart.times[i]), y(end)) for i in run if (end := chart.upper[i]) is not None]
    lower = [(x(chart.times[i]), y(end)) for i in run if (end := chart.lower[i]) is not None]
    if len(upper) == len(lower) == len(run):
        if len(run) == 1:
            [(at, top)], [(_, bottom)] = upper, lower
            yield f'<line class="whisker" x1="{at:.1f}" x2="{at:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>'
        else:
            yield f'<polygon class="band" points="{_points([*upper, *reversed(lower)])}"/>'
    line = [(i, x(chart.times[i]), y(value)) for i in run if (value := chart.values[i]) is not None]
    yield f'<polyline class="line" points="{_points([(at, height) for _, at, height in line])}"/>'
    for i, at, height in line:
        bounds = "" if chart.lower[i] is None else f" ({number(chart.lower[i])} to {number(chart.upper[i])})"
        told = f"{_utc(chart.times[i], '%Y-%m-%d %H:%M')}: {number(chart.values[i], 4)}{bounds}"
        yield f'<circle class="dot" cx="{at:.1f}" cy="{height:.1f}" r="2.4"><title>{told}</title></circle>'


def _runs(values: Sequence[float | None]) -> list[list[int]]:
    """Places of values that follow each other without a gap."""
    runs: list[list[int]] = []
    for place, value in enumerate(values):
        if value is not None:
            if runs and runs[-1][-1] == place - 1:
                runs[-1].append(place)
            else:
                runs.append([place])
    return runs


def _points(of: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in of)


def _grid(y: Callable[[float], float], at: Sequence[float], label: Callable[[float], str]) -> Iterator[str]:
    for value in at:
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        yield f'<text x="{LEFT - 5}" y="{y(value) + 4:.1f}" text-anchor="end">{label(value)}</text>'


def _axis(labels: Sequence[tuple[float, str]]) -> Iterator[str]:
    yield f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM}"/>'
    for at, text in labels:
        anchor = "end" if at > WIDTH - 30 else "start" if at < LEFT + 12 else "middle"
        yield f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="{anchor}">{escape(text)}</text>'


def _time_labels(times: Sequence[float], x: Callable[[float], float]) -> list[tuple[float, str]]:
    span = times[-1] - times[0]
    form = "%H:%M" if span <= 1.5 * 86_400 else "%-d %b"
    shown = [times[round(place * (len(times) - 1) / 3)] for place in range(4)] if len(times) >= 4 else times
    labels = [(x(at), _utc(at, form)) for at in shown]
    return [label for place, label in enumerate(labels) if not place or label[1] != labels[place - 1][1]]


def _utc(at: float, form: str) -> str:
    return time.strftime(form, time.gmtime(at))


def _percents(value: float) -> str:
    return f"{100 * value:.3g} %"


def _scale(of: Span, to: Span) -> Callable[[float], float]:
    width = of[1] - of[0] or 1.0
    return lambda value: to[0] + (value - of[0]) / width * (to[1] - to[0])


def _clipped(y: Callable[[float], float]) -> Callable[[float], float]:
    return lambda value: min(max(y(value), TOP), HEIGHT - BOTTOM)


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers from `low` to `high`, about so many.

    >>> ticks(0.0, 1.05, 4)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    >>> ticks(3.0, 3.0, 4)
    [3.0]
    """
    if not high > low:
        return [low]
    rough = (high - low) / about
    base = 10 ** math.floor(math.log10(rough))
    step = next((base * of for of in (1, 2, 2.5, 5) if base * of >= 0.75 * rough), base * 10)
    first = math.ceil(low / step - 1e-9)
    return [round(place * step, 12) + 0.0 for place in range(first, math.floor(high / step + 1e-9) + 1)]
