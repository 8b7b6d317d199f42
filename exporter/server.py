"""The HTTP shell: what Prometheus scrapes and what a person looks at.

In goes a `Service`, which computes beside it; out come bytes that are already there. A scrape never waits for a
computation: it returns the last snapshot's rendering (compressed once for each snapshot) and appends this process's
own `process_*` and `python_*` metrics, which are read on the spot.
"""

import html
import re
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import uvicorn
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client import exposition as text_format
from prometheus_client.openmetrics import exposition as openmetrics_format
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from exporter.errors import PredictionExporterError
from exporter.web import Address, Guard, LiveWebConfig

_END = b"# EOF\n"
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # RFC 1952: deflate, no time stamp, unknown system
_GZIP_LEVEL = 6  # zlib's default: the exposition shrinks about 15-fold
_GZIP_FROM = 1_400  # bytes; less fits one Ethernet packet anyway
_GRACE_SECONDS = 5
_SUFFIXES = ("", "_total", "_created", "_info", "_bucket", "_sum", "_count")


class Format(Enum):
    """The two formats that a scraper can ask for; the value is the content type."""

    TEXT = text_format.CONTENT_TYPE_PLAIN_0_0_4
    OPENMETRICS = openmetrics_format.CONTENT_TYPE_LATEST


@dataclass(frozen=True)
class Body:
    """Rendered bytes that others may be appended to, and their deflated form, computed once."""

    plain: bytes

    @cached_property
    def deflated(self) -> bytes:
        """The bytes as complete deflate blocks, after which further blocks may follow."""
        compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        return compressor.compress(self.plain) + compressor.flush(zlib.Z_FULL_FLUSH)

    @cached_property
    def _crc(self) -> int:
        return zlib.crc32(self.plain)

    def gzip(self, tail: bytes) -> bytes:
        """One gzip member holding these bytes and `tail`; only `tail` is compressed now."""
        compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        end = compressor.compress(tail) + compressor.flush()
        size = (len(self.plain) + len(tail)) % 2**32
        return _GZIP_HEADER + self.deflated + end + struct.pack("<II", zlib.crc32(tail, self._crc), size)


@dataclass(frozen=True)
class Exposition:
    """One snapshot, rendered in both formats.

    `text` and `openmetrics` (which ends in `# EOF`) are the bytes to serve, `series` is how many series they hold and
    `rendered_at` is when they were rendered, in Unix seconds.
    """

    text: bytes
    openmetrics: bytes
    series: int
    rendered_at: float

    @cached_property
    def bodies(self) -> dict[Format, Body]:
        """What stands before this process's own metrics, by format."""
        return {Format.TEXT: Body(self.text), Format.OPENMETRICS: Body(self.openmetrics.removesuffix(_END))}

    def prepare(self) -> "Exposition":
        """Compress now, on the thread that renders, so that no scrape does; returns itself."""
        for body in self.bodies.values():
            body.gzip(b"")
        return self


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """One line of the landing page; `last_record` is the newest record's time in Unix seconds, None before any."""

    name: str
    task: str
    last_record: float | None = None


class Service(Protocol):
    """What the shell asks of the exporter; only `reload` and `debug` may take their time."""

    def snapshot(self) -> Exposition | None:
        """The newest rendered snapshot; None before the first."""

    def alive(self) -> bool:
        """Whether the exporter's own work goes on; False asks for a restart."""

    def ready(self) -> bool:
        """Whether scrapes are worth sending here."""

    def reload(self) -> Sequence[str]:
        """Load the configuration anew; the problems that kept the old one in force, none when reloaded."""

    def models(self) -> Sequence[ModelSummary]:
        """The monitored models."""

    def debug(self, model: str | None) -> str:
        """The counts behind the numbers of one model, or of all; KeyError for an unknown model."""


def create_app(service: Service, *, runbook: Path | bytes | None = None) -> Starlette:
    """The application over `service`; `runbook` is the page behind the alerts' links, as bytes or a file to read."""
    pages = _Pages(service, runbook)
    routes = [
        Route("/", pages.landing),
        Route("/metrics", pages.metrics),
        Route("/-/healthy", pages.healthy),
        Route("/-/ready", pages.ready),
        Route("/-/reload", pages.reload, methods=["POST", "PUT"]),
        Route("/debug", pages.debug),
        Route("/runbook", pages.runbook),
    ]
    return Starlette(routes=routes, exception_handlers={404: _not_found, 405: _not_allowed})


