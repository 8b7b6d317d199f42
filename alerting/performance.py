"""Alerts on performance: accuracy, AUC, and either against the baseline; on predictions whose outcome has arrived."""

from alerting.alert import STATISTIC, Alert, Runbook
from alerting.drift import WHO
from alerting.promql import compare, either, levels, number, told
from exporter import names
from exporter.config import Config
from exporter.names import SEGMENT, SEGMENTED, VALUE, WINDOWED


def performance_alerts(config: Config) -> tuple[Alert, ...]:
    """All warn: the outcomes they stand on are late, so they open tickets."""
    return (_accuracy(config), _auc(config), _below_baseline(config), _segment_accuracy(config))


_LOOK = (
    "Row 1 of the dashboard: how many predictions have their outcome (coverage; few make the number unsure, see its "
    "bounds), and since when it fell. Row 2: drift that began at the same time. Row 4: broken inputs."
)
_ACT = (
    "Mend broken inputs first. After a release, compare the versions and roll back the worse one. Otherwise retrain on "
    "recent labelled data, if there is enough of it."
)


def _accuracy(config: Config) -> Alert:
    return Alert(
        name="PredictionAccuracyLow",
        severity="warning",
        expr=compare(config, names.MODEL_ACCURACY, "<", lambda t: t.accuracy),
        hold=STATISTIC,
        labels=WINDOWED,
        summary=f"Accuracy of {WHO} is {{{{ $value | humanizePercentage }}}}",
        description=(
            "{{ $value | humanizePercentage }} of the labelled predictions over {{ $labels.window }} were right; "
            f"less than {told(config, lambda t: t.accuracy, percent=True)} warns."
        ),
        runbook=Runbook("Of the predictions whose outcome is known, too few were right.", _LOOK, _ACT),
    )


def _auc(config: Config) -> Alert:
    return Alert(
        name="PredictionAucLow",
        severity="warning",
        expr=compare(config, names.MODEL_AUC, "<", lambda t: t.auc),
        hold=STATISTIC,
        labels=WINDOWED,
        summary=f'AUC of {WHO} is {{{{ $value | printf "%.3f" }}}}',
        description=(
            'The area under the ROC curve over {{ $labels.window }} is {{ $value | printf "%.3f" }}; '
            f"less than {told(config, lambda t: t.auc)} warns."
        ),
        runbook=Runbook(
            "The scores separate positives from negatives less well than they should, whatever the decision threshold.",
            _LOOK,
            _ACT,
        ),
    )


def _below_baseline(config: Config) -> Alert:
    return Alert(
        name="PredictionPerformanceBelowBaseline",
        severity="warning",
        expr=compare(config, names.MODEL_PERFORMANCE_BASELINE_RATIO, "<", lambda t: t.baseline_ratio),
        hold=STATISTIC,
        labels=WINDOWED,
        summary=f"{{{{ $labels.metric }}}} of {WHO} is {{{{ $value | humanizePercentage }}}} of the baseline's",
        description=(
            "{{ $labels.metric }} over {{ $labels.window }} is {{ $value | humanizePercentage }} of its value on the "
            f"reference data (errors count inverted); less than "
            f"{told(config, lambda t: t.baseline_ratio, percent=True)} warns."
        ),
        runbook=Runbook(
            "The model does worse than it did on the data its baseline was built from, whatever its absolute level.",
            _LOOK,
            _ACT,
        ),
    )


def _segment_accuracy(config: Config) -> Alert:
    expr = either(
        f"{level.select(names.SEGMENT_ACCURACY_UPPER)}\n"
        f"< ignoring ({SEGMENT}, {VALUE}) group_left ()\n"
        f"({level.select(names.MODEL_ACCURACY_LOWER)} - {number(level.value)})"
        for level in levels(config, lambda t: t.segment_accuracy_gap)
    )
    return Alert(
        name="PredictionSegmentAccuracyLow",
        severity="warning",
        expr=expr,
        hold=STATISTIC,
        labels=SEGMENTED,
        summary=f"{WHO} does far worse where {{{{ $labels.segment }}}} is {{{{ $labels.value }}}}",
        description=(
            "At most {{ $value | humanizePercentage }} of the labelled predictions over {{ $labels.window }} with "
            "{{ $labels.segment }} {{ $labels.value }} were right; the whole's accuracy is "
            f"surely higher by more than {told(config, lambda t: t.segment_accuracy_gap)}."
        ),
        runbook=Runbook(
            "The model is surely less accurate on one value of a segment than on the whole: the two 95 % intervals lie "
            "further apart than the configured gap, so few outcomes alone do not fire it.",
            "The table of segments on row 1 of the dashboard: how many predictions it holds, whether its AUC fell too, "
            "and whether its output drifted. Row 4: inputs that broke for this value alone.",
            "A segment that was always harder: raise thresholds.segment_accuracy_gap. One that has become worse: mend "
            "its inputs, or retrain with more of its data; until then decide there without the model.",
        ),
    )
