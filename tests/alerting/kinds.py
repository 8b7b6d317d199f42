"""The kinds of case that every alert is held to, written for promtool from one row of the table of cases."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from .cases import Case, Labels, Rate, Series
from .promtool import SHIPPED, inputs, nobody, somebody, values

Test = dict[str, Any]

FIRES_ON_ABSENCE = {"PredictionExporterAbsent"}
FIRES_ON_NAN = {
    "PredictionStatisticNaN",
    "PredictionLatencyHigh",  # a quantile of buckets that are NaN is the highest bound; counts are never NaN
    "PredictionDriftCheckAbsent",  # these ask for the absence of a series, whatever the value of the one beside it
    "PredictionRecordsAbsent",
    "PredictionObjectiveUnmeasured",
}
FIRES_WITHOUT_ONE = {
    "PredictionLatencyHigh",  # a quantile is taken over the buckets there are
    "PredictionFalseAlertsHigh",  # a share is taken over the verdicts there are
    "PredictionObjectiveUnmeasured",  # of any objective
}
REMEMBERS = {"PredictionObjectiveUnmeasured"}  # what it misses counts for 30 days
TWINS = ("model_name", "instance", "job")  # by which of its labels an alert tells two subjects apart, the first it has
RESTART = 2  # minutes that the exporter does not answer


def boundary(case: Case) -> Iterator[Test]:
    """Silent one step before, told with its numbers at the step; never beside the limit; a healthy twin keeps out."""
    end = case.at + 10
    healthy = renamed(case.calm, case) if case.labels.keys() & {"model_name"} else ()
    yield of(case.fires + healthy, end, nobody(case.alert, case.at - 1), somebody(case.at, case))
    yield of(case.calm, end, nobody(case.alert, end))


def absent(case: Case) -> Iterator[Test]:
    """Without its series, and without any one of them, nothing is told."""
    end = case.at + 10
    if case.alert not in FIRES_ON_ABSENCE:
        yield of(renamed(case.calm, case), end, nobody(case.alert, end))
    if case.alert not in FIRES_WITHOUT_ONE:
        for place in range(len(case.fires)):
            yield of(case.fires[:place] + case.fires[place + 1 :], end, nobody(case.alert, end))


def stale(case: Case) -> Iterator[Test]:
    """Series that end take the alert with them; what asks for absence fires when the series it misses ends."""
    if case.fires:
        step = evaluation_step(case)
        told = -(-case.at // step) * step + step
        gone = told + -(-(case.memory + SHIPPED[case.alert].hold.keep // 60) // step) * step + 2 * step
        ended = [{"series": one.key(), "values": f"{values(one.value, told)} stale"} for one in case.fires]
        yield {"input_series": ended, "promql_expr_test": [firing_count(case, told, 1), firing_count(case, gone, 0)]}
    missed = [one for one in case.calm if one.key() not in {other.key() for other in case.fires}]
    if missed and case.alert not in REMEMBERS:
        series = inputs(case.fires, 2 * case.at + 10)
        series += [{"series": one.key(), "values": f"{values(one.value, 4)} stale"} for one in missed]
        silent, told_of = nobody(case.alert, case.at + 4), somebody(case.at + 5, case)
        yield {"input_series": series, "alert_rule_test": [silent, told_of]}


def not_a_number(case: Case) -> Iterator[Test]:
    """NaN fires nothing but what asks for it."""
    end = case.at + 10
    if case.fires and case.alert not in FIRES_ON_NAN:
        series = [{"series": one.key(), "values": values(float("nan"), end)} for one in case.fires]
        yield {"input_series": series, "alert_rule_test": [nobody(case.alert, end)]}


def restart(case: Case) -> Iterator[Test]:
    """A restart, of two scrapes without answer and counters from 0, fires nothing, and does not put an alert off."""
    begins, end = max(case.at // 2, 2), case.at + 20
    silent = [nobody(case.alert, minute) for minute in range(begins, end, 3)]
    yield {"input_series": restarted(case.calm, begins, end), "alert_rule_test": silent}
    if case.fires:
        yield {
            "input_series": restarted(case.fires, begins, end),
            "promql_expr_test": [firing_count(case, end, 1)],
        }


def several(case: Case) -> Iterator[Test]:
    """Two models, or two exporters, in the same trouble are told apart."""
    if label := twin_label(case):
        other = replace(case, labels=case.labels | {label: "other"})
        series = case.fires + renamed(case.fires, case)
        yield of(series, case.at + 10, nobody(case.alert, case.at - 1), somebody(case.at, case, other))


def recovery(case: Case) -> Iterator[Test]:
    """A constant that turns bad and good again: the alert goes on for keep_firing_for, and then ends."""
    if recovers(case):
        back, keep = case.at + 2, SHIPPED[case.alert].hold.keep // 60
        series = [
            {"series": bad.key(), "values": f"{values(bad.value, back - 1)} {values(good.value, keep + 1)}"}
            for bad, good in zip(case.fires, case.calm, strict=True)
        ]
        still, over = somebody(back + keep - 1, case), nobody(case.alert, back + keep)
        yield {"input_series": series, "alert_rule_test": [still, over]}


KINDS: dict[str, Callable[[Case], Iterator[Test]]] = {
    "boundary": boundary,
    "absent": absent,
    "stale": stale,
    "NaN": not_a_number,
    "restart": restart,
    "several": several,
    "recovery": recovery,
}


def recovers(case: Case) -> bool:
    """Whether bad and good are the same constants; a rate forgets slowly, and a value told would change."""
    constant = all(not isinstance(one.value, Rate) for one in case.fires)
    told = SHIPPED[case.alert].summary + SHIPPED[case.alert].description
    return constant and [one.key() for one in case.fires] == [one.key() for one in case.calm] and "$value" not in told


def of(series: tuple[Series, ...], end: int, *alerts: Test) -> Test:
    return {"input_series": inputs(series, end), "alert_rule_test": list(alerts)}


def firing_count(case: Case, minute: int, count: int) -> Test:
    """promtool's assertion of how many alerts fire, whatever their value is by then."""
    samples = [{"labels": "{}", "value": count}] if count else []
    expr = f'count(ALERTS{{alertname="{case.alert}",alertstate="firing"}})'
    return {"expr": expr, "eval_time": f"{minute}m", "exp_samples": samples}


def evaluation_step(case: Case) -> int:
    """Minutes between two evaluations: what looks back for an hour and more is not asked every minute till it ends."""
    return 10 if case.memory >= 60 else 1


def twin_label(case: Case) -> str:
    return next((label for label in TWINS if label in case.labels), "")


def renamed(series: tuple[Series, ...], case: Case) -> tuple[Series, ...]:
    """The same series of another model, or of another exporter where the alert knows no models."""
    label = twin_label(case)
    other: Labels = {label: "other"} if label else {}
    return tuple(replace(one, labels=one.labels | other) for one in series)


def restarted(series: tuple[Series, ...], begins: int, end: int) -> list[dict[str, str]]:
    """Counters lose unlike amounts, or what a difference takes for growth would cancel out in a ratio."""
    after = end - begins
    return [
        {
            "series": one.key(),
            "values": f"{values(one.value, begins, 10 ** (6 - place % 6))} _x{RESTART} {values(one.value, after)}",
        }
        for place, one in enumerate(series)
    ]
