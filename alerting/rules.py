"""The rule file: recording rules first, then the alerts by subject; plain data, pure of the configuration.

Names are CamelCase and begin with Prediction, so that they sort together among others' alerts; Watchdog is the custom
of the field.
"""

from collections.abc import Callable

from alerting.alert import Alert
from alerting.burn import burn_alerts
from alerting.cost import alerting_alerts, cost_alerts
from alerting.drift import drift_alerts
from alerting.health import health_alerts, watchdog_alerts
from alerting.intake import intake_alerts
from alerting.objectives import objective_recordings
from alerting.performance import performance_alerts
from alerting.quality import operations_alerts, quality_alerts
from alerting.recording import recordings
from alerting.response import responder_alerts
from exporter.config import Config

SUBJECTS: dict[str, Callable[[Config], tuple[Alert, ...]]] = {
    "drift": drift_alerts,
    "performance": performance_alerts,
    "objectives": burn_alerts,
    "quality": quality_alerts,
    "operations": operations_alerts,
    "cost": cost_alerts,
    "alerting": alerting_alerts,
    "responder": responder_alerts,
    "exporter": health_alerts,
    "intake": intake_alerts,
    "watchdog": watchdog_alerts,
}


def alerts_by_subject(config: Config) -> dict[str, tuple[Alert, ...]]:
    """Every alert of `config`, by subject, in the order of the runbook; subjects without one are left out."""
    return {subject: members for subject, make in SUBJECTS.items() if (members := make(config))}


def alerts(config: Config) -> tuple[Alert, ...]:
    """Every alert of `config`."""
    return tuple(alert for group in alerts_by_subject(config).values() for alert in group)


def rules(config: Config) -> dict[str, object]:
    """The rule file as Prometheus reads it."""
    recorded = {"recorded": recordings(config), "recorded-objectives": objective_recordings(config)}
    told = alerts_by_subject(config)
    groups = {name: [recording.rule() for recording in members] for name, members in recorded.items() if members}
    groups |= {subject: [alert.rule(config.alerting) for alert in members] for subject, members in told.items()}
    return {"groups": [{"name": f"prediction-{name}", "rules": members} for name, members in groups.items()]}
