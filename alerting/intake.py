"""Alerts on the HTTP intake: about to turn senders away, or turning them away because its disk fails."""

from alerting.alert import PROCESS, RATE, Alert, Runbook
from alerting.durations import MINUTE, Pace
from alerting.health import TARGET
from alerting.promql import number
from exporter import names
from exporter.config import Config, Intake

NEARLY_FULL = (
    0.8  # of intake.max_spool: at twice the speed of reading, a spool of 1 GiB at 30 MB/s leaves half a minute
)
_DEFAULT: int = Intake.model_fields["max_spool"].default


def intake_alerts(config: Config) -> tuple[Alert, ...]:
    """The intake's; silent where none is configured, for it has no series then."""
    return (_failing(config), _nearly_full(config))


def _failing(config: Config) -> Alert:
    window = Pace(config.alerting.speed).range(5 * MINUTE)
    return Alert(
        name="PredictionIntakeFailing",
        severity="warning",
        expr=f'increase({names.INTAKE_REQUESTS_TOTAL.name}{{code="503"}}[{window}]) > 0',
        hold=PROCESS,
        labels=TARGET,
        summary="The intake of {{ $labels.instance }} cannot write to its disk",
        description=(
            "{{ $labels.instance }} answers senders with 503, for its disk does not take their records; those who "
            "give up before it recovers lose them."
        ),
        runbook=Runbook(
            "The intake's disk is full, read-only or broken. Nothing that was acknowledged is lost.",
            "The exporter's log has the error; the space and the permissions of `state`.",
            "Free or mend the disk; the intake goes on by itself, and senders that repeat lose nothing.",
        ),
    )


def _nearly_full(config: Config) -> Alert:
    limit = config.intake.max_spool if config.intake else _DEFAULT
    return Alert(
        name="PredictionIntakeSpoolHigh",
        severity="warning",
        expr=f"{names.INTAKE_SPOOL_BYTES.name} > {number(NEARLY_FULL * limit)}",
        hold=RATE,
        labels=TARGET,
        summary="The intake of {{ $labels.instance }} takes more than is read",
        description=(
            "{{ $value | humanize1024 }}B wait in the spool of {{ $labels.instance }}; at intake.max_spool senders are "
            "told to come back later, and the statistics lag behind already."
        ),
        runbook=Runbook(
            "Records come in faster than they are read, or reading them fails.",
            f"`{names.INGESTION_SUCCESS.name}`; `{names.LAG_BYTES.name}`; the rate of "
            f"`{names.INTAKE_RECORDS_TOTAL.name}` before and after it began.",
            "Mend the reading if it fails; else give the exporter more processor time, or sample at the senders. "
            "Raising `intake.max_spool` only gains time.",
        ),
    )
