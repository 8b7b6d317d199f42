"""Alerts on what monitoring costs, and on the alerting itself: response time and false alarms."""

from alerting.alert import SLOW, Alert, Runbook
from alerting.durations import DAY, Pace
from alerting.promql import number, total
from exporter import names
from exporter.config import Config, parse_duration

RESPONSE_RANGE = DAY
REVIEW_RANGE = 7 * DAY  # reviews are rare; and a week fits into the fifteen days that Prometheus keeps by default


def cost_alerts(config: Config) -> tuple[Alert, ...]:
    """Monthly costs over their limits."""
    limits = config.costs.monthly_limits
    return (
        _cost("LogStorage", _component("log_storage"), limits.log_storage_usd, _STORAGE),
        _cost("MonitoringCompute", _component("compute"), limits.compute_usd, _COMPUTE),
        _cost("Notification", _either_notifications(), limits.notifications_usd, _NOTIFICATIONS),
    )


def alerting_alerts(config: Config) -> tuple[Alert, ...]:
    """Alerts about alerts."""
    return (_slow_response(config), _false_alerts(config))


def _component(component: str) -> str:
    return f'{names.MONITORING_COST_USD.name}{{component="{component}"}}'


def _either_notifications() -> str:
    """Those of Alertmanager, and those of the responder, each by its own count."""
    return f"({names.NOTIFICATION_COST_USD}\nor\n{_component('notifications')})"


def _cost(what: str, series: str, limit: float, runbook: Runbook) -> Alert:
    words = {"LogStorage": "Storing the prediction log", "MonitoringCompute": "Computing the statistics"}
    subject = words.get(what, "Sending notifications")
    return Alert(
        name=f"Prediction{what}CostHigh",
        severity="warning",
        expr=f"{series} > {number(limit)}",
        hold=SLOW,
        labels=(),
        summary=f'{subject} costs {{{{ $value | printf "%.2f" }}}} USD a month',
        description=(
            f'At the present rate it will cost {{{{ $value | printf "%.2f" }}}} USD in 30 days; more than '
            f"{number(limit)} USD warns."
        ),
        runbook=runbook,
    )


_STORAGE = Runbook(
    "Log ingestion and storage, at the present rate and the configured prices and retention, cost more than agreed.",
    "Row 5 of the dashboard: predictions logged against predictions skipped, by model.",
    "Lower the writers' sampling rate (statistics stay unbiased: records carry their weight), shorten "
    "`costs.log_retention`, or raise `costs.monthly_limits.log_storage_usd`.",
)
_COMPUTE = Runbook(
    "The exporter's processor time, at the configured price, costs more than agreed.",
    f"`{names.STATISTIC_DURATION_SECONDS.name}` by statistic, and `{names.EVALUATION_DURATION_SECONDS.name}`.",
    "Evaluate less often (`evaluation.interval`), drop drift methods or windows nobody looks at, or raise "
    "`costs.monthly_limits.compute_usd`.",
)
_NOTIFICATIONS = Runbook(
    "Alertmanager or the responder sends more notifications than agreed, at the configured price of one.",
    f"`{names.ALERTMANAGER_NOTIFICATIONS_TOTAL}` by integration, `{names.RESPONDER_ACTIONS_TOTAL.name}` by action, and "
    "which alerts fire and resolve over and over.",
    "Mend or raise the threshold of the alert that flaps; lengthen `repeat_interval`; or raise "
    "`costs.monthly_limits.notifications_usd`.",
)


def _slow_response(config: Config) -> Alert:
    limit = parse_duration(config.alerting.max_response)
    window = Pace(config.alerting.speed).range(RESPONSE_RANGE)
    seconds, alerts = (
        total(f"increase({names.ALERT_RESPONSE_SECONDS.name}_{part}[{window}])") for part in ("sum", "count")
    )
    return Alert(
        name="PredictionAlertResponseSlow",
        severity="warning",
        expr=f"{seconds}\n/\n{alerts}\n> {limit}",
        hold=SLOW,
        labels=(),
        summary="Alerts wait {{ $value | humanizeDuration }} to be acknowledged",
        description=(
            f"Over {window}, alerts were acknowledged {{{{ $value | humanizeDuration }}}} after they fired, on "
            f"average; more than {config.alerting.max_response} warns."
        ),
        runbook=Runbook(
            "Alerts fire and nobody takes them, or not soon enough.",
            "Who is on call, whether the notifications reach them, and how many alerts there were.",
            "Mend the route or the rota. If there were too many alerts, see PredictionFalseAlertsHigh.",
        ),
    )


def _false_alerts(config: Config) -> Alert:
    window = Pace(config.alerting.speed).range(REVIEW_RANGE)
    reviewed = names.ALERTS_REVIEWED_TOTAL.name
    false, every = (
        total(f"increase({reviewed}{matcher}[{window}])", "verdict") for matcher in ('{verdict="false"}', "")
    )
    limit = config.alerting.max_false_ratio
    return Alert(
        name="PredictionFalseAlertsHigh",
        severity="warning",
        expr=f"{false}\n/\n{every}\n> {number(limit)}",
        hold=SLOW,
        labels=(),
        summary="{{ $value | humanizePercentage }} of the reviewed alerts were false",
        description=(
            f"Over {window}, {{{{ $value | humanizePercentage }}}} of the reviewed alerts were judged false; more than "
            f"{100 * limit:.6g} % warns."
        ),
        runbook=Runbook(
            "Too many alerts were judged false by those who reviewed them; soon nobody will look.",
            "Which alerts were judged false, and for which models and features.",
            "Raise those thresholds for those models, or mend what makes them noisy (few rows, a season the reference "
            "lacks). Retire an alert that never led to an action.",
        ),
    )
