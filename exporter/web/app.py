"""The HTTP shell: what Prometheus scrapes and what a person looks at.

In goes a `Service`, which computes beside it; out come bytes that are already there. A scrape never waits for a
computation: it returns the last snapshot's rendering and appends this process's own `process_*` and `python_*`
metrics, which are read on the spot.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from exporter.pages.routes import Watched, page_routes
from exporter.web.exposition import Body, negotiate, only, quality, render

_GZIP_FROM = 1_400  # bytes; less fits one Ethernet packet anyway


class Service(Watched, Protocol):
    """What the shell asks of the exporter; only `reload` and `debug` may take their time."""

    def alive(self) -> bool:
        """Whether the exporter's own work goes on; False asks for a restart."""

    def ready(self) -> bool:
        """Whether scrapes are worth sending here."""

    def reload(self) -> Sequence[str]:
        """Load the configuration anew; the problems that kept the old one in force, none when reloaded."""

    def debug(self, model: str | None) -> str:
        """The counts behind the numbers of one model, or of all; KeyError for an unknown model."""


def create_app(service: Service, *, runbook: Path | bytes | None = None, more: Sequence[Route] = ()) -> Starlette:
    """The application over `service`, with `more` routes than those of the pages here.

    `runbook` is the page behind the alerts' links, as bytes or a file to read.
    """
    pages = _Pages(service, runbook)
    routes = [
        *page_routes(service),
        Route("/metrics", pages.metrics),
        Route("/-/healthy", pages.healthy),
        Route("/-/ready", pages.ready),
        Route("/-/reload", pages.reload, methods=["POST", "PUT"]),
        Route("/debug", pages.debug),
        Route("/runbook", pages.runbook),
        *more,
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
        if size >= _GZIP_FROM and quality(request.headers.get("accept-encoding", ""), "gzip") > 0:
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


def _text(sentence: str, status: int = 200) -> Response:
    return PlainTextResponse(sentence.rstrip("\n") + "\n", status_code=status)


async def _not_found(request: Request, _: Exception) -> Response:
    return _text(f"There is no page {request.url.path}; the landing page at / lists what there is.", 404)


async def _not_allowed(request: Request, error: Exception) -> Response:
    allowed = getattr(error, "headers", None) or {}
    response = _text(f"{request.method} is not allowed here; use {allowed.get('Allow', 'another method')}.", 405)
    response.headers.update(allowed)
    return response
