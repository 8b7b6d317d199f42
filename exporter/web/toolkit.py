"""The web configuration: listen addresses, TLS, basic authentication and response headers.

In go `--web.listen-address` texts and the `--web.config.file` of Prometheus's exporter toolkit; out come addresses,
a TLS context and a guard around the application. The file and the certificates are looked at on every request and
connection, so a change takes effect at once; a broken change is logged and the last good one stays in force.

Of the toolkit's keys these are refused, as Python's TLS cannot honour them or nobody needs them here: inline `cert`,
`key` and `client_ca`, `cipher_suites`, `curve_preferences`, `prefer_server_cipher_suites`, `http2: true`, `rate_limit`.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import re
import secrets
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import bcrypt
import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.config import UniqueKeyLoader, problems_of, yaml_problem
from exporter.errors import ConfigError

logger = logging.getLogger(__name__)

DEFAULT_LISTEN = ":9750"

_LISTEN = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<host>[^:\[\]]*)):(?P<port>[0-9]{1,5})")
_BCRYPT = re.compile(r"\$2[aby]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_BCRYPT_BYTES = 72  # bcrypt reads no more of a password
_TLS_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_CLIENT_AUTH = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; an empty host is every interface, port 0 a free port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen(texts: Sequence[str]) -> tuple[Address, ...]:
    """Addresses from `host:port`, `:port` or `[ipv6]:port` texts; ConfigError names every one that is none of these."""
    found = [(text, _LISTEN.fullmatch(text)) for text in texts or (DEFAULT_LISTEN,)]
    problems = [
        f"{text!r} is no listen address; write host:port, :port or [ipv6]:port, with a port up to 65535"
        for text, match in found
        if match is None or int(match["port"]) > 65535
    ]
    if problems:
        raise ConfigError("--web.listen-address", problems)
    return tuple(Address(match["six"] or match["host"] or "", int(match["port"])) for _, match in found if match)


def _readable(path: Path, info: ValidationInfo) -> Path:
    resolved: Path = (info.context or {}).get("folder", Path()) / path
    try:
        with resolved.open("rb"):
            return resolved
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; give the path of a readable PEM file") from error


def _client_auth(value: object) -> object:
    if value in ("RequestClientCert", "RequireAnyClientCert"):
        raise ValueError(f"{value} verifies nothing and is not offered; use RequireAndVerifyClientCert")
    return value


def _bcrypt_hash(value: object) -> str:
    # The value stays out of the message: it may be a password.
    if not isinstance(value, str) or _BCRYPT.fullmatch(value) is None:
        raise ValueError("expected a bcrypt hash ($2y$10$...); make one with `htpasswd -nBC 10 ''`")
    return value


def _header_value(value: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise ValueError("expected printable ASCII text on one line")
    return value


PemFile = Annotated[Path, AfterValidator(_readable)]
TlsVersion = Literal["TLS12", "TLS13"]
HeaderValue = Annotated[str, AfterValidator(_header_value)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TlsServer(_Section):
    """`tls_server_config`: the certificate shown, and which clients are let in."""

    cert_file: PemFile
    key_file: PemFile
    client_auth_type: Annotated[
        Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"], BeforeValidator(_client_auth)
    ] = "NoClientCert"
    client_ca_file: PemFile | None = None
    client_allowed_sans: tuple[str, ...] = ()
    min_version: TlsVersion = "TLS12"
    max_version: TlsVersion = "TLS13"
    _context: ssl.SSLContext = PrivateAttr()

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.min_version > self.max_version:
            raise ValueError("min_version must not lie above max_version")
        if (self.client_auth_type == "NoClientCert") != (self.client_ca_file is None):
            raise ValueError("client_auth_type and client_ca_file go together; give both or neither")
        if self.client_allowed_sans and self.client_auth_type != "RequireAndVerifyClientCert":
            raise ValueError("client_allowed_sans needs client_auth_type: RequireAndVerifyClientCert")
        self._context = self._make_context()
        return self

    def _make_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _TLS_VERSIONS[self.min_version]
        context.maximum_version = _TLS_VERSIONS[self.max_version]
        context.set_alpn_protocols(["http/1.1"])
        _load(context.load_cert_chain, "cert_file, key_file", self.cert_file, self.key_file, lambda: b"")
        if self.client_ca_file:
            _load(context.load_verify_locations, "client_ca_file", self.client_ca_file)
        context.verify_mode = _CLIENT_AUTH[self.client_auth_type]
        if self.client_allowed_sans:
            context.sslobject_class = _connections_from(frozenset(self.client_allowed_sans))
        return context

    @property
    def context(self) -> ssl.SSLContext:
        """The TLS context that these settings and files give."""
        return self._context

    @property
    def files(self) -> tuple[Path, ...]:
        """The files read, whose change asks for reading them again."""
        return tuple(path for path in (self.cert_file, self.key_file, self.client_ca_file) if path)


def _load(loader: Callable[..., None], keys: str, *arguments: object) -> None:
    try:
        loader(*arguments)
    except ssl.SSLError as error:
        reason = error.reason or error
        raise ValueError(f"{keys}: {reason}; give PEM files that belong together, the key unencrypted") from error


def _connections_from(allowed: frozenset[str]) -> type[ssl.SSLObject]:
    class Connection(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            certificate: dict[str, Any] = self.getpeercert() or {}
            if allowed.isdisjoint(name for _, name in certificate.get("subjectAltName", ())):
                raise ssl.SSLCertVerificationError("no name of the client's certificate is in client_allowed_sans")

    return Connection


class SecurityHeaders(_Section):
    """`http_server_config.headers`: added to every response; blank leaves one out."""

    content_security_policy: HeaderValue = Field("", alias="Content-Security-Policy")
    x_frame_options: Literal["", "deny", "sameorigin"] = Field("", alias="X-Frame-Options")
    x_content_type_options: Literal["", "nosniff"] = Field("", alias="X-Content-Type-Options")
    x_xss_protection: HeaderValue = Field("", alias="X-XSS-Protection")
    strict_transport_security: HeaderValue = Field("", alias="Strict-Transport-Security")


class HttpServer(_Section):
    """`http_server_config`."""

    http2: Literal[False] = False
    headers: SecurityHeaders = SecurityHeaders()


class WebConfig(_Section):
    """The web configuration file."""

    tls_server_config: TlsServer | None = None
    http_server_config: HttpServer = HttpServer()
    basic_auth_users: dict[str, Annotated[str, BeforeValidator(_bcrypt_hash)]] = Field(default={}, repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """Headers to set on every response."""
        return {name: text for name, text in self.http_server_config.headers.model_dump(by_alias=True).items() if text}


def load_web_config(path: Path) -> WebConfig:
    """Read the web configuration at `path`; ConfigError names every problem with its place in the file.

    Relative paths in the file are seen from its folder.
    """
    try:
        # An empty file is a valid one: plain HTTP for everybody.
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=UniqueKeyLoader)  # noqa: S506 - a safe subclass
        return WebConfig.model_validate({} if data is None else data, context={"folder": path.parent})
    except OSError as error:
        raise ConfigError(str(path), [f"{error.strerror}; give the path of a web configuration file"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), [f"not UTF-8 text at byte {error.start}; save it as UTF-8"]) from error
    except yaml.YAMLError as error:
        raise ConfigError(str(path), [yaml_problem(error)]) from error
    except ValidationError as error:
        raise ConfigError(str(path), list(problems_of(error))) from error


class Authenticator:
    """Checks basic authentication against bcrypt hashes, paying for bcrypt once for each user and password.

    Only right passwords are remembered (as a digest under a key of this process), so wrong ones cost the same for
    known and unknown users, however often they come. One check runs at a time, beside the event loop: a flood of
    guesses takes one core at most and delays no remembered client.
    """

    def __init__(self, users: Mapping[str, str]) -> None:
        self._hashes = {user: text.encode() for user, text in users.items()}
        self._decoy = max(self._hashes.values(), key=lambda text: text[4:6], default=b"")  # the dearest cost
        self._key = secrets.token_bytes(32)
        self._known: dict[str, bytes] = {}
        self._turn = asyncio.Lock()

    async def admits(self, authorization: str | None) -> bool:
        """Whether a request with this Authorization header may pass; always, when no users are configured."""
        if not self._hashes:
            return True
        credentials = _credentials(authorization)
        if credentials is None:
            return False
        user, password = credentials
        digest = hmac.digest(self._key, f"{user}:".encode() + password, hashlib.sha256)
        if self._remembers(user, digest):
            return True
        async with self._turn:
            if not self._remembers(user, digest) and await asyncio.to_thread(self._matches, user, password):
                self._known[user] = digest
        return self._remembers(user, digest)

    def _remembers(self, user: str, digest: bytes) -> bool:
        return hmac.compare_digest(self._known.get(user, b""), digest)

    def _matches(self, user: str, password: bytes) -> bool:
        matches = bcrypt.checkpw(password[:_BCRYPT_BYTES], self._hashes.get(user, self._decoy))
        return matches and user in self._hashes and len(password) <= _BCRYPT_BYTES


def _credentials(authorization: str | None) -> tuple[str, bytes] | None:
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (user.decode(), password) if colon and b"\0" not in password else None
    except (binascii.Error, UnicodeDecodeError):
        return None


_Stamp = tuple[int, int, int] | None


class LiveWebConfig:
    """The web configuration file in force: read again when it or one of its certificates changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._adopt(load_web_config(path))

    def _adopt(self, config: WebConfig) -> None:
        self.config = config
        self.authenticator = Authenticator(config.basic_auth_users)
        self._stamp = self._look()

    def _look(self) -> tuple[_Stamp, ...]:
        tls = self.config.tls_server_config
        return tuple(_stamp(path) for path in (self._path, *(tls.files if tls else ())))

    def refresh(self) -> None:
        """Adopt a changed file; a broken one is logged once, and the last good one stays."""
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            config = load_web_config(self._path)
        except ConfigError as error:
            logger.warning("web configuration not reloaded, the last good one stays: %s", error)
            return
        if (config.tls_server_config is None) != (self.config.tls_server_config is None):
            logger.warning("%s: tls_server_config cannot come or go while serving; restart the exporter", self._path)
            return
        self._adopt(config)
        logger.info("web configuration reloaded from %s", self._path)

    def tls_context(self) -> ssl.SSLContext | None:
        """A TLS context that follows the file, or None for plain HTTP."""
        return _FollowingContext.of(self) if self.config.tls_server_config else None


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


