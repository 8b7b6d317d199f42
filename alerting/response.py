"""Alerts on the responder: gone, stuck, kept from its targets; and alerts that nobody takes.

Where no responder runs, none of its series exists and none of these fires.
"""

from alerting.alert import PROCESS, Alert, Hold, Runbook
from alerting.durations import MINUTE
from exporter import names
from exporter.config import Config, parse_duration

TARGET = ("job", "instance")
# Retries begin after a second and double: a target that fails for a quarter of an hour is no blip.
RETRIES = Hold(15 * MINUTE, 15 * MINUTE)


def responder_alerts(config: Config) -> tuple[Alert, ...]:
    """The responder's own, gravest first."""
    return (_down(), _stuck(), _target_failing(), _unacknowledged(config))


def _down() -> Alert:
    # Which targets are responders is known from the last day, for a target that is down exports nothing.
    responders = f"present_over_time({names.RESPONDER_DRY_RUN.name}[1d])"
    return Alert(
        name="PredictionResponderDown",
        severity="warning",
        expr=f"{names.UP} == 0\nand on ({', '.join(TARGET)}) {responders}",
        hold=PROCESS,
        labels=TARGET,
        summary="The alert responder {{ $labels.instance }} is down",
        description="Prometheus cannot scrape {{ $labels.instance }}; alerts open no ticket and start no retraining.",
        runbook=Runbook(
            "The responder does not answer scrapes. Alertmanager keeps what it could not deliver, and tells it again.",
            "The responder's log, and whether its process runs.",
            "Restart it; it goes on where it stopped, and acts on nothing twice.",
        ),
    )


def _stuck() -> Alert:
    return Alert(
        name="PredictionResponderStuck",
        severity="warning",
        expr=f"{names.RESPONDER_UNPLANNED_DELIVERIES.name} > 0",
        hold=PROCESS,
        labels=TARGET,
        summary="{{ $value }} deliveries of alerts wait for the responder {{ $labels.instance }}",
        description=(
            "{{ $value }} of Alertmanager's deliveries were accepted by {{ $labels.instance }} and are not planned; "
            "planning one takes milliseconds."
        ),
        runbook=Runbook(
            "The responder takes alerts and does not get on with them.",
            "Its log: an error is told each second. A full disk is the usual one.",
            "Mend what the log names, or restart the responder; nothing is lost.",
        ),
    )


def _target_failing() -> Alert:
    pending = f'{names.RESPONDER_PENDING_ACTIONS.name}{{standing="retrying"}}'
    return Alert(
        name="PredictionResponderTargetFailing",
        severity="warning",
        expr=f"{pending} > 0",
        hold=RETRIES,
        labels=("action",),
        summary="The responder cannot carry out {{ $value }} actions ({{ $labels.action }})",
        description=(
            "{{ $value }} actions of the kind {{ $labels.action }} failed, and are tried again at least every "
            "15 minutes."
        ),
        runbook=Runbook(
            "The target of these actions (ticket system, pipeline, webhook) is out of reach or refuses them.",
            f"The responder's page and log say what it answered; `{names.RESPONDER_ACTIONS_TOTAL.name}` with outcome "
            "failed, since when.",
            "Mend the target, its URL or the token. What waits is carried out by itself then, if it is still wanted.",
        ),
    )


def _unacknowledged(config: Config) -> Alert:
    limit = config.alerting.max_response
    return Alert(
        name="PredictionAlertUnacknowledged",
        severity="warning",
        expr=f"time() - {names.RESPONDER_OLDEST_UNACKNOWLEDGED_TIMESTAMP_SECONDS.name} > {parse_duration(limit)}",
        hold=PROCESS,
        labels=TARGET,
        summary="An alert has waited {{ $value | humanizeDuration }} for a person",
        description=(
            "The oldest alert that nobody has acknowledged began {{ $value | humanizeDuration }} ago; more than "
            f"{limit} warns."
        ),
        runbook=Runbook(
            "An alert that asks for an investigation fires, and nobody has taken it.",
            "The responder's page lists it, the oldest last.",
            "Take it there (Acknowledge). If nobody heard of it, mend the route or the rota.",
        ),
    )
