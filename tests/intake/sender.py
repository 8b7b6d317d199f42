"""A client that talks to an exporter's application without a socket."""

from typing import Any

import anyio
import httpx

from exporter.intake.pages import intake_routes
from exporter.web.app import create_app
from tests.world import CONFIG

TOKEN = "s3cret"  # noqa: S105 - of no server but the test's own
WITH_INTAKE = CONFIG + "intake: {token_files: [tokens], max_body: 100000, max_spool: 1048576}\n"


class Sender:
    """Sends requests to an exporter's application."""

    def __init__(self, exporter: Any) -> None:
        self.exporter = exporter
        self._app = create_app(exporter, more=intake_routes(lambda: exporter.intake))

    def send(
        self, *bodies: bytes, path: str = "/v1/records", token: str = TOKEN, **headers: str
    ) -> list[httpx.Response]:
        """Post all bodies at once; the answers in their order."""
        named = {"authorization": f"Bearer {token}"} | {key.replace("_", "-"): text for key, text in headers.items()}
        given = [(key.encode(), text.encode("latin-1")) for key, text in named.items()]
        answers: dict[int, httpx.Response] = {}

        async def main() -> None:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://exporter") as client:

                async def post(place: int, body: bytes) -> None:
                    answers[place] = await client.post(path, content=body, headers=given)

                async with anyio.create_task_group() as group:
                    for place, body in enumerate(bodies):
                        group.start_soon(post, place, body)

        anyio.run(main)
        return [answers[place] for place in range(len(bodies))]

    def post(self, body: bytes, **options: str) -> httpx.Response:
        """Post one body."""
        [answer] = self.send(body, **options)
        return answer
