"""What is wrong with a model now, held against the thresholds that its alerts compare with.

Alerts also wait until a condition has lasted, so a verdict may stand here before its alert fires.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from exporter import names
from exporter.config import BROKEN_BELOW, parse_duration
from exporter.measures import Scope
from exporter.measures.comparison import JUDGED
from exporter.pages.document import LEVELS, Level
from exporter.pages.seen import Seen
from exporter.pages.words import number, percent, said


@dataclass(frozen=True, slots=True)
class Verdict:
    """One finding: how grave, in a sentence, in which window, and of which feature, if of one."""

    level: Level
    text: str
    window: str
    feature: str = ""


def verdicts(seen: Seen, scope: Scope) -> list[Verdict]:
    """Everything that stands out, gravest first."""
    found = [*_drift(seen, scope), *_performance(seen, scope), *_quality(seen, scope)]
    return sorted(found, key=lambda verdict: LEVELS.index(verdict.level))


def state(seen: Seen, scope: Scope) -> Level:
    """The gravest level; `none` where the drift window holds no prediction."""
    if not scope.windows[scope.model.drift.window].records:
        return "none"
    return min((verdict.level for verdict in verdicts(seen, scope)), key=LEVELS.index, default="ok")


def drift_level(scope: Scope, score: float | None) -> Level:
    """How grave a feature's score is, by the model's levels."""
    levels = scope.model.thresholds.feature_drift
    if score is None:
        return "none"
    steps: tuple[tuple[float, Level], ...] = (
        (levels.severe, "critical"), (levels.moderate, "warning"), (levels.minor, "info")
    )  # fmt: skip
    return next((level for least, level in steps if score >= least), "ok")


def feature_level(seen: Seen, scope: Scope, window: str, feature: str) -> Level:
    """As `drift_level`, of a drift that is no chance; else ok."""
    score = seen.of(scope, names.FEATURE_DRIFT_SCORE, window, feature, JUDGED)
    drifted = seen.of(scope, names.FEATURE_DRIFTED, window, feature)
    return drift_level(scope, score) if score is None or drifted else "ok"


def _drift(seen: Seen, scope: Scope) -> Iterator[Verdict]:
    window, limits = scope.model.drift.window, scope.model.thresholds
    words = {"critical": "severe", "warning": "moderate", "info": "minor"}
    scores = {feature.name: seen.of(scope, names.FEATURE_DRIFT_SCORE, window, feature.name, JUDGED)
              for feature in scope.totals.layout.features}  # fmt: skip
    for feature, score in sorted(scores.items(), key=lambda pair: -(pair[1] or 0.0)):
        level = feature_level(seen, scope, window, feature)
        if level in words:
            yield Verdict(level, f"{feature} has drifted ({words[level]}): PSI {number(score)}", window, feature)
    output = seen.of(scope, names.PREDICTION_DRIFT_SCORE, window, JUDGED)
    if output is not None and output >= limits.prediction_drift:
        severe = output >= limits.prediction_drift_severe
        yield Verdict("critical" if severe else "warning", f"The output has drifted: PSI {number(output)}", window)
    drifted = seen.of(scope, names.DRIFTED_FEATURES, window)
    if drifted is not None and drifted >= limits.drifted_features:
        yield Verdict("warning", f"{number(drifted)} features have drifted", window)


def _performance(seen: Seen, scope: Scope) -> Iterator[Verdict]:
    window, limits = scope.model.drift.window, scope.model.thresholds
    accuracy = seen.of(scope, names.MODEL_ACCURACY, window)
    if accuracy is not None and accuracy < limits.accuracy:
        yield Verdict("warning", f"Accuracy is {percent(accuracy)}, below {percent(limits.accuracy)}", window)
    area = seen.of(scope, names.MODEL_AUC, window)
    if area is not None and area < limits.auc:
        yield Verdict("warning", f"AUC is {number(area)}, below {number(limits.auc)}", window)
    ratios = {metric: seen.of(scope, names.MODEL_PERFORMANCE_BASELINE_RATIO, window, metric)
              for metric in scope.totals.layout.baseline.performance}  # fmt: skip
    poor = [f"{said(metric)} {percent(ratio)}" for metric, ratio in ratios.items()
            if ratio is not None and ratio < limits.baseline_ratio]  # fmt: skip
    if poor:
        yield Verdict("warning", f"Below {percent(limits.baseline_ratio)} of the baseline's: {', '.join(poor)}", window)


def _quality(seen: Seen, scope: Scope) -> Iterator[Verdict]:
    window, least = scope.model.drift.window, scope.model.thresholds.completeness
    shortest = min(scope.windows, key=parse_duration)
    for feature in scope.totals.layout.features:
        now = seen.of(scope, names.FEATURE_COMPLETENESS, shortest, feature.name)
        rows = seen.of(scope, names.PREDICTIONS_IN_WINDOW, shortest) or 0.0
        if now is not None and now < BROKEN_BELOW and rows >= scope.model.drift.min_rows:
            text = f"{feature.name} is mostly missing: {percent(now)} complete"
            yield Verdict("critical", text, shortest, feature.name)
        complete = seen.of(scope, names.FEATURE_COMPLETENESS, window, feature.name)
        if complete is not None and complete < least:
            text = f"{feature.name} is {percent(complete)} complete, below {percent(least)}"
            yield Verdict("warning", text, window, feature.name)
