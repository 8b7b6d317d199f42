"""Grafana's HTTP API, as far as provisioning needs it: a token goes along, failures are retried, then said in words."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from exporter.errors import ConfigError, PredictionExporterError

TOKEN_VARIABLE = "GRAFANA_TOKEN"  # noqa: S105 - the name of a variable
OLDEST = 11  # the first version whose panels take these dashboards as they are
TIMEOUT_SECONDS = 30
ATTEMPTS = 5  # with back-off from half a second, some eight seconds: a restart behind a load balancer
PASSING = (429, 502, 503, 504)

Json = dict[str, Any]


class GrafanaError(PredictionExporterError):
    """Grafana refused or could not be asked; the message says what and what to do."""


class ConflictError(GrafanaError):
    """Grafana holds something else under that name, or a newer version of it."""


@dataclass(frozen=True)
class Grafana:
    """A Grafana server at `url`; `backoff` is the first wait between attempts, in seconds."""

    url: str
    token: str = field(repr=False)
    backoff: float = 0.5

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.username or parts.query:
            raise ConfigError(self.url, ["not Grafana's URL; give http(s)://HOST[:PORT][/PATH], without credentials"])

    def check(self) -> str:
        """Grafana's version; GrafanaError when it is too old, or no Grafana."""
        health = self.get("/api/health") or {}
        version = str(health.get("version", ""))
        major = version.partition(".")[0]
        if not major.isdecimal():
            raise GrafanaError(f"{self.url}: answers, but not as Grafana does; give Grafana's own URL")
        if int(major) < OLDEST:
            raise GrafanaError(f"{self.url}: Grafana {version} is too old for these dashboards; take {OLDEST} or newer")
        return version

    def get(self, path: str) -> Json | None:
        """The object at `path`; None when there is none."""
        answer = self._send("GET", path, None)
        if answer.status_code == requests.codes.not_found and "message" in _body(answer):
            return None
        return self._good(answer, path)

    def post(self, path: str, body: Json) -> Json:
        """Create or save; ConflictError when something else is there."""
        return self._good(self._send("POST", path, body), path)

    def put(self, path: str, body: Json) -> Json:
        """Change; ConflictError when somebody else did meanwhile."""
        return self._good(self._send("PUT", path, body), path)

    def _send(self, method: str, path: str, body: Json | None) -> requests.Response:
        # A repeated save is harmless: it names the version that it replaces, so the second one is refused.
        retry = Retry(ATTEMPTS - 1, redirect=0, backoff_factor=self.backoff, status_forcelist=PASSING,
                      allowed_methods=None, raise_on_status=False)  # fmt: skip
        with requests.Session() as session:
            for scheme in ("http://", "https://"):
                session.mount(scheme, HTTPAdapter(max_retries=retry))
            try:
                return session.request(method, self.url.rstrip("/") + path, json=body, auth=self._sign,
                                       timeout=TIMEOUT_SECONDS, allow_redirects=False)  # fmt: skip
            except requests.exceptions.SSLError as error:
                remedy = "trust its authority with REQUESTS_CA_BUNDLE, or mend its certificate"
                raise GrafanaError(f"{self.url}: no trusted TLS connection ({_short(error)}); {remedy}") from error
            except requests.RequestException as error:
                remedy = "is Grafana running there, and reachable from here?"
                raise GrafanaError(f"{self.url}: cannot be reached ({_short(error)}); {remedy}") from error

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """As authentication and not as a plain header, which a .netrc would replace."""
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request

    def _good(self, answer: requests.Response, path: str) -> Json:
        body = _body(answer)
        if answer.ok and body and not answer.is_redirect:
            return body
        told = f"{self.url}{path}: {answer.status_code} {body.get('message', answer.reason)}"
        if answer.status_code in (requests.codes.conflict, requests.codes.precondition_failed):
            raise ConflictError(f"{told}; run the command again to see what is there now")
        raise GrafanaError(f"{told}; {_remedy(answer)}")


def read_token(file: Path | None, environ: Mapping[str, str] = os.environ) -> str:
    """The service account's token, from `file` or the environment; ConfigError says where to get one."""
    remedy = "make a token in Grafana under Administration, Service accounts, with the role Editor"
    source = str(file) if file else TOKEN_VARIABLE
    try:
        token = (file.read_text(encoding="utf-8") if file else environ.get(TOKEN_VARIABLE, "")).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(source, [f"the token cannot be read ({_short(error)}); {remedy}"]) from error
    if not token:
        raise ConfigError(source, [f"no token; {remedy}, and put it there or give --token-file"])
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise ConfigError(source, [f"not a token: one line without spaces is expected; {remedy}"])
    return token


def _body(answer: requests.Response) -> Json:
    try:
        body = answer.json()
    except json.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


_REMEDIES = {
    requests.codes.unauthorized: "the token is not valid (any more); make a new one in Grafana under Service accounts",
    requests.codes.forbidden: "the token's account may not do this; give it the role Editor, for the data source Admin",
    requests.codes.not_found: "give Grafana's own URL, with its sub-path if it has one",
    **dict.fromkeys(PASSING, f"tried {ATTEMPTS} times; look into Grafana's log"),
}


def _remedy(answer: requests.Response) -> str:
    if answer.is_redirect:
        return f"it sends elsewhere, to {answer.headers['Location']}; give the final URL"
    failed = answer.status_code >= requests.codes.server_error
    other = "look into Grafana's log" if failed else "this is an error in the dashboards; please report it"
    return _REMEDIES.get(answer.status_code, other)


def _short(error: Exception) -> str:
    """What went wrong, without the request that it went wrong for."""
    reason = getattr(error.args[0], "reason", error) if error.args else error
    return str(getattr(reason, "strerror", None) or reason).rpartition(": ")[2]
