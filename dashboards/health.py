"""The exporter's own health, a collapsed row: can the numbers above be believed? It tells of all models."""

from dashboards.colors import BAD, GOOD, MUTED, NOTE, WARN
from dashboards.limits import Limit, fixed
from dashboards.looks import Column, Query, describe, hue
from dashboards.panels import Panel, stat, table, trend
from dashboards.queries import by, per_second, per_second_by, select
from exporter import names
from exporter.config import Config
from exporter.names import Family

WORDS = {"0": ("failed", BAD), "1": ("ok", GOOD)}
LISTED = 100  # rows of a table
OFF = "The intake is not configured"


def health(config: Config) -> list[Panel]:
    """The row's panels."""
    return [
        *_state(),
        _series(config),
        _records(),
        _rejected(),
        _backlog(),
        _duration(config),
        _writers(),
        _models(),
        _statistics(),
        _requests(),
        _taken(),
        _spool(config),
        _history(),
        _archive(),
        _archiving(),
    ]


def _state() -> list[Panel]:
    reading = describe(
        "Whether the last reading of the log raised nothing.",
        good="ok.",
        bad="failed: new predictions are not counted until it is mended; nothing is lost meanwhile.",
        do="Read the exporter's log: permissions, a full disk, an object store out of reach.",
    )
    reload = describe(
        "Whether the last attempt to load the configuration succeeded.",
        good="ok.",
        bad="failed: the previous configuration is still in force.",
        do="Run check-config on the file; it names every problem.",
    )
    failing = describe(
        "Statistics whose last computation raised an error.",
        good="0.",
        bad="1 or more: their series are absent; all others are computed as ever.",
        do="Find them in the table below and in the exporter's log.",
    )
    cut = describe(
        "Series left out in this time range because a snapshot reached limits.series.",
        good="0.",
        bad="1 or more: some features or versions are not shown anywhere.",
        do="Raise limits.series, or use fewer windows, methods or versions.",
    )
    failed = f"sum(1 - {by('min', names.STATISTIC_SUCCESS.name, (names.MODEL_NAME, 'statistic'))})"
    dropped = f"sum(increase({select(names.SERIES_DROPPED_TOTAL)}[$__range])) or vector(0)"
    return [
        _yes_or_no("Reading the log", reading, names.INGESTION_SUCCESS),
        _yes_or_no("Configuration", reload, names.CONFIG_LAST_RELOAD_SUCCESSFUL),
        stat("Failing statistics", failing, failed, size=(4, 4), decimals=0, limit=fixed("failing", 1)),
        stat("Series cut", cut, dropped, size=(4, 4), decimals=0, limit=fixed("cut", 1)),
        _loaded(),
        _build(),
    ]


def _yes_or_no(title: str, text: str, family: Family) -> Panel:
    limit = fixed("ok", 1, below=True)
    return stat(title, text, by("min", select(family)), size=(4, 4), words=WORDS, limit=limit)


def _loaded() -> Panel:
    text = describe(
        "Time since the configuration was last loaded with success.",
        good="As long as you remember changing nothing.",
        bad="Longer than since your last change: it is not in force.",
        do="Reload the exporter, then look at Configuration beside.",
    )
    expr = f"time() - {by('max', select(names.CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS))}"
    return stat("Configuration's age", text, expr, size=(4, 4), unit="s", decimals=0)


def _build() -> Panel:
    text = describe(
        "Versions of the exporters that are running.",
        good="One row.",
        bad="Two rows long after a release: a replica was left behind.",
        do="Restart the replica that was left.",
    )
    labels = names.BUILD_INFO.labels
    columns = [
        Column("Exporter", label=labels[0]),
        Column("Python", label=labels[1]),
        Column("Replicas", by("count", select(names.BUILD_INFO), labels), decimals=0),
    ]
    return table("Version", text, columns, size=(4, 4))


def _series(config: Config) -> Panel:
    text = describe(
        "Series in the last snapshot. Dashed: limits.series, beyond which series are cut.",
        good="Flat, well below the dashed line.",
        bad="Climbing towards it.",
        do="Find what multiplies: versions, features, windows or methods.",
    )
    queries = [Query(by("max", select(names.SERIES)), "series", hue(NOTE))]
    limit = fixed("limits.series", config.limits.series)
    return trend("Series", text, queries, size=(6, 8), decimals=0, floor=0, limit=limit)


def _records() -> Panel:
    text = describe(
        "Records accepted a second, by kind.",
        good="Predictions follow the traffic, outcomes follow predictions.",
        bad="A kind that stops.",
        do="Check the writer of that kind.",
    )
    queries = [Query(per_second(names.RECORDS_TOTAL, ("kind",)), "{{kind}}")]
    return trend("Records read", text, queries, size=(6, 8), unit="suffix: /s", stack=True, floor=0)


