import io
import json
import shutil
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest
import yaml
from rich.console import Console

from alerting.responder.settings import load_settings
from exporter import names
from exporter.config import load_config
from exporter.demo import story, workspace
from exporter.demo.flights import DAY, MODEL_NAME, YEAR_START
from exporter.demo.model import DelayModel
from exporter.demo.processes import LOOPBACK
from exporter.demo.progress import Firing, Status, line, read_status, shown, table
from exporter.demo.story import run_demo
from exporter.demo.traffic import Replay, newest_time, open_log
from exporter.demo.workspace import DEPLOY, owned, prepare
from exporter.errors import DataError

DRIFT = names.FEATURE_DRIFT_SCORE.name
AUC = names.MODEL_AUC.name
METRICS = f"""# TYPE {DRIFT} gauge
{DRIFT}{{feature="temp",method="psi",window="28d"}} 0.41
{DRIFT}{{feature="pressure",method="psi",window="28d"}} 0.62
{DRIFT}{{feature="pressure",method="psi",window="1d"}} 9
{DRIFT}{{feature="hour",method="js",window="28d"}} 8
# TYPE {AUC} gauge
{AUC}{{window="1d"}} 0.58
{AUC}{{window="28d"}} 0.71
"""


def alert(name: str, severity: str, state: str, **labels: str) -> dict[str, object]:
    return {"labels": {"alertname": name, "severity": severity, **labels}, "status": {"state": state}}


ALERTS = [
    alert("PredictionAucLow", "warning", "active", model_name="flight_delay", window="1d"),
    alert("PredictionFeatureDriftSevere", "critical", "active", model_name="flight_delay", feature="temp"),
    alert("PredictionFeatureDriftSevere", "critical", "active", model_name="flight_delay", feature="pressure"),
    alert("Watchdog", "none", "active"),
    alert("PredictionFeatureDriftMinor", "info", "suppressed", model_name="flight_delay", feature="pressure"),
    alert("PredictionAucLow", "warning", "active", model_name="flight_delay", window="28d"),
]
STATUS = Status(
    psi={"temp": 0.41, "pressure": 0.62},
    auc={"1d": 0.58, "28d": 0.71},
    alerts=(
        Firing("PredictionFeatureDriftSevere", "critical", ("pressure", "temp")),
        Firing("PredictionAucLow", "warning", ("",)),
    ),
)