class _Pages:
    """The handlers. Coroutines only hand out bytes; the plain functions run on worker threads."""

    def __init__(self, service: Service, runbook: Path | bytes | None) -> None:
        self._service = service
        self._runbook = runbook
        self._own = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._own)

    async def metrics(self, request: Request) -> Response:
        snapshot = self._service.snapshot()
        if snapshot is None:
            return _text("The first snapshot is still being computed; scrape again soon.", 503)
        chosen = negotiate(request.headers.get("accept", ""))
        body, tail = snapshot.bodies[chosen], render(self._own, chosen)
        if names := frozenset(request.query_params.getlist("name[]")):
            body, tail = Body(b"".join(only(body.plain, names))), b"".join(only(tail, names))
        headers = {"Content-Type": chosen.value, "Vary": "Accept, Accept-Encoding"}
        size = len(body.plain) + len(tail)
        if size >= _GZIP_FROM and _quality(request.headers.get("accept-encoding", ""), "gzip") > 0:
            return Response(body.gzip(tail), headers=headers | {"Content-Encoding": "gzip"})
        return Response(body.plain + tail, headers=headers)

    async def healthy(self, _: Request) -> Response:
        return _text("Healthy.") if self._service.alive() else _text("Not healthy: the evaluation has stopped.", 503)

    async def ready(self, _: Request) -> Response:
        return _text("Ready.") if self._service.ready() else _text("Not ready: no snapshot yet.", 503)

    def reload(self, _: Request) -> Response:
        problems = self._service.reload()
        return _text("\n".join(problems), 400) if problems else _text("Reloaded.")

    def debug(self, request: Request) -> Response:
        model = request.query_params.get("model")
        try:
            return _text(self._service.debug(model))
        except KeyError:
            return _text(f"There is no model {model!r}; the landing page lists them.", 404)

    def runbook(self, _: Request) -> Response:
        try:
            page = self._runbook.read_bytes() if isinstance(self._runbook, Path) else self._runbook
        except OSError:
            page = None
        if page is None:
            return _text("There is no runbook here; `prediction-alerting build` writes it.", 404)
        return HTMLResponse(page)

    def landing(self, _: Request) -> Response:
        page = landing_page(self._service.models(), self._service.snapshot(), time.time())
        return HTMLResponse(page, headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"})


def _text(sentence: str, status: int = 200) -> Response:
    return PlainTextResponse(sentence.rstrip("\n") + "\n", status_code=status)


async def _not_found(request: Request, _: Exception) -> Response:
    return _text(f"There is no page {request.url.path}; the landing page at / lists what there is.", 404)


async def _not_allowed(request: Request, error: Exception) -> Response:
    allowed = getattr(error, "headers", None) or {}
    response = _text(f"{request.method} is not allowed here; use {allowed.get('Allow', 'another method')}.", 405)
    response.headers.update(allowed)
    return response


def negotiate(accept: str) -> Format:
    """The format that an Accept header prefers; text unless OpenMetrics 1.0 is asked for at least as much.

    >>> negotiate("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3").name
    'OPENMETRICS'
    >>> negotiate("text/html,*/*;q=0.8").name
    'TEXT'
    """
    asked = _quality(accept, "application/openmetrics-text", versions=("", "1.0.0"))
    return Format.OPENMETRICS if asked > 0 and asked >= _quality(accept, "text/plain") else Format.TEXT


def _quality(header: str, name: str, versions: Sequence[str] | None = None) -> float:
    """The highest q that `header` gives `name`; 0 when it does not name it."""
    best = 0.0
    for item in header.split(","):
        offered, *rest = (part.strip() for part in item.split(";"))
        options = dict(part.split("=", 1) for part in rest if "=" in part)
        if offered.lower() == name and (versions is None or options.get("version", "") in versions):
            best = max(best, _q(options.get("q", "1")))
    return best


def _q(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def render(registry: CollectorRegistry, chosen: Format) -> bytes:
    """The registry's metrics in the chosen format, OpenMetrics with its end mark."""
    encode: Callable[[CollectorRegistry], bytes] = (
        openmetrics_format.generate_latest if chosen is Format.OPENMETRICS else text_format.generate_latest
    )
    return encode(registry)


def only(rendered: bytes, names: frozenset[str]) -> Iterable[bytes]:
    """The families of `rendered` that are named or have a series that is named, and the end mark if there is one."""
    for block in re.split(rb"(?m)^(?=# HELP |# EOF$)", rendered):
        family = block.removeprefix(b"# HELP ").partition(b" ")[0].decode()
        if block == _END or any(family + suffix in names for suffix in _SUFFIXES):
            yield block


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>prediction_exporter</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8886; }}
dt {{ margin-top: .4rem; }}
</style>
</head>
<body>
<h1>prediction_exporter</h1>
<p>Version {version}. {state}</p>
<h2>Models</h2>
<table>
<thead><tr><th scope="col">Model</th><th scope="col">Task</th><th scope="col">Newest record</th></tr></thead>
<tbody>
{models}
</tbody>
</table>
<h2>Pages</h2>
<dl>
<dt><a href="metrics">/metrics</a></dt><dd>what Prometheus scrapes</dd>
<dt><a href="debug">/debug</a></dt><dd>the counts behind each number</dd>
<dt><a href="runbook">/runbook</a></dt><dd>what each alert means and asks for</dd>
<dt><a href="-/healthy">/-/healthy</a>, <a href="-/ready">/-/ready</a></dt><dd>probes</dd>
</dl>
</body>
</html>
"""


def landing_page(models: Sequence[ModelSummary], snapshot: Exposition | None, now: float) -> str:
    """The landing page at `now` (Unix seconds): no scripts and nothing from elsewhere."""
    if snapshot is None:
        state = "The first snapshot is still being computed."
    else:
        state = f"The snapshot holds {snapshot.series:,} series and is {max(0, now - snapshot.rendered_at):.0f} s old."
    rows = "\n".join(_row(model) for model in models)
    return _PAGE.format(version=html.escape(version("prediction-exporter")), state=state, models=rows)


def _row(model: ModelSummary) -> str:
    newest = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(model.last_record)) if model.last_record else "none yet"
    cells = "".join(f"<td>{html.escape(text)}</td>" for text in (model.task, newest))
    link = f'<a href="debug?model={quote(model.name, safe="")}">{html.escape(model.name)}</a>'
    return f"<tr><td>{link}</td>{cells}</tr>"


class Running:
    """A server at work on a thread of its own; `stop` it."""

    def __init__(self, server: "_Server", sockets: Sequence[socket.socket]) -> None:
        self._server = server
        self.ports: tuple[int, ...] = tuple(sock.getsockname()[1] for sock in sockets)
        self._thread = threading.Thread(target=server.run, args=(list(sockets),), name="http", daemon=True)
        self._thread.start()
        server.settled.wait()

    @property
    def port(self) -> int:
        """The first listener's port."""
        return self.ports[0]

    def stop(self) -> None:
        """Let running requests end (for at most five seconds), close the listeners, and return when all is closed."""
        self._server.should_exit = True
        self._thread.join()


