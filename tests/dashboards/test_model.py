"""The model dashboard: its rows, its variables, its links, and that every family is shown somewhere."""

import re

import pytest

from exporter import names
from exporter.names import Row

from .configs import FEATURE, MODEL, UIDS, Json, built, configs, drawn, titled

ROWS = {
    Row.PERFORMANCE: "Model performance",
    Row.DRIFT: "Drift detection",
    Row.OPERATIONS: "Operational metrics",
    Row.QUALITY: "Data quality",
    Row.COST: "Cost and resource usage",
    Row.EXPORTER: "The exporter itself",
    Row.RESPONDER: "The alert responder",
}
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
    shown = named([panel for uid in UIDS for panel in drawn(built(name, uid))])
    has_numbers = any(model.task == "regression" for model in configs()[name].models)
    has_segments = any(model.segments for model in configs()[name].models)
    has_periods = any(model.drift.periods for model in configs()[name].models)
    asked = [
        family
        for family in names.FAMILIES
        if (has_segments or names.SEGMENT not in family.labels)
        and (has_numbers or family is not names.SEGMENT_MAE)
        and (has_periods or names.PERIOD not in family.labels or family.row is Row.EXPORTER)
    ]
    assert {family.name for family in asked} - shown == set()


def test_every_family_is_shown_in_its_own_row() -> None:
    under = sections(built("mixed"))
    lost = {
        family.name: ROWS[family.row] for family in names.FAMILIES if family.name not in named(under[ROWS[family.row]])
    }
    assert set(lost) == {
        names.LAST_EVALUATION_TIMESTAMP_SECONDS.name,  # at the top: whether the other numbers can be believed at all
        names.STATE_BYTES.name,  # a resource, beside the costs
        names.FEATURE_DISTRIBUTION_RATIO.name,  # of one feature, on its own page
        names.FEATURE_REFERENCE_RATIO.name,
        names.SEGMENT_FEATURE_DRIFT_SCORE.name,
        names.FEATURE_DRIFT_THRESHOLD.name,  # here as a recorded ratio, itself on the feature's page
    }


def test_a_row_keeps_its_panel_numbers_when_another_grows() -> None:
    small, large = (
        {panel["title"]: panel["id"] for panel in sections(built(name))["Operational metrics"]}
        for name in ("production", "mixed")
    )
    assert small == large


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
        "Fleet": "/d/prediction-fleet",
        "Features": "/d/prediction-feature",
        "Runbook": alerting.runbook_url,
        "Alerts": "/alerting/list",
        "Exporter": alerting.exporter_url,
    }


def test_alerts_mark_the_moment_they_began() -> None:
    own, alerts, *_ = built("production")["annotations"]["list"]
    assert own["builtIn"] == 1
    assert " unless " in alerts["target"]["expr"]
    assert "offset 5m" in alerts["target"]["expr"]
    assert alerts["target"]["interval"] == "60s"


@pytest.mark.parametrize("kind", ["stat", "table"])
def test_the_exporters_own_alerts_are_listed_and_counted_with_the_models(kind: str) -> None:
    title = {"stat": "Alerts firing", "table": "Firing alerts"}[kind]
    asked = " ".join(target["expr"] for target in titled(built("production"), title, kind)["targets"])
    selected = re.findall(r"ALERTS{[^}]*}", asked)
    assert selected
    assert all(f'app="{names.ALERT_APP}"' in selector for selector in selected)
    assert {re.search(r'model_name="([^"]*)"', selector)[1] for selector in selected} == {"$model", ""}  # type: ignore[index]  # each has one


def test_a_firing_alert_s_row_opens_its_runbook() -> None:
    table = titled(built("production"), "Firing alerts", "table")
    [column] = [one for one in table["fieldConfig"]["overrides"] if one["matcher"]["options"] == "Alert"]
    [link] = [one["value"] for one in column["properties"] if one["id"] == "links"]
    assert link[0]["url"] == configs()["production"].alerting.runbook_url + "#${__value.raw}"


@pytest.mark.parametrize(("uid", "title"), [(MODEL, "Features"), (FEATURE, "Segments now")])
def test_tables_of_the_present_are_ranked_by_it_and_read_no_range(uid: str, title: str) -> None:
    asked = [target["expr"] for target in titled(built("mixed", uid), title, "table")["targets"]]
    assert all("topk" in expr for expr in asked)
    assert not [expr for expr in asked if "$__range" in expr]