def _rejected() -> Panel:
    text = describe(
        "Records refused a second, by reason; the rest of their file was read.",
        good="No area at all.",
        bad="A reason that began with a release of a writer.",
        do="The exporter's log names file and line of the first ones.",
    )
    queries = [Query(per_second_by(names.REJECTED_RECORDS_TOTAL, "reason"), "{{reason}}")]
    empty = "No record was rejected in this time range"
    return trend("Records rejected", text, queries, size=(6, 8), unit="suffix: /s", stack=True, floor=0, empty=empty)


def _backlog() -> Panel:
    text = describe(
        "Bytes of log on disk that are not read yet, bytes read a second, and how old the newest record was when read.",
        good="Backlog near 0.",
        bad="Backlog climbs: the exporter cannot keep up, and its numbers lag behind.",
        do="Give it more processor time, or sample at the writer.",
    )
    queries = [
        Query(by("sum", select(names.LAG_BYTES)), "not read yet", hue(WARN)),
        Query(by("max", select(names.LAG_SECONDS)), "age of the newest when read", hue(MUTED) | {"unit": "s"}),
        Query(per_second(names.LOG_BYTES_TOTAL), "read a second", hue(NOTE) | {"unit": "binBps"}),
    ]
    return trend("Backlog of the log", text, queries, size=(6, 8), unit="bytes", floor=0)


def _duration(config: Config) -> Panel:
    text = describe(
        "How long an evaluation of all statistics takes.",
        good=f"Well below the evaluation interval, {config.evaluation.interval}.",
        bad="Near it: the exporter does nothing else.",
        do="The table of statistics says which one takes the time.",
    )
    queries = [Query(by("max", select(names.EVALUATION_DURATION_SECONDS)), "evaluation", hue(NOTE))]
    return trend("Evaluation", text, queries, size=(5, 9), unit="s", floor=0)


def _writers() -> Panel:
    text = describe(
        "Writers of the log: active ones (a prediction within 10 minutes), silent ones (within a day), and how long "
        "the one that is silent the longest has been so.",
        good="As many active ones as there are serving processes.",
        bad="Fewer active ones, with as many serving processes as before.",
        do="A release or a smaller service leaves silent writers behind. Otherwise look at that process's log.",
    )
    longest = f"time() - {by('min', select(names.OLDEST_WRITER_TIMESTAMP_SECONDS))}"
    queries = [
        Query(by("sum", select(names.WRITERS), ("state",)), "{{state}}"),
        Query(longest, "longest silence", hue(MUTED) | {"unit": "s"}),
    ]
    return trend("Writers", text, queries, size=(5, 9), decimals=0, floor=0)


def _models() -> Panel:
    text = describe(
        "The models this exporter watches: task, fingerprint of the baseline in force, time of the newest record.",
        good="A newest record of moments ago.",
        bad="An old one: the model is idle, or its log does not arrive.",
        do="Check the log's path in the configuration against the writer's.",
    )
    newest = by("max", names.LAST_RECORD_TIMESTAMP_SECONDS.name, (names.MODEL_NAME,))
    columns = [
        Column("Model", label=names.MODEL_NAME),
        Column("Task", label="task", width=90),
        Column("Baseline", label="baseline"),
        Column("Configured", by("max", names.MODEL_INFO.name, names.MODEL_INFO.labels), hidden=True),
        Column("Newest record", f"1000 * {newest}", unit="dateTimeAsIso", width=170),
    ]
    return table("Models", text, columns, size=(7, 9), sort="Model")


def _statistics() -> Panel:
    text = describe(
        f"Each statistic's last computation, the {LISTED} slowest.",
        good="ok everywhere, in milliseconds.",
        bad="failed: its series are absent.",
        do="The exporter's log has the error with its place.",
    )
    labels = (names.MODEL_NAME, "statistic")
    took = f"topk({LISTED}, {by('max', names.STATISTIC_DURATION_SECONDS.name, labels)})"
    columns = [
        Column("Model", label=names.MODEL_NAME),
        Column("Statistic", label="statistic"),
        Column("State", by("min", names.STATISTIC_SUCCESS.name, labels), words=WORDS, width=90),
        Column("Took", took, unit="s"),
    ]
    return table("Statistics", text, columns, size=(7, 9), sort="Took", descending=True)


def _requests() -> Panel:
    text = describe(
        "Requests to the intake a second, by HTTP status.",
        good="200 alone.",
        bad="429: it cannot keep up; 503: its disk fails; 400 and 413: a sender sends what is not taken.",
        do="400 tells the sender each line and reason; for 429 and 503 look at the spool beside.",
    )
    queries = [Query(per_second_by(names.INTAKE_REQUESTS_TOTAL, "code"), "{{code}}")]
    return trend("Intake: requests", text, queries, size=(8, 8), unit="suffix: /s", stack=True, floor=0, empty=OFF)


