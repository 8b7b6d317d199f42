"""How many series a configuration will make, before it makes them."""

from exporter.baseline import Baseline, NumericFeature
from exporter.config import Model
from exporter.measures import MEASURES
from exporter.monitor import Monitor
from exporter.profile.layout import DELAY_BOUNDS, LATENCY_BOUNDS

EXPORTER_SERIES = 60  # the exporter's own, process and Python metrics

# Of one version: two histograms with the last bucket, sum and count of each; counters of requests, errors (two names),
# labels (2), inputs (5) and the log (3).
_FIXED = len(LATENCY_BOUNDS) + 3 + len(DELAY_BOUNDS) + 3 + 1 + 2 + 2 + 5 + 3
# Of one version and window, by task: metrics, their ratios and bounds, and the share of unsure predictions.
_PERFORMANCE = {"binary": 8 + 7 + 4 + 1, "multiclass": 4 + 4 + 2 + 1, "regression": 3 + 3}
_WINDOWED = 1 + 1 + 3  # coverage, number of drifted features, predictions and their cost


def forecast_series(monitor: Monitor) -> int:
    """Series for one version of each model; a histogram counts with all its buckets."""
    models = ((monitor.config.model(name), baseline) for name, baseline in monitor.baselines.items())
    return EXPORTER_SERIES + sum(_of_model(*pair, windows=len(monitor.windows)) for pair in models)


def _of_model(model: Model, baseline: Baseline, windows: int) -> int:
    outputs = 2 * len(model.drift.methods)  # the prediction and the label
    features = 0
    for feature in baseline.features:
        methods = [method for method in model.drift.methods if method != "ks" or isinstance(feature, NumericFeature)]
        features += 2 * len(methods) + 3  # score and p-value by method; drifted, complete, out of range or unseen
    spreads = baseline.spreads
    thresholds = len(spreads.features) if spreads is not None and spreads.window == model.drift.window else 0
    fixed = 2 * len(MEASURES) + _FIXED + thresholds
    return fixed + windows * (_PERFORMANCE[model.task] + _WINDOWED + outputs + features)
