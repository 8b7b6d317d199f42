"""Panel makers over grafanalib, the one file that meets it.

In go titles, descriptions, queries and looks; out come grafanalib objects, and from `to_json` a plain dict that
Grafana 11 to 13 take as it is: current schema, no legacy keys, nothing left for a migration to guess.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from string import ascii_uppercase
from typing import Any, TypeVar, Unpack

from grafanalib import core
from grafanalib._gen import DashboardEncoder

from dashboards.colors import GOOD
from dashboards.limits import Limit, steps
from dashboards.looks import (
    BARS,
    HEATMAP,
    NOTHING,
    PLAIN,
    Column,
    Look,
    Query,
    column_override,
    dashed,
    legend,
    links,
    mappings,
    override,
    step_list,
    tiny,
)
from dashboards.repair import repair

SCHEMA_VERSION = 42  # defaultDashboard.schemaVersion of @grafana/schema 13
WIDTH = 24  # columns of Grafana's grid
NUMBERS_OF_A_ROW = 100  # panel numbers set aside for each row, so that a row's panels keep theirs when another grows
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
NUMERIC = core.SORT_NUMERIC_ASC

Item = TypeVar("Item")
Panel = Any  # a grafanalib panel; the library ships no types


def stat(title: str, text: str, query: str, **look: Unpack[Look]) -> Panel:
    """One number. Heeds size, unit, decimals, limit, floor, top, words, tiny, empty."""
    limit = look.get("limit", Limit())
    plain = {"wideLayout": True, "percentChangeColorMode": "standard", "showPercentChange": False}
    return core.Stat(
        title=title,
        description=text,
        targets=_targets([Query(query, title)], instant=True),
        format=look.get("unit", "none"),
        decimals=look.get("decimals"),
        mappings=tiny(look["tiny"]) if "tiny" in look else mappings(look.get("words", {})),
        noValue=look.get("empty", "no data"),
        reduceCalc="lastNotNull",
        colorMode="background_solid" if limit.common else "value",
        graphMode="none",  # Grafana would draw a number this flat across its sparkline
        textMode="value",
        alignment="center",
        color={"mode": "thresholds"},
        thresholds=step_list(steps(limit, ok=GOOD) if limit.common else PLAIN),
        extraJson={
            "options": plain,
            "fieldConfig": {"defaults": {"min": look.get("floor"), "max": look.get("top")}},
        },
        **_common(look, (3, 4)),
    )


def trend(title: str, text: str, queries: Sequence[Query], **look: Unpack[Look]) -> Panel:
    """Lines over time.

    Heeds size, unit, decimals, limit, floor, top, soft_top, stack, legend, calcs, empty, url, hues.
    """
    limit, stacked = look.get("limit", Limit()), look.get("stack", False)
    drawn = [*queries, *(Query(expr, name, dashed(color)) for expr, name, color in limit.queries())]
    defaults = {
        "min": look.get("floor"),
        "max": look.get("top"),
        "noValue": look.get("empty", NOTHING),
        "links": links(look.get("url", "")) or None,
        "custom": {
            "axisSoftMax": look.get("soft_top", limit.soft_top),
            "axisSoftMin": limit.soft_floor,
            "scaleDistribution": {"type": "linear"},
        },
    }
    return core.TimeSeries(
        title=title,
        description=text,
        targets=_targets(drawn),
        unit=look.get("unit", "none"),
        valueDecimals=look.get("decimals"),
        lineWidth=0 if stacked else 2,
        fillOpacity=60 if stacked else 0,
        showPoints="auto",
        stacking={"mode": "normal" if stacked else "none", "group": "A"},
        tooltipMode="multi",
        tooltipSort="desc",
        thresholds=step_list(steps(limit, ok="transparent") if limit.common else PLAIN),
        thresholdsStyleMode="dashed+area" if limit.common else "off",
        overrides=[*_styles(drawn), *_hues(look.get("hues", {}))],
        extraJson={
            "fieldConfig": {"defaults": defaults},
            "options": {"legend": legend(look.get("legend", "bottom"), look.get("calcs", ("lastNotNull",)))},
        },
        **_common(look, (8, 8)),
    )


def bars(title: str, text: str, queries: Sequence[Query], **look: Unpack[Look]) -> Panel:
    """A horizontal bar for each series, at the present value. Heeds size, unit, decimals, empty; limits by query."""
    defaults = {
        "unit": look.get("unit", "none"),
        "decimals": look.get("decimals"),
        "min": 0,
        "noValue": look.get("empty", "no data"),
        "color": {"mode": "thresholds"},
    }
    return core.BarGauge(
        title=title,
        description=text,
        targets=_targets(queries, instant=True),
        displayMode="basic",
        thresholds=step_list(PLAIN),
        extraJson={
            "fieldConfig": {"defaults": defaults, "overrides": _styles(queries)},
            "options": {**BARS, "legend": legend("hidden", ())},
        },
        **_common(look, (8, 8)),
    )


def table(title: str, text: str, columns: Sequence[Column], **look: Unpack[Look]) -> Panel:
    """Columns joined on their shared labels, a row for each label set. Heeds size, empty, sort, descending."""
    values = [column for column in columns if column.expr]
    fields = {column.title: _field(column, ref, alone=len(values) == 1) for column, ref in _lettered(values)}
    titles = {column.label or fields[column.title]: column.title for column in columns if not column.hidden}
    order = {name: index for index, name in enumerate(titles)}
    organize = {"excludeByName": {}, "includeByName": {}, "indexByName": order, "renameByName": titles}
    custom = {"cellOptions": {"type": "auto"}, "inspect": False, "minWidth": 60}
    return core.Table(
        title=title,
        description=text,
        targets=_columns(values),
        transformations=[
            *_lines(columns, fields),
            {"id": "merge", "options": {}},
            {"id": "filterFieldsByName", "options": {"include": {"names": list(titles)}}},
            {"id": "organize", "options": organize},
        ],
        thresholds=step_list(PLAIN),
        overrides=[column_override(column) for column in columns if not column.hidden],
        sortBy=[core.TableSortByField(look["sort"], look.get("descending", False))] if "sort" in look else [],
        extraJson={
            "fieldConfig": {"defaults": {"noValue": look.get("empty", "No data"), "custom": custom}},
            "options": {"cellHeight": "sm"},
        },
        **_common(look, (12, 8)),
    )


def _field(column: Column, ref: str, *, alone: bool) -> str:
    """What Grafana calls a query's value in a table: a single one Value, several ones Value #A, Value #B."""
    name = "Value" if alone else f"Value #{ref}"
    return f"{name} (allValues)" if column.shape == "line" else name


