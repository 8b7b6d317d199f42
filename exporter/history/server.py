"""A real Prometheus over the blocks of a history, asked about every instant of it.

It works on links to the blocks, so whatever it compacts or deletes leaves the history as it is. Samples are looked up
less than one step back: what a series did not say at an instant, it did not say.
"""

import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import requests

from exporter import names
from exporter.demo.processes import LOOPBACK, Servers, free_port
from exporter.errors import ConfigError, PredictionExporterError
from exporter.history.openmetrics import LONGEST, braced, create_blocks
from exporter.history.rulefile import Rule
from exporter.profile.columns import Mask

_POINTS = 10_000  # of a series in one answer; Prometheus gives no more than 11,000
_TIMEOUT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Span:
    """The instants of a history: `count` of them, `step` seconds apart from `start` on."""

    start: float
    step: float
    count: int

    @property
    def end(self) -> float:
        """The last instant."""
        return self.start + (self.count - 1) * self.step


@dataclass
class History:
    """A running Prometheus, the instants that it knows of, and the names of its series."""

    url: str
    span: Span
    names: frozenset[str]

    def active(self, expr: str) -> Iterator[tuple[dict[str, str], Mask]]:
        """Each series of an alert's expression, and at which instants it is there."""
        found: dict[tuple[tuple[str, str], ...], Mask] = {}
        for first, last in _stretches(self.span):
            for labels, values in self._asked(expr, first, last):
                there = found.setdefault(tuple(sorted(labels.items())), np.zeros(self.span.count, dtype=bool))
                ts = np.array([at for at, _ in values], dtype=np.float64)
                there[np.rint((ts - self.span.start) / self.span.step).astype(np.intp)] = True
        for key, there in found.items():
            yield dict(key), there

    def recorded(self, rule: Rule, first: int, last: int) -> Iterator[str]:
        """OpenMetrics lines of what a rule records at the instants of these numbers."""
        for labels, values in self._asked(rule.expr, first, last):
            series = f"{rule.name}{braced({**labels, **rule.labels})}"
            yield from (f"{series} {value} {at!r}\n" for at, value in values)

    def _asked(self, expr: str, first: int, last: int) -> Iterator[tuple[dict[str, str], list[tuple[float, str]]]]:
        start, end = (self.span.start + number * self.span.step for number in (first, last))
        asked = {"query": expr, "start": start, "end": end, "step": self.span.step}
        for series in _ask(self.url, "query_range", asked)["result"]:
            yield {name: of for name, of in series["metric"].items() if name != "__name__"}, series["values"]


def _stretches(span: Span) -> Iterator[tuple[int, int]]:
    """Numbers of the first and the last instant of stretches that one question may ask for, each within one block."""
    of_block = [int((span.start + number * span.step) // LONGEST) for number in range(span.count)]
    ends = [number for number in range(1, span.count) if of_block[number] != of_block[number - 1]]
    for begin, end in pairwise([0, *ends, span.count]):
        for first in range(begin, end, _POINTS):
            yield first, min(first + _POINTS, end) - 1


@contextmanager
def serve_history(blocks: Path) -> Iterator["Workbench"]:
    """A workbench over `blocks`; ConfigError where there are none, PredictionExporterError without Prometheus."""
    for program in ("prometheus", "promtool"):
        if shutil.which(program) is None:
            raise PredictionExporterError(f"{program}: not found; a backtest needs Prometheus installed")
    times = [json.loads(meta.read_text(encoding="utf-8")) for meta in sorted(blocks.glob("*/meta.json"))]
    if not times:
        raise ConfigError(f"--history {blocks}", ["holds no block; make some with backfill --blocks"])
    bounds = min(of["minTime"] for of in times) / 1_000, (max(of["maxTime"] for of in times) - 1) / 1_000
    with TemporaryDirectory() as folder:
        bench = Workbench(Path(folder), bounds)
        for meta in blocks.glob("*/meta.json"):
            _link(meta.parent, bench.data / meta.parent.name)
        yield bench


@dataclass(frozen=True)
class Workbench:
    """A folder with the blocks of a history, whose first and last sample stand at `bounds`."""

    folder: Path
    bounds: tuple[float, float]

    @property
    def data(self) -> Path:
        """Where the blocks are."""
        return self.folder / "data"

    def record(self, layer: Sequence[Rule], span: Span) -> None:
        """Compute recorded series at every instant into blocks of their own.

        promtool can record rules too, but at instants of its own, shifted by a hash of the group.
        """
        files = []
        with self.opened(span) as history, TemporaryDirectory() as folder:
            for first, last in _stretches(span):
                files.append(Path(folder) / f"{first}.om")
                with files[-1].open("w", encoding="utf-8") as file:
                    for name, rules in groupby(sorted(layer, key=lambda rule: rule.name), lambda rule: rule.name):
                        file.write(f"# TYPE {name} gauge\n")
                        for rule in rules:
                            file.writelines(history.recorded(rule, first, last))
                    file.write("# EOF\n")
            create_blocks(files, self.data, LONGEST // 3_600)

    def span(self) -> Span:
        """The instants, from when the last ones stand; they are all as far apart."""
        first, last = self.bounds
        with self.running(60) as url:
            query = f"{names.MODEL_INFO.name}[{math.ceil(last - first) + 1}s]"
            result = _ask(url, "query", {"query": query, "time": last})["result"]
            ts = np.unique([at for series in result for at, _ in series["values"]])
        if len(ts) < 2:
            raise ConfigError("--history", ["holds no two instants of a backfill; make it with backfill --blocks"])
        step = float(np.diff(ts).min())
        return Span(float(ts[0]), step, round((float(ts[-1]) - float(ts[0])) / step) + 1)

    @contextmanager
    def opened(self, span: Span) -> Iterator[History]:
        """The history, to be asked."""
        with self.running(span.step) as url:
            held = _ask(url, "label/__name__/values", {"start": span.start, "end": span.end})
            yield History(url, span, frozenset(held))

    @contextmanager
    def running(self, step: float) -> Iterator[str]:
        """The address of a Prometheus over the blocks, while it runs."""
        config = self.folder / "prometheus.yml"
        config.write_text("{}\n", encoding="utf-8")
        address = f"{LOOPBACK}:{free_port()}"
        with Servers(self.folder / "servers") as servers:
            command: list[str | Path] = ["prometheus", "--config.file", config, "--storage.tsdb.path", self.data]
            command += ["--storage.tsdb.retention.time", "100y", "--query.lookback-delta", f"{step * 1_000 - 1:.0f}ms"]
            command += ["--query.timeout", f"{_TIMEOUT_SECONDS}s", "--web.listen-address", address]
            command += ["--query.max-samples", "500000000"]  # a year of an hourly step in one answer
            servers.start("prometheus", command, f"http://{address}", ready="/-/ready")
            yield f"http://{address}"


def _ask(url: str, what: str, parameters: Mapping[str, Any]) -> Any:
    answer = requests.get(f"{url}/api/v1/{what}", params=parameters, timeout=_TIMEOUT_SECONDS)
    body = answer.json()
    if body.get("status") != "success":
        raise PredictionExporterError(f"{parameters.get('query', what)}: {body.get('error', answer.text)}")
    return body["data"]


def _link(block: Path, target: Path) -> None:
    """The files of a block under another name; copied where the file system has no links."""
    for file in (file for file in block.rglob("*") if file.is_file()):
        place = target / file.relative_to(block)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, place)
        except OSError:
            with suppress(FileExistsError):
                shutil.copyfile(file, place)
