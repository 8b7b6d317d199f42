"""What holds for every dashboard: it is well formed, explains itself, and asks PromQL of the vocabulary alone."""

import itertools
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from exporter import names

from .configs import FEATURE, UIDS, Json, built, configs, drawn, expressions, panels, plain

MOST_SERIES = 1_000
every_dashboard = pytest.mark.parametrize(("name", "uid"), list(itertools.product(configs(), UIDS)))


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", text))


@every_dashboard
def test_every_recorded_series_of_a_panel_is_in_the_vocabulary(name: str, uid: str) -> None:
    recorded = {word for word in words(" ".join(expressions(built(name, uid)))) if ":" in word.rstrip(":")}
    assert recorded <= set(names.RECORDED)


@every_dashboard
def test_every_selected_series_is_of_the_vocabulary(name: str, uid: str) -> None:
    known = {family.name for family in names.FAMILIES} | set(names.RECORDED)
    histograms = [family.name for family in names.FAMILIES if family.kind == "histogram"]
    buckets = {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
    selected = {
        match[1]
        for expr in expressions(built(name, uid))
        for match in re.finditer(r"([a-zA-Z_:][\w:]*)\{", expr)
        if match[1]
    }
    assert selected - known - buckets == {"ALERTS", "ALERTS_FOR_STATE"}  # Prometheus's own


@every_dashboard
def test_every_expression_is_promql(name: str, uid: str, tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; scripts/install-prometheus installs it")
    rules = [{"record": "parsed", "expr": plain(expr)} for expr in expressions(built(name, uid))]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    checked = subprocess.run(
        [promtool, "check", "rules", "--lint=none", path], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert f"{len(rules)} rules found" in checked.stdout


@every_dashboard
def test_panels_have_numbers_of_their_own(name: str, uid: str) -> None:
    ids = [panel["id"] for panel in panels(built(name, uid))]
    assert len(ids) == len(set(ids))


@every_dashboard
def test_panels_lie_on_the_grid_without_overlap(name: str, uid: str) -> None:
    dashboard = built(name, uid)
    inner = [panel["panels"] for panel in dashboard["panels"] if panel["type"] == "row" and panel["panels"]]
    for together in (dashboard["panels"], *inner):
        cells = [cell for panel in together for cell in covered(panel["gridPos"])]
        assert len(cells) == len(set(cells))
        assert all(0 <= x < 24 and y >= 0 for x, y in cells)


def covered(place: dict[str, int]) -> list[tuple[int, int]]:
    columns = range(place["x"], place["x"] + place["w"])
    return list(itertools.product(columns, range(place["y"], place["y"] + place["h"])))


@every_dashboard
def test_every_panel_says_what_is_good_what_is_bad_and_what_to_do(name: str, uid: str) -> None:
    for panel in drawn(built(name, uid)):
        paragraphs = panel["description"].split("\n\n")
        assert [text.split(":")[0] for text in paragraphs[1:]] == ["**Good", "**Bad", "**Do"], panel["title"]
        assert all(text.endswith((".", "?")) for text in paragraphs), panel["title"]


@every_dashboard
def test_every_panel_asks_the_chosen_data_source(name: str, uid: str) -> None:
    for panel in drawn(built(name, uid)):
        uids = {panel["datasource"]["uid"], *(target["datasource"]["uid"] for target in panel["targets"])}
        assert uids == {"${datasource}"}


@every_dashboard
def test_every_panel_has_units_and_an_empty_state(name: str, uid: str) -> None:
    for panel in drawn(built(name, uid)):
        look = panel["fieldConfig"]
        units = {prop["value"] for over in look["overrides"] for prop in over["properties"] if prop["id"] == "unit"}
        has_words = bool(look["defaults"].get("mappings"))
        assert look["defaults"].get("unit") or units or has_words, panel["title"]
        assert look["defaults"]["noValue"], panel["title"]


@every_dashboard
def test_panels_that_list_features_are_bounded(name: str, uid: str) -> None:
    for panel in drawn(built(name, uid)):
        for target in panel["targets"]:
            if f"by ({names.FEATURE}" in target["expr"]:
                ranked = re.search(r"(?:topk|bottomk)\((\d+)", target["expr"])
                assert ranked, (panel["title"], target["expr"])
                assert int(ranked[1]) * len(panel["targets"]) <= MOST_SERIES


@every_dashboard
def test_every_link_keeps_source_window_and_time_range_and_leads_to_a_dashboard(name: str, uid: str) -> None:
    inside = [url for url in urls(built(name, uid)) if url.startswith("/d/")]
    assert bool(inside) == (uid != FEATURE)  # from a feature there is no further down
    for url in inside:
        path, _, query = url.partition("?")
        assert path.removeprefix("/d/") in UIDS
        assert query.split("&")[:3] == ["${__url_time_range}", "${datasource:queryparam}", "${window:queryparam}"]
        assert all("percentencode" in part for part in query.split("&") if part.startswith("var-"))


def urls(dashboard: Json) -> list[str]:
    """Where cells and series lead."""
    found = []
    for panel in drawn(dashboard):
        look = panel["fieldConfig"]
        links = list(look["defaults"].get("links", ()))
        links += [
            link
            for override in look["overrides"]
            for one in override["properties"]
            if one["id"] == "links"
            for link in one["value"]
        ]
        found += [link["url"] for link in links]
    return found


@every_dashboard
def test_every_variable_that_is_asked_for_stands_at_the_top(name: str, uid: str) -> None:
    dashboard = built(name, uid)
    known = {one["name"] for one in dashboard["templating"]["list"]}
    asked = set(re.findall(r"\$(\w+)", " ".join(expressions(dashboard))))
    assert {one for one in asked if not one.startswith("__") and not one.isdecimal()} <= known


@every_dashboard
def test_deployments_baselines_and_alerts_are_marked(name: str, uid: str) -> None:
    marks = {one["name"]: one for one in built(name, uid)["annotations"]["list"] if "target" in one}
    assert list(marks) == ["Alerts", "Deployments", "Baselines"]
    assert len({one["iconColor"] for one in marks.values()}) == 3


@pytest.mark.parametrize("uid", UIDS[1:])
def test_the_others_are_one_click_away_with_variables_and_time(uid: str) -> None:
    inside = [link for link in built("production", uid)["links"] if link["url"].startswith("/d/")]
    assert inside
    for link in inside:
        assert (link["includeVars"], link["keepTime"], link["targetBlank"]) == (True, True, False)


def test_a_mark_stands_where_something_began_and_not_where_a_scrape_did(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; scripts/install-prometheus installs it")
    marks = {one["name"]: one["target"]["expr"] for one in built("production", UIDS[0])["annotations"]["list"][1:]}
    info = 'prediction_exporter_model_info{model_name="m",task="binary",baseline="%s"}'
    log = 'predictions_logged_total{model_name="m",model_version="%s"}'
    series = [  # the scrape begins at minute 10, version 2 at minute 30, baseline b at minute 40
        {"series": info % "a", "values": "_x9 1x29"},
        {"series": info % "b", "values": "_x39 1x20"},
        {"series": log % "1", "values": "_x9 1x50"},
        {"series": log % "2", "values": "_x29 1x30"},
    ]
    deployed, based = (
        {"exp_samples": [{"labels": '{model_name="m",%s}' % label, "value": 1}]}  # noqa: UP031 - braces
        for label in ('model_version="2"', 'baseline="b"')
    )
    cases = [
        {"expr": marks["Deployments"], "eval_time": "12m", "exp_samples": []},
        {"expr": marks["Deployments"], "eval_time": "32m", **deployed},
        {"expr": marks["Deployments"], "eval_time": "45m", "exp_samples": []},
        {"expr": marks["Baselines"], "eval_time": "12m", "exp_samples": []},
        {"expr": marks["Baselines"], "eval_time": "42m", **based},
        {"expr": marks["Baselines"], "eval_time": "50m", "exp_samples": []},
    ]
    path = tmp_path / "test.yml"
    path.write_text(yaml.safe_dump({"tests": [{"interval": "1m", "input_series": series, "promql_expr_test": cases}]}))
    tested = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout + tested.stderr
