"""The HTTP shell: formats, compression, pages, and a server that starts, answers and stops."""

import gzip
import socket
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.errors import PredictionExporterError
from exporter.web.app import create_app
from exporter.web.exposition import Body, Exposition, Format, negotiate, only, render
from exporter.web.listen import _bind, serve_app
from exporter.web.toolkit import Address

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def exposition(features: int = 40) -> Exposition:
    registry = CollectorRegistry()
    score = Gauge("score", "A score.", ["feature"], registry=registry)
    for index in range(features):
        score.labels(f"f{index}").set(index / 7)
    Counter("seen", "Rows seen.", registry=registry).inc(3)
    Histogram("delay_seconds", "Delay.", registry=registry).observe(0.2)
    return Exposition(render(registry, Format.TEXT), render(registry, Format.OPENMETRICS), features + 20, 1e9)


class Exporter:
    """A service whose answers a test sets."""

    def __init__(self) -> None:
        self.current: Exposition | None = exposition()
        self.works = True
        self.problems: Sequence[str] = ()

    def snapshot(self) -> Exposition | None:
        return self.current

    def alive(self) -> bool:
        return self.works

    def ready(self) -> bool:
        return self.current is not None

    def reload(self) -> Sequence[str]:
        return self.problems

    def seen(self) -> None:
        return None

    def debug(self, model: str | None) -> str:
        if model not in (None, "churn"):
            raise KeyError(model)
        return f"counts of {model}"


@pytest.fixture
def exporter() -> Exporter:
    return Exporter()


def parse_openmetrics(text: str) -> list[Metric]:
    return list(openmetrics_parser.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]  # untyped there


@contextmanager
def serving(exporter: Exporter, runbook: Path | bytes | None = None) -> Iterator[httpx.Client]:
    running = serve_app(create_app(exporter, runbook=runbook), [Address("127.0.0.1", 0)])
    try:
        address = f"http://127.0.0.1:{running.port}"
        with httpx.Client(base_url=address, headers={"accept-encoding": "identity"}, timeout=10) as client:
            yield client
    finally:
        running.stop()


@pytest.fixture
def client(exporter: Exporter) -> Iterator[httpx.Client]:
    with serving(exporter, runbook=b"<h1>Runbook</h1>") as client:
        yield client


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (PROMETHEUS_2, Format.OPENMETRICS),
        (PROMETHEUS_3, Format.OPENMETRICS),
        ("application/openmetrics-text", Format.OPENMETRICS),
        ("text/plain;q=0.9, application/openmetrics-text;version=1.0.0;q=0.1", Format.TEXT),
        ("application/openmetrics-text;version=0.0.1", Format.TEXT),
        ("application/openmetrics-text;q=0", Format.TEXT),
        ("application/openmetrics-text;q=many", Format.TEXT),
        ("text/plain;version=0.0.4", Format.TEXT),
        (BROWSER, Format.TEXT),
        ("", Format.TEXT),
    ],
)
def test_the_scraper_gets_the_format_it_prefers(client: httpx.Client, accept: str, chosen: Format) -> None:
    assert negotiate(accept) is chosen
    assert client.get("/metrics", headers={"accept": accept}).headers["content-type"] == chosen.value


def test_the_text_scrape_is_the_snapshot_followed_by_the_process_metrics(
    client: httpx.Client, exporter: Exporter
) -> None:
    body = client.get("/metrics").content
    assert exporter.current is not None
    assert body.startswith(exporter.current.text)
    names = [family.name for family in parse_text(body.decode())]
    assert {"score", "seen", "delay_seconds", "process_cpu_seconds", "python_gc_objects_collected"} <= set(names)
    assert len(names) == len(set(names))


def test_the_openmetrics_scrape_parses_and_ends_once(client: httpx.Client) -> None:
    text = client.get("/metrics", headers={"accept": PROMETHEUS_3}).text
    assert {"score", "seen", "process_resident_memory_bytes"} <= {family.name for family in parse_openmetrics(text)}
    assert text.count("# EOF") == 1
    assert text.endswith("# EOF\n")


