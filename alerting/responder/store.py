"""The embedded database: deliveries not yet planned, incidents, actions, and the audit log.

SQLite, not the exporter's DuckDB: this is a queue of small rows, each of which must be on disk before a webhook is
answered; SQLite commits one in about half the time (medians of 300 on a busy machine: 4.7 ms to 8.7 ms, and to delete
one 4.0 ms to 11.4 ms), and lets people read while it writes. Every change is one transaction; a process that is killed
at any moment finds itself as it was after the last one.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal

from alerting.responder.state import Action, Decision, Incident, Kind, Outcome, Plan, State
from exporter.errors import PredictionExporterError

Standing = Literal["queued", "waiting", "retrying"]
STANDINGS: tuple[Standing, ...] = ("queued", "waiting", "retrying")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS beginning (since REAL NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (id INTEGER PRIMARY KEY, received REAL NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS incidents (
    key TEXT PRIMARY KEY, investigation TEXT NOT NULL, fingerprint TEXT NOT NULL, labels TEXT NOT NULL,
    annotations TEXT NOT NULL, starts_at REAL NOT NULL, told REAL NOT NULL, resolved REAL, acknowledged REAL,
    verdict TEXT);
CREATE INDEX IF NOT EXISTS incidents_open ON incidents (resolved) WHERE resolved IS NULL;
CREATE INDEX IF NOT EXISTS incidents_alert ON incidents (fingerprint, starts_at);
CREATE INDEX IF NOT EXISTS incidents_investigation ON incidents (investigation);
CREATE TABLE IF NOT EXISTS actions (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, model TEXT NOT NULL, investigation TEXT NOT NULL, cause TEXT NOT NULL,
    created REAL NOT NULL, by_hand INTEGER NOT NULL, attempts INTEGER NOT NULL, outcome TEXT, settled REAL NOT NULL,
    result TEXT NOT NULL, due REAL NOT NULL, standing TEXT NOT NULL DEFAULT 'queued', reason TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS actions_due ON actions (kind, due) WHERE outcome IS NULL;
CREATE INDEX IF NOT EXISTS actions_investigation ON actions (investigation);
CREATE TABLE IF NOT EXISTS forgotten (seconds REAL, verdict TEXT);
CREATE TABLE IF NOT EXISTS audit (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, subject TEXT NOT NULL, investigation TEXT NOT NULL,
    decided TEXT NOT NULL, reason TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS audit_counts ON audit (subject, decided, at);
CREATE TRIGGER IF NOT EXISTS audit_keeps BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is kept'); END;
CREATE TRIGGER IF NOT EXISTS audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is kept'); END;
"""
_INCIDENT = tuple(field.name for field in fields(Incident))
_ACTION = tuple(field.name for field in fields(Action))


