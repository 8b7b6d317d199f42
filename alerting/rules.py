"""The rule file: recording rules first, then the alerts by subject; plain data, pure of the configuration.

Names are CamelCase and begin with Prediction, so that they sort together among others' alerts; the drift of a single
feature begins with FeatureDrift, the word of its metric; Watchdog is the custom of the field.
"""

from collections.abc import Callable

from alerting.alert import Alert
from alerting.cost import alerting_alerts, cost_alerts
from alerting.drift import drift_alerts
from alerting.health import health_alerts, watchdog_alerts
from alerting.performance import performance_alerts
from alerting.quality import operations_alerts, quality_alerts
from alerting.recording import recordings
from alerting.response import responder_alerts
from exporter.config import Config

SUBJECTS: dict[str, Callable[[Config], tuple[Alert, ...]]] = {
    "drift": drift_alerts,
    "performance": performance_alerts,
    "quality": quality_alerts,
    "operations": operations_alerts,
    "cost": cost_alerts,
    "alerting": alerting_alerts,
    "responder": responder_alerts,
    "exporter": health_alerts,
    "watchdog": watchdog_alerts,
}


def alerts_by_subject(config: Config) -> dict[str, tuple[Alert, ...]]:
    """Every alert of `config`, by subject, in the order of the runbook."""
    return {subject: make(config) for subject, make in SUBJECTS.items()}


def alerts(config: Config) -> tuple[Alert, ...]:
    """Every alert of `config`."""
    return tuple(alert for group in alerts_by_subject(config).values() for alert in group)


def rules(config: Config) -> dict[str, object]:
    """The rule file as Prometheus reads it."""
    recorded = {"name": "prediction-recorded", "rules": [recording.rule() for recording in recordings(config)]}
    groups = [
        {"name": f"prediction-{subject}", "rules": [alert.rule(config.alerting) for alert in members]}
        for subject, members in alerts_by_subject(config).items()
    ]
    return {"groups": [recorded, *groups]}
