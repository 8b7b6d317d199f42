"""The intake's pages: who is let in, what a request may be, and what it is told.

| status | meaning |
|---|---|
| 200 | every line is durable, and counts once |
| 400 | the lines named were refused, the others are durable; or the body could not be unpacked, and nothing is taken |
| 401 | no known bearer token |
| 408, 413, 415 | too slow, too large, of a form that is not read; nothing is taken |
| 429 | the spool or the memory is full; nothing is taken: send it again after Retry-After seconds |
| 503 | the disk fails; what was not acknowledged may be sent again |
"""

from collections.abc import Callable, Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from exporter.intake.body import ENCODINGS, receive
from exporter.intake.check import Verdict
from exporter.intake.intake import Intake

RECEIVE_SECONDS = 30.0  # for a body to come: half of what proxies customarily wait for an answer
LISTED = 100  # refused lines named in one answer; the others are counted
_TYPES = ("", "application/x-ndjson", "application/ndjson", "application/jsonl", "application/json", "text/plain",
          "application/octet-stream")  # fmt: skip

Current = Callable[[], Intake | None]


def intake_routes(current: Current) -> Sequence[Route]:
    """The routes over the intake that is in force; while there is none, they lead nowhere."""
    pages = _Pages(current)
    return [Route("/v1/records", pages.records, methods=["POST"])]


class _Pages:
    def __init__(self, current: Current) -> None:
        self._current = current

    async def records(self, request: Request) -> Response:
        intake = self._current()
        if intake is None:
            raise HTTPException(404)
        status = 500
        try:
            response = await _answer(intake, request)
            status = response.status_code
        except HTTPException as refusal:
            status = refusal.status_code
            raise
        finally:
            intake.counts.requests[status] += 1
        return response


async def _answer(intake: Intake, request: Request) -> Response:
    held = 0

    def hold(more: int) -> None:
        nonlocal held
        intake.hold(more)
        held += more

    encoding = _admit(intake, request)
    try:
        body = await receive(request, intake.settings.max_body, RECEIVE_SECONDS, hold)
        intake.counts.bytes += len(body)
        return _told(await intake.take(body, encoding))
    finally:
        intake.hold(-held)


def _admit(intake: Intake, request: Request) -> str:
    """The encoding of a request that is worth reading."""
    if not intake.tokens.admits(request.headers.get("authorization")):
        challenge = {"WWW-Authenticate": "Bearer"}
        raise HTTPException(401, "Give a token of intake.token_files as a bearer token.", challenge)
    if (kind := _content_type(request)) not in _TYPES:
        raise HTTPException(415, f"Content-Type {kind} is not read here; send application/x-ndjson.")
    if (encoding := _encoding(request)) not in ENCODINGS:
        offer = {"Accept-Encoding": "gzip, zstd"}
        raise HTTPException(415, f"Content-Encoding {encoding} is not read here; send gzip, zstd or none.", offer)
    intake.refuse_when_full()
    return encoding


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _encoding(request: Request) -> str:
    return request.headers.get("content-encoding", "").strip().lower() or "identity"


def _told(verdict: Verdict) -> Response:
    lines = [{"line": line, "reason": reason} for line, reason in verdict.refused[:LISTED]]
    content = {"accepted": verdict.records, "refused": lines, "refused_total": len(verdict.refused)}
    return JSONResponse(content, 400 if lines else 200)