def _taken() -> Panel:
    text = describe(
        "Records that the intake took a second, lines that it refused, and the bytes of all bodies.",
        good="Records follow the traffic; nothing refused.",
        bad="Refused lines that began with a release of a sender.",
        do="The answers to the sender name line and reason.",
    )
    queries = [
        Query(per_second(names.INTAKE_RECORDS_TOTAL), "taken", hue(GOOD)),
        Query(per_second_by(names.INTAKE_REFUSED_RECORDS_TOTAL, "reason"), "{{reason}}"),
        Query(per_second_by(names.INTAKE_UNMATCHED_HALVES_TOTAL, "half"), "{{half}} without its other half"),
        Query(per_second(names.INTAKE_BYTES_TOTAL), "bytes", hue(NOTE) | {"unit": "binBps"}),
    ]
    return trend("Intake: records", text, queries, size=(8, 8), unit="suffix: /s", floor=0, empty=OFF)


def _spool(config: Config) -> Panel:
    text = describe(
        "Bytes taken and not counted yet, within 16 MiB. Dashed: intake.max_spool, where no more is taken.",
        good="A few segments at most.",
        bad="Climbing towards the dashed line: records come faster than they are read, or reading fails.",
        do="See whether reading the log failed; give the exporter more processor time, or sample at the sender.",
    )
    queries = [
        Query(by("max", select(names.INTAKE_SPOOL_BYTES)), "spool", hue(WARN)),
        Query(by("sum", select(names.INTAKE_WAITING_HALVES)), "waiting halves", hue(NOTE) | {"unit": "none"}),
    ]
    limit = fixed("intake.max_spool", config.intake.max_spool) if config.intake else Limit()
    return trend("Intake: spool", text, queries, size=(8, 8), unit="bytes", floor=0, limit=limit, empty=OFF)


def _history() -> Panel:
    text = describe(
        "Which windows, and which periods that the drift window is held against, hold all their time; rows of periods.",
        good="whole everywhere.",
        bad="begins within: numbers of the window stand on less time than it says; drift from such a period is absent.",
        do="Wait; after a new baseline or version this is so for as long as the window or period reaches back.",
    )
    of_window = (names.MODEL_NAME, names.MODEL_VERSION, names.WINDOW)
    of_period = (*of_window, names.PERIOD)
    window = (
        f'label_replace({by("min", names.WINDOW_COMPLETE.name, of_window)}, "{names.PERIOD}", "the window", "", "")'
    )
    columns = [
        Column("Model", label=names.MODEL_NAME),
        Column("Version", label=names.MODEL_VERSION),
        Column("Window", label=names.WINDOW),
        Column("Period", label=names.PERIOD),
        Column(
            "History",
            f"{window} or {by('min', names.PERIOD_COMPLETE.name, of_period)}",
            words={"0": ("begins within", WARN), "1": ("whole", GOOD)},
        ),
        Column("Rows", by("max", names.PERIOD_ROWS.name, of_period), decimals=0),
    ]
    return table("History", text, columns, size=(24, 8), sort="Model")


def _archive() -> Panel:
    text = describe(
        "Size of the archive, and bytes of log, unpacked, that moved into it a second.",
        good="It levels off once archive.retention is reached.",
        bad="Flat while the log grows: nothing is archived.",
        do="Look at the table beside, then at the exporter's log.",
    )
    moved = Query(per_second(names.ARCHIVED_LOG_BYTES_TOTAL), "moved a second", hue(WARN) | {"unit": "binBps"})
    queries = [Query(by("sum", select(names.ARCHIVE_BYTES)), "archive", hue(NOTE)), moved]
    return trend("Archive", text, queries, size=(12, 8), unit="bytes", floor=0, empty="No source of log is archived")


def _archiving() -> Panel:
    text = describe(
        "Each exporter's archiving: its last attempt, attempts that failed since it started, when one last succeeded.",
        good="ok, within the hour.",
        bad="failed: log files stay where they are and fill the disk; nothing is lost.",
        do="The exporter's log has the reason: permissions, a full disk.",
    )
    labels = ("instance",)
    columns = [
        Column("Exporter", label="instance"),
        Column("State", by("min", names.ARCHIVE_SUCCESS.name, labels), words=WORDS, width=90),
        Column("Failures", by("max", names.ARCHIVE_FAILURES_TOTAL.name, labels), decimals=0),
        Column("Files", by("max", names.ARCHIVE_FILES.name, labels), decimals=0),
        Column(
            "Last archived",
            f"1000 * {by('max', names.ARCHIVE_LAST_SUCCESS_TIMESTAMP_SECONDS.name, labels)}",
            unit="dateTimeAsIso",
            width=170,
        ),
    ]
    return table("Archiving", text, columns, size=(12, 8), sort="Exporter")
