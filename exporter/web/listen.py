"""Listening: addresses bound, the application served on a thread of its own, stopped without cutting an answer."""

import socket
import threading
from collections.abc import Sequence

import uvicorn
from starlette.types import ASGIApp

from exporter.errors import PredictionExporterError
from exporter.web.toolkit import Address, Guard, LiveWebConfig

_GRACE_SECONDS = 5


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


def serve_app(app: ASGIApp, listen: Sequence[Address], web: LiveWebConfig | None = None,
              admitting: Sequence[str] = ()) -> Running:  # fmt: skip
    """Serve `app` on every address until the returned handle is stopped; listens when it returns.

    `web` guards all paths but the `admitting` ones, see `Guard`.
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
        Guard(app, web, admitting) if web else app,
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
