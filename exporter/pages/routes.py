"""The pages behind the HTTP shell: addresses in, documents out, written on a thread of their own, one at a time.

A page reads what the last evaluation left, so it neither computes on the event loop nor holds up a scrape.
"""

import time
from asyncio import get_running_loop
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Protocol
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from exporter.measures import Scope
from exporter.pages.document import Document, Paragraph, Target
from exporter.pages.feature import feature_page
from exporter.pages.html import HEADERS, html_page
from exporter.pages.landing import landing_page, waiting
from exporter.pages.links import path, relative
from exporter.pages.model import model_page
from exporter.pages.quality import quality_page
from exporter.pages.seen import Seen
from exporter.pages.status import status_page
from exporter.pages.words import duration, moment, number
from exporter.web.exposition import Exposition

WAITING = "The first snapshot is still being computed."


class Watched(Protocol):
    """What pages ask of the exporter; both answers are there already."""

    def seen(self) -> Seen | None:
        """The newest evaluation; None before the first."""

    def snapshot(self) -> Exposition | None:
        """Its rendering for scrapes; None before the first."""


class Missing(Exception):  # noqa: N818 - no fault: an address that leads nowhere
    """There is no such page; the sentence says what there is."""


def page_routes(service: Watched) -> list[Route]:
    """The routes of every page."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="pages")

    def route(at: str, make: Callable[[Seen, Request], Document]) -> Route:
        async def handle(request: Request) -> Response:
            return await get_running_loop().run_in_executor(pool, _answer, service, make, request)

        return Route(at, handle)

    return [
        route("/", lambda seen, _: landing_page(seen, _lead(service, seen))),
        route("/status", lambda seen, _: status_page(seen)),
        route("/models/{rest:path}", _of_model),
        Route("/alert", _alert),
    ]


def _answer(service: Watched, make: Callable[[Seen, Request], Document], request: Request) -> Response:
    seen = service.seen()
    if seen is None:
        known = request.url.path == "/"
        return _html(waiting(WAITING), "") if known else _text(f"{WAITING} Load the page again soon.", 503)
    try:
        document = make(seen, request)
    except Missing as error:
        return _text(str(error), 404)
    return _html(document, f"As of {moment(seen.at)}; prediction_exporter {version('prediction-exporter')}.")


def _html(document: Document, foot: str) -> Response:
    return HTMLResponse(html_page(document, relative(document.target), foot), headers=HEADERS)


def _text(sentence: str, status: int) -> Response:
    return PlainTextResponse(f"{sentence}\n", status_code=status)


def _lead(service: Watched, seen: Seen) -> list[Paragraph]:
    exposition = service.snapshot()
    size = "" if exposition is None else (
        f" The snapshot holds {number(exposition.series)} series and is "
        f"{duration(time.time() - exposition.rendered_at)} old."
    )  # fmt: skip
    return [Paragraph(f"Windows end at {moment(seen.at)}.{size}")]


async def _alert(request: Request) -> Response:
    """Where alerts link to: names stand in the query, which is all that alert templates can escape."""
    asked = request.query_params
    of = Target(
        "model", asked.get("model", ""), asked.get("feature", ""), asked.get("version", ""), asked.get("window", "")
    )
    if not of.model:
        return RedirectResponse("status")
    return RedirectResponse(
        path(of if not of.feature else Target("feature", of.model, of.feature, of.version, of.window))
    )


def _of_model(seen: Seen, request: Request) -> Document:
    """The address as it was sent: once decoded, a slash in a name would read as one between names."""
    raw = request.scope.get("raw_path") or request.url.path.encode()
    _, parts = raw.split(b"/models/", 1)
    names = [unquote(part.decode("ascii", "replace")) for part in parts.split(b"/")]
    match names:
        case [model]:
            return model_page(seen, *_scope(seen, model, request.query_params))
        case [model, "quality"]:
            return quality_page(seen, *_scope(seen, model, request.query_params))
        case [model, "features", feature]:
            scope, window = _scope(seen, model, request.query_params)
            known = [of.name for of in scope.totals.layout.features]
            _check("feature", feature, known)
            return feature_page(seen, scope, window, feature)
    raise Missing(f"There is no page {request.url.path}; the landing page at / lists what there is.")


def _scope(seen: Seen, model: str, asked: Mapping[str, str]) -> tuple[Scope, str]:
    """The version and window asked for; without, the version with the newest traffic and the model's drift window."""
    _check("model", model, [of.name for of in seen.config.models])
    scopes = {scope.version: scope for scope in seen.versions(model)}
    if not scopes:
        raise Missing(f"There are no predictions of {model!r} yet.")
    version = asked.get("version") or list(scopes)[-1]
    _check("version", version, list(scopes))
    window = asked.get("window") or scopes[version].model.drift.window
    _check("window", window, list(scopes[version].windows))
    return scopes[version], window


def _check(kind: str, name: str, known: list[str]) -> None:
    if name not in known:
        raise Missing(f"There is no {kind} {name!r} here; there is {', '.join(known)}.")
