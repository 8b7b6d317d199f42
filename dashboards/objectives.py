"""Objectives, at the end of row 1: what is left of each error budget, and how much goes wrong over which window."""

from dashboards.limits import fixed
from dashboards.looks import Query, describe
from dashboards.panels import Panel, trend
from dashboards.queries import VARIABLES, by
from exporter import names
from exporter.config import Config

NO_OBJECTIVE = "No events in this time range, or no objective agreed (models: objectives)"
SHOWN = "5m|1h|1d"  # of the windows that burn alerts compare, for now, the hour and the day


def objectives(config: Config) -> list[Panel]:
    """The panels; none where no model has an objective."""
    return [_budget(), _burn()] if any(model.objectives.targets for model in config.models) else []


def _budget() -> Panel:
    text = describe(
        "Share of the error budget that is left: 100 % when nothing went wrong for 30 days, 0 % when just as much did "
        "as the objective allows. All versions of the model together; accuracy by the outcomes that arrived.",
        good="Above 0 %, and higher than the share of the 30 days still to come would need.",
        bad="A steep fall: something broke then. Below 0 %: the promise of these 30 days is broken.",
        do="Budget left: take risks, release. Spent: mend what spends it before anything new.",
    )
    expr = by("min", _recorded(names.OBJECTIVE_BUDGET_LEFT), (names.OBJECTIVE,))
    look = fixed("spent", 0.0, below=True)
    queries = [Query(expr, f"{{{{{names.OBJECTIVE}}}}}")]
    return trend("Error budget left", text, queries, size=(12, 8), unit="percentunit", limit=look, empty=NO_OBJECTIVE)


def _burn() -> Panel:
    text = describe(
        "Share of bad events by objective, over the last five minutes, hour and day: wrong outcomes, failed requests, "
        "slow predictions, invalid feature values.",
        good="Low and flat.",
        bad="Five minutes high, the hour low: it began just now. Five minutes low, the hour high: it is over.",
        do="The burn alerts compare these; the row of the objective says what went wrong.",
    )
    series = _recorded(names.OBJECTIVE_BAD_EVENT_RATIO, f'{names.BURN_WINDOW}=~"{SHOWN}"')
    expr = by("max", series, (names.OBJECTIVE, names.BURN_WINDOW))
    queries = [Query(expr, f"{{{{{names.OBJECTIVE}}}}} {{{{{names.BURN_WINDOW}}}}}")]
    return trend("Bad events", text, queries, size=(12, 8), unit="percentunit", floor=0, calcs=(), empty=NO_OBJECTIVE)


def _recorded(name: str, *more: str) -> str:
    """A recorded series of the chosen model; objectives know no versions."""
    return f"{name}{{{','.join([VARIABLES[names.MODEL_NAME], *more])}}}"
