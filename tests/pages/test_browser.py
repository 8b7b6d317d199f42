"""Pages and report in headless Chromium: no complaints, no harm in names, by keyboard, by day and by night."""

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from exporter.config import load_config
from exporter.evaluate import evaluate
from exporter.pages import report
from exporter.web.app import create_app
from exporter.web.listen import serve_app
from exporter.web.toolkit import Address
from tests.chromium import Browser, find_chromium
from tests.world import START

from .site import MODEL, NUMBER, served
from .test_routes import PAGES

pytestmark = pytest.mark.browser
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    exporter = served(folder)
    running = serve_app(create_app(exporter, runbook=b"<h1>Runbook</h1>"), [Address("127.0.0.1", 0)])
    yield f"http://127.0.0.1:{running.port}"
    running.stop()
    exporter.stop()


@pytest.fixture(scope="module")
def written(folder: Path, url: str) -> str:
    """The report's address on disk."""
    del url  # whose fixture makes the folder's content
    path = folder / "prediction-exporter.yml"
    monitor = report.SteppedMonitor.load(load_config(path), str(path))
    now, then = (
        report.seen_in(evaluate(monitor, [str(folder / "logs")], at, START + 9e6)) for at in (None, START + 3e4)
    )
    (folder / "report.html").write_text(report.html(now, then, "From a test."))
    return f"file://{folder}/report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        pytest.skip("Chromium is not installed")
    with Browser(program, tmp_path_factory.mktemp("profile")) as found:
        yield found


def faults(browser: Browser) -> list[Any]:
    """What axe-core finds against the accessibility guidelines, and on what."""
    browser.ask(files("axe_core_python").joinpath("axe.min.js").read_text("utf-8") + "; true")
    found = browser.ask(f"axe.run(document, {json.dumps(RULES)}).then(r => r.violations.map("
                        "v => [v.id, v.nodes.slice(0, 3).map(n => n.html)]))")  # fmt: skip
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_sound_on_phone_and_desk_by_day_and_night(browser: Browser, url: str, page: str) -> None:
    for width, dark in ((390, False), (390, True), (1280, False), (1280, True)):
        browser.look(width, dark=dark)
        browser.complaints.clear()
        browser.open(url + page)
        assert browser.ask("getComputedStyle(document.querySelector('h1')).fontSize") == "25.6px"  # styled
        assert browser.ask("document.documentElement.scrollWidth <= window.innerWidth")
        assert browser.complaints == []
        assert faults(browser) == []


def test_the_report_is_sound_from_disk_and_its_links_stay_within(browser: Browser, written: str) -> None:
    for width, dark in ((390, False), (1280, True)):
        browser.look(width, dark=dark)
        browser.complaints.clear()
        browser.open(written)
        assert browser.ask("document.querySelectorAll('figure svg').length") > 5
        assert browser.complaints == []
        assert faults(browser) == []
    links = browser.ask("[...document.querySelectorAll('a')].map(a => a.getAttribute('href'))")
    assert len(links) > 10
    assert all(link.startswith("#") for link in links)
    assert browser.ask("[...document.querySelectorAll('a')].every(a => document.getElementById(a.hash.slice(1)))")


def test_names_that_look_like_markup_do_nothing(browser: Browser, url: str, written: str) -> None:
    for address in (*(url + page for page in PAGES), written):
        browser.open(address)
        assert browser.ask("document.scripts.length + document.images.length") == 0
    browser.open(url)
    assert MODEL in browser.ask("document.body.innerText")


def test_a_person_goes_from_the_landing_page_to_a_drifted_feature_by_keyboard(browser: Browser, url: str) -> None:
    browser.look(1280)
    browser.open(url)
    reached = ""
    for _ in range(60):
        browser.press("Tab")
        reached = browser.ask("document.activeElement.innerText")
        if NUMBER in reached:
            break
    assert f"{NUMBER} has drifted" in reached
    assert browser.ask("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press("Enter")
    browser.wait("location.pathname.includes('/features/')")
    browser.wait(f"document.querySelector('h1')?.innerText === {json.dumps(f'{NUMBER} of {MODEL}')}")


def test_a_chart_is_there_in_print_too(browser: Browser, url: str) -> None:
    browser.open(url + PAGES[4])
    browser._call("Emulation.setEmulatedMedia", media="print")
    try:
        assert browser.ask("getComputedStyle(document.querySelector('nav')).display") == "none"
        assert browser.ask("document.querySelector('figure svg').getBoundingClientRect().width") > 100
    finally:
        browser._call("Emulation.setEmulatedMedia", media="")