class _FollowingContext(ssl.SSLContext):
    """Gives each new connection the context in force, so that a renewed certificate needs no restart."""

    _web: LiveWebConfig

    @classmethod
    def of(cls, web: LiveWebConfig) -> "_FollowingContext":
        context = cls(ssl.PROTOCOL_TLS_SERVER)
        context._web = web
        return context

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        self._web.refresh()
        tls = self._web.config.tls_server_config
        if tls is None:
            raise ssl.SSLError("TLS is not configured")
        return tls.context.wrap_bio(*arguments, **options)


class Guard:
    """An ASGI application around another: admits, refuses, and sets the configured headers.

    `admitting` are paths whose handlers have credentials of their own to ask for.
    """

    def __init__(self, app: ASGIApp, web: LiveWebConfig, admitting: Sequence[str] = ()) -> None:
        self._app = app
        self._web = web
        self._open = frozenset(admitting)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 unless the web configuration in force admits the request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._web.refresh()
        send = _with_headers(send, self._web.config.headers)
        admitted = scope["path"] in self._open or await self._web.authenticator.admits(
            Headers(scope=scope).get("authorization")
        )
        await (self._app if admitted else _UNAUTHORIZED)(scope, receive, send)


_UNAUTHORIZED = PlainTextResponse(
    "Give the user name and password that the web configuration asks for.\n",
    status_code=401,
    headers={"WWW-Authenticate": 'Basic realm="prediction_exporter", charset="UTF-8"'},
)


def _with_headers(send: Send, headers: Mapping[str, str]) -> Callable[[Message], Awaitable[None]]:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(headers)
        await send(message)

    return send_with_headers
