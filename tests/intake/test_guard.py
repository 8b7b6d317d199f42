"""Who comes in where the web configuration asks for passwords, and the intake for tokens."""

from pathlib import Path

import anyio
import httpx
from starlette.responses import PlainTextResponse

from exporter.web.toolkit import Guard, LiveWebConfig

HASH = "$2b$04$Ugd9VqLAHHQQYYIZJSPe..HSPj0kFP5C6qK8wSZgkGBDGkA5xSyo."  # of nobody's password


def test_passwords_guard_all_but_the_pages_that_ask_for_tokens(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text(f"basic_auth_users: {{ann: '{HASH}'}}")
    guard = Guard(PlainTextResponse("in"), LiveWebConfig(tmp_path / "web.yml"), admitting=["/v1/records"])

    async def main() -> dict[str, int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://exporter") as client:
            return {path: (await client.get(path)).status_code for path in ("/metrics", "/v1/records", "/v1/records/x")}

    assert anyio.run(main) == {"/metrics": 401, "/v1/records": 200, "/v1/records/x": 401}
