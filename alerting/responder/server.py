"""The HTTP side: Alertmanager's webhooks, a page for people, metrics and probes.

A webhook is answered once its delivery is on disk; what follows from it is the worker's.
"""

import logging
import signal
import socket
import sqlite3
import time
from urllib.parse import parse_qs

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from alerting.responder import sessions
from alerting.responder.metrics import registry_of
from alerting.responder.page import HEADERS, login_page, page
from alerting.responder.payload import parse_delivery
from alerting.responder.plan import plan_acknowledgement, plan_by_hand, plan_review
from alerting.responder.settings import SecretError, Settings
from alerting.responder.state import Plan
from alerting.responder.store import Store
from alerting.responder.views import offers, view
from alerting.responder.worker import Worker
from exporter.errors import PredictionExporterError

logger = logging.getLogger(__name__)

MOST_BYTES = 8 * 2**20  # of a webhook: some ten thousand alerts
MOST_FORM = 2**14
GRACE_SECONDS = 5


class _TooLargeError(Exception):
    pass


def create_app(settings: Settings, store: Store, worker: Worker) -> Starlette:
    """The application over a store and the worker to wake."""
    handlers = _Handlers(settings, store, worker)
    return Starlette(
        routes=[
            Route("/v1/alerts", handlers.alerts, methods=["POST"]),
            Route("/", handlers.landing),
            Route("/login", handlers.login, methods=["POST"]),
            Route("/logout", handlers.logout, methods=["POST"]),
            Route("/investigations/{key}", handlers.investigation, methods=["POST"]),
            Route("/metrics", handlers.metrics),
            Route("/-/healthy", handlers.healthy),
            Route("/-/ready", handlers.healthy),
        ],
        exception_handlers={SecretError: _no_secret, _TooLargeError: _too_large, sqlite3.Error: _not_kept},
    )


class _Handlers:
    def __init__(self, settings: Settings, store: Store, worker: Worker) -> None:
        self._settings = settings
        self._store = store
        self._worker = worker
        self._registry = registry_of(settings, store)

    async def alerts(self, request: Request) -> Response:
        token = self._settings.webhook_token.read()
        if not sessions.bears(request.headers.get("authorization", ""), token):
            return PlainTextResponse("Send the webhook token as bearer token.\n", 401, {"WWW-Authenticate": "Bearer"})
        body, now = await _body(request, MOST_BYTES), time.time()
        try:
            parse_delivery(body, now)
        except ValueError as error:
            logger.warning("a webhook was refused: %s", error)
            return PlainTextResponse(f"Not a webhook of Alertmanager, version 4: {error}\n", 400)
        await run_in_threadpool(self._store.accept, body, now)
        self._worker.wake()
        return PlainTextResponse("accepted\n")

    async def landing(self, request: Request) -> Response:
        session = self._session(request)
        if not session:
            return HTMLResponse(login_page(), headers=HEADERS)
        csrf = sessions.csrf_token(session, self._settings.page_token.read())
        seen = await run_in_threadpool(view, self._settings, self._store, time.time())
        return HTMLResponse(page(seen, csrf), headers=HEADERS)

    async def login(self, request: Request) -> Response:
        form, token = await _form(request), self._settings.page_token.read()
        if not sessions.same(form.get("token", "").strip(), token):
            return HTMLResponse(login_page("That is not the token."), 403, HEADERS)
        answer = RedirectResponse("./", 303)
        secure = self._settings.external_url.startswith("https:")
        session = sessions.new_session(token, time.time())
        answer.set_cookie(
            sessions.COOKIE, session, max_age=sessions.LIFE, httponly=True, samesite="strict", secure=secure
        )
        return answer

    async def logout(self, request: Request) -> Response:
        if not self._is_ours(request, await _form(request)):
            return _forbidden()
        answer = RedirectResponse("./", 303)
        answer.delete_cookie(sessions.COOKIE, httponly=True, samesite="strict")
        return answer

    async def investigation(self, request: Request) -> Response:
        form, key = await _form(request), request.path_params["key"]
        if not self._is_ours(request, form):
            return _forbidden()
        if not await run_in_threadpool(self._do, key, form.get("do", "")):
            return PlainTextResponse("There is no such investigation, or nothing of the kind to do about it.\n", 404)
        self._worker.wake()
        return RedirectResponse(f"../#{key}", 303)

    def _do(self, key: str, do: str) -> bool:
        """Record what a person asks for; whether there was anything to do."""
        now = time.time()
        with self._store.alone():  # two clicks are one: the second sees what the first has recorded
            planned = self._plan(key, do, now)
            self._store.record(planned, now)
        return bool(planned.decisions)

    def _plan(self, key: str, do: str, now: float) -> Plan:
        state = self._store.state(dry_run=self._settings.dry_run, investigation=key)
        model = next((one.model for one in state.investigation(key)), "")
        match do:
            case "acknowledge":
                return plan_acknowledgement(key, state, now)
            case "true" | "false":
                return plan_review(key, do, state, now)
            case "retrain" | "rollback" if do in offers(self._settings, model, state.actions, key):
                return plan_by_hand(key, do, state, now)
        return Plan()

    def metrics(self, _: Request) -> Response:
        return Response(generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def healthy(self, _: Request) -> Response:
        alive = self._worker.alive()
        return PlainTextResponse("at work\n" if alive else "a thread has ended\n", 200 if alive else 503)

    def _session(self, request: Request) -> str:
        session = request.cookies.get(sessions.COOKIE, "")
        return session if sessions.is_session(session, self._settings.page_token.read(), time.time()) else ""

    def _is_ours(self, request: Request, form: dict[str, str]) -> bool:
        session = self._session(request)
        expected = sessions.csrf_token(session, self._settings.page_token.read())
        return bool(session) and sessions.same(form.get("csrf", ""), expected)


def _forbidden() -> Response:
    return PlainTextResponse("Sign in, and use the forms of the page.\n", 403)


async def _body(request: Request, most: int) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise _TooLargeError
    return body


async def _form(request: Request) -> dict[str, str]:
    try:
        return {name: values[-1] for name, values in parse_qs((await _body(request, MOST_FORM)).decode()).items()}
    except ValueError:
        return {}


def _too_large(_: Request, __: Exception) -> Response:
    return PlainTextResponse("Too large.\n", 413)


def _no_secret(_: Request, error: Exception) -> Response:
    logger.error("%s", error)
    return PlainTextResponse("A secret cannot be read; the log names it.\n", 503)


def _not_kept(_: Request, error: Exception) -> Response:
    logger.error("the database: %s", error)
    return PlainTextResponse("The database cannot be written or read; send it again.\n", 503)


def respond(settings: Settings) -> None:
    """Serve until told to end by SIGTERM or SIGINT."""
    listener = _listener(settings.listen)
    store = Store(settings.state, time.time())
    worker = Worker(settings, store)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings, store, worker),
            ssl_certfile=settings.tls.cert_file if settings.tls else None,
            ssl_keyfile=settings.tls.key_file if settings.tls else None,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn heeds them, and then raises them again for us
        signal.signal(number, lambda *_: None)
    logger.info("%s, listening on %s", "dry run" if settings.dry_run else "acting", settings.listen)
    worker.start()
    try:
        server.run([listener])
    finally:
        worker.stop()
        store.close()


def _listener(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    try:
        listener = socket.create_server((host, int(port)))
    except (OSError, OverflowError) as error:
        raise PredictionExporterError(f"listen {address}: {error}; choose another address") from error
    # Connections inherit it; asyncio sets it only on sockets of its own making, and a reply would take 40 ms more.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
