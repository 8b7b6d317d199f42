"""Who may send: bearer tokens in files, followed as they change."""

import base64
import binascii
import hmac
import logging
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from exporter.errors import ConfigError

log = logging.getLogger(__name__)

_Stamp = tuple[int, int, int]


class Tokens:
    """The tokens of some files, one a line."""

    def __init__(self, files: Sequence[Path]) -> None:
        """ConfigError names every file that cannot be read or holds no token."""
        self._files = tuple(files)
        self._stamps = [_stamp(path) for path in files]
        self._digests = self._read()

    def admits(self, authorization: str | None) -> bool:
        """Whether a request with this Authorization header may send.

        `Bearer TOKEN`; or `Basic` with a token for its password, for senders that know nothing but a URL, as KServe's
        logger does (`https://user:TOKEN@exporter/`).
        """
        self._refresh()
        offered = sha256(_token(authorization or "")).digest()
        # All are compared, and digests of one length, so that time tells nothing.
        return sum(hmac.compare_digest(offered, known) for known in self._digests) > 0

    def _refresh(self) -> None:
        stamps = [_stamp(path) for path in self._files]
        if stamps == self._stamps:
            return
        self._stamps = stamps
        try:
            self._digests = self._read()
            log.info("intake tokens read again")
        except ConfigError as error:
            log.warning("intake tokens not read again, the last good ones stay: %s", error)

    def _read(self) -> list[bytes]:
        digests: list[bytes] = []
        problems: list[str] = []
        for path in self._files:
            try:
                lines = path.read_bytes().split()
            except OSError as error:
                problems.append(f"{path}: {error.strerror}; give the path of a readable file of tokens")
                continue
            digests += [sha256(line).digest() for line in lines]
            if not lines:
                problems.append(f"{path}: holds no token; write one a line")
        if problems:
            raise ConfigError("intake.token_files", problems)
        return digests


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _token(authorization: str) -> bytes:
    """The token of an Authorization header; empty, which no file holds, where there is none."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip().encode()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return b""
    return b""
