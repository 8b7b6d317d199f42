"""A request's body: received and unpacked, both within bounds. What is beyond them raises an HTTPException."""

import asyncio
import gzip
import io
import zlib
from collections.abc import Callable

import zstandard
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

ENCODINGS = ("identity", "gzip", "zstd")
_WINDOW = 8 * 1024 * 1024  # bytes that a zstd frame may ask for: RFC 8878 has every decoder support that much
_SLICE = (
    256  # bytes of zstd unpacked at once: a block is 4 bytes or more and holds 128 KiB at most, so 8 MiB come of it
)


async def receive(request: Request, limit: int, seconds: float, hold: Callable[[int], None]) -> bytes:
    """The body as sent. `hold` is told of bytes as they come, and may raise."""
    if int(request.headers.get("content-length", "0")) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise _too_large(limit)
                hold(len(part))
                parts.append(part)
    except TimeoutError as error:
        raise HTTPException(408, f"The body did not come within {seconds:g} s.") from error
    except ClientDisconnect as error:
        raise HTTPException(400, "The body ended early.") from error
    return b"".join(parts)


def unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """The content of `body`, in one of `ENCODINGS`; not much more than `limit` bytes of it are ever made."""
    try:
        match encoding:
            case "gzip":
                content = gzip.GzipFile(fileobj=io.BytesIO(body)).read(limit + 1)
            case "zstd":
                content = _unpack_zstd(body, limit)
            case _:
                content = body
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise HTTPException(400, f"The body is not what its Content-Encoding says: {error}.") from error
    if len(content) > limit:
        raise _too_large(limit)
    return content


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"A request may have {limit} bytes, unpacked too; send fewer records at once.")


def _unpack_zstd(body: bytes, limit: int) -> bytes:
    """By hand, for the library's own ways pass over a frame that ends too early, or over all frames but the first."""
    unpacker = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
    parts: list[bytes] = []
    size, frame = 0, None
    for start in range(0, len(body), _SLICE):
        packed = body[start : start + _SLICE]
        while packed and size <= limit:
            frame = frame or unpacker.decompressobj()
            parts.append(frame.decompress(packed))
            size += len(parts[-1])
            packed, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    if frame is not None and size <= limit:
        raise EOFError("the compressed data ends before its end mark")
    return b"".join(parts)
