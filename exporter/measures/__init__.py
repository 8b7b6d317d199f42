"""From windows to samples: every metric family of one model and version, computed by the statistics.

Each measure is a generator over one `Scope`; what a window cannot support is left out. `MEASURES` lists them by the
name that `prediction_exporter_statistic_success` gives them.
"""

from collections.abc import Mapping

from exporter.measures.anomaly import measure_anomaly
from exporter.measures.base import Histogram, Measure, Past, Sample, Scope
from exporter.measures.cost import measure_cost
from exporter.measures.drift import measure_concept_drift, measure_feature_drift, measure_output_drift
from exporter.measures.feature_distribution import measure_feature_distribution
from exporter.measures.multivariate import measure_multivariate
from exporter.measures.operations import measure_operations
from exporter.measures.outcomes import measure_outcomes
from exporter.measures.performance import measure_estimation, measure_performance
from exporter.measures.periods import measure_history, measure_recent_drift
from exporter.measures.quality import measure_quality
from exporter.measures.segment_drift import measure_segment_drift
from exporter.measures.segments import measure_segments
from exporter.measures.thresholds import measure_drift_thresholds

__all__ = ["MEASURES", "Histogram", "Past", "Sample", "Scope"]

MEASURES: Mapping[str, Measure] = {
    "performance": measure_performance,
    "outcomes": measure_outcomes,
    "estimation": measure_estimation,
    "feature_drift": measure_feature_drift,
    "output_drift": measure_output_drift,
    "concept_drift": measure_concept_drift,
    "multivariate": measure_multivariate,
    "operations": measure_operations,
    "anomaly": measure_anomaly,
    "quality": measure_quality,
    "cost": measure_cost,
    "drift_thresholds": measure_drift_thresholds,
    "recent_drift": measure_recent_drift,
    "history": measure_history,
    "segments": measure_segments,
    "segment_drift": measure_segment_drift,
    "feature_distribution": measure_feature_distribution,
}
