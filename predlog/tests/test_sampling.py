import math
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from predlog import PredictionLog, Sampling, confidence_below, failed, score_above, value_above
from predlog.sampling import Sampler

Read = Callable[..., list[dict[str, Any]]]


def fail(error: Exception) -> None:
    raise error


def sampler(**arguments: Any) -> Sampler:
    return Sampler(Sampling(**arguments), Random(7), fail)  # noqa: S311 - the same draws each time


def test_weighted_sums_estimate_all_requests_though_conditions_pick_records() -> None:
    random = Random(1)  # noqa: S311 - the same scores each time
    scores = [random.random() ** 3 for _ in range(50_000)]
    chooser = sampler(rate=0.1, always=[score_above(0.7)])
    weights = [chooser.weight({"score": score}) for score in scores]
    kept = [(score, weight) for score, weight in zip(scores, weights, strict=True) if weight is not None]
    # Horvitz-Thompson: the variance of an estimated total is the sum of x^2 (1 - p) / p; four deviations are allowed.
    for size in (lambda _: 1.0, lambda score: score, lambda score: score * (score > 0.6)):
        spread = math.sqrt(sum(size(score) ** 2 * 9 for score in scores if score <= 0.7))
        estimate = sum(weight * size(score) for score, weight in kept)
        assert abs(estimate - sum(map(size, scores))) < 4 * spread
    assert len(kept) < 0.3 * len(scores)


def test_a_kept_record_weighs_one_over_its_probability_and_an_always_kept_one_weighs_one(
    folder: Path, read: Read, total: Callable[[str], int]
) -> None:
    with PredictionLog("m", "v", folder, sampling=Sampling(rate=0.25, always=[confidence_below(0.6)])) as log:
        for _ in range(2000):
            log.log({}, score=0.95)
        for _ in range(50):
            log.log({}, score=0.55)
    records = read("prediction")
    assert {record["weight"] for record in records if record["score"] == 0.95} == {4.0}
    assert [record["weight"] for record in records if record["score"] == 0.55] == [1.0] * 50
    assert total("requests") == 2050
    assert total("skipped") == 2050 - len(records)
    assert 0 < total("skipped") < 2000


def test_by_id_the_same_entities_are_kept_by_every_process_and_time() -> None:
    records = [{"id": f"customer-{index}"} for index in range(4000)]
    first, second = (Sampler(Sampling(rate=0.2, by_id=True), Random(seed), fail) for seed in (1, 2))  # noqa: S311 - draws
    kept = [first.weight(record) for record in records]
    assert kept == [second.weight(record) for record in reversed(records)][::-1]
    share = sum(weight is not None for weight in kept) / len(records)
    assert abs(share - 0.2) < 4 * math.sqrt(0.2 * 0.8 / len(records))


def test_by_id_a_lower_rate_keeps_a_subset() -> None:
    records = [{"id": str(index)} for index in range(2000)]
    few, many = sampler(rate=0.1, by_id=True), sampler(rate=0.4, by_id=True)
    assert all(many.weight(record) for record in records if few.weight(record))


@pytest.mark.parametrize(
    ("condition", "record", "holds"),
    [
        (confidence_below(0.6), {"score": 0.45}, True),
        (confidence_below(0.6), {"score": 0.05}, False),
        (confidence_below(0.6), {"score": None}, False),
        (confidence_below(0.6), {}, False),
        (confidence_below(0.6), {"probabilities": {"a": 0.4, "b": 0.3, "c": 0.3}}, True),
        (score_above(0.9), {"score": 0.95}, True),
        (score_above(0.9), {"score": 0.9}, False),
        (value_above("amount", 100), {"features": {"amount": 101}}, True),
        (value_above("amount", 100), {"features": {"amount": "many"}}, False),
        (value_above("amount", 100), {"features": {}}, False),
        (failed, {"error": "Timeout"}, True),
        (failed, {}, False),
    ],
)
def test_a_condition_holds_for_what_its_name_says(
    condition: Callable[..., bool], record: dict[str, Any], *, holds: bool
) -> None:
    assert condition(record) is holds


def test_a_condition_that_raises_counts_as_not_met(folder: Path, read: Read) -> None:
    with PredictionLog(
        "m", "v", folder, sampling=Sampling(rate=1e-9, always=[lambda record: record["nothing"]])
    ) as log:
        log.log({})
        assert log.flush() == 0
    assert read("prediction") == []


def test_a_budget_of_records_lowers_the_rate_and_never_raises_it() -> None:
    chooser = sampler(rate=0.5, records_per_second=10, always=[failed])
    for _ in range(1000):
        chooser.weight({})
    for _ in range(4):
        chooser.weight({"error": "x"})
    chooser.adapt(1.0, 500)
    assert chooser.probability == pytest.approx((10 - 4) / 1000)
    for _ in range(10):
        chooser.adapt(1.0, 500)
    assert chooser.probability == 0.5


def test_a_budget_of_bytes_fits_the_rate_to_the_size_of_records() -> None:
    chooser = sampler(bytes_per_day=86_400 * 1000)
    for _ in range(100):
        assert chooser.weight({}) == 1
    chooser.adapt(1.0, 200)
    assert chooser.probability == pytest.approx(1000 / 200 / 100)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": 0}, "rate must lie in"),
        ({"rate": 1.5}, "rate must lie in"),
        ({"rate": math.nan}, "rate must lie in"),
        ({"records_per_second": 0}, "records_per_second must be above 0"),
        ({"always": ["score"]}, "always must hold callables"),
    ],
)
def test_sampling_that_makes_no_sense_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sampling(**arguments)