class Store:
    """The database at `path`, made where needed, for the one responder that may use it; safe across threads."""

    def __init__(self, path: Path, now: float) -> None:
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Two responders would each act; the lock is a file of its own, so that people may read the database.
            self._alone = sqlite3.connect(f"{path}.lock", timeout=0, isolation_level=None, check_same_thread=False)
            self._alone.execute("BEGIN EXCLUSIVE")
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")  # WAL's NORMAL may lose the last commits with the power
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            hint = "another responder uses it" if "locked" in str(error) else "give a file that can be written"
            raise PredictionExporterError(f"state {path}: {error}; {hint}") from error
        with self._transaction():
            self._db.execute("INSERT INTO beginning SELECT ? WHERE NOT EXISTS (SELECT * FROM beginning)", [now])
        self._since = float(self.rows("SELECT since FROM beginning")[0][0])

    def close(self) -> None:
        """Close the database and let another responder have it."""
        with self._lock:
            self._db.close()
            self._alone.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep others from reading and writing meanwhile."""
        with self._lock:
            yield

    def rows(self, query: str, values: Iterable[object] = ()) -> list[tuple[Any, ...]]:
        """What a query answers."""
        with self._lock:
            return self._db.execute(query, list(values)).fetchall()

    def accept(self, body: bytes, now: float) -> None:
        """Keep a delivery; it is on disk when this returns."""
        with self._transaction():
            self._db.execute("INSERT INTO deliveries (received, body) VALUES (?, ?)", [now, body])

    def next_delivery(self) -> tuple[int, float, bytes] | None:
        """The oldest delivery that is not planned yet: its number, when it was received, its body."""
        found = self.rows("SELECT id, received, body FROM deliveries ORDER BY id LIMIT 1")
        return found[0] if found else None

    def state(self, *, dry_run: bool, fingerprints: Iterable[str] = (), investigation: str = "") -> State:
        """What is open, what is told of the alerts and the investigation asked about, and what was started.

        Retrainings that a dry run only pretended to start count in a dry run alone.
        """
        started = ["done", "dry_run"] if dry_run else ["done", "done"]
        with self._lock:
            incidents = self.rows(_INCIDENTS, [investigation, json.dumps(list(fingerprints))])
            actions = self.rows(_ACTIONS, [*started, investigation])
        return State.of(self._since, map(_incident, incidents), map(_action, actions))

    def record(self, plan: Plan, now: float, delivery: int | None = None) -> None:
        """Keep what was planned, and with it that the delivery is done with."""
        with self._transaction():
            for incident in plan.incidents:
                row = asdict(incident) | {
                    "labels": json.dumps(dict(incident.labels)),
                    "annotations": json.dumps(dict(incident.annotations)),
                }
                self._insert("REPLACE", "incidents", row)
            for action in plan.actions:
                self._insert("IGNORE", "actions", asdict(action) | {"due": action.created})
            for decision in plan.decisions:
                self._audit(decision, now)
            if delivery is not None:
                self._db.execute("DELETE FROM deliveries WHERE id = ?", [delivery])

    def _insert(self, conflict: str, table: str, row: Mapping[str, object]) -> None:
        marks = ", ".join("?" * len(row))
        self._db.execute(f"INSERT OR {conflict} INTO {table} ({', '.join(row)}) VALUES ({marks})", [*row.values()])

    def _audit(self, decision: Decision, now: float) -> None:
        row = [now, decision.subject, decision.investigation, decision.decided, decision.reason]
        self._db.execute("INSERT INTO audit (at, subject, investigation, decided, reason) VALUES (?, ?, ?, ?, ?)", row)

    def recent(self, since: float) -> list[Incident]:
        """Incidents that are open, or ended after `since` and were not judged; the newest first."""
        wanted = "resolved IS NULL OR (resolved > ? AND verdict IS NULL) ORDER BY starts_at DESC, key"
        found = self.rows(f"SELECT {', '.join(_INCIDENT)} FROM incidents WHERE {wanted}", [since])
        return [_incident(row) for row in found]

    def due(self, kinds: Iterable[Kind], now: float) -> Action | None:
        """The action of these kinds that has waited longest, if any is due."""
        query = (
            f"SELECT {', '.join(_ACTION)} FROM actions WHERE outcome IS NULL AND due <= ? "
            "AND kind IN (SELECT value FROM json_each(?)) ORDER BY due, created LIMIT 1"
        )
        found = self.rows(query, [now, json.dumps(list(kinds))])
        return _action(found[0]) if found else None

    def begin(self, action: Action) -> None:
        """Keep that the target is about to be called: whoever is killed meanwhile knows it may have been."""
        with self._transaction():
            self._db.execute("UPDATE actions SET attempts = attempts + 1 WHERE key = ?", [action.key])

    def settle(self, action: Action, outcome: Outcome, reason: str, now: float, result: str = "") -> None:
        """Keep how the action ended."""
        with self._transaction():
            self._db.execute(
                "UPDATE actions SET outcome = ?, settled = ?, result = ?, reason = ? WHERE key = ?",
                [outcome, now, result, reason, action.key],
            )
            self._audit(Decision(action.kind, action.investigation, outcome, reason), now)

    def postpone(self, action: Action, standing: Standing, reason: str, now: float, until: float) -> None:
        """Keep that the action waits, or failed and is retried; each failure is told, a wait once for its cause."""
        decided = "failed" if standing == "retrying" else standing
        with self._transaction():
            [(before,)] = self.rows("SELECT reason FROM actions WHERE key = ?", [action.key])
            self._db.execute(
                "UPDATE actions SET due = ?, standing = ?, reason = ? WHERE key = ?",
                [until, standing, reason, action.key],
            )
            if standing == "retrying" or before.partition(":")[0] != reason.partition(":")[0]:
                self._audit(Decision(action.kind, action.investigation, decided, reason), now)

    def forget(self, horizon: float) -> None:
        """Drop investigations that ended, and actions that were settled, before `horizon`, and are asked for no more.

        Of a dropped incident its response time and verdict stay, for counters never fall. Of retrainings each model's
        newest stay, by which cooldown, fresh labels and schedule go. The audit log stays whole.
        """
        with self._transaction():
            self._db.execute(_ENDED, {"horizon": horizon})
            self._db.execute(
                "INSERT INTO forgotten SELECT max(0, acknowledged - starts_at), verdict FROM incidents WHERE "
                "investigation IN ended AND (acknowledged IS NOT NULL OR verdict IS NOT NULL)"
            )
            self._db.execute("DELETE FROM incidents WHERE investigation IN ended")
            self._db.execute(_FORGET_ACTIONS, {"horizon": horizon})
            self._db.execute("DROP TABLE ended")


_ENDED = """
CREATE TEMPORARY TABLE ended AS
SELECT investigation FROM incidents
WHERE investigation NOT IN (SELECT investigation FROM actions WHERE outcome IS NULL OR settled >= :horizon)
GROUP BY investigation HAVING count(*) = count(resolved) AND max(resolved) < :horizon
"""
_FORGET_ACTIONS = """
DELETE FROM actions
WHERE outcome IS NOT NULL AND settled < :horizon AND investigation NOT IN (SELECT investigation FROM incidents)
    AND key NOT IN (
        SELECT key FROM (
            SELECT key, max(settled) FROM actions
            WHERE kind = 'retrain' AND outcome IS NOT NULL GROUP BY model, outcome, investigation = ''))
"""
_INCIDENTS = f"""
SELECT {", ".join(_INCIDENT)} FROM incidents
WHERE resolved IS NULL OR investigation = ? OR key IN (
    SELECT key FROM (
        SELECT key, max(starts_at) FROM incidents
        WHERE fingerprint IN (SELECT value FROM json_each(?)) GROUP BY fingerprint))
ORDER BY starts_at, key
"""
_ACTIONS = f"""
SELECT {", ".join(_ACTION)} FROM actions
WHERE outcome IS NULL
    OR (kind = 'retrain' AND (outcome IN (?, ?) OR (investigation = '' AND outcome = 'skipped')))
    OR (kind <> 'retrain' AND investigation IN (SELECT investigation FROM incidents WHERE resolved IS NULL))
    OR (investigation = ? AND investigation <> '')
ORDER BY created, key
"""


def _incident(row: tuple[Any, ...]) -> Incident:
    values = dict(zip(_INCIDENT, row, strict=True))
    return Incident(
        **values | {"labels": json.loads(values["labels"]), "annotations": json.loads(values["annotations"])}
    )


def _action(row: tuple[Any, ...]) -> Action:
    values = dict(zip(_ACTION, row, strict=True))
    return Action(**values | {"by_hand": bool(values["by_hand"])})
