"""The rendered snapshot: bytes in the formats that a scraper can ask for, compressed once and never on a scrape."""

import re
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from prometheus_client import CollectorRegistry
from prometheus_client import exposition as text_format
from prometheus_client.openmetrics import exposition as openmetrics_format

_END = b"# EOF\n"
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # RFC 1952: deflate, no time stamp, unknown system
_GZIP_LEVEL = 6  # zlib's default: the exposition shrinks about 15-fold
_SUFFIXES = ("", "_total", "_created", "_info", "_bucket", "_sum", "_count")


class Format(Enum):
    """The two formats that a scraper can ask for; the value is the content type."""

    TEXT = text_format.CONTENT_TYPE_PLAIN_0_0_4
    OPENMETRICS = openmetrics_format.CONTENT_TYPE_LATEST


@dataclass(frozen=True)
class Body:
    """Rendered bytes that others may be appended to, and their deflated form, computed once."""

    plain: bytes

    @cached_property
    def deflated(self) -> bytes:
        """The bytes as complete deflate blocks, after which further blocks may follow."""
        compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        return compressor.compress(self.plain) + compressor.flush(zlib.Z_FULL_FLUSH)

    @cached_property
    def _crc(self) -> int:
        return zlib.crc32(self.plain)

    def gzip(self, tail: bytes) -> bytes:
        """One gzip member holding these bytes and `tail`; only `tail` is compressed now."""
        compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        end = compressor.compress(tail) + compressor.flush()
        size = (len(self.plain) + len(tail)) % 2**32
        return _GZIP_HEADER + self.deflated + end + struct.pack("<II", zlib.crc32(tail, self._crc), size)


@dataclass(frozen=True)
class Exposition:
    """One snapshot, rendered in both formats.

    `text` and `openmetrics` (which ends in `# EOF`) are the bytes to serve, `series` is how many series they hold and
    `rendered_at` is when they were rendered, in Unix seconds.
    """

    text: bytes
    openmetrics: bytes
    series: int
    rendered_at: float

    @cached_property
    def bodies(self) -> dict[Format, Body]:
        """What stands before this process's own metrics, by format."""
        return {Format.TEXT: Body(self.text), Format.OPENMETRICS: Body(self.openmetrics.removesuffix(_END))}

    def prepare(self) -> "Exposition":
        """Compress now, on the thread that renders, so that no scrape does; returns itself."""
        for body in self.bodies.values():
            body.gzip(b"")
        return self


def negotiate(accept: str) -> Format:
    """The format that an Accept header prefers; text unless OpenMetrics 1.0 is asked for at least as much.

    >>> negotiate("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3").name
    'OPENMETRICS'
    >>> negotiate("text/html,*/*;q=0.8").name
    'TEXT'
    """
    asked = quality(accept, "application/openmetrics-text", versions=("", "1.0.0"))
    return Format.OPENMETRICS if asked > 0 and asked >= quality(accept, "text/plain") else Format.TEXT


def quality(header: str, name: str, versions: Sequence[str] | None = None) -> float:
    """The highest q that `header` gives `name`; 0 when it does not name it."""
    best = 0.0
    for item in header.split(","):
        offered, *rest = (part.strip() for part in item.split(";"))
        options = dict(part.split("=", 1) for part in rest if "=" in part)
        if offered.lower() == name and (versions is None or options.get("version", "") in versions):
            best = max(best, _q(options.get("q", "1")))
    return best


def _q(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def render(registry: CollectorRegistry, chosen: Format) -> bytes:
    """The registry's metrics in the chosen format, OpenMetrics with its end mark."""
    encode: Callable[[CollectorRegistry], bytes] = (
        openmetrics_format.generate_latest if chosen is Format.OPENMETRICS else text_format.generate_latest
    )
    return encode(registry)


def only(rendered: bytes, names: frozenset[str]) -> Iterable[bytes]:
    """The families of `rendered` that are named or have a series that is named, and the end mark if there is one."""
    for block in re.split(rb"(?m)^(?=# HELP |# EOF$)", rendered):
        family = block.removeprefix(b"# HELP ").partition(b" ")[0].decode()
        if block == _END or any(family + suffix in names for suffix in _SUFFIXES):
            yield block
