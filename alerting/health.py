"""Alerts on the exporter itself: gone, blind, stale or failing; and the watchdog that proves alerts arrive.

A threshold never fires on a series that is absent, frozen or NaN; these alerts do.
"""

from alerting.alert import ALWAYS, PROCESS, STATISTIC, Alert, Runbook
from alerting.drift import WHO
from alerting.durations import HOUR, Pace
from alerting.promql import either
from alerting.quality import shortest_window
from exporter import names
from exporter.config import Config, parse_duration
from exporter.names import MODEL, MODEL_NAME, WINDOWED, Family

TARGET = ("job", "instance")
_ON_TARGET = f"on ({', '.join(TARGET)})"
WATCHED_FOR_NAN: tuple[Family, ...] = (
    names.FEATURE_DRIFT_SCORE,
    names.PREDICTION_DRIFT_SCORE,
    names.MODEL_ACCURACY,
    names.MODEL_AUC,
    names.MODEL_PERFORMANCE_BASELINE_RATIO,
    names.FEATURE_COMPLETENESS,
)
"""What thresholds compare with and has no honest reason to be NaN; a latency without traffic has."""


def health_alerts(config: Config) -> tuple[Alert, ...]:
    """The exporter's own, gravest first."""
    return (
        _exporter_absent(),
        _exporter_down(),
        _ingestion_failed(),
        _check_stale(config),
        _check_absent(),
        _records_stale(config),
        _records_absent(),
        _outcomes_stale(config),
        _statistic_failed(),
        _statistic_nan(),
        _series_dropped(config),
        _reload_failed(),
        _archive_failed(),
    )


def watchdog_alerts(_config: Config) -> tuple[Alert, ...]:
    """The dead man's switch."""
    return (_watchdog(),)


def _exporter_absent() -> Alert:
    return Alert(
        name="PredictionExporterAbsent",
        severity="critical",
        expr=f"absent({names.BUILD_INFO.name})",
        hold=PROCESS,
        labels=(),
        summary="No prediction exporter is scraped",
        description="Prometheus has no series of any prediction exporter: no model is monitored.",
        runbook=Runbook(
            "Prometheus scrapes no prediction exporter at all, so no other alert about models can fire.",
            "Prometheus's page of targets: is the job there, is the target up, what does its last error say?",
            "Start the exporter, or mend the scrape configuration or the network between them.",
        ),
        pages=True,
    )


def _exporter_down() -> Alert:
    # Which targets are exporters is known from the last day, for a target that is down exports nothing.
    exporters = f"present_over_time({names.BUILD_INFO.name}[1d])"
    return Alert(
        name="PredictionExporterDown",
        severity="critical",
        expr=f"{names.UP} == 0\nand {_ON_TARGET} {exporters}",
        hold=PROCESS,
        labels=TARGET,
        summary="The prediction exporter {{ $labels.instance }} is down",
        description="Prometheus cannot scrape {{ $labels.instance }} of job {{ $labels.job }}; its models go unseen.",
        runbook=Runbook(
            "One prediction exporter does not answer scrapes; the models it watches are unmonitored.",
            "The exporter's log, whether its process runs, and the target's last error in Prometheus.",
            "Restart it; it goes on where it stopped, and counts no record twice. If scrapes time out, see "
            f"`{names.SERIES.name}`.",
        ),
        pages=True,
    )


def _failed(name: str, family: Family, labels: tuple[str, ...], texts: tuple[str, str], runbook: Runbook) -> Alert:
    """An alert on a gauge that is 1 while all is well."""
    summary, description = texts
    return Alert(name, "warning", f"{family.name} == 0", PROCESS, labels, summary, description, runbook)


def _ingestion_failed() -> Alert:
    return _failed(
        "PredictionIngestionFailed",
        names.INGESTION_SUCCESS,
        TARGET,
        (
            "{{ $labels.instance }} cannot read its log",
            "The last reading of the log by {{ $labels.instance }} failed: its statistics stand still.",
        ),
        Runbook(
            "The exporter cannot read the prediction log; statistics go on over what was read before.",
            f"The exporter's log names the file and the error; `{names.LAG_BYTES.name}` tells how much waits.",
            "Mend the path, the permissions or the disk. Bad lines are never the reason: they are counted and skipped.",
        ),
    )


