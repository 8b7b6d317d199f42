"""The page in headless Chromium: signed in, looked at, and used with mouse and keyboard."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from alerting.responder.server import create_app
from alerting.responder.settings import load_settings
from alerting.responder.store import Store
from alerting.responder.worker import Worker
from exporter.demo.processes import free_port
from tests.chromium import Browser, find_chromium

from .world import FULL, PAGE_TOKEN, Target, alert, payload, settings_file, wait_until

pytestmark = pytest.mark.browser
TITLE = "document.title"


class Served:
    """A responder that serves on loopback, over a target that takes all."""

    def __init__(self, folder: Path, target: Target) -> None:
        self.port = free_port()
        retraining = {"target": {"webhook": {"url": f"{target.url}/retrain"}}, "fresh_labels": 0}
        tickets = {"webhook": {"url": f"{target.url}/tickets"}}
        url = f"http://127.0.0.1:{self.port}"
        changes = FULL | {"retraining": retraining, "tickets": tickets, "external_url": url}
        self.url, self.target = url, target
        self.settings = load_settings(settings_file(folder, **changes))
        self.store = Store(self.settings.state, time.time())
        self.worker = Worker(self.settings, self.store)
        app = create_app(self.settings, self.store, self.worker)
        config = uvicorn.Config(app, port=self.port, log_config=None, lifespan="off", ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)

    def start(self) -> None:
        self.worker.start()
        self._thread.start()
        wait_until(lambda: self._server.started)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self.worker.stop()
        self.store.close()

    def tell(self, *alerts: dict[str, Any]) -> None:
        self.store.accept(json.dumps(payload(*alerts)).encode(), time.time())
        self.worker.wake()
        wait_until(lambda: self.count("SELECT count(*) FROM actions WHERE outcome IS NULL") == 0)
        wait_until(lambda: self.count("SELECT count(*) FROM deliveries") == 0)

    def count(self, query: str) -> int:
        with sqlite3.connect(self.settings.state, timeout=30) as database:
            [(found,)] = database.execute(query)
        database.close()
        return int(found)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Served]:
    with Target() as target:
        served = Served(tmp_path, target)
        served.start()
        yield served
        served.stop()


@pytest.fixture
def browser(tmp_path: Path, site: Served) -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        pytest.skip("Chromium is not installed")
    with Browser(program, tmp_path / "profile") as found:
        found.open(f"{site.url}/")
        yield found


def sign_in(browser: Browser) -> None:
    browser.wait("document.activeElement.id === 'token'")
    browser.type(PAGE_TOKEN)
    browser.press("Enter")
    browser.wait(f"{TITLE}.includes('investigations')")


def drifts(site: Served) -> None:
    start = time.time() - 700
    moderate = alert("PredictionFeatureDriftModerate", severity="warning", start=start)
    odd = alert(
        "PredictionFeatureDriftModerate", severity="warning", start=start, feature="<b>odd</b> & long " + "x" * 80
    )
    site.tell(moderate, odd, alert(model_name="fraud", start=start))


def test_a_person_signs_in_acknowledges_judges_and_retrains(site: Served, browser: Browser, tmp_path: Path) -> None:
    drifts(site)
    sign_in(browser)
    assert browser.ask("document.querySelectorAll('article').length") == 2
    article = "article:not(.critical)"
    browser.click(f"{article} button[value=acknowledge]")
    browser.wait(f"document.querySelector('{article} .meta').innerText.includes(', acknowledged')")
    browser.click(f"{article} button[value=true]")
    browser.wait(f"document.querySelector('{article} .meta').innerText.includes('judged real')")
    assert browser.ask(f"document.querySelectorAll('{article} button[value=true]').length") == 0
    retrainings = len(site.target.sent("/retrain"))
    browser.click(f"{article} summary")
    browser.click(f"{article} button[value=retrain]")
    wait_until(lambda: len(site.target.sent("/retrain")) == retrainings + 1)
    browser.wait("document.body.innerText.includes('asked for by a person')")
    browser.photograph(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000


def test_a_false_alarm_closes_its_ticket(site: Served, browser: Browser) -> None:
    drifts(site)
    sign_in(browser)
    browser.click("article.critical button[value=false]")
    wait_until(lambda: "close_ticket" in [request.body["action"] for request in site.target.sent("/tickets")])
    assert site.count("SELECT count(*) FROM incidents WHERE verdict = 'false'") == 1


def test_a_wrong_token_is_told_and_opens_nothing(site: Served, browser: Browser) -> None:
    drifts(site)
    browser.wait("document.activeElement.id === 'token'")
    browser.type("wrong")
    browser.press("Enter")
    browser.wait("document.querySelector('[role=alert]')?.innerText === 'That is not the token.'")
    assert "Drift" not in browser.ask("document.body.innerText")


def test_everything_is_reached_by_keyboard_and_has_a_name(site: Served, browser: Browser) -> None:
    drifts(site)
    sign_in(browser)
    reached = set()
    for _ in range(browser.ask("document.querySelectorAll('button, a, summary').length") + 2):
        browser.press("Tab")
        reached.add(browser.ask("document.activeElement.tagName + ' ' + document.activeElement.innerText"))
    assert {"BUTTON Sign out", "BUTTON Acknowledge", "BUTTON A false alarm", "SUMMARY Retrain…"} <= reached
    unnamed = "[...document.querySelectorAll('button, a, summary')].filter(e => !e.textContent.trim()).length"
    assert browser.ask(unnamed) == 0
    assert browser.ask("document.documentElement.lang") == "en"
    assert browser.ask("[...document.querySelectorAll('h1, h2, h3')].map(e => e.tagName)[0]") == "H1"
    assert browser.ask("document.querySelectorAll('th:not([scope])').length") == 0
    assert browser.ask("document.documentElement.scrollWidth <= window.innerWidth")


def test_nothing_on_the_page_breaks_its_own_policy_or_comes_from_elsewhere(site: Served, browser: Browser) -> None:
    drifts(site)
    sign_in(browser)
    assert browser.ask("getComputedStyle(document.querySelector('article')).borderLeftWidth") != "0px"  # styled
    fetched = browser.ask("performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in fetched if not name.startswith(site.url)] == []
    assert browser.ask("document.querySelectorAll('li b').length") == 0


def test_a_form_from_another_site_is_refused(site: Served, browser: Browser) -> None:
    """The browser keeps the session to itself when another site sends the form."""
    drifts(site)
    sign_in(browser)
    key = browser.ask("document.querySelector('article').id")
    page = (
        f"<form method=post action={site.url}/investigations/{key}><input name=do value=acknowledge>"
        "<button>Win</button></form>"
    )
    with Target(lambda _: (200, None)) as other:
        foreign = other.url.replace("127.0.0.1", "localhost")
        browser.open(foreign)
        browser.ask(f"document.body.innerHTML = {json.dumps(page)}; true")
        browser.click("button")
        browser.wait("document.body.innerText.includes('Sign in, and use the forms of the page.')")
    assert site.count("SELECT count(*) FROM incidents WHERE acknowledged IS NOT NULL") == 0
