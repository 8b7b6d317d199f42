"""The intake's pages: who is let in, what a request may be, and what it is told.

| status | meaning |
|---|---|
| 200 | every line is durable, and counts once |
| 202 | halves of predictions wait in memory for their other halves, and are durable with them; the rest is as for 200 |
| 400 | the lines named were refused, the others are durable; or the body could not be unpacked, and nothing is taken |
| 401 | no known bearer token |
| 408, 413, 415 | too slow, too large, of a form that is not read; nothing is taken |
| 429 | the spool or the memory is full; nothing is taken: send it again after Retry-After seconds |
| 503 | the disk fails; what was not acknowledged may be sent again |
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from exporter.formats.common import WRONG
from exporter.formats.kserve import Event
from exporter.intake.body import ENCODINGS, receive, unpack
from exporter.intake.check import Verdict
from exporter.intake.events import BATCH, STRUCTURED, events
from exporter.intake.intake import Intake

RECEIVE_SECONDS = 30.0  # for a body to come: half of what proxies customarily wait for an answer
LISTED = 100  # refused lines named in one answer; the others are counted
_LINES = ("", "application/octet-stream", "text/plain", "application/json", "application/jsonl", "application/ndjson",
          "application/x-ndjson")  # fmt: skip
_EVENTS = ("", BATCH, STRUCTURED, "application/json")

Current = Callable[[], Intake | None]
_Take = Callable[[Intake, Request, bytes, str], Awaitable[Response]]


def intake_routes(current: Current) -> Sequence[Route]:
    """The routes over the intake that is in force; while there is none, they lead nowhere."""
    pages = _Pages(current)
    return [
        Route("/v1/records", pages.records, methods=["POST"]),
        Route("/v1/cloudevents", pages.cloudevents, methods=["POST"]),
    ]


class _Pages:
    def __init__(self, current: Current) -> None:
        self._current = current

    async def records(self, request: Request) -> Response:
        """Lines of ours, or of another format: `?format=sagemaker&service=NAME`."""
        return await self._answer(request, _LINES, _take_lines)

    async def cloudevents(self, request: Request) -> Response:
        """Events of KServe's inference logger."""
        return await self._answer(request, _EVENTS, _take_events)

    async def _answer(self, request: Request, types: Sequence[str], take: _Take) -> Response:
        intake = self._current()
        if intake is None:
            raise HTTPException(404)
        status = 500
        try:
            encoding = _admit(intake, request, types)
            with _holding(intake) as hold:
                body = await receive(request, intake.settings.max_body, RECEIVE_SECONDS, hold)
                intake.counts.bytes += len(body)
                response = await take(intake, request, body, encoding)
            status = response.status_code
        except HTTPException as refusal:
            status = refusal.status_code
            raise
        finally:
            intake.counts.requests[status] += 1
        return response


@contextmanager
def _holding(intake: Intake) -> Iterator[Callable[[int], None]]:
    """Notes bytes held in memory, and lets go of them in the end."""
    held = 0

    def hold(more: int) -> None:
        nonlocal held
        intake.hold(more)
        held += more

    try:
        yield hold
    finally:
        intake.hold(-held)


async def _take_lines(intake: Intake, request: Request, body: bytes, encoding: str) -> Response:
    asked = request.query_params
    translate = None
    if "format" in asked:
        try:
            translate = intake.targets.translation(asked["format"], asked.get("service", ""), intake.settings.max_body)
        except KeyError as error:
            raise HTTPException(400, f"There is no format or service {error}; see intake.services.") from error
    return _told(await intake.take(body, encoding, translate))


async def _take_events(intake: Intake, request: Request, body: bytes, encoding: str) -> Response:
    kind, headers = _content_type(request), request.headers

    def read() -> list[tuple[int, Event]]:
        return events(headers, kind, unpack(body, encoding, intake.settings.max_body))

    try:
        verdict, held = await intake.take_events(read)
    except WRONG as error:
        raise HTTPException(400, f"No event of KServe's inference logger: {error!r}.") from error
    return _told(verdict, held)


def _admit(intake: Intake, request: Request, types: Sequence[str]) -> str:
    """The encoding of a request that is worth reading."""
    if not intake.tokens.admits(request.headers.get("authorization")):
        challenge = {"WWW-Authenticate": "Bearer"}
        raise HTTPException(401, "Give a token of intake.token_files as a bearer token.", challenge)
    if (kind := _content_type(request)) not in types:
        raise HTTPException(415, f"Content-Type {kind} is not read here; send {types[-1]}.")
    if (encoding := _encoding(request)) not in ENCODINGS:
        offer = {"Accept-Encoding": "gzip, zstd"}
        raise HTTPException(415, f"Content-Encoding {encoding} is not read here; send gzip, zstd or none.", offer)
    intake.refuse_when_full()
    return encoding


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _encoding(request: Request) -> str:
    return request.headers.get("content-encoding", "").strip().lower() or "identity"


def _told(verdict: Verdict, held: int = 0) -> Response:
    lines = [{"line": line, "reason": reason} for line, reason in verdict.refused[:LISTED]]
    content = {"accepted": verdict.records, "refused": lines, "refused_total": len(verdict.refused)}
    if held:
        content["held"] = held
    return JSONResponse(content, 400 if lines else 202 if held else 200)
