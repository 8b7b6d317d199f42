"""Charts: well-formed SVG, marks where the numbers are, and a sentence for those who do not see them."""

import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from exporter.pages.charts import APART, BAR, HEIGHT, Bars, Chart, Histogram, Lines, Mark, describe, svg

HOUR = 3_600.0


def drawn(chart: Chart) -> ET.Element:
    return ET.fromstring(svg(chart, "c1"))  # noqa: S314 - of our own making


def marks(root: ET.Element, kind: str) -> list[ET.Element]:
    return [element for element in root.iter() if element.get("class") == kind]


HISTOGRAM = Histogram("t", [0, 1, 2], [0.25, 0.75], [0.5, 0.5])
BARS = Bars("t", ["a<b", "x" * 40], [0.25, 0.75], [0.5, 0.5], (3, 0.1, 0.2))
LINES = Lines("t & u", [0, HOUR, 2 * HOUR, 3 * HOUR], [0.5, None, 0.7, 0.6], [0.4, None, 0.6, 0.5],
              [0.6, None, 0.8, 0.7], [Mark("limit", 0.65), Mark("far", 90.0)])  # fmt: skip


@pytest.mark.parametrize("chart", [HISTOGRAM, BARS, LINES], ids=["histogram", "bars", "lines"])
def test_a_chart_is_xml_with_a_title_and_a_description(chart: Chart) -> None:
    root = drawn(chart)
    labels = {element.get("id"): element.text for element in root}
    assert [labels[name] for name in (root.get("aria-labelledby") or "").split()] == [chart.title, describe(chart)]
    assert root.get("role") == "img"


def test_bars_are_as_tall_as_their_shares() -> None:
    low, high = (
        float(bar.get("height", 0)) for bar in marks(drawn(Histogram("t", [0, 1, 2], [0, 1], [0.2, 0.8])), "current")
    )
    assert high / low == pytest.approx(4, rel=0.01)


def test_categories_have_a_row_each_and_long_names_are_cut_but_told() -> None:
    root = drawn(BARS)
    assert root.get("viewBox") == f"0 0 400 {8 + 3 * BAR}"
    assert "x" * 40 not in [element.text for element in root.iter() if element.tag == "text"]
    assert any((element.text or "").startswith("x" * 40) for element in root.iter("title"))
    assert "3 others" in "".join(root.itertext())


def test_a_gap_breaks_the_line_and_the_band() -> None:
    root = drawn(LINES)
    assert len(marks(root, "line")) == 2
    assert (len(marks(root, "band")), len(marks(root, "whisker"))) == (1, 1)
    assert len(marks(root, "dot")) == 3


def test_a_mark_is_drawn_where_it_does_not_flatten_the_line() -> None:
    assert [element.text for element in drawn(LINES).iter() if element.get("class") == "over"] == ["limit"]


def test_marks_that_cannot_be_told_apart_leave_the_highest() -> None:
    near = [Mark("minor", 0.1), Mark("moderate", 0.2), Mark("severe", 0.3)]
    chart = Lines("t", [0, HOUR], [0.0, 9.0], [None] * 2, [None] * 2, near)
    heights = [float(line.get("y1", 0)) for line in marks(drawn(chart), "mark")]
    assert len(heights) < 3
    assert all(low - high >= APART - 0.1 for high, low in pairwise(heights))


def test_wide_bounds_leave_the_line_room() -> None:
    chart = Lines("t", [0, HOUR], [0.1, 0.2], [0.0, 0.1], [0.2, 50.0])
    heights = [float(dot.get("cy", 0)) for dot in marks(drawn(chart), "dot")]
    assert heights[0] - heights[1] > HEIGHT / 6


@pytest.mark.parametrize(
    ("chart", "sentence"),
    [
        (HISTOGRAM, "The largest difference is at 1 to 2: 75.0% of the reference, 50.0% of the window."),
        (LINES, "3 values from 0.5 to 0.6, lowest 0.5, highest 0.7."),
        (Lines("t", [], [], [], []), "No values."),
    ],
)
def test_a_chart_is_told_in_a_sentence(chart: Chart, sentence: str) -> None:
    assert describe(chart) == sentence


@pytest.mark.parametrize("values", [[], [None], [0.0], [5.0, 5.0], [-1e9, 1e9]])
def test_few_equal_and_huge_values_are_drawn(values: list[float | None]) -> None:
    nothing: list[float | None] = [None] * len(values)
    times = [place * HOUR for place in range(len(values))]
    text = svg(Lines("t", times, values, nothing, nothing), "c1")
    assert "nan" not in text
    assert ("no values in this window" in text) == (not any(value is not None for value in values))
