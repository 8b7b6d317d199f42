"""The pages over HTTP: each opens, names are only names, links lead where they say, and a scrape never waits."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, urlencode, urljoin

import httpx
import pytest

from exporter.pages import routes
from exporter.pages.document import Document
from exporter.pages.seen import Seen as Evaluation
from exporter.pages.status import status_page
from exporter.service import Exporter
from exporter.web.app import create_app
from exporter.web.listen import serve_app
from exporter.web.toolkit import Address

from .site import CATEGORY, MODEL, NUMBER, VALUE, VERSION, served

QUOTED = f"/models/{quote(MODEL, safe='')}"
PAGES = (
    "/",
    "/status",
    QUOTED,
    f"{QUOTED}/quality",
    f"{QUOTED}/features/{quote(NUMBER, safe='')}",
    f"{QUOTED}/features/{quote(CATEGORY, safe='')}",
    f"{QUOTED}?{urlencode({'window': '1h', 'version': 'v1'})}",
)


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    made = served(tmp_path_factory.mktemp("site"))
    yield made
    made.stop()


@contextmanager
def serving(exporter: Exporter) -> Iterator[httpx.Client]:
    running = serve_app(create_app(exporter, runbook=b"<h1>Runbook</h1>"), [Address("127.0.0.1", 0)])
    try:
        address = f"http://127.0.0.1:{running.port}"
        with httpx.Client(base_url=address, follow_redirects=True, timeout=30) as client:
            yield client
    finally:
        running.stop()


@pytest.fixture(scope="module")
def client(exporter: Exporter) -> Iterator[httpx.Client]:
    with serving(exporter) as client:
        yield client


class Seen(HTMLParser):
    """What a browser would make of a page: its elements, their attributes and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.identifiers: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "href":
                self.links.append(value or "")
            if name == "id":
                self.identifiers.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_under_a_policy_and_no_name_becomes_markup(client: httpx.Client, page: str) -> None:
    answer = client.get(page)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    found = Seen(answer.text)
    assert not found.tags & {"script", "img", "link", "iframe"}
    assert not {name for name in found.attributes if name.startswith("on") or name in {"style", "src"}}
    assert len(set(found.identifiers)) == len(found.identifiers)
    assert "http" not in answer.text.replace("http://localhost", "").replace("https://hooks.example", "")


def test_names_are_shown_letter_by_letter(client: httpx.Client) -> None:
    assert MODEL in Seen(client.get("/").text).text
    page = Seen(client.get(PAGES[5]).text).text
    assert CATEGORY in page
    assert VERSION in page
    assert VALUE in page


def test_every_link_leads_to_a_page(client: httpx.Client) -> None:
    known, waiting = set[str](), ["/"]
    while waiting:
        address = waiting.pop()
        known.add(address)
        answer = client.get(address)
        assert answer.status_code == (503 if address == "/-/healthy" else 200), address  # its worker is this test
        if answer.headers["content-type"].startswith("text/html"):
            links = (urljoin(f"http://x{address}", link) for link in Seen(answer.text).links)
            waiting += [link.removeprefix("http://x") for link in links if link.removeprefix("http://x") not in known]
    assert len({address for address in known if "/features/" in address}) == 2 * 2 * 2  # features, versions, windows
    assert not {address for address in known if "quiet" in address}  # it has no data to show


def test_without_a_choice_it_is_the_newest_version_over_the_drift_window(client: httpx.Client) -> None:
    page = client.get(QUOTED).text
    assert set(re.findall(r'aria-current="page">([^<]*)<', page)) == {"1d", escape(VERSION), escape(MODEL)}


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("/models/nobody", "There is no model 'nobody' here; there is <script>"),
        ("/models/quiet", "There are no predictions of 'quiet' yet."),
        (f"{QUOTED}?window=2h", "There is no window '2h' here; there is 1h, 1d."),
        (f"{QUOTED}?version=v9", "There is no version 'v9' here; there is v1, "),
        (f"{QUOTED}/features/nothing", "There is no feature 'nothing' here; there is "),
        (f"{QUOTED}/nothing", "There is no page "),
    ],
)
def test_what_is_not_there_is_told_in_plain_text_with_what_is(client: httpx.Client, address: str, message: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/plain")
    assert message in answer.text


def test_an_alerts_link_lands_on_the_very_feature_version_and_window(client: httpx.Client) -> None:
    about = {"model": MODEL, "version": VERSION, "window": "1h", "feature": NUMBER}
    answer = client.get(f"/alert?{urlencode(about)}")  # spaces as plus signs, as Prometheus' urlquery has them
    assert answer.history[0].headers["location"].startswith("models/")
    assert answer.status_code == 200
    page = Seen(answer.text)
    assert f"{NUMBER} of {MODEL}" in page.text
    chosen = map(unescape, re.findall(r'aria-current="page">([^<]*)<', answer.text))
    assert {"1h", VERSION} <= set(chosen)


def test_an_alert_without_a_model_lands_on_the_status_page(client: httpx.Client) -> None:
    assert "Configuration in force" in client.get("/alert").text


def test_the_status_page_tells_the_configuration_without_secrets(client: httpx.Client) -> None:
    page = Seen(client.get("/status").text).text
    assert "https://hooks.example/\N{HORIZONTAL ELLIPSIS}" in page
    assert "secret" not in page
    assert "word" not in page.replace("passwords", "")
    assert "min_rows: 20" in page


def test_a_statistic_that_failed_is_told_with_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from exporter import measures

    def broken(_: object) -> None:
        raise ZeroDivisionError("of <nothing>")

    monkeypatch.setitem(measures.MEASURES, "output_drift", broken)
    exporter = served(tmp_path)
    with serving(exporter) as client:
        page = Seen(client.get("/status").text).text
    exporter.stop()
    assert "output_drift" in page
    assert "ZeroDivisionError('of <nothing>')" in page


def test_a_scrape_is_answered_while_a_page_is_written(exporter: Exporter, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, release = threading.Event(), threading.Event()

    def slow(seen: Evaluation) -> Document:
        begun.set()
        assert release.wait(30)
        return status_page(seen)

    monkeypatch.setattr(routes, "status_page", slow)
    with serving(exporter) as client:
        reading = threading.Thread(target=client.get, args=("/status",))
        reading.start()
        try:
            assert begun.wait(30)
            assert client.get("/metrics").status_code == 200
            assert reading.is_alive()
        finally:
            release.set()
            reading.join()
