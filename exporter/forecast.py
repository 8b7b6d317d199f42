"""How many series a configuration will make, before it makes them."""

from exporter.baseline import Baseline, NumericFeature
from exporter.config import Model
from exporter.measures import MEASURES
from exporter.monitor import Monitor
from exporter.profile.layout import DELAY_BOUNDS, LATENCY_BOUNDS

EXPORTER_SERIES = 65  # the exporter's own, process and Python metrics

# Of one version: two histograms with the last bucket, sum and count of each; counters of requests, errors (two names),
# labels (3), inputs (5) and the log (3).
_FIXED = len(LATENCY_BOUNDS) + 3 + len(DELAY_BOUNDS) + 3 + 1 + 2 + 3 + 5 + 3
# Of one version and window, by task: metrics, their ratios and bounds, and the share of unsure predictions; of a binary
# model also two estimates with their bounds, and concept drift.
_PERFORMANCE = {"binary": 8 + 7 + 6 + 1 + 6 + 2, "multiclass": 4 + 4 + 2 + 1, "regression": 3 + 3}
# Coverage by window and by age, maturity; drifted features, bounds of prediction drift; predictions, cost; the log.
_WINDOWED = 3 + 1 + 2 + 3 + 1
_OF_ORDER = {"ks", "wasserstein"}  # methods that categories have no score by
_TESTED = {"psi", "js", "ks", "chi2"}  # methods with a p-value


def forecast_series(monitor: Monitor) -> int:
    """Series for one version of each model; a histogram counts with all its buckets."""
    models = ((monitor.config.model(name), baseline) for name, baseline in monitor.baselines.items())
    return EXPORTER_SERIES + sum(_of_model(*pair, windows=len(monitor.windows)) + _thresholds(*pair) for pair in models)


def _thresholds(model: Model, baseline: Baseline) -> int:
    spreads = baseline.spreads
    return len(spreads.features) if spreads is not None and spreads.window == model.drift.window else 0


def _of_model(model: Model, baseline: Baseline, windows: int) -> int:
    outputs = 2 * len(model.drift.methods)  # the prediction and the label
    features = 0
    for feature in baseline.features:
        methods = set(model.drift.methods) - (set() if isinstance(feature, NumericFeature) else _OF_ORDER)
        features += len(methods) + len(methods & _TESTED)  # score and p-value by method
        features += 2 + 3  # bounds; drifted, complete, out of range or unseen
    anomalies = sum(map(len, baseline.usual.values()))
    return (
        2 * len(MEASURES) + _FIXED + anomalies + windows * (_PERFORMANCE[model.task] + _WINDOWED + outputs + features)
    )
