"""Bodies that come too slowly, or grow too large on their way."""

from typing import Any

import anyio
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from exporter.intake.body import receive


def received(*parts: bytes, limit: int = 10, ended: bool = True) -> tuple[int, int]:
    """The status (200 when the body came) and the bytes that were held; without its end, a body is waited for."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    held: list[int] = []

    async def next_message() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        if not ended:
            await anyio.sleep_forever()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def main() -> int:
        try:
            await receive(Request({"type": "http", "headers": []}, next_message), limit, 0.01, held.append)
        except HTTPException as refusal:
            return refusal.status_code
        return 200

    return anyio.run(main), sum(held)


@pytest.mark.parametrize(
    ("parts", "ended", "expected"),
    [
        ((b"12345", b"67890"), True, (200, 10)),
        ((b"12345", b"678901"), True, (413, 5)),
        ((b"123",), False, (408, 3)),
    ],
)
def test_a_body_comes_whole_in_time_and_within_its_bound(
    parts: tuple[bytes, ...], *, ended: bool, expected: tuple[int, int]
) -> None:
    assert received(*parts, ended=ended) == expected
