"""One measure that raises costs itself alone, and says so."""

from collections.abc import Iterator
from itertools import count

from exporter import measures, names
from exporter.measures import Sample, Scope
from exporter.snapshot import take_snapshot
from tests.strategies import baseline_of, counting, model_of, prediction, scope_of, value_of


def scope(name: str = "m") -> Scope:
    baseline = baseline_of()
    return scope_of(model_of(name=name), baseline, counting().of_rows([prediction(label=1)]))


def clock() -> float:
    return float(next(clock.ticks))  # type: ignore[attr-defined]  # set below


clock.ticks = count()  # type: ignore[attr-defined]  # a steady clock of whole seconds


def broken(_: Scope) -> Iterator[Sample]:
    yield Sample(names.MODEL_AUC, ("half", "done", "1d"), 1.0)
    raise ZeroDivisionError("no luck")


def test_a_measure_that_raises_hides_nothing_else() -> None:
    whole = take_snapshot([scope()], 5.0, clock)
    partial = take_snapshot([scope()], 5.0, clock, {**measures.MEASURES, "quality": broken})
    lost = {sample.family.name for sample in whole.samples} - {sample.family.name for sample in partial.samples}
    assert lost == {sample.family.name for sample in measures.MEASURES["quality"](scope())}
    assert value_of(partial.samples, names.MODEL_ACCURACY) == 1.0
    assert value_of(partial.samples, names.MODEL_AUC) is None
    assert value_of(partial.samples, names.STATISTIC_SUCCESS, "m", "quality") == 0.0
    assert {s.value for s in partial.samples if s.family is names.STATISTIC_SUCCESS} == {0.0, 1.0}
    [failure] = partial.failures
    assert (failure.model, failure.statistic, str(failure.error)) == ("m", "quality", "no luck")


def test_success_and_duration_stand_once_for_each_model_and_statistic() -> None:
    taken = take_snapshot([scope(), scope(), scope("n")], 5.0, clock)
    assert taken.at == 5.0
    assert not taken.failures
    for family in (names.STATISTIC_SUCCESS, names.STATISTIC_DURATION_SECONDS):
        labels = [sample.labels for sample in taken.samples if sample.family is family]
        assert sorted(labels) == sorted((model, statistic) for model in "mn" for statistic in measures.MEASURES)
    assert value_of(taken.samples, names.STATISTIC_DURATION_SECONDS, "m", "cost") == 2.0
    assert value_of(taken.samples, names.STATISTIC_DURATION_SECONDS, "n", "cost") == 1.0


def test_a_failure_of_one_version_marks_its_model_only() -> None:
    def of_m(scope: Scope) -> Iterator[Sample]:
        return broken(scope) if scope.model.name == "m" else iter(())

    taken = take_snapshot([scope(), scope("n")], 5.0, clock, {"auc": of_m})
    assert value_of(taken.samples, names.STATISTIC_SUCCESS, "m", "auc") == 0.0
    assert value_of(taken.samples, names.STATISTIC_SUCCESS, "n", "auc") == 1.0


def test_nothing_to_measure_is_an_empty_snapshot() -> None:
    assert take_snapshot([], 5.0, clock).samples == ()
