"""What panels are made of and how they look: queries, columns, legends, colours and words as Grafana's plain dicts.

Nothing here knows grafanalib; the keys are those of Grafana's field configuration.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from dashboards.colors import BAD, CALM, CELL, GOOD, MUTED
from dashboards.limits import Limit, Steps, steps

Words = Mapping[str, tuple[str, str]]  # a value -> its word and colour

DASH = "-"  # an empty table cell
NOTHING = "No data in this time range"
PLAIN: Steps = ((CALM, None),)
HEATMAP = {
    "calculate": False,
    "cellGap": 1,
    "color": {
        "mode": "scheme",
        "scheme": "Viridis",  # even in brightness, so colour-blind people read it too
        "steps": 64,
        "exponent": 0.5,
        "scale": "exponential",
        "fill": "dark-orange",
        "reverse": False,
    },
    "exemplars": {"color": BAD},
    "filterValues": {"le": 1e-9},
    "legend": {"show": True},
    "rowsFrame": {"layout": "auto"},
    "showValue": "never",
    "tooltip": {"mode": "single", "showColorScale": True, "yHistogram": False},
}
BARS = {
    "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    "namePlacement": "auto",
    "showUnfilled": True,
    "sizing": "auto",
    "valueMode": "color",
    "minVizHeight": 16,
    "minVizWidth": 8,
    "maxVizHeight": 60,
}


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression and its legend; `style` becomes an override of all its series."""

    expr: str
    legend: str = "__auto"
    style: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: a query's value, or with `label` the label that names the row.

    A hidden column only brings its rows; values below `tiny` are shown as `< tiny`; `url` makes a link of the cell;
    `shape` draws the value as a bar, or all its values in the time range as a line.
    """

    title: str
    expr: str = ""
    label: str = ""
    unit: str = "none"
    decimals: int | None = None
    colors: Steps = ()
    words: Words = field(default_factory=dict)
    tiny: float | None = None
    width: int | None = None
    url: str = ""
    shape: Literal["text", "bar", "line"] = "text"
    color: str = CALM
    hidden: bool = False


class Look(TypedDict, total=False):
    """How a panel looks; each maker says which of these it heeds."""

    size: tuple[int, int]  # columns of 24, lines of 38 pixels
    unit: str
    decimals: int
    limit: Limit
    floor: float
    top: float
    soft_top: float  # of the axis, while nothing lies above it
    stack: bool
    legend: str  # bottom, right, hidden
    calcs: Sequence[str]
    words: Words
    tiny: float  # values below it are shown as `< tiny`
    cells: str  # unit of a heatmap's counts
    empty: str
    sort: str
    descending: bool
    url: str  # where a click on a series leads
    hues: Mapping[str, str]  # colours of series by a pattern of their names


def describe(what: str, *, good: str, bad: str, do: str) -> str:
    """A panel's description: what it shows, what is good, what is bad, and what to do then."""
    return f"{what}\n\n**Good:** {good}\n\n**Bad:** {bad}\n\n**Do:** {do}"


def hue(color: str) -> dict[str, Any]:
    """A query's style: this colour, in another shade for each further series."""
    return {"color": {"mode": "shades", "fixedColor": color}}


def bound() -> dict[str, Any]:
    """The style of a confidence bound: thin, grey, dotted, not in the legend."""
    return _thin(MUTED, "dot", [2, 4]) | {"custom.hideFrom": {"legend": True, "tooltip": False, "viz": False}}


def dashed(color: str) -> dict[str, Any]:
    """The style of a limit that is asked for rather than drawn by Grafana."""
    return _thin(color, "dash", [10, 10])


def capped(limit: Limit) -> dict[str, Any]:
    """The style of a bar with a limit of its own, at which it is full."""
    return {"thresholds": thresholds(steps(limit, ok=GOOD)), "max": max(line.highest for line in limit.lines)}


