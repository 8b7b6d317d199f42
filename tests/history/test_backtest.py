"""What a backtest makes of firings and events: times to detect, false alarms, pages, tables and a picture."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from exporter.errors import ConfigError
from exporter.history.backtest import Backtest, Event, Verdict, load_events
from exporter.history.firing import Firing, notifications
from exporter.history.picture import picture
from exporter.history.report import summary, tables
from exporter.history.rulefile import Rule
from exporter.history.server import Span

HOUR, DAY = 3_600.0, 86_400.0
START = 1_700_006_400.0
SPAN = Span(START, HOUR, 60 * 24 + 1)
EVENTS = [Event("storm", START + 10 * DAY, START + 12 * DAY), Event("fog <&>", START + 40 * DAY, START + 41 * DAY)]


def verdict(name: str, *stretches: tuple[float, float | None], **labels: str) -> Verdict:
    rule = Rule(name, "x", labels, 60.0)
    firings = (
        Firing({"alertname": name, **labels}, START + DAY * first, None if end is None else START + DAY * end)
        for first, end in stretches
    )
    return Verdict(rule, tuple(notifications(firings)))


def found() -> Backtest:
    verdicts = [
        verdict("Pages", (1, 2), (10.5, 11), (59, None), severity="critical", page="true"),
        verdict("Warns", (9, 10.25), severity="warning"),
        verdict("Silent", severity="info"),
        Verdict(Rule("Unknown", "y", {}, 60.0), obstacle="the history has no y"),
    ]
    return Backtest(SPAN, verdicts, EVENTS)


def test_time_to_detect_false_alarms_and_pages() -> None:
    pages, warns, *_ = found().verdicts
    storm, fog = EVENTS
    assert (pages.detected(storm), warns.detected(storm), pages.detected(fog)) == (0.5 * DAY, None, None)
    assert (pages.fired_already(storm), warns.fired_already(storm)) == (False, True)
    assert [one.start for one in pages.false(EVENTS)] == [START + DAY, START + 59 * DAY]
    assert warns.false(EVENTS) == []
    assert found().pages_a_week == pytest.approx(3 / 60 * 7)
    assert pages.seconds(SPAN.end) == 2.5 * DAY


def test_the_summary_is_json_and_has_everything() -> None:
    told = json.loads(json.dumps(summary(found(), 0.5)))
    assert told["pages_per_week"] == 0.35
    assert told["budget_pages_per_week"] == 0.5
    assert [(of["alert"], of["false_per_month"]) for of in told["alerts"]] == [
        ("Pages", 1),
        ("Warns", 0),
        ("Silent", 0),
    ]
    assert told["events"][0]["seconds_to_detect"] == {"Pages": 43_200}
    assert told["events"][0]["fired_already"] == ["Warns"]
    assert told["not_judged"] == {"Unknown": "the history has no y"}
    assert told["alerts"][0]["notifications"][2]["end"] is None


def test_without_events_nothing_is_called_false() -> None:
    assert summary(Backtest(SPAN, found().verdicts), None)["alerts"][0]["false_per_month"] is None


def test_the_tables_say_when_and_why_not() -> None:
    told = tables(found(), 0.2)
    assert "| Pages | critical, pages | 3 | 3 | 0.35 | 1.00 | 60 | 11-16 00:00 to 11-17 00:00;" in told
    assert "01-13 00:00 to the end |" in told
    assert "| storm | 2023-11-25 00:00 | 2023-11-27 00:00 | Pages 12 h | Warns |" in told
    assert "| fog <&> | 2023-12-25 00:00 | 2023-12-26 00:00 | none | none |" in told
    assert "Silent: Silent." in told
    assert "- Unknown: the history has no y" in told
    assert told.endswith("Pages a week: 0.35; the budget is 0.2.\n")


def test_the_picture_has_a_bar_for_each_stretch_and_a_band_for_each_event() -> None:
    drawn = ET.fromstring(picture(found()))  # noqa: S314 - our own text
    titles = [title.text or "" for title in drawn.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[:2] == ["storm", "fog <&>"]
    assert [title.partition(":")[0] for title in titles[2:]] == ["Pages"] * 3 + ["Warns"]


def test_events_are_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "events.yml"
    path.write_text(
        "events:\n"
        "- {name: b, start: '2013-02-08T00:00:00-05:00', end: '2013-02-10T00:00:00Z'}\n"
        "- {name: a, start: '1', end: '2'}\n"
    )
    assert load_events(path) == [Event("a", 1, 2), Event("b", 1_360_299_600, 1_360_454_400)]
    assert load_events(None) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("events: [{name: a, start: '2', end: '1'}]", "events.0: .*start must be before end"),
        ("events: [{name: a, start: soon, end: '1'}]", "start must be before end"),
        ("events: [{name: '', start: '1', end: '2', more: 1}]", "events.0.more: "),
        ("events: [", "is no YAML"),
    ],
)
def test_problems_of_an_events_file_are_told(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "events.yml").write_text(text)
    with pytest.raises(ConfigError, match=problem):
        load_events(tmp_path / "events.yml")
