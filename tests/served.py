"""Exporters as processes of their own, which can be killed."""

import socket
import subprocess
import sys
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.exporters import wait_until

Series = dict[tuple[str, ...], float]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


class Served:
    """An exporter process of the world in a folder."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        listen = f"--web.listen-address=127.0.0.1:{self.port}"
        command = [sys.executable, "-c", "from exporter.cli import main; main()", "serve"]
        with (folder / "errors.txt").open("ab") as errors:
            self.process = subprocess.Popen(
                [*command, "--config=prediction-exporter.yml", listen], cwd=folder, stderr=errors
            )

    def scrape(self) -> Series:
        """Values by name and label values; nothing while it does not answer."""
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=10)
        except httpx.TransportError:
            return {}
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in (text_string_to_metric_families(answer.text) if answer.status_code == 200 else ())
            for sample in family.samples
        }

    def wait_for(self, *key: str, value: float) -> None:
        wait_until(lambda: self.scrape().get(key) == value)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> int:
        """Its exit status when it is asked to end."""
        self.process.terminate()
        return self.process.wait(30)
