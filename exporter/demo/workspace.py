"""The demo's folder: the repository's own configuration files, the reference, and what the servers write.

The scored flights in it are kept from run to run; everything in `run/` belongs to one run and is made anew. `run/` has
the layout of the repository's `deploy/`, so that the very same files work there, but for who talks to whom.
"""

import fcntl
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml

from exporter.demo.flights import reference
from exporter.errors import DataError

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
"""Where the configuration lies in a checkout; a wheel does not carry it."""

CONFIG = Path("flights/prediction-exporter.yml")
RULES = Path("flights/alerting/rules.yml")
ROUTES = Path("flights/alerting/alertmanager.yml")
RESPONDER = Path("flights/responder.yml")
PROMETHEUS = Path("prometheus/prometheus.yml")
FILES = (CONFIG, RULES, ROUTES, RESPONDER, PROMETHEUS)

_MARK = ".prediction-exporter-demo"


@dataclass(frozen=True)
class Workspace:
    """The files of one run, all under `run`."""

    run: Path

    @property
    def config(self) -> Path:
        """The exporter's configuration."""
        return self.run / CONFIG

    @property
    def routes(self) -> Path:
        """Alertmanager's configuration."""
        return self.run / ROUTES

    @property
    def prometheus(self) -> Path:
        """Prometheus's configuration; it reads the rules, and from files beside it whom it scrapes and tells."""
        return self.run / PROMETHEUS

    @property
    def logs(self) -> Path:
        """The folder that the exporter follows."""
        return self.config.parent / "logs"

    @property
    def servers(self) -> Path:
        """What the servers print and keep."""
        return self.run / "servers"

    @property
    def responder(self) -> Path:
        """The responder's configuration."""
        return self.run / RESPONDER

    @property
    def secrets(self) -> Path:
        """The responder's tokens, of one run: `webhook` for Alertmanager, `page` for people."""
        return self.responder.parent / "secrets"

    def point_prometheus(self, exporter: str, alertmanager: str | None, responder: str | None = None) -> None:
        """Tell Prometheus whom to scrape and to alert (host:port); it notices a change by itself."""
        told = {"targets.yml": exporter, "alertmanagers.yml": alertmanager, "responders.yml": responder}
        for name, address in told.items():
            groups = [{"targets": [address]}] if address else []
            (self.prometheus.parent / name).write_text(yaml.safe_dump(groups), encoding="utf-8")

    def point_responder(self, responder: str, exporter: str, prometheus: str) -> None:
        """Tell the responder where it listens and whom it asks (host:port), and Alertmanager of it; make its tokens."""
        self.secrets.mkdir(mode=0o700)
        for name in ("webhook", "page"):
            (self.secrets / name).write_text(secrets.token_urlsafe(24), encoding="utf-8")
        settings = yaml.safe_load(self.responder.read_text(encoding="utf-8"))
        settings |= {"listen": responder, "external_url": f"http://{responder}"}
        settings |= {
            "report_url": f"http://{exporter}/debug?model={{model}}",
            "prometheus": {"url": f"http://{prometheus}"},
        }
        self.responder.write_text(yaml.safe_dump(settings), encoding="utf-8")
        routes = yaml.safe_load(self.routes.read_text(encoding="utf-8"))
        for webhook in (webhook for receiver in routes["receivers"] for webhook in receiver["webhook_configs"]):
            webhook["url"] = f"http://{responder}/v1/alerts"
            webhook["http_config"]["authorization"]["credentials_file"] = str(self.secrets / "webhook")
        self.routes.write_text(yaml.safe_dump(routes), encoding="utf-8")


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Hold `folder` for one demo at a time, since each empties the last one's run; DataError when another is at it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(f"{folder}: another demo runs there; end it, or give another --folder") from error
        yield


def prepare(folder: Path, deploy: Path = DEPLOY) -> Workspace:
    """An empty run in `folder` with the configuration files of `deploy`; DataError when those are not there."""
    _check_deploy(deploy)
    work = Workspace(_emptied(folder / "run"))
    for name in FILES:
        target = work.run / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(deploy / name, target)
    return work


def write_reference(scored: pd.DataFrame, path: Path) -> Path:
    """January as Parquet at `path`, for `prediction-exporter baseline build`."""
    reference(scored).to_parquet(path, index=False)
    return path


def _check_deploy(deploy: Path) -> None:
    if not (deploy / CONFIG).exists():
        raise DataError(
            f"{deploy / CONFIG}: not found; the demo's configuration is part of the repository, not of the installed "
            "package: run `make demo` in a checkout"
        )
    missing = [str(deploy / name) for name in FILES if not (deploy / name).exists()]
    if missing:
        raise DataError(f"{', '.join(missing)}: not found; restore what the repository holds")


def _emptied(run: Path) -> Path:
    """Make `run` an empty folder; one that holds files and was not made by an earlier demo is left alone."""
    run = run.absolute()
    if run.exists() and any(run.iterdir()):
        if not (run / _MARK).exists():
            raise DataError(f"{run}: holds files that no demo wrote; give another folder")
        shutil.rmtree(run)
    run.mkdir(parents=True, exist_ok=True)
    (run / _MARK).touch()
    return run
