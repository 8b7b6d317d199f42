"""The model dashboard: what it shows, that it is well formed, and that every expression is PromQL of the vocabulary."""

import itertools
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from exporter import names
from exporter.names import Row

from .configs import Json, built, configs, drawn, expressions, panels, plain, titled

ROWS = {
    Row.PERFORMANCE: "Model performance",
    Row.DRIFT: "Drift detection",
    Row.OPERATIONS: "Operational metrics",
    Row.QUALITY: "Data quality",
    Row.COST: "Cost and resource usage",
    Row.EXPORTER: "The exporter itself",
    Row.RESPONDER: "The alert responder",
}
MOST_SERIES = 1_000
every_config = pytest.mark.parametrize("name", list(configs()))


def sections(dashboard: Json) -> dict[str, list[Json]]:
    """The panels under each row's title; those above the first row under ''."""
    found: dict[str, list[Json]] = {"": []}
    title = ""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            title = panel["title"]
            found[title] = list(panel["panels"])
        else:
            found[title].append(panel)
    return found


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", text))


def named(panels_: list[Json]) -> set[str]:
    """The metric names in the panels' expressions, without the suffixes of histograms."""
    found = words(" ".join(target["expr"] for panel in panels_ for target in panel["targets"]))
    return found | {re.sub("_(bucket|sum|count)$", "", word) for word in found}


@every_config
def test_the_five_rows_stand_in_order_and_the_programs_come_last(name: str) -> None:
    rows = [panel["title"] for panel in built(name)["panels"] if panel["type"] == "row"]
    assert rows == list(ROWS.values())


@every_config
def test_every_family_is_shown(name: str) -> None:
    shown = named(list(drawn(built(name))))
    has_segments = any(model.segments for model in configs()[name].models)
    asked = [family for family in names.FAMILIES if has_segments or names.SEGMENT not in family.labels]
    assert {family.name for family in asked} - shown == set()


def test_every_family_is_shown_in_its_own_row() -> None:
    under = sections(built("mixed"))
    lost = {
        family.name: ROWS[family.row] for family in names.FAMILIES if family.name not in named(under[ROWS[family.row]])
    }
    assert set(lost) == {
        names.LAST_EVALUATION_TIMESTAMP_SECONDS.name,  # at the top: whether the other numbers can be believed at all
        names.STATE_BYTES.name,  # a resource, beside the costs
    }


@every_config
def test_every_recorded_series_of_a_panel_is_in_the_vocabulary(name: str) -> None:
    recorded = {word for word in words(" ".join(expressions(built(name)))) if ":" in word.rstrip(":")}
    assert recorded <= set(names.RECORDED)


