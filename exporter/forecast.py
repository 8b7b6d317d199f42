"""How many series a configuration will make, before it makes them."""

from exporter.baseline import Baseline, NumericFeature
from exporter.config import Model
from exporter.measures import MEASURES
from exporter.measures.feature_distribution import reference_shares
from exporter.monitor import Monitor
from exporter.names import DELAY_BOUNDS, LATENCY_BOUNDS
from exporter.profile.layout import Layout

EXPORTER_SERIES = 65  # the exporter's own, process and Python metrics

# Of one version: two histograms with the last bucket, sum and count of each; counters of requests, errors (two names),
# labels (3), inputs (5) and the log (3).
_FIXED = len(LATENCY_BOUNDS) + 3 + len(DELAY_BOUNDS) + 3 + 1 + 2 + 3 + 5 + 3
# Of one version and window, by task: metrics, their ratios and bounds, and the share of unsure predictions; of a binary
# model also two estimates with their bounds, and concept drift; of a multiclass one, one estimate.
_PERFORMANCE = {"binary": 8 + 7 + 6 + 1 + 6 + 2, "multiclass": 4 + 4 + 2 + 1 + 3, "regression": 3 + 3}
# Coverage by window and by age, maturity; drifted features, bounds of prediction drift; repeated inputs; predictions,
# their cost; completeness of the log, and of the window.
_WINDOWED = 3 + 1 + 2 + 1 + 3 + 1 + 1
# Of one value of a segment: predictions, coverage, low confidence; accuracy with bounds and AUC, or the mean error.
_OF_SEGMENT = {"binary": 3 + 3 + 1, "multiclass": 3 + 3, "regression": 2 + 1}
_OF_ORDER = {"ks", "wasserstein"}  # methods that categories have no score by
_TESTED = {"psi", "js", "ks", "chi2"}  # methods with a p-value


def forecast_series(monitor: Monitor) -> int:
    """Series for one version of each model; a histogram counts with all its buckets."""
    models = ((monitor.config.model(name), baseline) for name, baseline in monitor.baselines.items())
    windows = len(monitor.windows)
    custom = sum(2 + windows * statistic.series for statistic in monitor.custom.values())
    return EXPORTER_SERIES + sum(
        custom + _of_model(*pair, windows=windows) + _thresholds(*pair) + _periods(*pair) + _distributions(*pair)
        for pair in models
    )


def _periods(model: Model, baseline: Baseline) -> int:
    """By period: a score of each feature and of the prediction, completeness and rows."""
    return len(model.drift.periods) * (len(baseline.features) + 3)


def _distributions(model: Model, baseline: Baseline) -> int:
    """The reference's shares, and as many of the window."""
    return 2 * len(list(reference_shares(model, Layout(baseline)))) if model.drift.distributions else 0


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
    if baseline.moments is not None:
        features += 3 + len(baseline.moments.features)  # multivariate drift with its bounds; correlation changes
    anomalies = sum(map(len, baseline.usual.values()))
    return (
        2 * len(MEASURES)
        + _FIXED
        + anomalies
        + windows * (_PERFORMANCE[model.task] + _WINDOWED + outputs + features + _of_segments(model, baseline))
    )


def _of_segments(model: Model, baseline: Baseline) -> int:
    values = sum(len(segment.labels) for segment in baseline.segments)
    methods = set(model.drift.methods) - (_OF_ORDER if model.task == "multiclass" else set())
    features = sum(len(segment.labels) * len(segment.features) for segment in baseline.segments)
    return values * (_OF_SEGMENT[model.task] + len(methods)) + features * len(set(model.drift.methods) - _OF_ORDER)