def thresholds(pairs: Steps) -> dict[str, Any]:
    """Colour steps, with their mode."""
    return {"mode": "absolute", "steps": step_list(pairs)}


def step_list(pairs: Steps) -> list[dict[str, Any]]:
    """Colour steps as Grafana lists them."""
    return [{"color": color, "value": value} for color, value in pairs]


def mappings(words: Words) -> list[dict[str, Any]]:
    """Words in place of values, with their colours."""
    options = {
        value: {"text": text, "color": color, "index": index}
        for index, (value, (text, color)) in enumerate(words.items())
    }
    return [{"type": "value", "options": options}] if options else []


def legend(place: str, calcs: Sequence[str]) -> dict[str, Any]:
    """A legend below, or at the right as a table with the highest series first."""
    side = place == "right"
    look = {
        "showLegend": place != "hidden",
        "displayMode": "table" if side else "list",
        "placement": "right" if side else "bottom",
        "calcs": list(calcs),
    }
    return look | {"sortBy": "Last *", "sortDesc": True} if side else look


def override(matcher: str, options: str, look: Mapping[str, Any]) -> dict[str, Any]:
    """`look` for the fields that a matcher finds."""
    properties = [{"id": name, "value": value} for name, value in look.items()]
    return {"matcher": {"id": matcher, "options": options}, "properties": properties}


def column_override(column: Column) -> dict[str, Any]:
    """The look of one column."""
    look: dict[str, Any] = {"noValue": DASH}
    if column.expr:
        look["unit"] = column.unit
    if column.decimals is not None:
        look["decimals"] = column.decimals
    if column.colors or column.words:
        look["custom.cellOptions"] = {"type": "color-background", "mode": "basic"}
        look["color"] = {"mode": "thresholds"}
    if column.colors:
        look["thresholds"] = thresholds([(CELL.get(color, color), value) for color, value in column.colors])
        look["mappings"] = [_BLANK]
    if column.words:
        look["mappings"] = [
            *mappings({key: (text, CELL[color]) for key, (text, color) in column.words.items()}),
            _BLANK,
        ]
        look["custom.align"] = "center"
    if column.tiny is not None:
        look["mappings"] = tiny(column.tiny)
    if column.width:
        look["custom.width"] = column.width
    if column.url:
        look["links"] = links(column.url)
    if column.shape != "text":
        look |= _drawn(column)
    return override("byName", column.title, look)


def links(url: str) -> list[dict[str, Any]]:
    """A link of a cell or a series: to another dashboard in the same tab, to anything else in a new one."""
    return [{"title": "Open", "url": url, "targetBlank": not url.startswith("/d/")}] if url else []


def _drawn(column: Column) -> dict[str, Any]:
    look: dict[str, Any] = {"color": {"mode": "fixed", "fixedColor": column.color}}
    if column.shape == "line":
        cell = {"type": "sparkline", "hideValue": True, "lineWidth": 1, "fillOpacity": 0, "showPoints": "never"}
        cell |= {
            "gradientMode": "none",
            "lineInterpolation": "linear",
        }  # else the hue runs along, and peaks are rounded
        return look | {"custom.cellOptions": cell}
    return look | {"custom.cellOptions": {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}, "min": 0}


_BLANK = {  # without it, a missing value takes the lowest step's colour
    "type": "special",
    "options": {"match": "null+nan", "result": {"text": DASH, "color": "transparent", "index": 0}},
}


def tiny(least: float) -> list[dict[str, Any]]:
    """`< least` in place of what decimals would round to 0."""
    return [{"type": "range", "options": {"from": 0, "to": least, "result": {"text": f"< {least}", "index": 0}}}]


def _thin(color: str, fill: str, dash: Sequence[int]) -> dict[str, Any]:
    return {
        "color": {"mode": "fixed", "fixedColor": color},
        "custom.lineWidth": 1,
        "custom.lineStyle": {"fill": fill, "dash": list(dash)},
    }