@pytest.mark.parametrize("accept", [PROMETHEUS_3, ""])
def test_a_gzipped_scrape_holds_what_the_plain_one_holds(client: httpx.Client, accept: str) -> None:
    plain = client.get("/metrics", headers={"accept": accept}).text
    with client.stream("GET", "/metrics", headers={"accept": accept, "accept-encoding": "gzip"}) as response:
        raw = b"".join(response.iter_raw())
    assert response.headers["content-encoding"] == "gzip"
    assert len(raw) < len(plain) / 3
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)  # reads one member only, as many clients do
    unpacked = unpacker.decompress(raw).decode()
    assert unpacker.eof
    assert not unpacker.unused_data
    assert [line.split(" ")[0] for line in unpacked.splitlines()] == [line.split(" ")[0] for line in plain.splitlines()]


@pytest.mark.parametrize("tail", [b"", b"tail\n", b"x" * 100_000])
@pytest.mark.parametrize("head", [b"", b"a 1\n" * 50_000])
def test_a_body_and_its_tail_make_one_gzip_member(head: bytes, tail: bytes) -> None:
    assert gzip.decompress(Body(head).gzip(tail)) == head + tail


def test_a_snapshot_is_compressed_once(client: httpx.Client, exporter: Exporter) -> None:
    assert exporter.current is not None
    body = exporter.current.prepare().bodies[Format.TEXT]
    before = body.deflated
    client.get("/metrics", headers={"accept-encoding": "gzip"})
    assert exporter.current.bodies[Format.TEXT].deflated is before


def test_gzip_is_refused_when_the_scraper_refuses_it(client: httpx.Client) -> None:
    assert "content-encoding" not in client.get("/metrics", headers={"accept-encoding": "gzip;q=0"}).headers


def test_names_choose_families_and_keep_the_end_mark(client: httpx.Client) -> None:
    query = {"name[]": ["score", "delay_seconds_bucket", "process_start_time_seconds", "absent"]}
    assert {family.name for family in parse_text(client.get("/metrics", params=query).text)} == {
        "score",
        "delay_seconds",
        "process_start_time_seconds",
    }
    openmetrics = client.get("/metrics", params=query, headers={"accept": PROMETHEUS_2}).text
    assert {family.name for family in parse_openmetrics(openmetrics)} == {
        "score",
        "delay_seconds",
        "process_start_time_seconds",
    }


def test_a_help_text_that_speaks_of_help_does_not_split_its_family() -> None:
    rendered = b"# HELP a See # HELP b and # EOF\n# TYPE a gauge\na 1\n# HELP b B\n# TYPE b gauge\nb 1\n"
    assert b"".join(only(rendered, frozenset({"b"}))) == b"# HELP b B\n# TYPE b gauge\nb 1\n"


def test_before_the_first_snapshot_scrapes_and_readiness_say_503_in_a_sentence(
    client: httpx.Client, exporter: Exporter
) -> None:
    exporter.current = None
    scrape = client.get("/metrics")
    assert (scrape.status_code, scrape.text) == (
        503,
        "The first snapshot is still being computed; scrape again soon.\n",
    )
    assert client.get("/-/ready").status_code == 503
    assert client.get("/-/healthy").status_code == 200
    assert "still being computed" in client.get("/").text


def test_a_stopped_evaluation_is_unhealthy(client: httpx.Client, exporter: Exporter) -> None:
    assert client.get("/-/ready").status_code == 200
    exporter.works = False
    assert client.get("/-/healthy").status_code == 503


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_reload_answers_200_or_every_problem(client: httpx.Client, exporter: Exporter, method: str) -> None:
    assert client.request(method, "/-/reload").status_code == 200
    exporter.problems = ["a.yml: log: unknown key", "a.yml: models: missing"]
    refused = client.request(method, "/-/reload")
    assert (refused.status_code, refused.text) == (400, "a.yml: log: unknown key\na.yml: models: missing\n")


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_a_reload_by_another_method_is_not_allowed(client: httpx.Client, method: str) -> None:
    refused = client.request(method, "/-/reload")
    assert refused.status_code == 405
    assert {name.strip() for name in refused.headers["allow"].split(",")} == {"POST", "PUT"}


def test_debug_shows_one_model_all_or_404(client: httpx.Client) -> None:
    assert client.get("/debug", params={"model": "churn"}).text == "counts of churn\n"
    assert client.get("/debug").text == "counts of None\n"
    missing = client.get("/debug", params={"model": "absent"})
    assert (missing.status_code, "'absent'" in missing.text) == (404, True)


