"""Alerts on the burning of error budgets: two windows and four burn rates, after the SRE workbook, chapter 5.

A budget of 30 days burnt 14.4 times as fast as it may be loses 2 % in an hour; 6 times, 5 % in six hours: both page.
3 times loses 10 % in a day, and once 10 % in three days: a ticket. The shorter window, a twelfth, ends the alert soon
after the burn. A rate beyond what failing always would burn can never be reached, and its pair of windows is left out.

Outcomes come late, often in batches, which asks for two things more. Between two batches the shorter window knows
nothing, so for accuracy it ends an alert only by being better, not by being empty. And outcomes that speak of last
month are no reason to wake anyone: a page also asks that half of them concern predictions made within the window.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from alerting.alert import BURN, SLOW, Alert, Hold, Runbook, Severity
from alerting.durations import DAY, HOUR, MINUTE, Pace, duration
from alerting.objectives import EVENTS_RANGE, Objective, kept
from alerting.promql import Models, alike, either, number, select, spell, total
from exporter import names
from exporter.config import Config, Model
from exporter.names import BURN_WINDOW, MODEL_NAME, MODEL_VERSION, OBJECTIVE


@dataclass(frozen=True, slots=True)
class Pair:
    """A window, the shorter one that must agree, and how many times too fast the budget burns in both."""

    long: int
    short: int
    factor: float


@dataclass(frozen=True, slots=True)
class Burn:
    """A degree of burning, and what it asks of people."""

    name: str
    severity: Severity
    pairs: tuple[Pair, ...]
    hold: Hold
    pages: bool


FAST = Burn("Fast", "critical", (Pair(HOUR, 5 * MINUTE, 14.4), Pair(6 * HOUR, 30 * MINUTE, 6)), BURN, pages=True)
SLOWLY = Burn("Slow", "warning", (Pair(DAY, 2 * HOUR, 3), Pair(3 * DAY, 6 * HOUR, 1)), SLOW, pages=False)


def burn_alerts(config: Config) -> tuple[Alert, ...]:
    """Of each objective that some model has, the page and then the ticket, where its budget can burn so fast."""
    burns = (_alert(objective, burn, config) for objective in kept(config) for burn in (FAST, SLOWLY))
    unmeasured = (_unmeasured(config),) if kept(config) else ()
    return (*(alert for alert in burns if alert.expr), *unmeasured)


def _unmeasured(config: Config) -> Alert:
    on = f"on (job, {MODEL_NAME}, {OBJECTIVE})"
    return Alert(
        name="PredictionObjectiveUnmeasured",
        severity="warning",
        expr=either(
            f'label_replace({select(names.MODEL_INFO, models)}, "{OBJECTIVE}", "{objective.key}", "", "")\n'
            f"unless {on} {names.OBJECTIVE_BUDGET_LEFT}"
            for objective in kept(config)
            for models in objective.budgets(config).values()
        ),
        hold=SLOW,
        labels=(MODEL_NAME,),
        summary=f"{{{{ $labels.{OBJECTIVE} }}}} of {{{{ $labels.{MODEL_NAME} }}}} is promised and not measured",
        description=(
            f"For 30d, no event has counted for the objective {{{{ $labels.{OBJECTIVE} }}}} of "
            f"{{{{ $labels.{MODEL_NAME} }}}}: its budget is unknown, and its burn alerts cannot fire."
        ),
        runbook=Runbook(
            "An objective stands in the configuration, and nothing it could be measured by has arrived: no outcomes, "
            "no latencies, no requests.",
            "Row 1 of the dashboard: outcomes arriving. Row 3: requests and latency.",
            "Let the writer log what is missing (`latency_seconds`, outcomes), wait for the first outcomes of a new "
            "model, or take the objective out of the configuration.",
        ),
    )


def _alert(objective: Objective, burn: Burn, config: Config) -> Alert:
    words = _WORDS[objective.key]
    targets = {round(1 - budget, 12): models for budget, models in objective.budgets(config).items()}
    return Alert(
        name=f"Prediction{objective.key.title().replace('_', '')}Burn{burn.name}",
        severity=burn.severity,
        expr=either(_exprs(objective, burn, config)),
        hold=burn.hold,
        labels=(MODEL_NAME,),
        summary=f"{{{{ $labels.{MODEL_NAME} }}}}: {{{{ $value | humanizePercentage }}}} of the {words.bad}",
        description=(
            f"Over {{{{ $labels.{BURN_WINDOW} }}}}, {{{{ $value | humanizePercentage }}}} of the {words.bad}; the "
            f"objective over 30d is {spell(targets, percent=True)} {words.good}. {_PACE[burn.name]}"
        ),
        runbook=Runbook(f"{words.means} {_MEANS[burn.name]}", words.look, words.act),
        pages=burn.pages,
    )


def _exprs(objective: Objective, burn: Burn, config: Config) -> Iterator[str]:
    def needs(model: Model) -> tuple[float, int] | None:
        budget = objective.budget(model)
        return None if budget is None else (budget, model.objectives.min_bad_events)

    for pair in burn.pairs:
        for (budget, least), models in alike(config, needs).items():
            limit = round(pair.factor * budget, 12)
            if limit < 1:
                yield _expr(objective, pair, (limit, least), models, Pace(config.alerting.speed), pages=burn.pages)


def _expr(
    objective: Objective, pair: Pair, needs: tuple[float, int], models: Models, pace: Pace, *, pages: bool
) -> str:
    limit, least = number(needs[0]), needs[1]
    longer, shorter = (
        select(names.OBJECTIVE_BAD_EVENT_RATIO, models, **{OBJECTIVE: objective.key, BURN_WINDOW: duration(window)})
        for window in (pair.long, pair.short)
    )
    agrees = (
        f"unless ignoring ({BURN_WINDOW}) {shorter} <= {limit}"
        if objective.late
        else f"and ignoring ({BURN_WINDOW}) {shorter} > {limit}"
    )
    bad = select(names.OBJECTIVE_BAD_EVENTS, models, **{OBJECTIVE: objective.key})
    spans = pace.range_seconds(pair.long) / pace.range_seconds(EVENTS_RANGE)
    enough = f"and ignoring ({BURN_WINDOW}) avg_over_time({bad}[{pace.range(pair.long)}]) * {number(spans)} >= {least}"
    return "\n".join(
        [f"{longer} > {limit}", agrees, enough, *([_recent(pair, pace)] if objective.late and pages else [])]
    )


def _recent(pair: Pair, pace: Pace) -> str:
    """Half of the outcomes that arrived within the window concern predictions made within it."""
    delay, window = names.MODEL_OUTCOME_DELAY_SECONDS.name, pace.range(pair.long)
    soon = select(f"{delay}_bucket", le=str(float(pair.long)))  # a bound of the histogram; of the log's time, as delays
    counts = (
        total(f"increase({series}[{window}])", *more, MODEL_VERSION)
        for series, *more in ((soon, "le"), (f"{delay}_count",))
    )
    return f"and ignoring ({OBJECTIVE}, {BURN_WINDOW}) {' / '.join(counts)} >= 0.5"


@dataclass(frozen=True, slots=True)
class _Words:
    bad: str
    good: str
    means: str
    look: str
    act: str


_PACE = {
    FAST.name: "At this rate, the error budget is gone within days.",
    SLOWLY.name: "At this rate, the error budget will not last its 30 days.",
}
_MEANS = {
    FAST.name: "The error budget burns so fast that someone must look now.",
    SLOWLY.name: "The error budget burns faster than it may, slowly enough for working hours.",
}
_WORDS = {
    "accuracy": _Words(
        "outcomes that arrived proved the prediction wrong",
        "right",
        "Of the outcomes that arrived lately, too many proved the prediction wrong. They speak of predictions made "
        "earlier, by as much as outcomes are late.",
        "Row 1 of the dashboard: outcome delay, to know which days are judged, and what was released since; estimated "
        "accuracy for the predictions without outcomes yet. Row 2: drift at the time the predictions were made.",
        "Mend broken inputs first. After a release, compare the versions and roll back the worse one. Otherwise "
        "retrain on recent labelled data.",
    ),
    "availability": _Words(
        "requests failed",
        "answered",
        "Requests for predictions fail.",
        f"Row 3 of the dashboard: `{names.PREDICTION_ERRORS_TOTAL.name}` by error and version; the service's log.",
        "Roll back if it began with a release; otherwise mend what the error names.",
    ),
    "latency": _Words(
        "predictions took longer than agreed",
        "in time",
        "Too many predictions take longer than `objectives.latency_seconds`.",
        "Row 3 of the dashboard: whether the median rose too (load, a slower model) or only the tail (a slow "
        "dependency, cold starts, large requests), and whether traffic grew.",
        "Scale out under load; roll back if it began with a release.",
    ),
    "valid_inputs": _Words(
        "feature values are invalid",
        "valid",
        "The model is fed values it cannot have learned from, and answers all the same. Drift that follows from it is "
        "silenced while this pages.",
        f"`{names.INVALID_INPUTS_TOTAL.name}` by reason, then row 4 of the dashboard for the feature: unseen "
        "categories, values out of range.",
        "Mend or roll back what writes the inputs. Do not retrain on this data.",
    ),
}
