"""What sampling saves, in bytes and money, against logs that the library really wrote."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from exporter import names
from exporter.config import Costs
from exporter.costs import log_cost
from predlog import PredictionLog, Sampling, confidence_below
from tests.exporters import Make, series, step, write
from tests.world import CONFIG, START, counts, prediction, text

REQUESTS = 4_000
IMPORTANT = 0.05  # share of the requests that the example policy always keeps
POLICY = Sampling(rate=0.1, always=[confidence_below(0.6)])  # the mission's example


def scores() -> Iterator[float]:
    """One in twenty is unsure."""
    random = Random(3)  # noqa: S311 - the same scores each time
    for number in range(REQUESTS):
        yield 0.55 if number % 20 == 0 else random.choice([0.03, 0.95])


def logged(folder: Path, sampling: Sampling | None) -> int:
    """Log the requests, ten a second; the bytes that the log takes."""
    with PredictionLog("churn", "v1", folder, sampling=sampling, fsync="never") as log:
        for number, score in enumerate(scores()):
            features = {"age": 20.0 + number % 50, "colour": "red"}
            log.log(features, score=score, id=f"c-{number}", ts=START + number / 10)
        assert log.flush() == 0
    return sum(path.stat().st_size for path in folder.iterdir())


def test_the_example_policy_shrinks_the_log_by_nine_tenths_of_what_is_not_important(tmp_path: Path, make: Make) -> None:
    whole, sampled = logged(tmp_path / "whole", None), logged(tmp_path / "logs", POLICY)
    kept = 0.1 * (1 - IMPORTANT) + IMPORTANT  # 14.5 %: the log shrinks by 85.5 %
    # Four standard deviations of the draw, and the counts records, which no sampling spares: half a percent.
    spread = 4 * (0.1 * 0.9 * (1 - IMPORTANT) / REQUESTS) ** 0.5 + 0.005
    assert sampled / whole == pytest.approx(kept, abs=spread)

    exporter = make()
    step(exporter)
    found = series(exporter)
    labels = "churn", "v1"
    logs = found[names.PREDICTIONS_LOGGED_TOTAL.name, *labels]
    skipped = found[names.PREDICTIONS_SKIPPED_TOTAL.name, *labels]
    assert logs + skipped == REQUESTS
    assert logs / REQUESTS == pytest.approx(kept, abs=spread)
    # A month of the longest window, 7 days: what is spared is what the log without sampling would take more.
    month = 30 / 7
    spared = found[names.SAMPLING_SAVINGS_BYTES.name, *labels]
    assert spared == pytest.approx(skipped / logs * sampled * month)
    assert spared == pytest.approx((whole - sampled) * month, rel=0.05)
    saved = found[names.SAMPLING_SAVINGS_USD.name, *labels]
    stored = found[names.MONITORING_COST_USD.name, "log_storage"]
    assert saved == pytest.approx(spared / 2**30 * (0.10 + 0.023))  # ingestion, and a month of storage
    assert saved / (saved + stored) == pytest.approx(skipped / REQUESTS)


def test_without_sampling_nothing_is_saved_and_that_is_told(tmp_path: Path, make: Make) -> None:
    write(tmp_path, text([prediction(1), counts(2, skipped=0)]))
    exporter = make()
    step(exporter)
    found = series(exporter)
    assert found[names.SAMPLING_SAVINGS_BYTES.name, "churn", "v1"] == 0
    assert found[names.SAMPLING_SAVINGS_USD.name, "churn", "v1"] == 0


def test_savings_are_by_model_and_version_and_leave_the_window_with_their_counts(tmp_path: Path, make: Make) -> None:
    write(tmp_path, text([prediction(1), counts(2, skipped=30), counts(3, skipped=10, version="v2")]))
    exporter = make()
    step(exporter)
    found, name = series(exporter), names.SAMPLING_SAVINGS_BYTES.name
    assert found[name, "churn", "v1"] == pytest.approx(3 * found[name, "churn", "v2"]) != 0
    write(tmp_path, text([prediction(4, ts=START + 8 * 86_400)]))
    step(exporter)
    assert series(exporter)[name, "churn", "v1"] == 0


def test_the_longer_logs_are_kept_the_more_a_byte_costs() -> None:
    costs = Costs(log_ingestion_usd_per_gib=0.5, log_storage_usd_per_gib_month=0.1, log_retention="60d")
    assert log_cost(costs, 2**30) == pytest.approx(0.5 + 2 * 0.1)


def test_prices_come_from_the_configuration(tmp_path: Path, make: Make) -> None:
    write(tmp_path, text([prediction(1), counts(2, skipped=30)]))
    exporter = make(CONFIG + "costs: {log_storage_usd_per_gib_month: 0, log_ingestion_usd_per_gib: 2}\n")
    step(exporter)
    found = series(exporter)
    spared = found[names.SAMPLING_SAVINGS_BYTES.name, "churn", "v1"]
    assert found[names.SAMPLING_SAVINGS_USD.name, "churn", "v1"] == pytest.approx(2 * spared / 2**30)