class _Server(uvicorn.Server):
    """Says when it has started."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.settled.set()


def serve_app(app: ASGIApp, listen: Sequence[Address], web: LiveWebConfig | None = None) -> Running:
    """Serve `app` on every address until the returned handle is stopped; listens when it returns.

    Raises PredictionExporterError for an address that cannot be listened on.
    """
    sockets: list[socket.socket] = []
    try:
        for address in listen:
            sockets.append(_bind(address))  # noqa: PERF401 - those bound so far are closed when one fails
    except PredictionExporterError:
        for sock in sockets:
            sock.close()
        raise
    config = uvicorn.Config(
        Guard(app, web) if web else app,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    config.load()
    # Set here, as uvicorn's own options know neither a followed certificate nor a minimum version.
    config.ssl = web.tls_context() if web else None
    return Running(_Server(config), sockets)


def _bind(address: Address) -> socket.socket:
    try:
        sock = _listener(address)
    except OSError as error:
        reason = error.strerror or error
        raise PredictionExporterError(f"--web.listen-address {address}: {reason}; choose another address") from error
    # Connections inherit it; asyncio does not set it on sockets made this way, and a small reply would take 40 ms more.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _listener(address: Address) -> socket.socket:
    if not address.host and socket.has_dualstack_ipv6():
        return socket.create_server(("", address.port), family=socket.AF_INET6, dualstack_ipv6=True)
    host = address.host or "0.0.0.0"  # noqa: S104 - no host means every interface
    found = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM)
    return socket.create_server(found[0][4][:2], family=found[0][0])
