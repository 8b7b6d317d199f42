"""The HTTP side: who is let in, what is kept before it is answered, and what a person may do."""

import asyncio
import json
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import ASGIApp

from alerting.responder import sessions
from alerting.responder.server import MOST_BYTES, create_app
from alerting.responder.settings import DAY
from alerting.responder.store import Store
from alerting.responder.worker import LANES, Worker
from exporter import names
from exporter.names import FAMILIES, Row

from .world import FULL, PAGE_TOKEN, START, WEBHOOK_TOKEN, alert, payload, settings_of

BEARER = {"Authorization": f"Bearer {WEBHOOK_TOKEN}"}
OWN = "https://responder.example"


class Client:
    """A browser's part: it keeps cookies and follows nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._cookies = httpx.Cookies()

    def get(self, path: str) -> httpx.Response:
        return self._request("GET", path)

    def post(self, path: str, **content: Any) -> httpx.Response:
        return self._request("POST", path, **content)

    def _request(self, method: str, path: str, **content: Any) -> httpx.Response:
        async def answer() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url=OWN, cookies=self._cookies) as client:
                answer = await client.request(method, path, **content)
                self._cookies = client.cookies
                return answer

        return asyncio.run(answer())


class Site:
    """The application over a database, and the worker that the test drives; dry, so that no target is needed."""

    def __init__(self, folder: Path) -> None:
        self.settings = settings_of(folder, **FULL | {"dry_run": True, "external_url": OWN})
        self.store = Store(self.settings.state, START)
        self.worker = Worker(self.settings, self.store)
        self.client = Client(create_app(self.settings, self.store, self.worker))

    def tell(self, *alerts: dict[str, Any], headers: dict[str, str] = BEARER) -> int:
        return self.client.post("/v1/alerts", json=payload(*alerts), headers=headers).status_code

    def work(self) -> None:
        while self.worker.plan_next():
            pass
        for lane in LANES:
            self.worker.act_next(lane)

    def log_in(self, token: str = PAGE_TOKEN) -> int:
        return self.client.post("/login", data={"token": token}).status_code

    def page(self) -> str:
        return self.client.get("/").text

    def do(self, what: str, key: str, csrf: str | None = None) -> int:
        found = re.search('name="csrf" value="([^"]+)"', self.page())
        csrf = (found[1] if found else "") if csrf is None else csrf
        return self.client.post(f"/investigations/{key}", data={"csrf": csrf, "do": what}).status_code

    def investigation(self, *alerts: dict[str, Any]) -> str:
        """The key of the one that these alerts begin."""
        assert self.tell(*(alerts or (alert(),))) == 200
        self.work()
        return str(self.store.rows("SELECT investigation FROM incidents ORDER BY starts_at DESC LIMIT 1")[0][0])

    def scrape(self) -> dict[tuple[str, ...], float]:
        answer = self.client.get("/metrics")
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    yield found
    found.store.close()


def waiting(site: Site) -> int:
    return int(site.store.rows("SELECT count(*) FROM deliveries")[0][0])


def test_a_webhook_is_on_disk_when_it_is_answered(site: Site) -> None:
    assert site.tell(alert()) == 200
    with sqlite3.connect(site.settings.state) as other:
        assert other.execute("SELECT count(*) FROM deliveries").fetchall() == [(1,)]
    other.close()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": WEBHOOK_TOKEN},
        {"Authorization": f"Bearer {PAGE_TOKEN}"},
    ],
)
def test_a_webhook_without_the_token_is_refused(site: Site, headers: dict[str, str]) -> None:
    assert site.tell(alert(), headers=headers) == 401
    assert waiting(site) == 0


def test_what_is_no_webhook_or_too_large_is_refused_for_good(site: Site) -> None:
    """With 4xx, Alertmanager does not try again."""
    assert site.client.post("/v1/alerts", content=b"{}", headers=BEARER).status_code == 400
    assert site.client.post("/v1/alerts", content=b" " * (MOST_BYTES + 1), headers=BEARER).status_code == 413
    assert waiting(site) == 0


def test_a_delivery_that_cannot_be_kept_is_asked_for_again(site: Site) -> None:
    site.store.close()
    assert site.tell(alert()) == 503
    site.store = Store(site.settings.state, START)


def test_a_token_that_is_gone_is_no_open_door(site: Site) -> None:
    assert site.settings.webhook_token.file
    site.settings.webhook_token.file.unlink()
    assert site.tell(alert(), headers={"Authorization": "Bearer "}) == 503


def test_without_a_session_the_page_shows_nothing_and_does_nothing(site: Site) -> None:
    key = site.investigation()
    assert "PredictionFeatureDriftSevere" not in site.page()
    assert site.log_in("wrong") == 403
    assert site.do("acknowledge", key, csrf="") == 403
    assert site.scrape()[f"{names.ALERT_RESPONSE_SECONDS.name}_count",] == 0


@pytest.mark.parametrize("csrf", ["", "0" * 64])
def test_a_form_of_another_site_does_nothing(site: Site, csrf: str) -> None:
    key = site.investigation()
    site.log_in()
    assert site.do("acknowledge", key, csrf=csrf) == 403
    assert site.scrape()[f"{names.ALERT_RESPONSE_SECONDS.name}_count",] == 0


def test_the_session_is_kept_from_scripts_and_from_other_sites_and_from_plain_http(site: Site) -> None:
    answer = site.client.post("/login", data={"token": PAGE_TOKEN})
    cookie = answer.headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Secure"))
    headers = site.client.get("/").headers
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert headers["cache-control"] == "no-store"


def test_a_session_expires_and_is_worth_nothing_under_another_token() -> None:
    session = sessions.new_session("a" * 16, START)
    assert sessions.is_session(session, "a" * 16, START + sessions.LIFE - 1)
    assert not sessions.is_session(session, "a" * 16, START + sessions.LIFE)
    assert not sessions.is_session(session, "b" * 16, START)
    later = re.sub(r"^\d+", str(int(START) + 9 * DAY), session)
    assert not sessions.is_session(later, "a" * 16, START)
    assert not any(sessions.is_session(text, "a" * 16, START) for text in ("", ".", "..", "1.2.3", session[:-1], "ü"))


def test_a_person_acknowledges_and_the_time_is_measured(site: Site) -> None:
    key = site.investigation(alert(start=time.time() - 1200))
    name = names.RESPONDER_OLDEST_UNACKNOWLEDGED_TIMESTAMP_SECONDS.name
    assert site.scrape()[name,] == pytest.approx(time.time() - 1200, abs=60)
    site.log_in()
    assert "not acknowledged" in site.page()
    assert site.do("acknowledge", key) == 303
    assert site.do("acknowledge", key) == 404
    assert "not acknowledged" not in site.page()
    scraped = site.scrape()
    assert (name,) not in scraped
    assert scraped[f"{names.ALERT_RESPONSE_SECONDS.name}_count",] == 1
    assert scraped[f"{names.ALERT_RESPONSE_SECONDS.name}_sum",] == pytest.approx(1200, abs=60)
    bounds = [scraped[f"{names.ALERT_RESPONSE_SECONDS.name}_bucket", bound] for bound in ("900.0", "1800.0", "+Inf")]
    assert bounds == [0, 1, 1]


@pytest.mark.parametrize("verdict", ["true", "false"])
def test_a_verdict_counts_each_alert_once(site: Site, verdict: str) -> None:
    key = site.investigation(alert(), alert(feature="tenure"))
    site.log_in()
    assert site.do(verdict, key) == 303
    assert site.do("true", key) == 404
    assert site.scrape()[names.ALERTS_REVIEWED_TOTAL.name, verdict] == 2


def test_what_asks_for_nothing_is_not_shown(site: Site) -> None:
    site.investigation(alert("Watchdog"))
    site.log_in()
    assert "Open investigations (0)" in site.page()


def test_an_alert_that_ended_can_still_be_judged(site: Site) -> None:
    start = time.time() - 3600
    key = site.investigation(alert(start=start))
    site.tell(alert(start=start, end=start + 600))
    site.work()
    site.log_in()
    assert "Open investigations (0)" in site.page()
    assert "Ended, not reviewed (1)" in site.page()
    assert site.do("false", key) == 303
    assert "Ended, not reviewed (0)" in site.page()


def test_a_person_starts_a_retraining_once(site: Site) -> None:
    key = site.investigation(alert("PredictionFeatureDriftModerate"))
    site.log_in()
    assert site.do("retrain", key) == 303
    assert site.do("retrain", key) == 404
    assert "<td>retraining</td><td>queued</td><td>asked for by a person</td>" in site.page()
    site.work()
    assert site.scrape()[names.RESPONDER_ACTIONS_TOTAL.name, "retrain", "dry_run"] == 1


@pytest.mark.parametrize("what", ["", "notify", "open_ticket", "delete"])
def test_nothing_else_can_be_asked_for(site: Site, what: str) -> None:
    key = site.investigation()
    site.log_in()
    assert site.do(what, key) == 404
    assert site.do("acknowledge", "unknown") == 404


def test_signing_out_ends_the_session(site: Site) -> None:
    site.log_in()
    csrf = re.search('name="csrf" value="([^"]+)"', site.page())
    assert csrf
    assert site.client.post("/logout", data={"csrf": csrf[1]}).status_code == 303
    assert "Sign in" in site.page()


def test_what_data_says_is_text_and_no_markup(site: Site) -> None:
    told = alert(model_name="<script>alert(1)</script>", feature='"><img src=x>')
    told["annotations"] = {"description": "<b>bold</b>", "dashboard_url": 'http://x/"onmouseover="alert(1)'}
    site.investigation(told)
    site.log_in()
    page = site.page()
    assert not re.search(r"<(script|img|b)\b", page)
    assert 'onmouseover="' not in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page


def test_the_page_loads_nothing(site: Site) -> None:
    site.investigation()
    site.log_in()
    assert re.findall(r"\bsrc=|<link|@import|url\(", site.page()) == []


def test_every_family_of_the_responder_is_scraped_with_its_labels(site: Site) -> None:
    site.investigation()
    scraped = {family.name: family for family in text_string_to_metric_families(site.client.get("/metrics").text)}
    own = [family for family in FAMILIES if family.row is Row.RESPONDER] + [names.MONITORING_COST_USD]
    for family in own:
        found = scraped[family.name.removesuffix("_total")]
        assert found.documentation == family.help
        assert {*found.samples[0].labels} - {"le"} == set(family.labels)
    assert "process_cpu_seconds" in scraped


def test_notifications_cost_what_was_sent_in_a_day_for_a_month(site: Site) -> None:
    key = site.investigation()
    [action] = [
        one for one in site.store.state(dry_run=True, investigation=key).actions.values() if one.kind == "open_ticket"
    ]
    for ago in (3600, 2 * DAY):
        site.store.settle(action, "done", "sent", time.time() - ago)
    assert site.scrape()[names.MONITORING_COST_USD.name, "notifications"] == pytest.approx(0.005 * 30)


def test_health_follows_the_threads(site: Site) -> None:
    assert site.client.get("/-/healthy").status_code == 503
    site.worker.start()
    assert site.client.get("/-/healthy").status_code == 200
    site.worker.stop()


def test_a_webhook_that_is_no_utf8_is_refused(site: Site) -> None:
    body = json.dumps(payload(alert())).encode().replace(b"churn", b"\xff")
    assert site.client.post("/v1/alerts", content=body, headers=BEARER).status_code == 400
