"""The flights' story through real servers: drift is scraped, told once by its gravest alert, and told to be over."""

import pytest
import yaml

from exporter import names
from exporter.demo.workspace import DEPLOY

from .conftest import DRIFTED
from .stack import Moment, Stack, features

pytestmark = pytest.mark.e2e

QUIET = {"distance", "hour"}
"""What is flown, and when in the day, hardly changes from month to month."""

DRIFT = "PredictionFeatureDrift.*"


def values(stack: Stack, expr: str, at: Moment) -> list[float]:
    return [float(series["value"][1]) for series in stack.query(expr, at.time)]


def psi(stack: Stack, at: Moment) -> dict[str, float]:
    """PSI by feature over the window that alerts look at."""
    found = stack.query(f'{names.FEATURE_DRIFT_SCORE.name}{{method="psi",window="28d"}}', at.time)
    return {series["metric"]["feature"]: float(series["value"][1]) for series in found}


def test_the_webhook_s_configuration_is_the_committed_one_but_for_the_receivers(stack: Stack) -> None:
    committed = DEPLOY / "flights/alerting"
    assert (stack.built / "rules.yml").read_bytes() == (committed / "rules.yml").read_bytes()
    ours, theirs = (yaml.safe_load((at / "alertmanager.yml").read_text()) for at in (stack.built, committed))
    for receiver in (*ours["receivers"], *theirs["receivers"]):
        assert receiver.pop("webhook_configs")
    assert ours == theirs


def test_every_target_is_up_and_the_statistics_are_scraped(stack: Stack, drifted: Moment) -> None:
    up = {series["metric"]["job"]: series["value"][1] for series in stack.query(names.UP, drifted.time)}
    assert up == {"prediction-exporter": "1", "alertmanager": "1"}
    for family in (names.MODEL_AUC, names.FEATURE_DRIFT_SCORE, names.FEATURE_COMPLETENESS, names.PREDICTIONS_IN_WINDOW):
        assert values(stack, family.name, drifted), family.name
    assert values(stack, names.STATISTIC_SUCCESS.name, drifted).count(0.0) == 0
    assert set(values(stack, names.REJECTED_RECORDS_TOTAL.name, drifted)) == {0.0}


def test_the_exporter_has_counted_every_flight_that_was_logged(
    stack: Stack, drifted: Moment, recovered: Moment
) -> None:
    first, last = stack.counted(drifted.time), stack.counted(recovered.time)
    assert first < last == stack.logged()


def test_january_itself_has_not_drifted(calm: Moment) -> None:
    assert [
        alert["labels"] for alert in calm.alerts if alert["labels"]["alertname"].startswith("PredictionFeatureDrift")
    ] == []


def test_auc_falls_when_the_weather_changes(stack: Stack, calm: Moment, drifted: Moment) -> None:
    auc = f'{names.MODEL_AUC.name}{{window="28d"}}'
    [before], [after] = values(stack, auc, calm), values(stack, auc, drifted)
    assert before > 0.8
    assert after < 0.7
    [expected] = values(stack, f'{names.MODEL_ESTIMATED_AUC_LOWER.name}{{window="28d"}}', drifted)
    assert expected > after  # by the scores alone it cannot be seen that they lost their meaning


def test_severe_drift_fires_for_the_weather_and_never_for_what_stays(stack: Stack, drifted: Moment) -> None:
    severe = features(drifted.alerts, "PredictionFeatureDriftSevere", "active")
    assert severe >= DRIFTED
    assert severe <= {name for name, value in psi(stack, drifted).items() if value >= 0.3}
    assert not severe & QUIET


def test_graver_drift_suppresses_the_lesser_alerts_of_its_feature(drifted: Moment) -> None:
    severe = {
        alert["fingerprint"]: alert["labels"]["feature"]
        for alert in drifted.alerts
        if alert["labels"]["alertname"] == "PredictionFeatureDriftSevere"
    }
    for lesser in ("PredictionFeatureDriftModerate", "PredictionFeatureDriftMinor"):
        silent = [alert for alert in drifted.alerts if alert["labels"]["alertname"] == lesser]
        silent = [alert for alert in silent if alert["labels"]["feature"] in DRIFTED]
        assert {alert["labels"]["feature"] for alert in silent} == DRIFTED
        for alert in silent:
            assert alert["status"]["state"] == "suppressed"
            by = {severe.get(source) for source in alert["status"]["inhibitedBy"]}
            assert alert["labels"]["feature"] in by


def test_the_receiver_hears_of_the_gravest_drift_with_words_and_links(stack: Stack, drifted: Moment) -> None:
    assert drifted.time
    told = stack.receiver.alerts("PredictionFeatureDriftSevere", "firing")
    assert {alert["labels"]["feature"] for alert in told} >= DRIFTED
    for alert in told:
        assert alert["annotations"]["summary"].startswith(alert["labels"]["feature"])
        assert alert["annotations"]["runbook_url"].endswith("/runbook#PredictionFeatureDriftSevere")
        assert f"var-feature={alert['labels']['feature']}" in alert["annotations"]["dashboard_url"]


def test_when_january_comes_again_the_alerts_are_told_to_be_over(stack: Stack, recovered: Moment) -> None:
    assert stack.receiver.features("PredictionFeatureDriftSevere", "resolved") >= DRIFTED
    assert [alert["labels"] for alert in recovered.alerts if alert["labels"].get("feature") in DRIFTED] == []
    assert all(psi(stack, recovered)[name] < 0.1 for name in DRIFTED)


def test_what_stays_the_same_was_quiet_throughout(stack: Stack, calm: Moment, recovered: Moment) -> None:
    quiet = "|".join(QUIET)
    assert psi(stack, recovered).keys() >= QUIET
    length = int(recovered.time - calm.time) + 60
    assert stack.query(f'ALERTS{{alertname=~"{DRIFT}",feature=~"{quiet}"}}[{length}s]', recovered.time) == []
    assert stack.query(f'ALERTS{{alertname=~"{DRIFT}",feature="temp"}}[{length}s]', recovered.time) != []
    for name in ("PredictionFeatureDriftSevere", "PredictionFeatureDriftModerate", "PredictionFeatureDriftMinor"):
        assert not stack.receiver.features(name, "firing") & QUIET