@every_config
def test_every_selected_series_is_of_the_vocabulary(name: str) -> None:
    known = {family.name for family in names.FAMILIES} | set(names.RECORDED)
    histograms = {family.name for family in names.FAMILIES if family.kind == "histogram"}
    buckets = {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
    selected = {
        match[1]
        for expr in expressions(built(name))
        for match in re.finditer(r"([a-zA-Z_:][\w:]*)\{", expr)
        if match[1]
    }
    assert selected - known - buckets == {"ALERTS"}  # Prometheus's own


@every_config
def test_every_expression_is_promql(name: str, tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; scripts/install-prometheus installs it")
    rules = [{"record": "parsed", "expr": plain(expr)} for expr in expressions(built(name))]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    checked = subprocess.run(
        [promtool, "check", "rules", "--lint=none", path], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert f"{len(rules)} rules found" in checked.stdout


@every_config
def test_panels_have_numbers_of_their_own(name: str) -> None:
    ids = [panel["id"] for panel in panels(built(name))]
    assert len(ids) == len(set(ids))


def test_a_row_keeps_its_panel_numbers_when_another_grows() -> None:
    small, large = (
        {panel["title"]: panel["id"] for panel in sections(built(name))["Operational metrics"]}
        for name in ("production", "mixed")
    )
    assert small == large


@every_config
def test_panels_lie_on_the_grid_without_overlap(name: str) -> None:
    dashboard = built(name)
    inner = [panel["panels"] for panel in dashboard["panels"] if panel["type"] == "row" and panel["panels"]]
    for together in (dashboard["panels"], *inner):
        cells = [cell for panel in together for cell in covered(panel["gridPos"])]
        assert len(cells) == len(set(cells))
        assert all(0 <= x < 24 and y >= 0 for x, y in cells)


def covered(place: dict[str, int]) -> list[tuple[int, int]]:
    columns = range(place["x"], place["x"] + place["w"])
    return list(itertools.product(columns, range(place["y"], place["y"] + place["h"])))


@every_config
def test_every_panel_says_what_is_good_what_is_bad_and_what_to_do(name: str) -> None:
    for panel in drawn(built(name)):
        paragraphs = panel["description"].split("\n\n")
        assert [text.split(":")[0] for text in paragraphs[1:]] == ["**Good", "**Bad", "**Do"], panel["title"]
        assert all(text.endswith((".", "?")) for text in paragraphs), panel["title"]


@every_config
def test_every_panel_asks_the_chosen_data_source(name: str) -> None:
    for panel in drawn(built(name)):
        uids = {panel["datasource"]["uid"], *(target["datasource"]["uid"] for target in panel["targets"])}
        assert uids == {"${datasource}"}


@every_config
def test_every_panel_has_units_and_an_empty_state(name: str) -> None:
    for panel in drawn(built(name)):
        look = panel["fieldConfig"]
        units = {prop["value"] for over in look["overrides"] for prop in over["properties"] if prop["id"] == "unit"}
        has_words = bool(look["defaults"].get("mappings"))
        assert look["defaults"].get("unit") or units or has_words, panel["title"]
        assert look["defaults"]["noValue"], panel["title"]


@every_config
def test_panels_that_list_features_are_bounded(name: str) -> None:
    for panel in drawn(built(name)):
        for target in panel["targets"]:
            if f"by ({names.FEATURE}" in target["expr"]:
                ranked = re.search(r"(?:topk|bottomk)\((\d+)", target["expr"])
                assert ranked, (panel["title"], target["expr"])
                assert int(ranked[1]) * len(panel["targets"]) <= MOST_SERIES


def test_variables_are_the_data_source_and_label_queries() -> None:
    variables = {one["name"]: one for one in built("production")["templating"]["list"]}
    assert list(variables) == ["datasource", "model", "version", "window"]
    assert variables["window"]["definition"] == 'label_values(predictions_in_window{model_name="$model"}, window)'
    assert variables["version"]["current"]["value"] == ["$__all"]
    assert "current" not in variables["model"] or not variables["model"]["current"]


@pytest.mark.parametrize(("name", "window"), [("production", "1d"), ("flights", "28d")])
def test_the_window_first_shown_is_the_one_that_alerts_judge(name: str, window: str) -> None:
    [variable] = [one for one in built(name)["templating"]["list"] if one["name"] == "window"]
    assert variable["current"]["value"] == window


def test_a_replay_is_watched_as_it_runs() -> None:
    assert built("production")["time"]["from"] == "now-24h"
    assert built("flights")["time"]["from"] == "now-15m"
    assert (built("production")["refresh"], built("flights")["refresh"]) == ("1m", "5s")


def test_links_lead_to_the_runbook_the_alerts_and_the_exporter() -> None:
    links = {link["title"]: link["url"] for link in built("production")["links"]}
    alerting = configs()["production"].alerting
    assert links == {
        "Runbook": alerting.runbook_url,
        "Alerts": "/alerting/list",
        "Exporter": alerting.exporter_url,
    }


def test_alerts_mark_the_moment_they_began() -> None:
    own, alerts = built("production")["annotations"]["list"]
    assert own["builtIn"] == 1
    assert " unless " in alerts["target"]["expr"]
    assert "offset 5m" in alerts["target"]["expr"]
    assert alerts["target"]["interval"] == "60s"


@pytest.mark.parametrize("kind", ["stat", "table"])
def test_the_exporters_own_alerts_are_listed_and_counted_with_the_models(kind: str) -> None:
    title = {"stat": "Alerts firing", "table": "Firing alerts"}[kind]
    [target] = titled(built("production"), title, kind)["targets"]
    selected = re.findall(r"ALERTS{[^}]*}", target["expr"])
    assert all(f'app="{names.ALERT_APP}"' in selector for selector in selected)
    assert {re.search(r'model_name="([^"]*)"', selector)[1] for selector in selected} == {"$model", ""}  # type: ignore[index]  # each has one


def test_a_firing_alert_s_row_opens_its_runbook() -> None:
    table = titled(built("production"), "Firing alerts", "table")
    [column] = [one for one in table["fieldConfig"]["overrides"] if one["matcher"]["options"] == "Alert"]
    [link] = [one["value"] for one in column["properties"] if one["id"] == "links"]
    assert link[0]["url"] == configs()["production"].alerting.runbook_url + "#${__value.raw}"
