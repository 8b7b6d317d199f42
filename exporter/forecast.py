"""How many series a configuration will make, before it makes them."""

from exporter.baseline import NumericFeature
from exporter.monitor import Monitor
from exporter.profile.layout import DELAY_BOUNDS, LATENCY_BOUNDS

# Series that do not depend on features or windows, of one version: latency and delay histograms and their sums,
# counters of requests, labels, quality and cost.
_FIXED = len(LATENCY_BOUNDS) + 3 + len(DELAY_BOUNDS) + 3 + 11
# Of one version and window: performance with bounds and ratios, coverage, drift of outputs, confidence, cost.
_WINDOWED = 8 + 4 + 8 + 1 + 1 + 1 + 3
_EXPORTER = 60  # the exporter's own, process and Python metrics


def forecast_series(monitor: Monitor) -> int:
    """Series for one version of each model; a histogram counts with all its buckets."""
    return _EXPORTER + sum(_of_model(monitor, name) for name in monitor.baselines)


def _of_model(monitor: Monitor, name: str) -> int:
    model = monitor.config.model(name)
    methods, windows = model.drift.methods, len(monitor.windows)
    per_window = _WINDOWED + 2 * len(methods)
    for feature in monitor.baselines[name].features:
        usable = [method for method in methods if method != "ks" or isinstance(feature, NumericFeature)]
        per_window += 2 * len(usable) + 3  # score and p-value by method; drifted, complete, out of range or unseen
    return _FIXED + windows * per_window
