"""One alert: what fires it, how grave it is, what it says, and what its reader does; in the words of one place.

`Alert.rule` gives the Prometheus rule, with its links (runbook, dashboard, page) added, so that no alert lacks them.
"""

from dataclasses import dataclass
from typing import Literal

from alerting.durations import HOUR, MINUTE, Pace
from exporter.config import Alerting
from exporter.names import ALERT_APP, FEATURE, MODEL_NAME, MODEL_VERSION, WINDOW

DASHBOARD_UID, FEATURE_UID = "prediction-model", "prediction-feature"

Severity = Literal["critical", "warning", "info", "none"]


@dataclass(frozen=True, slots=True)
class Hold:
    """How long a condition must last before it fires, and how long it must be gone before it resolves; seconds."""

    wait: int
    keep: int


# Windowed statistics are recomputed every minute by default: ten evaluations agree before anyone is told, and half an
# hour of calm ends it, for a window of a day that hovers at a threshold takes that long to leave it.
STATISTIC = Hold(10 * MINUTE, 30 * MINUTE)
# Rates over five minutes have already smoothed a spike.
RATE = Hold(5 * MINUTE, 10 * MINUTE)
# A burn has been averaged over an hour or more: two evaluations that agree rule out a gap in the data.
BURN = Hold(2 * MINUTE, 10 * MINUTE)
# Yes-or-no conditions of a process: as long as a restart may take.
PROCESS = Hold(5 * MINUTE, 5 * MINUTE)
# Projections over a day move slowly.
SLOW = Hold(HOUR, 2 * HOUR)
ALWAYS = Hold(0, 0)


@dataclass(frozen=True, slots=True)
class Runbook:
    """What the alert means, where to look first, and what to do."""

    means: str
    look: str
    act: str


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert; `labels` are those its series carry that its links and inhibitions may use.

    Only critical alerts page, and of them only symptoms: what harms the callers or blinds the watch now. A cause, be it
    critical, opens a ticket or starts a retraining. `summary` and `description` are Prometheus templates; `hold` is in
    production seconds, shortened by a replay's pace.
    """

    name: str
    severity: Severity
    expr: str
    hold: Hold
    labels: tuple[str, ...]
    summary: str
    description: str
    runbook: Runbook
    pages: bool = False

    def rule(self, alerting: Alerting) -> dict[str, object]:
        """The rule as Prometheus reads it."""
        pace = Pace(alerting.speed)
        keep = {"keep_firing_for": pace.wait(self.hold.keep)} if self.hold.keep else {}
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": pace.wait(self.hold.wait),
            **keep,
            "labels": {"severity": self.severity, "app": ALERT_APP} | ({"page": "true"} if self.pages else {}),
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"{alerting.runbook_url}#{self.name}",
                "dashboard_url": alerting.dashboard_url + self._dashboard_path(),
                "page_url": alerting.exporter_url + self._page_path(),
            },
        }

    def _dashboard_path(self) -> str:
        uid = FEATURE_UID if FEATURE in self.labels else DASHBOARD_UID
        return f"/d/{uid}{self._query('var-')}"

    def _page_path(self) -> str:
        """The exporter's page of what the alert is about; names stand in the query, for templates escape no path."""
        return f"/alert{self._query()}" if MODEL_NAME in self.labels else "/status"

    def _query(self, prefix: str = "") -> str:
        variables = {"model": MODEL_NAME, "version": MODEL_VERSION, "window": WINDOW, "feature": FEATURE}
        query = "&".join(
            f"{prefix}{variable}={{{{ $labels.{label} | urlquery }}}}"
            for variable, label in variables.items()
            if label in self.labels
        )
        return f"?{query}" if query else ""
