"""Objectives as recorded series: events, the bad ones among them, their ratio over each window, the error budget left.

An objective is of a model with all its versions, for it is the model that its callers know, and a release does not
renew a budget. Events are counted when they reach Prometheus: increases of five minutes are recorded once and summed
for every longer window, bad and all alike, so that each event weighs the same, a restart of the exporter is no event,
and time without traffic counts for nothing. Outcomes are counted when they arrive, so the budget of accuracy is that
of the outcomes of the last 30 days, whenever their predictions were made: to wait until all outcomes of a day are in
would be exact, and too late.
"""

from collections.abc import Callable
from dataclasses import dataclass

from alerting.durations import DAY, HOUR, MINUTE, Pace, duration
from alerting.promql import Models, alike, either, number, select, total
from alerting.recording import Recording
from exporter import names
from exporter.config import Config, Model
from exporter.names import BURN_WINDOW, MODEL_VERSION, OBJECTIVE, Family

EVENTS_RANGE = 5 * MINUTE  # the shortest burn window, and twenty scrapes at Prometheus's usual 15 s
BUDGET_WINDOW = 30 * DAY  # as in the SRE workbook, whose burn factors stand on it
BURN_WINDOWS = (EVENTS_RANGE, 30 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, DAY, 3 * DAY)

Events = Callable[[Config, str], str]


@dataclass(frozen=True, slots=True)
class Objective:
    """One kind of promise: its key in the configuration, and the expressions of its events in a range.

    `late` ones count outcomes, which say something of predictions made before.
    """

    key: str
    events: Events
    bad: Events
    late: bool = False

    def budgets(self, config: Config) -> dict[float, Models]:
        """The models by the share of bad events that they are allowed."""
        return alike(config, self.budget)

    def budget(self, model: Model) -> float | None:
        """The share of bad events that `model` is allowed, None where it promises nothing."""
        target = model.objectives.targets.get(self.key)
        return None if target is None else round(1 - target, 12)  # 1 - 0.85 is 0.15, not 0.15000000000000002


def kept(config: Config) -> tuple[Objective, ...]:
    """The objectives that some model has."""
    return tuple(objective for objective in OBJECTIVES if objective.budgets(config))


def objective_recordings(config: Config) -> tuple[Recording, ...]:
    """Every recording rule of the objectives of `config`; none where no model has one."""
    objectives = kept(config)
    pace = Pace(config.alerting.speed)
    if not objectives:
        return ()
    return (
        *(recording for objective in objectives for recording in _events(objective, config, pace)),
        *(_ratio(window, pace) for window in BURN_WINDOWS),
        Recording(
            names.OBJECTIVE_BUDGET_LEFT,
            either(_left(objective, config, pace.range(BUDGET_WINDOW)) for objective in objectives),
        ),
    )


def _events(objective: Objective, config: Config, pace: Pace) -> tuple[Recording, Recording]:
    window, labels = pace.range(EVENTS_RANGE), {OBJECTIVE: objective.key}
    return (
        Recording(names.OBJECTIVE_EVENTS, objective.events(config, window), labels),
        Recording(names.OBJECTIVE_BAD_EVENTS, objective.bad(config, window), labels),
    )


def _ratio(window: int, pace: Pace) -> Recording:
    bad, every = names.OBJECTIVE_BAD_EVENTS, names.OBJECTIVE_EVENTS
    if window > EVENTS_RANGE:
        bad, every = (f"sum_over_time({series}[{pace.range(window)}])" for series in (bad, every))
    expr = f"{bad}\n/\n({every} > 0)"  # without an event there is no ratio: 0 / 0 is neither good nor bad
    return Recording(names.OBJECTIVE_BAD_EVENT_RATIO, expr, {BURN_WINDOW: duration(window)})


def _left(objective: Objective, config: Config, window: str) -> str:
    return either(
        "1 - {bad}\n/\n({every} > 0)\n/ {budget}".format(
            bad=f"sum_over_time({select(names.OBJECTIVE_BAD_EVENTS, models, objective=objective.key)}[{window}])",
            every=f"sum_over_time({select(names.OBJECTIVE_EVENTS, models, objective=objective.key)}[{window}])",
            budget=number(budget),
        )
        for budget, models in objective.budgets(config).items()
    )


def _grown(series: Family | str, window: str, *labels: str, models: Models = (), **values: str) -> str:
    """The counter's increase, summed over versions and `labels`."""
    return total(f"increase({select(series, models, **values)}[{window}])", *labels, MODEL_VERSION)


def _counted(series: Family | str, *labels: str) -> Events:
    return lambda _config, window: _grown(series, window, *labels)


def _wrong(_config: Config, window: str) -> str:
    labelled, right = names.LABELLED_PREDICTIONS_TOTAL, names.CORRECT_PREDICTIONS_TOTAL
    # Weights are fractions, and the last digit of a difference is noise.
    return f"clamp_min({_grown(labelled, window)} - {_grown(right, window)}, 0)"


def _failed(_config: Config, window: str) -> str:
    # An error that never happened has no series yet, and is no gap in the data.
    every = _grown(names.PREDICTION_REQUESTS_TOTAL, window)
    return f"{_grown(names.PREDICTION_ERRORS_TOTAL, window, 'error')}\nor\n0 * {every}"


def _slow(config: Config, window: str) -> str:
    latency = names.PREDICTION_LATENCY_SECONDS.name
    bounds = alike(config, lambda of: of.objectives.latency_seconds if of.objectives.latency else None)
    return either(
        f"{_grown(f'{latency}_count', window, models=models)}\n- "
        f"{_grown(f'{latency}_bucket', window, 'le', models=models, le=str(bound))}"
        for bound, models in bounds.items()
    )


OBJECTIVES = (
    Objective("accuracy", _counted(names.LABELLED_PREDICTIONS_TOTAL), _wrong, late=True),
    Objective("availability", _counted(names.PREDICTION_REQUESTS_TOTAL), _failed),
    Objective("latency", _counted(f"{names.PREDICTION_LATENCY_SECONDS.name}_count"), _slow),
    Objective("valid_inputs", _counted(names.FEATURE_VALUES_TOTAL), _counted(names.INVALID_INPUTS_TOTAL, "reason")),
)
