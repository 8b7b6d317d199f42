"""How long the queries of each dashboard take on a week of a fleet, and how many series each panel asks for.

usage: python bench/panels.py [FOLDER]   (needs prometheus and promtool, 8 GB of disk, and minutes to make the week)

Every panel's queries are sent one after the other, as range queries with the step that Grafana would choose for the
panel on a screen 2560 pixels wide, or as instant queries where the panel asks for the present.
"""

import math
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import history
import requests

from dashboards.build import dashboards
from exporter.config import Config, parse_config
from exporter.demo.processes import LOOPBACK, Servers, find_program, free_port

SCREEN = 2_560  # pixels; Grafana asks for as many points as a panel is wide
MARGIN, GAP, COLUMNS = 32, 8, 24
SCRAPE = 15  # seconds: the least step of a data source with the usual scrape interval
RUNS = 5
MOST_SECONDS, MOST_SERIES = 2.0, 1_000
STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1_200, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400)
Json = dict[str, Any]


def main(folder: Path) -> None:
    """Print medians and series for each dashboard, over a day and over the week."""
    end = _history(folder / "prometheus")
    with Servers(folder / "servers") as servers:
        url = _prometheus(servers, folder / "prometheus")
        for dashboard in dashboards(_config()):
            for seconds in (86_400, 7 * 86_400):
                measure(url, dashboard, end - seconds, end)


def measure(url: str, dashboard: Json, start: float, end: float) -> None:
    """Print the dashboard's time, its slowest panels and its largest one."""
    found: list[tuple[float, int, str]] = []
    before = _processor(url)
    for panel in panels(dashboard):
        taken, series = zip(*(_panel(url, panel, start, end) for _ in range(RUNS)), strict=True)
        found.append((statistics.median(taken), max(series), panel["title"]))
    total, most = sum(seconds for seconds, _, _ in found), max(series for _, series, _ in found)
    said = "in time" if total < MOST_SECONDS and most <= MOST_SERIES else "TOO MUCH"
    slowest = ", ".join(f"{title} {1_000 * seconds:.0f} ms" for seconds, _, title in sorted(found)[:-5:-1])
    processor = (_processor(url) - before) / RUNS
    print(f"{dashboard['title']}, {(end - start) / 86_400:.0f} d: {len(found)} panels, {1_000 * total:.0f} ms in all "
          f"({1_000 * processor:.0f} ms of Prometheus's processor time), "
          f"largest {most} series: {said}\n    slowest: {slowest}", flush=True)  # fmt: skip


def _processor(url: str) -> float:
    """Seconds of processor time that Prometheus has taken; beside the wall's on a machine that does other work."""
    lines = requests.get(f"{url}/metrics", timeout=10).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("process_cpu_seconds_total "))


def panels(dashboard: Json) -> Iterator[Json]:
    """Every panel, those of collapsed rows included."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panels(panel)
        else:
            yield panel


def _panel(url: str, panel: Json, start: float, end: float) -> tuple[float, int]:
    taken, series = 0.0, 0
    for target in panel["targets"]:
        step = _step(panel["gridPos"]["w"], end - start)
        expr = _asked(target["expr"], end - start, step)
        form: Json = {"query": expr, "time": end}
        if not target["instant"]:
            form = {"query": expr, "start": start // step * step, "end": end // step * step, "step": step}
        began = time.perf_counter()
        answer = requests.post(f"{url}/api/v1/query{'' if target['instant'] else '_range'}", data=form, timeout=60)
        taken += time.perf_counter() - began
        body = answer.json()
        if body["status"] != "success":
            raise RuntimeError(f"{panel['title']}: {body['error']}\n{expr}")
        series += len(body["data"]["result"])
    return taken, series


def _step(columns: int, seconds: float) -> int:
    """The step in seconds: the range over the panel's pixels, rounded up to a round number."""
    column = (SCREEN - MARGIN - GAP * (COLUMNS - 1)) / COLUMNS
    exact = seconds / (columns * column + GAP * (columns - 1))
    return max(next(step for step in STEPS if step >= exact), SCRAPE)


def _asked(expr: str, seconds: float, step: int) -> str:
    filled = {
        # At least two steps of the history, which a rate needs; Grafana's own is four scrapes.
        "$__rate_interval": f"{max(step + SCRAPE, 4 * SCRAPE, 2 * history.STEP + SCRAPE)}s",
        "$__interval": f"{step}s",
        "$__range": f"{seconds:.0f}s",
        '"$model"': '"model_00"',
        '"$version"': '".*"',
        '"$window"': '"1d"',
        '"$feature"': '"feature_03"',
    }
    for variable, value in filled.items():
        expr = expr.replace(variable, value)
    return expr


def _config() -> Config:
    models = "\n".join(f"  - {{name: model_{n:02d}, task: binary, baseline: b.json}}" for n in range(history.MODELS))
    return parse_config(f"log: [{{path: logs/}}]\nmodels:\n{models}\n")


def _history(folder: Path) -> float:
    """The end of the history, which is made unless it is there and fresh enough for Prometheus to keep."""
    mark = folder / "end"
    if mark.exists() and time.time() - (end := float(mark.read_text())) < history.DAYS * 86_400:
        return end
    end = math.floor(time.time() / history.STEP) * history.STEP
    history.build(folder, end)
    mark.write_text(str(end))
    return end


def _prometheus(servers: Servers, data: Path) -> str:
    program = find_program("prometheus")
    if program is None:
        raise SystemExit("prometheus is not installed; scripts/install-prometheus installs it")
    settings = servers.folder / "prometheus.yml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text("global: {scrape_interval: 15s}\n")
    address = f"{LOOPBACK}:{free_port()}"
    command: list[str | Path] = [program, "--config.file", settings, "--storage.tsdb.path", data]
    command += ["--storage.tsdb.retention.time", "30d", "--web.listen-address", address]
    return servers.start("prometheus", command, f"http://{address}", ready="/-/ready").url


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "/tmp/prediction_exporter_panels"))
