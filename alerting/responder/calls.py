"""One HTTP call to a service: JSON out, JSON in, within the timeout, and errors that name no secret."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from json import loads
from typing import Any, Literal

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from alerting.responder.settings import Access, Secret, SecretError, Webhook

MOST_BYTES = 4 * 2**20  # of an answer; GitHub's page of 100 issues is at most a few hundred kilobytes


class CallError(Exception):
    """A call that failed; the message is safe to log and to show: it holds no URL, header or body.

    `status` is the HTTP status, 0 where there was none.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class _Bearer(AuthBase):
    # As an auth object: requests would put a ~/.netrc entry in the place of a plain header.
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls within `timeout` seconds, to connect and between bytes."""

    timeout: float

    def call(
        self,
        method: Literal["GET", "POST", "PATCH"],
        access: Access,
        path: str,
        *,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        query: Mapping[str, str | int] | None = None,
        key: str = "",
    ) -> Any:
        """What the service answers, parsed; None for an empty answer. CallError when it is not 2xx."""
        auth = _auth(access.username, access.token)
        return self._send(method, access.url + path, auth, json=json, data=form, params=query, headers=_headers(key))

    def post(self, webhook: Webhook, body: Any, key: str) -> None:
        """Send `body` to a webhook, which may know by `key` that it has seen it before."""
        url = webhook.url or _secret(webhook.url_from)
        self._send("POST", url, _Bearer(_secret(webhook.token)), json=body, headers=_headers(key), parse=False)

    def _send(self, method: str, url: str, auth: AuthBase, *, parse: bool = True, **content: Any) -> Any:
        try:
            # A redirect would carry the request, and its token, to a place that nobody configured.
            with requests.request(
                method, url, auth=auth, timeout=self.timeout, allow_redirects=False, stream=True, **content
            ) as answer:
                if not 200 <= answer.status_code < 300:
                    raise CallError(f"answered {answer.status_code}", answer.status_code)
                body = self._read(answer)
            return loads(body) if parse and body else None
        except (requests.RequestException, ValueError) as error:
            raise CallError(type(error).__name__) from None  # its own text holds the URL

    def _read(self, answer: requests.Response) -> bytes:
        body, deadline = b"", time.monotonic() + self.timeout  # the timeout itself only bounds the wait for each byte
        for part in answer.iter_content(2**16):
            body += part
            if len(body) > MOST_BYTES or time.monotonic() > deadline:
                raise CallError("answered too much or too slowly")
        return body


def _headers(key: str) -> dict[str, str]:
    agent = {"User-Agent": "prediction-alerting"}
    return agent | {"Idempotency-Key": key} if key else agent


def _auth(username: str | None, token: Secret | None) -> AuthBase:
    secret = _secret(token)
    return HTTPBasicAuth(username, secret) if username else _Bearer(secret)


def _secret(secret: Secret | None) -> str:
    try:
        return secret.read() if secret else ""
    except SecretError as error:
        raise CallError(str(error)) from error