@pytest.fixture
def url() -> Iterator[str]:
    """A server that answers as the exporter and Alertmanager do."""
    pages: Mapping[str, str] = {"/metrics": METRICS, "/api/v2/alerts": json.dumps(ALERTS)}

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(pages[self.path].encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((LOOPBACK, 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{LOOPBACK}:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def run(tmp_path: Path, model: DelayModel) -> Iterator[Replay]:
    with open_log(tmp_path) as log:
        yield Replay(log, model, speed=DAY, ts=1360515600.0, predictions=12_345)


def text_of(shown_thing: object, *, terminal: bool = False) -> str:
    console = Console(file=io.StringIO(), width=120, force_terminal=terminal)
    console.print(shown_thing)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_status_holds_psi_of_the_window_auc_by_window_and_the_alerts(url: str) -> None:
    assert read_status(url, url, "28d") == STATUS


def test_without_alertmanager_the_status_says_so(url: str, run: Replay) -> None:
    status = read_status(url, None, "28d")
    assert status.alerts is None
    assert "Alertmanager is not running" in line(status, run)


def test_a_server_that_does_not_answer_leaves_the_status_blank() -> None:
    nowhere = f"http://{LOOPBACK}:9"
    assert read_status(nowhere, nowhere, "28d") == Status({}, {}, ())


def test_the_table_shows_log_time_drift_auc_and_what_fires(run: Replay) -> None:
    shown_text = text_of(table(STATUS, run))
    for part in (
        "Sun 10 Feb 2013 12:00",
        "12,345",
        "PSI of pressure",
        "0.620",
        "AUC over 28d",
        "PredictionFeatureDriftSevere",
    ):
        assert part in shown_text
    assert "PredictionFeatureDriftMinor" not in shown_text


def test_the_line_names_the_most_drifted_feature_first(run: Replay) -> None:
    text = line(STATUS, run)
    assert text.index("pressure=0.62") < text.index("temp=0.41")
    assert text.endswith("firing: PredictionFeatureDriftSevere(pressure temp) PredictionAucLow")


def test_a_terminal_gets_the_table_and_a_pipe_gets_lines_now_and_then(run: Replay) -> None:
    for terminal, rows in ((True, "PSI of pressure"), (False, "PSI pressure=0.62")):
        console = Console(file=io.StringIO(), width=200, force_terminal=terminal)
        with shown(console) as show:
            show(STATUS, run)
            show(replace(STATUS, alerts=()), run)
        assert isinstance(console.file, io.StringIO)
        output = console.file.getvalue()
        assert rows in output
        assert terminal or output.count("\n") == 1


def test_a_run_holds_the_repositorys_files_in_their_layout(tmp_path: Path) -> None:
    work = prepare(tmp_path)
    for path in (work.config, work.routes, work.responder, work.prometheus):
        assert path.read_bytes() == (DEPLOY / path.relative_to(work.run)).read_bytes()
    rules = yaml.safe_load(work.prometheus.read_text())["rule_files"]
    assert all((work.prometheus.parent / name).exists() for name in rules)
    pattern = load_config(work.config).resolve(load_config(work.config).log[0].path)
    assert pattern.parent == work.logs


def test_prometheus_is_told_of_alertmanager_only_where_it_runs(tmp_path: Path) -> None:
    work = prepare(tmp_path)
    alertmanagers = work.prometheus.with_name("alertmanagers.yml")
    work.point_prometheus("127.0.0.1:1", "127.0.0.1:2")
    assert yaml.safe_load(alertmanagers.read_text()) == [{"targets": ["127.0.0.1:2"]}]
    work.point_prometheus("127.0.0.1:1", None)
    assert yaml.safe_load(alertmanagers.read_text()) == []


def test_the_responder_and_alertmanager_share_a_token_that_nobody_else_reads(tmp_path: Path) -> None:
    work = prepare(tmp_path)
    work.point_responder("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3")
    webhooks = [one for receiver in yaml.safe_load(work.routes.read_text())["receivers"]
                for one in receiver["webhook_configs"]]  # fmt: skip
    assert {webhook["url"] for webhook in webhooks} == {"http://127.0.0.1:1/v1/alerts"}
    settings = load_settings(work.responder)
    assert settings.dry_run
    assert settings.listen == "127.0.0.1:1"
    [token] = {Path(webhook["http_config"]["authorization"]["credentials_file"]) for webhook in webhooks}
    assert token.read_text() == settings.webhook_token.read() != settings.page_token.read()
    assert token.parent.stat().st_mode & 0o077 == 0


def test_an_earlier_run_is_emptied(tmp_path: Path) -> None:
    leftover = prepare(tmp_path).run / "leftover"
    leftover.touch()
    prepare(tmp_path)
    assert not leftover.exists()


def test_a_folder_serves_one_demo_at_a_time(tmp_path: Path) -> None:
    with owned(tmp_path), pytest.raises(DataError, match=r"another demo runs there; end it, or give another --folder"):
        run_demo(tmp_path, seconds=0)
    with owned(tmp_path):
        assert not (tmp_path / "run").exists()


def test_a_folder_with_files_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "run" / "precious"
    precious.parent.mkdir()
    precious.touch()
    with pytest.raises(DataError, match="holds files that no demo wrote"):
        prepare(tmp_path)
    assert precious.exists()


def test_a_missing_configuration_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"prediction-exporter.yml: not found;.*`make demo` in a checkout"):
        prepare(tmp_path, deploy=tmp_path / "nowhere")


def test_missing_generated_files_are_all_named(tmp_path: Path) -> None:
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    for name in (workspace.RULES, workspace.ROUTES):
        (tmp_path / "deploy" / name).unlink()
    with pytest.raises(DataError, match=r"rules\.yml.*alertmanager\.yml: not found"):
        prepare(tmp_path, deploy=tmp_path / "deploy")


def test_traffic_alone_writes_january_replays_and_is_continued(
    tmp_path: Path, scored_year: tuple[pd.DataFrame, DelayModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    scored, model = scored_year
    january: dict[Path, int] = {}
    for days in (30, 32):
        departing = scored[scored["ts"] < YEAR_START + days * DAY]
        monkeypatch.setattr(story, "year", lambda departing=departing: (departing, model))
        story.run_demo(traffic=tmp_path, speed=1e9)
        assert newest_time(tmp_path) == departing["outcome_ts"].max()
        at_once = {path: path.stat().st_mtime_ns for path in tmp_path.glob(f"{MODEL_NAME}-00?.ndjson")}
        january = january or at_once
        assert at_once == january
    assert len(january) == 4