def _statistic_failed() -> Alert:
    return _failed(
        "PredictionStatisticFailed",
        names.STATISTIC_SUCCESS,
        (MODEL_NAME,),
        (
            "The statistic {{ $labels.statistic }} of {{ $labels.model_name }} fails",
            "{{ $labels.statistic }} of {{ $labels.model_name }} raised an error: its series and alerts are absent.",
        ),
        Runbook(
            "One statistic raised an error. The others are not touched, but alerts on this one are blind.",
            "The exporter's log holds the error, with the statistic's name.",
            "Check that the baseline belongs to this model and these features; otherwise report it as a defect.",
        ),
    )


def _reload_failed() -> Alert:
    return _failed(
        "PredictionConfigReloadFailed",
        names.CONFIG_LAST_RELOAD_SUCCESSFUL,
        TARGET,
        (
            "{{ $labels.instance }} refused its new configuration",
            "{{ $labels.instance }} could not load its configuration and keeps the one before; a restart would fail.",
        ),
        Runbook(
            "The configuration on disk is not usable; the exporter keeps the old one.",
            "`prediction-exporter check-config FILE` names every problem and its place.",
            "Mend the file and reload.",
        ),
    )


def _archive_failed() -> Alert:
    return _failed(
        "PredictionArchiveFailed",
        names.ARCHIVE_SUCCESS,
        TARGET,
        (
            "{{ $labels.instance }} cannot archive its log",
            "The last attempt of {{ $labels.instance }} to archive log files failed: they stay, and fill the disk.",
        ),
        Runbook(
            "Log files at rest are not moved into the archive; nothing is lost, but their disk fills up.",
            "The exporter's log has the error: permissions of the log's folder or the archive's, or a full disk.",
            "Mend the permissions or make room; archiving is tried again by itself, and goes on where it stopped.",
        ),
    )


def _check_stale(config: Config) -> Alert:
    limit = config.evaluation.max_age
    return Alert(
        name="PredictionDriftCheckStale",
        severity="warning",
        expr=f"time() - {names.LAST_EVALUATION_TIMESTAMP_SECONDS.name} > {parse_duration(limit)}",
        hold=PROCESS,
        labels=TARGET,
        summary="{{ $labels.instance }} last checked for drift {{ $value | humanizeDuration }} ago",
        description=(
            "The newest evaluation of {{ $labels.instance }} is {{ $value | humanizeDuration }} old; older than "
            f"{limit} warns. What the dashboard shows is as old."
        ),
        runbook=Runbook(
            "The exporter answers scrapes, but has not recomputed its statistics.",
            f"`{names.EVALUATION_DURATION_SECONDS.name}` against `evaluation.interval`; the exporter's log.",
            "Restart the exporter if the evaluation hangs; lengthen the interval if it cannot keep up.",
        ),
    )


def _check_absent() -> Alert:
    return Alert(
        name="PredictionDriftCheckAbsent",
        severity="warning",
        expr=f"{names.BUILD_INFO.name}\nunless {_ON_TARGET} {names.LAST_EVALUATION_TIMESTAMP_SECONDS.name}",
        hold=STATISTIC,
        labels=TARGET,
        summary="{{ $labels.instance }} has never checked for drift",
        description="{{ $labels.instance }} is scraped, but has not finished an evaluation since it started.",
        runbook=Runbook(
            "The exporter runs without having computed any statistic.",
            "The exporter's log, and whether it still reads a large log for the first time "
            f"(`{names.LAG_BYTES.name}` falls).",
            "Wait while it catches up; otherwise mend what the log names.",
        ),
    )


def _records_stale(config: Config) -> Alert:
    """By the clock where records carry the present time, by standing still where a log is replayed."""
    newest = names.LAST_RECORD_TIMESTAMP_SECONDS.name
    window = shortest_window(config)
    if config.evaluation.clock == "wall":
        since, expr = window, f"time() - {newest} > {parse_duration(window)}"
    else:
        since = Pace(config.alerting.speed).range(parse_duration(config.evaluation.max_age))
        expr = f"{newest} == {newest} offset {since}"
    return Alert(
        name="PredictionRecordsStale",
        severity="warning",
        expr=expr,
        hold=STATISTIC,
        labels=(MODEL_NAME,),
        summary="{{ $labels.model_name }} has had no record for " + since,
        description=f"The newest record of {{{{ $labels.model_name }}}} is more than {since} old.",
        runbook=Runbook(
            "No prediction, outcome or counts record of the model arrives; drift and performance will soon be blind.",
            "Whether the model serves traffic; whether the writer's files grow; "
            f"`{names.REJECTED_RECORDS_TOTAL.name}` by reason; `{names.PREDICTIONS_DROPPED_TOTAL.name}`.",
            "Mend the writer or the path between it and the log. For a model that runs seldom, configure "
            "`evaluation.windows` to suit: the shortest one sets this limit.",
        ),
    )


