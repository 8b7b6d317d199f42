"""The command `report`: one file that stands alone, at an instant or comparing two, or text for a ticket."""

from pathlib import Path

import pytest

from tests.commands import Run
from tests.world import START, outcome, prediction, text

ARGUMENTS = ("--config", "prediction-exporter.yml", "--log", "logs")


def log() -> None:
    records = [*(prediction(number) for number in range(2_000)), *(outcome(number) for number in range(0, 1_900, 2))]
    odd = [prediction(number, version="v|2 <b>@here", features={"age": 90.0, "colour": "mauve"})
           for number in range(2_000, 4_000)]  # fmt: skip
    Path("logs/x.ndjson").write_bytes(text([*records, *odd]))


def test_a_report_is_one_page_that_loads_nothing(run: Run) -> None:
    log()
    ended = run("report", *ARGUMENTS, "--out", "report.html")
    assert (ended.status, ended.out) == (0, "")
    page = Path("report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    for heading in ("Overview", "Data quality of churn", "age of churn", "colour of churn", "Status"):
        assert f">{heading}</h2>" in page
    assert "Content-Security-Policy" in page
    assert "src=" not in page
    assert "<b>@here" not in page
    assert page.count("<svg viewBox") > 5
    assert "no values in this window" not in page.split("Predictions over time")[1][:2_000]


def test_a_comparison_tells_both_instants_and_what_moved_most_first(run: Run) -> None:
    log()
    then = str(START + 30 * 1_900)
    assert run("report", *ARGUMENTS, "--compare", then, "--out", "report.md", "--format", "markdown").status == 0
    page = Path("report.md").read_text()
    assert "compared with 2023-11-15 15:50 UTC" in page
    part = page.split("### Features")[1].split("## ")[0]
    rows = [line.split(" | ")[0].removeprefix("| ") for line in part.splitlines() if line.startswith("| ")][2:]
    assert sorted(rows) == ["age", "colour"]
    assert "Both over 1d" in page


def test_a_ticket_has_no_feature_pages_and_no_live_markup(run: Run) -> None:
    log()
    run("report", *ARGUMENTS, "--out", "report.md", "--format", "markdown")
    page = Path("report.md").read_text()
    assert "v\\|2 \\<b\\>\\@here" in page
    assert "## age of churn" not in page
    assert "Accuracy over time: " in page
    tables = [block for block in page.split("\n\n") if block.startswith("| ")]
    assert len(tables) > 5
    for table in tables:
        assert len({line.replace("\\|", "").count("|") for line in table.splitlines()}) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--compare", "someday", "--out", "x.html"), "'someday' is no time"),
        (("--out", "logs"), "--out logs: "),
        (("--at", "1", "--out", "x.html"), "no usable record"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(run: Run, arguments: tuple[str, ...], message: str) -> None:
    log()
    ended = run("report", *ARGUMENTS, *arguments)
    assert ended.status > 0
    assert message in ended.err
    assert not Path("x.html").exists()
