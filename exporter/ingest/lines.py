"""Where lines begin and end in a stream of NDJSON, read a block at a time."""

import json
from collections.abc import Iterator
from typing import IO, Any

from exporter.ingest.files import UNREADABLE
from exporter.ingest.ndjson import CHUNK, MAX_LINE

BLOCK = 3 * 1024 * 1024  # bytes of NDJSON in one piece: bounds memory, and how long a copy of it holds up a scrape
_READ = 1024 * 1024  # bytes asked of the system at once


def read_block(stream: IO[bytes], rest: bytes) -> tuple[bytes, bool, Exception | None]:
    """`rest` and up to a block more, whether that is the end, and what is wrong there (a torn compressed file)."""
    parts, wanted = [rest], BLOCK
    take: Any = getattr(stream, "read1", stream.read)  # hands over what comes before a fault
    while wanted > 0:
        try:
            data = take(min(wanted, _READ))
        except UNREADABLE as error:
            return b"".join(parts), True, error
        if not data:
            return b"".join(parts), True, None
        parts.append(data)
        wanted -= len(data)
    return b"".join(parts), False, None


def after_newline(block: bytes) -> tuple[int, bool]:
    """Where the next line starts, and whether the present one is still going on at the block's end."""
    newline = block.find(b"\n")
    return (len(block), True) if newline < 0 else (newline + 1, False)


def end_of_lines(block: bytes, start: int, *, last: bool, torn: bool) -> int:
    """Where the block's complete lines end; a `last` one without a newline is complete when it is a whole object."""
    end = max(block.rfind(b"\n") + 1, start)
    return len(block) if last and (torn or is_record(block[end:])) else end


def is_record(line: bytes) -> bool:
    """Whether the line is a whole JSON object, which nothing written behind it could make another."""
    if len(line) > MAX_LINE or not line.rstrip().endswith(b"}"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def chunks(block: bytes, start: int, end: int, size: int = CHUNK) -> Iterator[bytes]:
    """The complete lines in `block[start:end]`, some `size` bytes at once: as many as decode fast together."""
    while start < end:
        cut = block.rfind(b"\n", start, min(start + size, end)) + 1
        if cut <= start:
            cut = block.find(b"\n", start, end) + 1 or end
        yield block[start:cut]
        start = cut


def skip(stream: IO[bytes], count: int) -> None:
    """Read `count` bytes and drop them."""
    while count > 0 and (data := stream.read(min(count, _READ))):
        count -= len(data)