def _columns(values: Sequence[Column]) -> list[Any]:
    targets = _targets([Query(column.expr) for column in values], instant=True, shape="table")
    for column, target in zip(values, targets, strict=True):
        target.instant = column.shape != "line"
    return targets


def _lines(columns: Sequence[Column], fields: dict[str, str]) -> list[dict[str, Any]]:
    """A line's values in time, one row each, become a list in one row of the labels."""
    labels = [column.label for column in columns if column.label]
    return [
        {
            "id": "groupBy",
            "filter": {"id": "byRefId", "options": ref},
            "options": {
                "fields": {label: {"aggregations": [], "operation": "groupby"} for label in labels}
                | {
                    fields[column.title].removesuffix(" (allValues)"): {
                        "aggregations": ["allValues"],
                        "operation": "aggregate",
                    }
                }
            },
        }
        for column, ref in _lettered([column for column in columns if column.expr])
        if column.shape == "line"
    ]


def timeline(title: str, text: str, query: Query, **look: Unpack[Look]) -> Panel:
    """States over time, one band for each series. Heeds size, words, empty, url."""
    return core.StateTimeline(
        title=title,
        description=text,
        targets=_targets([query]),
        mappings=mappings(look.get("words", {})),
        showValue="never",
        rowHeight=0.8,
        fillOpacity=85,
        thresholds=step_list(PLAIN),
        extraJson={
            "fieldConfig": {
                "defaults": {"noValue": look.get("empty", NOTHING), "links": links(look.get("url", "")) or None}
            },
            "options": {"legend": legend("bottom", ()), "tooltip": {"mode": "single", "sort": "none"}},
        },
        **_common(look, (8, 8)),
    )


def heatmap(title: str, text: str, buckets: str, **look: Unpack[Look]) -> Panel:
    """A histogram's buckets over time. Heeds size, unit (of the buckets), cells (of the counts), empty."""
    custom = {
        "hideFrom": {"legend": False, "tooltip": False, "viz": False},
        "scaleDistribution": {"type": "linear"},
    }
    defaults = {"unit": look.get("cells", "short"), "noValue": look.get("empty", NOTHING), "custom": custom}
    axis = {"axisPlacement": "left", "reverse": False, "unit": look.get("unit", "none")}
    return core.Heatmap(
        title=title,
        description=text,
        targets=_targets([Query(buckets, "{{le}}")], shape="heatmap"),
        thresholds=step_list(PLAIN),
        extraJson={"fieldConfig": {"defaults": defaults}, "options": {**HEATMAP, "yAxis": axis}},
        **_common(look, (8, 8)),
    )


def row(title: str, panels: Sequence[Panel] = (), *, collapsed: bool = False) -> Panel:
    """A heading over the panels that follow it; a collapsed one holds them."""
    return core.RowPanel(title=title, panels=list(panels), collapsed=collapsed, gridPos=_grid(WIDTH, 1))


