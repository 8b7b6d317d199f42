"""The Alertmanager configuration: who hears of what, and which alert silences which.

Secrets are named by file and never enter. Severities route: everything reaches Slack and the webhook, warnings and
critical ones also e-mail; those of the critical ones that are symptoms also the pager (see `Alert`); the watchdog beats
on the webhook alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from alerting.durations import DAY, HOUR, MINUTE, Pace
from exporter.config import Alerting, Config, Email, PagerDuty, Slack, Webhook
from exporter.errors import ConfigError
from exporter.names import FEATURE, MODEL, MODEL_NAME, WINDOWED

GROUP_WAIT = 30  # as long as alerts of one cause may lie apart: two evaluations of rules at Prometheus's usual 15 s
GROUP_INTERVAL = 5 * MINUTE
HEARTBEAT_INTERVAL = HOUR  # 720 notifications a month: heard in time, and a fraction of the limit on their cost
REPEAT = {"critical": 4 * HOUR, "warning": 12 * HOUR, "info": DAY}

BROKEN = ("PredictionFeatureBroken", "PredictionFeatureRecovering")
FEATURE_DRIFT = (
    "PredictionFeatureDriftSevere",
    "PredictionFeatureDriftModerate",
    "PredictionFeatureDriftMinor",
    "PredictionFeatureDriftUnusual",
)
OUTPUT_DRIFT = ("PredictionDriftSevere", "PredictionDriftModerate")
BURN = {
    what: (f"Prediction{what}BurnFast", f"Prediction{what}BurnSlow")
    for what in ("Accuracy", "Availability", "Latency", "ValidInputs")
}
PERFORMANCE = (
    "PredictionAccuracyLow",
    "PredictionAucLow",
    "PredictionPerformanceBelowBaseline",
    "PredictionSegmentAccuracyLow",
)
FOLLOW_INPUTS = ("PredictionFeaturesDrifted", "PredictionInputsInvalid", BURN["ValidInputs"][1], *PERFORMANCE)
FLOW = (
    "PredictionDriftCheckStale",
    "PredictionDriftCheckAbsent",
    "PredictionRecordsStale",
    "PredictionRecordsAbsent",
    "PredictionOutcomesStale",
)
OF_FEATURE = (*MODEL, FEATURE)


@dataclass(frozen=True, slots=True)
class Inhibition:
    """While a source fires, targets with the same `equal` labels are silent."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    equal: tuple[str, ...] = ()

    def rule(self) -> dict[str, object]:
        """The rule as Alertmanager reads it."""
        equal = {"equal": list(self.equal)} if self.equal else {}
        return {"source_matchers": [_named(self.sources)], "target_matchers": [_named(self.targets)], **equal}


# The tree: broken inputs explain drift, drift of features explains drift of the output, that explains performance.
# No alert silences a graver one, nor one that pages unless it pages itself, so a chronic warning never hides a page.
# PredictionFeatureRecovering alone silences graver ones: it is no chronic warning, for it only follows a page, while
# windows still hold what that page was about; else a retraining would learn from it once the page is over.
# PredictionFeaturesMissing silences nothing: gaps spread so thin that every feature is complete enough cause no drift,
# and else PredictionFeatureIncomplete speaks.
INHIBITIONS = (
    Inhibition(FEATURE_DRIFT[:1], FEATURE_DRIFT[1:], (*WINDOWED, FEATURE)),
    Inhibition(FEATURE_DRIFT[1:2], FEATURE_DRIFT[2:], (*WINDOWED, FEATURE)),
    Inhibition(OUTPUT_DRIFT[:1], OUTPUT_DRIFT[1:], WINDOWED),
    Inhibition(BROKEN, (*FEATURE_DRIFT, "PredictionFeatureIncomplete"), OF_FEATURE),
    Inhibition(
        BROKEN,
        (*OUTPUT_DRIFT, *PERFORMANCE, "PredictionFeaturesDrifted", "PredictionFeaturesMissing"),
        MODEL,
    ),
    Inhibition(BROKEN[:1], BURN["Accuracy"], (MODEL_NAME,)),
    Inhibition(BROKEN[1:], BURN["Accuracy"][1:], (MODEL_NAME,)),
    Inhibition(BROKEN[:1], BROKEN[1:], OF_FEATURE),
    Inhibition(("PredictionFeatureIncomplete",), FEATURE_DRIFT[1:], OF_FEATURE),
    Inhibition(("PredictionFeatureIncomplete",), ("PredictionFeaturesMissing",), MODEL),
    Inhibition(
        BURN["ValidInputs"][:1],
        (*FEATURE_DRIFT, *OUTPUT_DRIFT, *FOLLOW_INPUTS, *BURN["Accuracy"]),
        (MODEL_NAME,),
    ),
    Inhibition(
        ("PredictionInputsInvalid",),
        (*FEATURE_DRIFT[1:], *OUTPUT_DRIFT[1:], "PredictionFeaturesDrifted"),
        MODEL,
    ),
    Inhibition(FEATURE_DRIFT[:1], (*OUTPUT_DRIFT, "PredictionFeaturesDrifted"), WINDOWED),
    Inhibition(OUTPUT_DRIFT[:1], PERFORMANCE, WINDOWED),
    Inhibition(OUTPUT_DRIFT[:1], BURN["Accuracy"][1:], (MODEL_NAME,)),
    Inhibition(BURN["Accuracy"][:1], (*BURN["Accuracy"][1:], *PERFORMANCE), (MODEL_NAME,)),
    Inhibition(BURN["Availability"][:1], (*BURN["Availability"][1:], "PredictionErrorsHigh"), (MODEL_NAME,)),
    Inhibition(BURN["Latency"][:1], (*BURN["Latency"][1:], "PredictionLatencyHigh"), (MODEL_NAME,)),
    Inhibition(("PredictionExporterAbsent",), ("PredictionExporterDown", "PredictionIngestionFailed", *FLOW)),
    Inhibition(("PredictionExporterDown",), ("PredictionIngestionFailed", *FLOW), ("job", "instance")),
    Inhibition(("PredictionIngestionFailed",), (*FLOW[2:], "PredictionIntakeSpoolHigh"), ("job", "instance")),
    Inhibition(FLOW[2:3], ("PredictionOutcomesStale",), ("job", "instance", MODEL_NAME)),
)