def test_the_runbook_comes_from_bytes_or_a_file_or_is_404(
    client: httpx.Client, exporter: Exporter, tmp_path: Path
) -> None:
    assert client.get("/runbook").text == "<h1>Runbook</h1>"
    file = tmp_path / "runbook.html"
    with serving(exporter, runbook=file) as later:
        absent = later.get("/runbook")
        assert (absent.status_code, "prediction-alerting build" in absent.text) == (404, True)
        file.write_text("<p>written later</p>")
        assert later.get("/runbook").text == "<p>written later</p>"
    with serving(exporter) as without:
        assert without.get("/runbook").status_code == 404


def test_before_the_first_evaluation_the_landing_page_says_so_and_links_the_rest(client: httpx.Client) -> None:
    page = client.get("/").text
    assert "The first snapshot is still being computed." in page
    for target in ("metrics", "debug", "runbook", "-/healthy", "-/ready"):
        assert f'href="{target}"' in page
        assert client.get(f"/{target}").status_code == 200
    assert client.get("/status").status_code == 503


def test_an_unknown_page_is_404_in_plain_text(client: httpx.Client) -> None:
    missing = client.get("/nothing")
    assert missing.status_code == 404
    assert missing.headers["content-type"].startswith("text/plain")


def test_head_gives_headers_without_a_body(client: httpx.Client) -> None:
    for path in ("/", "/metrics", "/-/healthy"):
        answer = client.head(path)
        assert answer.status_code == 200
        assert answer.content == b""
        assert int(answer.headers["content-length"]) > 0


def test_a_scrape_is_answered_while_a_reload_computes(client: httpx.Client, exporter: Exporter) -> None:
    begun, release = threading.Event(), threading.Event()

    def slow_reload() -> Sequence[str]:
        begun.set()
        release.wait()
        return ()

    exporter.reload = slow_reload  # type: ignore[method-assign]  # this test's reload hangs
    reloading = threading.Thread(target=client.post, args=("/-/reload",))
    reloading.start()
    try:
        assert begun.wait(10)
        assert client.get("/metrics").status_code == 200
        assert reloading.is_alive()
    finally:
        release.set()
        reloading.join()


def test_it_serves_every_address_and_stops(exporter: Exporter) -> None:
    running = serve_app(create_app(exporter), [Address("127.0.0.1", 0), Address("127.0.0.1", 0)])
    assert len(set(running.ports)) == 2
    with httpx.Client() as kept_open:
        for port in running.ports:
            assert kept_open.get(f"http://127.0.0.1:{port}/-/healthy").text == "Healthy.\n"
        running.stop()
    for port in running.ports:
        with pytest.raises(OSError, match=r"refused|reset"):
            socket.create_connection(("127.0.0.1", port)).close()


def test_an_empty_host_listens_on_ipv4_too(exporter: Exporter) -> None:
    running = serve_app(create_app(exporter), [Address("", 0)])
    assert httpx.get(f"http://127.0.0.1:{running.port}/-/ready").text == "Ready.\n"
    running.stop()


@pytest.mark.parametrize("host", ["127.0.0.1", ""])
def test_small_replies_do_not_wait_for_an_acknowledgement(host: str) -> None:
    with _bind(Address(host, 0)) as listener:
        listener.settimeout(10)
        with socket.create_connection(("127.0.0.1", listener.getsockname()[1])), listener.accept()[0] as connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_a_taken_port_is_an_error_with_place_and_remedy_and_leaves_nothing_open(exporter: Exporter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as probe:
        port, free = taken.getsockname()[1], probe.getsockname()[1]
        probe.close()
        with pytest.raises(PredictionExporterError, match=rf"127\.0\.0\.1:{port}: .*in use.*; choose another"):
            serve_app(create_app(exporter), [Address("127.0.0.1", free), Address("127.0.0.1", port)])
        socket.create_server(("127.0.0.1", free)).close()


def test_the_process_metrics_are_read_at_the_scrape(client: httpx.Client) -> None:
    def cpu_seconds() -> float:
        families = {family.name: family for family in parse_text(client.get("/metrics").text)}
        return families["process_cpu_seconds"].samples[0].value

    before = cpu_seconds()
    deadline = time.process_time() + 0.03  # three ticks of the kernel's clock, which counts in hundredths
    while time.process_time() < deadline:
        pass
    assert cpu_seconds() > before
