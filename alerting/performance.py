"""Alerts on performance: accuracy, AUC, and either against the baseline; on predictions whose outcome has arrived."""

from alerting.alert import STATISTIC, Alert, Runbook
from alerting.drift import WHO
from alerting.promql import compare, told
from exporter import names
from exporter.config import Config
from exporter.names import WINDOWED


def performance_alerts(config: Config) -> tuple[Alert, ...]:
    """All warn: the outcomes they stand on are late, so they open tickets."""
    return (_accuracy(config), _auc(config), _below_baseline(config))


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