def routes(config: Config) -> dict[str, object]:
    """The Alertmanager configuration; ConfigError if a secret's path is relative."""
    _check_secrets(config.alerting)
    return {
        "route": _route(Pace(config.alerting.speed)),
        "receivers": _receivers(config.alerting),
        "inhibit_rules": [inhibition.rule() for inhibition in INHIBITIONS],
    }


def _route(pace: Pace) -> dict[str, object]:
    heartbeat = pace.multiple(HEARTBEAT_INTERVAL, of=GROUP_INTERVAL)
    paged = {
        "receiver": "page",
        "matchers": ['severity="critical"', 'page="true"'],
        "repeat_interval": pace.multiple(REPEAT["critical"], of=GROUP_INTERVAL),
    }
    by_severity = [
        {
            "receiver": severity,
            "matchers": [f'severity="{severity}"'],
            "repeat_interval": pace.multiple(repeat, of=GROUP_INTERVAL),
        }
        for severity, repeat in REPEAT.items()
    ]
    return {
        "receiver": "info",
        "group_by": ["alertname", MODEL_NAME],
        "group_wait": pace.wait(GROUP_WAIT),
        "group_interval": pace.range(GROUP_INTERVAL),
        "repeat_interval": pace.multiple(REPEAT["info"], of=GROUP_INTERVAL),
        "routes": [
            {"receiver": "heartbeat", "matchers": ['alertname="Watchdog"'], "repeat_interval": heartbeat},
            paged,
            *by_severity,
        ],
    }


def _receivers(alerting: Alerting) -> list[dict[str, object]]:
    """One for each severity, for pages, for the heartbeat; without channels, a receiver is a name that tells nobody."""
    webhook = {"webhook_configs": [_webhook(alerting.webhook)]} if alerting.webhook else {}
    slack = {"slack_configs": [_slack(alerting.slack)]} if alerting.slack else {}
    email = {"email_configs": [_email(alerting.email)]} if alerting.email else {}
    pager = {"pagerduty_configs": [_pagerduty(alerting.pagerduty)]} if alerting.pagerduty else {}
    return [
        {"name": "heartbeat", **webhook},
        {"name": "info", **webhook, **slack},
        {"name": "warning", **webhook, **slack, **email},
        {"name": "critical", **webhook, **slack, **email},
        {"name": "page", **webhook, **slack, **email, **pager},
    ]


def _webhook(webhook: Webhook) -> dict[str, object]:
    token = webhook.bearer_token_file
    secret = {"http_config": {"authorization": {"credentials_file": str(token)}}} if token else {}
    return {"url": webhook.url, "send_resolved": True, **secret}


def _slack(slack: Slack) -> dict[str, object]:
    return {
        "channel": slack.channel,
        "api_url_file": str(slack.api_url_file),
        "send_resolved": True,
        "title": "[{{ .Status | toUpper }}] {{ .CommonLabels.alertname }} ({{ .Alerts | len }})",
        "title_link": "{{ (index .Alerts 0).Annotations.dashboard_url }}",
        "text": (
            "{{ range .Alerts }}{{ .Annotations.summary }}. {{ .Annotations.description }} "
            "<{{ .Annotations.dashboard_url }}|Dashboard> <{{ .Annotations.runbook_url }}|Runbook>\n{{ end }}"
        ),
    }


def _email(email: Email) -> dict[str, object]:
    user = {"auth_username": email.username} if email.username else {}
    password = {"auth_password_file": str(email.password_file)} if email.password_file else {}
    return {
        "to": email.to,
        "from": email.sender,
        "smarthost": email.smarthost,
        "send_resolved": True,
        **user,
        **password,
    }


def _pagerduty(pagerduty: PagerDuty) -> dict[str, object]:
    return {
        "routing_key_file": str(pagerduty.routing_key_file),
        "severity": "{{ .CommonLabels.severity }}",
        "description": "{{ (index .Alerts 0).Annotations.summary }}",
        "send_resolved": True,
    }


def _named(alerts: tuple[str, ...]) -> str:
    return f'alertname="{alerts[0]}"' if len(alerts) == 1 else f'alertname=~"{"|".join(alerts)}"'


def _check_secrets(alerting: Alerting) -> None:
    """Alertmanager looks for secrets from its own working folder, on its machine; only absolute paths hold there."""
    problems = [
        f"alerting.{key}: {path} is relative; give the absolute path that Alertmanager sees on its machine"
        for key, path in _secrets(alerting)
        if not path.is_absolute()
    ]
    if problems:
        raise ConfigError("configuration", problems)


def _secrets(alerting: Alerting) -> Iterator[tuple[str, Path]]:
    for channel in ("slack", "email", "pagerduty", "webhook"):
        for key, value in getattr(alerting, channel) or ():
            if isinstance(value, Path):
                yield f"{channel}.{key}", value
