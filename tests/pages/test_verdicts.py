"""Verdicts hold the exported numbers against the model's thresholds, as its alerts do."""

import pytest

from exporter import names
from exporter.config import Costs, parse_config
from exporter.measures import Sample, Scope
from exporter.names import Family
from exporter.pages.document import Level
from exporter.pages.seen import Seen
from exporter.pages.verdicts import state, verdicts
from tests.strategies import Counting, baseline_of, model_of, prediction

CONFIG = parse_config("""
log: [{path: logs/}]
evaluation: {windows: [1h, 1d]}
models: [{name: m, task: binary, baseline: m.json, drift: {min_rows: 5}}]
""")


def seen(*numbers: tuple[Family, tuple[str, ...], float], rows: int = 10) -> tuple[Seen, Scope]:
    """An evaluation that exported `numbers` for the drift window, or the window that they name first."""
    profile = Counting.of(model_of(), baseline_of()).of_rows([prediction(2.0 + row) for row in range(rows)])
    scope = Scope(CONFIG.models[0], "v", Costs(), {"1h": profile, "1d": profile}, profile, {})
    samples = [Sample(family, ("m", "v", *(labels if labels[:1] == ("1h",) else ("1d", *labels))), value)
               for family, labels, value in numbers]  # fmt: skip
    return Seen(1e9, CONFIG, (scope,), samples), scope


DRIFTED = (names.FEATURE_DRIFTED, ("x",), 1.0)


@pytest.mark.parametrize(
    ("numbers", "level", "text"),
    [
        ([(names.FEATURE_DRIFT_SCORE, ("x", "psi"), 0.3), DRIFTED], "critical", "x has drifted (severe): PSI 0.3"),
        ([(names.FEATURE_DRIFT_SCORE, ("x", "psi"), 0.2), DRIFTED], "warning", "x has drifted (moderate): PSI 0.2"),
        ([(names.FEATURE_DRIFT_SCORE, ("x", "psi"), 0.1), DRIFTED], "info", "x has drifted (minor): PSI 0.1"),
        ([(names.PREDICTION_DRIFT_SCORE, ("psi",), 0.15)], "warning", "The output has drifted: PSI 0.15"),
        ([(names.PREDICTION_DRIFT_SCORE, ("psi",), 0.3)], "critical", "The output has drifted: PSI 0.3"),
        ([(names.DRIFTED_FEATURES, (), 3.0)], "warning", "3 features have drifted"),
        ([(names.MODEL_ACCURACY, (), 0.8499)], "warning", "Accuracy is 85 %, below 85 %"),
        ([(names.MODEL_AUC, (), 0.89)], "warning", "AUC is 0.89, below 0.9"),
        ([(names.FEATURE_COMPLETENESS, ("c",), 0.98)], "warning", "c is 98 % complete, below 99 %"),
        (
            [(names.FEATURE_COMPLETENESS, ("1h", "c"), 0.4), (names.PREDICTIONS_IN_WINDOW, ("1h",), 5.0)],
            "critical",
            "c is mostly missing: 40 % complete",
        ),
    ],
)
def test_what_reaches_a_threshold_stands_out(
    numbers: list[tuple[Family, tuple[str, ...], float]], level: Level, text: str
) -> None:
    found, scope = seen(*numbers)
    assert [(verdict.level, verdict.text) for verdict in verdicts(found, scope)] == [(level, text)]
    assert state(found, scope) == level


@pytest.mark.parametrize(
    "numbers",
    [
        [(names.FEATURE_DRIFT_SCORE, ("x", "psi"), 0.9), (names.FEATURE_DRIFTED, ("x",), 0.0)],  # chance
        [(names.FEATURE_DRIFT_SCORE, ("x", "psi"), 0.0999), DRIFTED],
        [(names.PREDICTION_DRIFT_SCORE, ("psi",), 0.1499)],
        [(names.DRIFTED_FEATURES, (), 2.0)],
        [(names.MODEL_ACCURACY, (), 0.85)],
        [(names.FEATURE_COMPLETENESS, ("c",), 0.99)],
        [(names.FEATURE_COMPLETENESS, ("1h", "c"), 0.4), (names.PREDICTIONS_IN_WINDOW, ("1h",), 4.0)],  # too few
        [],
    ],
)
def test_what_does_not_reach_it_does_not(numbers: list[tuple[Family, tuple[str, ...], float]]) -> None:
    found, scope = seen(*numbers)
    assert (verdicts(found, scope), state(found, scope)) == ([], "ok")


def test_without_predictions_there_is_no_state() -> None:
    assert state(*seen(rows=0)) == "none"


def test_the_gravest_comes_first_and_within_it_the_largest_drift() -> None:
    numbers = [(names.FEATURE_DRIFT_SCORE, ("x", "psi"), 0.4), DRIFTED, (names.DRIFTED_FEATURES, (), 3.0),
               (names.FEATURE_DRIFT_SCORE, ("c", "psi"), 0.5), (names.FEATURE_DRIFTED, ("c",), 1.0)]  # fmt: skip
    assert [verdict.feature for verdict in verdicts(*seen(*numbers))] == ["c", "x", ""]