def _records_absent() -> Alert:
    newest = names.LAST_RECORD_TIMESTAMP_SECONDS.name
    return Alert(
        name="PredictionRecordsAbsent",
        severity="warning",
        expr=f"{names.MODEL_INFO.name}\nunless on ({', '.join((*TARGET, MODEL_NAME))}) {newest}",
        hold=STATISTIC,
        labels=(MODEL_NAME,),
        summary="{{ $labels.model_name }} has never had a record",
        description="{{ $labels.model_name }} is configured, but no record of it was ever read.",
        runbook=Runbook(
            "A configured model has no records at all.",
            "Whether `log` in the configuration points at the writer's files, and whether the writer uses the same "
            f"model name: `{names.REJECTED_RECORDS_TOTAL.name}` counts records of unknown models.",
            "Correct the path or the name.",
        ),
    )


def _outcomes_stale(config: Config) -> Alert:
    """Counters that stand where they stood: cheap for any span, and silent while less than the span is known."""
    labelled, logged = names.LABELLED_PREDICTIONS_TOTAL.name, names.PREDICTIONS_LOGGED_TOTAL.name
    since = config.outcomes.max_age
    before = f"offset {Pace(config.alerting.speed).range(parse_duration(since))}"
    return Alert(
        name="PredictionOutcomesStale",
        severity="warning",
        expr=f"{labelled} == {labelled} {before} > 0\nand {logged} != {logged} {before}",
        hold=STATISTIC,
        labels=MODEL,
        summary=f"{WHO} has had no outcome for {since}",
        description=(
            f"{{{{ $value | humanize }}}} outcomes of {WHO} had arrived {since} ago and none has since, though "
            "predictions are made: what the dashboard says of its performance is as old."
        ),
        runbook=Runbook(
            "Outcomes came, and have stopped; alerts on accuracy, AUC and the accuracy objective are blind.",
            "Row 1 of the dashboard: outcomes arriving, and their usual delay. "
            f"`{names.REJECTED_RECORDS_TOTAL.name}` by reason.",
            "Mend the job that writes outcomes; late ones are still joined within `outcomes.horizon`. Where they come "
            "seldom, raise `outcomes.max_age`.",
        ),
    )


def _statistic_nan() -> Alert:
    return Alert(
        name="PredictionStatisticNaN",
        severity="warning",
        expr=either(_is_nan(family.name) for family in WATCHED_FOR_NAN),
        hold=STATISTIC,
        labels=WINDOWED,
        summary=f"{{{{ $labels.family }}}} of {WHO} is NaN",
        description=f"{{{{ $labels.family }}}} of {WHO} is not a number: alerts that compare it cannot fire.",
        runbook=Runbook(
            "A statistic is NaN. No threshold fires on NaN, so its alerts are blind.",
            "The series' labels name the model, window and feature; the exporter's log around its last evaluation.",
            "Too little data gives an absent series, never NaN: report this as a defect, with the baseline.",
        ),
    )


def _is_nan(name: str) -> str:
    # Filters keep the metric's name, but `or` does not tell series apart by it; a label does.
    return f'label_replace({name} != {name}, "family", "{name}", "", "")'


def _series_dropped(config: Config) -> Alert:
    window = Pace(config.alerting.speed).range(HOUR)
    return Alert(
        name="PredictionSeriesDropped",
        severity="warning",
        expr=f"increase({names.SERIES_DROPPED_TOTAL.name}[{window}]) > 0",
        hold=PROCESS,
        labels=TARGET,
        summary="{{ $labels.instance }} leaves series out",
        description=f"There are more than {config.limits.series} series; those beyond are cut, and their alerts blind.",
        runbook=Runbook(
            "The snapshot reached `limits.series`; what lies beyond it is not exported.",
            f"`{names.SERIES.name}`, and which models, versions or features multiplied.",
            "Retire old versions, drop windows or methods, or raise `limits.series`.",
        ),
    )


def _watchdog() -> Alert:
    return Alert(
        name="Watchdog",
        severity="none",
        expr="vector(1)",
        hold=ALWAYS,
        labels=(),
        summary="Alerts travel from Prometheus to Alertmanager",
        description="This alert always fires. Its receiver should raise an alarm when it stops hearing of it.",
        runbook=Runbook(
            "All is well while this fires: Prometheus evaluates rules and Alertmanager delivers them.",
            "If its receiver no longer hears of it: Prometheus, then Alertmanager, then the receiver.",
            "Mend the link that broke. Let a dead man's switch elsewhere listen to the `heartbeat` receiver.",
        ),
    )