def place(panels: Iterable[Panel]) -> list[Panel]:
    """The panels flowed over the grid from left to right, each given its position and its number.

    Numbers count from 1, and from the next hundred after each row.
    """
    placed, number = list(panels), 0
    _flow(placed, top=0)
    for panel in placed:
        is_row = isinstance(panel, core.RowPanel)
        number = (number // NUMBERS_OF_A_ROW + 1) * NUMBERS_OF_A_ROW if is_row else number + 1
        panel.id = number
        if is_row:
            _flow(panel.panels, top=panel.gridPos.y + 1)
            for offset, inner in enumerate(panel.panels, start=1):
                inner.id = number + offset
    return placed


def variable(name: str, label: str, query: str, **parts: Any) -> Any:
    """A choice at the top, filled by a `label_values` query. `parts`: many, sort, now (the value first chosen)."""
    many = parts.get("many", False)
    template = core.Template(
        name=name,
        label=label,
        query=query,
        dataSource=SOURCE,
        refresh=core.REFRESH_ON_TIME_RANGE_CHANGE,
        sort=parts.get("sort", core.SORT_ALPHA_ASC),
        includeAll=many,
        multi=many,
        allValue=".*" if many else None,
    )
    template._current = parts.get("now", {})  # noqa: SLF001 - the constructor can say neither All nor nothing
    return template


def sources() -> Any:
    """The choice of the Prometheus data source."""
    return core.Template(name="datasource", label="Data source", type="datasource", query="prometheus")


def link(title: str, url: str, *, icon: str, tooltip: str) -> Any:
    """A link at the top of the dashboard."""
    return core.DashboardLink(
        title=title, uri=url, type="link", icon=icon, tooltip=tooltip, targetBlank=True, keepTime=False
    )


def sibling(title: str, uid: str, *, tooltip: str) -> Any:
    """A link to another of these dashboards, with the chosen variables and time range."""
    return core.DashboardLink(
        title=title, uri=f"/d/{uid}", type="link", icon="dashboard", tooltip=tooltip, includeVars=True, keepTime=True
    )


def annotation(name: str, expr: str, **parts: str) -> dict[str, Any]:
    """Times at which `expr` has series, marked in every graph. `parts`: title, text, color, step."""
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": parts["color"],
        "target": {"expr": expr, "refId": "Anno", "interval": parts["step"]},
        "titleFormat": parts["title"],
        "textFormat": parts["text"],
    }


def dashboard(**parts: Any) -> Any:
    """A dashboard; `parts` as grafanalib names them, variables and annotations as plain lists, `span` as `now-24h`."""
    return core.Dashboard(
        time=core.Time(parts.pop("span"), "now"),
        schemaVersion=SCHEMA_VERSION,
        graphTooltip=core.GRAPH_TOOLTIP_MODE_SHARED_CROSSHAIR,
        timezone="browser",
        editable=False,
        templating=core.Templating(list=parts.pop("variables")),
        annotations=core.Annotations(list=parts.pop("annotations")),
        **parts,
    )


def to_json(dashboard: Any) -> dict[str, Any]:
    """The dashboard as Grafana takes it: grafanalib's output with its defects repaired."""
    return repair(json.loads(json.dumps(dashboard, cls=DashboardEncoder)))


def _flow(panels: Sequence[Panel], top: int) -> None:
    x, y, tallest = 0, top, 0
    for panel in panels:
        size = panel.gridPos
        if x + size.w > WIDTH:
            x, y, tallest = 0, y + tallest, 0
        panel.gridPos = core.GridPos(h=size.h, w=size.w, x=x, y=y)
        x, tallest = x + size.w, max(tallest, size.h)


def _grid(width: int, height: int) -> Any:
    return core.GridPos(h=height, w=width, x=0, y=0)


def _common(look: Look, size: tuple[int, int]) -> dict[str, Any]:
    return {"dataSource": SOURCE, "maxDataPoints": None, "gridPos": _grid(*look.get("size", size))}


def _lettered(items: Sequence[Item]) -> list[tuple[Item, str]]:
    return list(zip(items, ascii_uppercase, strict=False))


def _targets(queries: Sequence[Query], *, instant: bool = False, shape: str = "time_series") -> list[Any]:
    return [
        core.Target(
            expr=query.expr, legendFormat=query.legend, refId=ref, instant=instant, format=shape, datasource=SOURCE
        )
        for query, ref in _lettered(queries)
    ]


def _styles(queries: Sequence[Query]) -> list[dict[str, Any]]:
    return [override("byFrameRefID", ref, query.style) for query, ref in _lettered(queries) if query.style]


def _hues(hues: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        override("byRegexp", f"/{pattern}/", {"color": {"mode": "fixed", "fixedColor": color}})
        for pattern, color in hues.items()
    ]
