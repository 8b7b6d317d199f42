"""The vocabulary: every metric family once, with its kind, labels, help and dashboard row.

The collector, dashboards, rules and the README's table read it; a metric name is typed nowhere else.
Values of windowed families are recomputed on a schedule (`evaluation.interval`), which their help says.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

Kind = Literal["gauge", "counter", "histogram", "info"]


class Row(IntEnum):
    """The dashboard's five rows, the exporter's own health, and the alert responder."""

    PERFORMANCE = 1
    DRIFT = 2
    OPERATIONS = 3
    QUALITY = 4
    COST = 5
    EXPORTER = 6
    RESPONDER = 7


MODEL_NAME = "model_name"
MODEL_VERSION = "model_version"
WINDOW = "window"
FEATURE = "feature"
METHOD = "method"
PERIOD = "period"
SEGMENT = "segment"
VALUE = "value"

OBJECTIVE = "objective"
BURN_WINDOW = "burn_window"
BIN = "bin"

MODEL = (MODEL_NAME, MODEL_VERSION)
WINDOWED = (*MODEL, WINDOW)
SEGMENTED = (*WINDOWED, SEGMENT, VALUE)
# What the label `value` says of records whose value is not listed, and of those that hold none.
OTHER = "other"
MISSING = "missing"

# Upper bounds of the histograms' buckets. Latency: Prometheus' customary ones, refined below 5 ms, where small models
# answer. Delay: labels come between seconds and months after their predictions.
LATENCY_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
DELAY_BOUNDS = (1.0, 60.0, 600.0, 3_600.0, 6 * 3_600.0, 86_400.0, 3 * 86_400.0, 7 * 86_400.0, 30 * 86_400.0)

SCHEDULED = " Recomputed every evaluation interval; absent when the window holds too little data."


@dataclass(frozen=True, slots=True, eq=False)  # by identity: each is there once, and looked up for every sample
class Family:
    """One metric family: its name as scraped, kind, label names in order, help and dashboard row."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    row: Row


_REGISTERED: list[Family] = []


def _family(name: str, kind: Kind, labels: tuple[str, ...], row: Row, text: str) -> Family:
    family = Family(name, kind, labels, text + (SCHEDULED if WINDOW in labels else ""), row)
    _REGISTERED.append(family)
    return family


# Row 1: model performance. All on labelled predictions, counted at the prediction's time, weighted.
MODEL_ACCURACY = _family("model_accuracy", "gauge", WINDOWED, Row.PERFORMANCE, "Share of labelled predictions in the window that were right (0..1).")  # fmt: skip
MODEL_ACCURACY_LOWER = _family("model_accuracy_lower", "gauge", WINDOWED, Row.PERFORMANCE, "Lower end of the 95 % Wilson interval of model_accuracy.")  # fmt: skip
MODEL_ACCURACY_UPPER = _family("model_accuracy_upper", "gauge", WINDOWED, Row.PERFORMANCE, "Upper end of the 95 % Wilson interval of model_accuracy.")  # fmt: skip
MODEL_PRECISION = _family("model_precision", "gauge", WINDOWED, Row.PERFORMANCE, "Precision in the window: TP / (TP + FP); macro average over classes when multiclass.")  # fmt: skip
MODEL_RECALL = _family("model_recall", "gauge", WINDOWED, Row.PERFORMANCE, "Recall in the window: TP / (TP + FN); macro average over classes when multiclass.")  # fmt: skip
MODEL_F1 = _family("model_f1", "gauge", WINDOWED, Row.PERFORMANCE, "F1 in the window: harmonic mean of precision and recall; macro average over classes when multiclass.")  # fmt: skip
MODEL_AUC = _family("model_auc", "gauge", WINDOWED, Row.PERFORMANCE, "Area under the ROC curve in the window, from logit-spaced score bins (error below 0.001).")  # fmt: skip
MODEL_AUC_LOWER = _family("model_auc_lower", "gauge", WINDOWED, Row.PERFORMANCE, "Lower end of the 95 % DeLong interval of model_auc.")  # fmt: skip
MODEL_AUC_UPPER = _family("model_auc_upper", "gauge", WINDOWED, Row.PERFORMANCE, "Upper end of the 95 % DeLong interval of model_auc.")  # fmt: skip
MODEL_LOG_LOSS = _family("model_log_loss", "gauge", WINDOWED, Row.PERFORMANCE, "Mean negative log-likelihood of the labels in the window, in nats; scores clipped to 1e-15.")  # fmt: skip
MODEL_BRIER_SCORE = _family("model_brier_score", "gauge", WINDOWED, Row.PERFORMANCE, "Mean squared difference between score and label in the window (0..1).")  # fmt: skip
MODEL_CALIBRATION_ERROR = _family("model_calibration_error", "gauge", WINDOWED, Row.PERFORMANCE, "Expected calibration error in the window: mean |observed rate - mean score| over ten equal-width score bins.")  # fmt: skip
MODEL_CALIBRATION_ERROR_LOWER = _family("model_calibration_error_lower", "gauge", WINDOWED, Row.PERFORMANCE, "Lower end of a 95 % interval of model_calibration_error on endless rows, so 0 where the error could be noise.")  # fmt: skip
MODEL_CALIBRATION_ERROR_UPPER = _family("model_calibration_error_upper", "gauge", WINDOWED, Row.PERFORMANCE, "Upper end of a 95 % interval of model_calibration_error on endless rows.")  # fmt: skip
MODEL_MAE = _family("model_mae", "gauge", WINDOWED, Row.PERFORMANCE, "Mean absolute error of a regression in the window, in the label's unit.")  # fmt: skip
MODEL_RMSE = _family("model_rmse", "gauge", WINDOWED, Row.PERFORMANCE, "Root mean squared error of a regression in the window, in the label's unit.")  # fmt: skip
MODEL_R2 = _family("model_r2", "gauge", WINDOWED, Row.PERFORMANCE, "Coefficient of determination of a regression in the window (1 is perfect).")  # fmt: skip
MODEL_ESTIMATED_ACCURACY = _family("model_estimated_accuracy", "gauge", WINDOWED, Row.PERFORMANCE, "Accuracy to expect of a classifier by its scores alone (0..1), no labels needed: mean chance of being right, by how often each score was followed by a positive label in the reference (binary), or each confidence in each class was right (multiclass). Blind to concept drift, which changes just that.")  # fmt: skip
MODEL_ESTIMATED_ACCURACY_LOWER = _family("model_estimated_accuracy_lower", "gauge", WINDOWED, Row.PERFORMANCE, "Lower end of the 95 % interval in which the realised accuracy of these predictions will lie while scores mean what they did in the reference.")  # fmt: skip
MODEL_ESTIMATED_ACCURACY_UPPER = _family("model_estimated_accuracy_upper", "gauge", WINDOWED, Row.PERFORMANCE, "Upper end of the 95 % interval in which the realised accuracy of these predictions will lie while scores mean what they did in the reference.")  # fmt: skip
MODEL_ESTIMATED_AUC = _family("model_estimated_auc", "gauge", WINDOWED, Row.PERFORMANCE, "AUC to expect of a binary model by its scores alone (0..1), as model_estimated_accuracy: of the positives and negatives expected in each score bin.")  # fmt: skip
MODEL_ESTIMATED_AUC_LOWER = _family("model_estimated_auc_lower", "gauge", WINDOWED, Row.PERFORMANCE, "Lower end of the 95 % interval in which the realised AUC of these predictions will lie while scores mean what they did in the reference.")  # fmt: skip
MODEL_ESTIMATED_AUC_UPPER = _family("model_estimated_auc_upper", "gauge", WINDOWED, Row.PERFORMANCE, "Upper end of the 95 % interval in which the realised AUC of these predictions will lie while scores mean what they did in the reference.")  # fmt: skip
MODEL_PERFORMANCE_BASELINE_RATIO = _family("model_performance_baseline_ratio", "gauge", (*WINDOWED, "metric"), Row.PERFORMANCE, "The metric in the window over its value on the reference data; inverted for errors, so below 1 is always worse.")  # fmt: skip
MODEL_OUTCOME_COVERAGE_RATIO = _family("model_outcome_coverage_ratio", "gauge", WINDOWED, Row.PERFORMANCE, "Share of the window's predictions whose outcome has arrived (0..1).")  # fmt: skip
MODEL_OUTCOME_COVERAGE_BY_AGE_RATIO = _family("model_outcome_coverage_by_age_ratio", "gauge", (*MODEL, "age"), Row.PERFORMANCE, "Share of the predictions between this age and twice it whose outcome has arrived (0..1), for the lengths of all windows as ages; shows what outcomes.maturity should be. Recomputed every evaluation interval.")  # fmt: skip
MODEL_OUTCOME_MATURITY_RATIO = _family("model_outcome_maturity_ratio", "gauge", WINDOWED, Row.PERFORMANCE, "Share of the labels to come that the window of performance should hold (0..1), by the delays seen so far, for predictions spread evenly over it. That window ends outcomes.maturity ago; below about 0.9, performance rests on early labels, which are seldom like the late ones.")  # fmt: skip
MODEL_OUTCOME_DELAY_SECONDS = _family("model_outcome_delay_seconds", "histogram", MODEL, Row.PERFORMANCE, "Time from a prediction to its first outcome, in seconds.")  # fmt: skip
LABELLED_PREDICTIONS_TOTAL = _family("labelled_predictions_total", "counter", MODEL, Row.PERFORMANCE, "Predictions whose outcome has arrived (weighted by sampling); each counts once, however often it is corrected.")  # fmt: skip
CORRECT_PREDICTIONS_TOTAL = _family("correct_predictions_total", "counter", MODEL, Row.PERFORMANCE, "Labelled predictions that were right by their first label (weighted by sampling); a counter cannot take back what a correction proves wrong, windowed metrics do. Classification only.")  # fmt: skip
CORRECTED_OUTCOMES_TOTAL = _family("corrected_outcomes_total", "counter", MODEL, Row.PERFORMANCE, "Labels that took the place of another one of the same prediction, by a newer time or as the later of two with equal times (weighted by sampling).")  # fmt: skip

# Row 2: drift, each window against the baseline's reference.
FEATURE_DRIFT_SCORE = _family("feature_drift_score", "gauge", (*WINDOWED, FEATURE, METHOD), Row.DRIFT, "Distance of the feature's distribution in the window from the reference: psi (nats), js (0..1, base 2 distance), ks (0..1), chi2 (statistic over its degrees of freedom), hellinger (0..1), tv (total variation, 0..1), wasserstein (numbers only, in standard deviations of the reference, each value taken at the middle of its bin and beyond the outer edges at the edge).")  # fmt: skip
FEATURE_DRIFT_SCORE_LOWER = _family("feature_drift_score_lower", "gauge", (*WINDOWED, FEATURE, METHOD), Row.DRIFT, "Lower end of a 95 % interval of feature_drift_score on endless rows, so 0 where the score could be noise; method psi only.")  # fmt: skip
FEATURE_DRIFT_SCORE_UPPER = _family("feature_drift_score_upper", "gauge", (*WINDOWED, FEATURE, METHOD), Row.DRIFT, "Upper end of a 95 % interval of feature_drift_score on endless rows; method psi only.")  # fmt: skip
FEATURE_DRIFT_PVALUE = _family("feature_drift_pvalue", "gauge", (*WINDOWED, FEATURE, METHOD), Row.DRIFT, "Probability of a score at least this high without drift, for independent rows, before correction for the number of features; for psi, js, ks and chi2.")  # fmt: skip
FEATURE_DRIFTED = _family("feature_drifted", "gauge", (*WINDOWED, FEATURE), Row.DRIFT, "1 when PSI reaches the minor level, stays significant after Benjamini-Hochberg over the model's features, and enough rows were seen; else 0.")  # fmt: skip
FEATURE_DRIFT_THRESHOLD = _family("feature_drift_threshold", "gauge", (*WINDOWED, FEATURE, METHOD), Row.DRIFT, "The feature_drift_score that the feature would pass without drift no oftener than drift.false_alarms_per_month allows, all features together, at the window's number of rows; for the drift window of models whose reference has time stamps.")  # fmt: skip
DRIFTED_FEATURES = _family("drifted_features", "gauge", WINDOWED, Row.DRIFT, "Number of the model's features with feature_drifted 1.")  # fmt: skip
PREDICTION_DRIFT_SCORE = _family("prediction_drift_score", "gauge", (*WINDOWED, METHOD), Row.DRIFT, "Distance of the output's distribution in the window from the reference; methods as in feature_drift_score.")  # fmt: skip
PREDICTION_DRIFT_SCORE_LOWER = _family("prediction_drift_score_lower", "gauge", (*WINDOWED, METHOD), Row.DRIFT, "Lower end of a 95 % interval of prediction_drift_score on endless rows, so 0 where the score could be noise; method psi only.")  # fmt: skip
PREDICTION_DRIFT_SCORE_UPPER = _family("prediction_drift_score_upper", "gauge", (*WINDOWED, METHOD), Row.DRIFT, "Upper end of a 95 % interval of prediction_drift_score on endless rows; method psi only.")  # fmt: skip
FEATURE_RECENT_DRIFT_SCORE = _family("feature_recent_drift_score", "gauge", (*WINDOWED, FEATURE, METHOD, PERIOD), Row.DRIFT, "Distance (psi) of the feature's distribution in the drift window from that of the model's own past, all versions together, in the baseline's bins: the window before (previous) or a week ago (last_week), as drift.periods asks.")  # fmt: skip
PREDICTION_RECENT_DRIFT_SCORE = _family("prediction_recent_drift_score", "gauge", (*WINDOWED, METHOD, PERIOD), Row.DRIFT, "Distance (psi) of the output's distribution in the drift window from that of the model's own past, all versions together; periods as in feature_recent_drift_score.")  # fmt: skip
OUTCOME_DRIFT_SCORE = _family("outcome_drift_score", "gauge", (*WINDOWED, METHOD), Row.DRIFT, "Distance of the label's distribution in the window from the reference; methods as in feature_drift_score.")  # fmt: skip
CONCEPT_DRIFT_SCORE = _family("concept_drift_score", "gauge", WINDOWED, Row.DRIFT, "By how much the rates of positive labels, at most ten groups of scores, left those that the reference makes expect: root mean square without the noise of few rows (0..1); binary models with scores.")  # fmt: skip
CONCEPT_DRIFT_PVALUE = _family("concept_drift_pvalue", "gauge", WINDOWED, Row.DRIFT, "Probability of rates at least this far from the expected ones without concept drift, for independent rows.")  # fmt: skip
MULTIVARIATE_DRIFT_SCORE = _family("multivariate_drift_score", "gauge", WINDOWED, Row.DRIFT, "By which share the error of reconstructing numeric features from the reference's principal components (65 % of its variance) exceeds that of the reference: 0 without drift, 1 when it doubled, negative when features vary less. Sees relations between features break that no single feature shows. Of the features of feature_correlation_change.")  # fmt: skip
MULTIVARIATE_DRIFT_SCORE_LOWER = _family("multivariate_drift_score_lower", "gauge", WINDOWED, Row.DRIFT, "Lower end of a 95 % interval of multivariate_drift_score on endless rows, for independent rows; above 0 it is no noise.")  # fmt: skip
MULTIVARIATE_DRIFT_SCORE_UPPER = _family("multivariate_drift_score_upper", "gauge", WINDOWED, Row.DRIFT, "Upper end of a 95 % interval of multivariate_drift_score on endless rows, for independent rows.")  # fmt: skip

# Row 3: operations.
PREDICTION_LATENCY_SECONDS = _family("prediction_latency_seconds", "histogram", MODEL, Row.OPERATIONS, "Latency of predictions, in seconds; from counts records where the writer sends them.")  # fmt: skip
PREDICTION_REQUESTS_TOTAL = _family("prediction_requests_total", "counter", MODEL, Row.OPERATIONS, "Requests served, sampled into the log or not; from counts records where the writer sends them.")  # fmt: skip
PREDICTION_ERRORS_TOTAL = _family("prediction_errors_total", "counter", (*MODEL, "error"), Row.OPERATIONS, "Requests that failed, by error; from counts records where the writer sends them.")  # fmt: skip
LOW_CONFIDENCE_RATIO = _family("low_confidence_ratio", "gauge", WINDOWED, Row.OPERATIONS, "Share of the window's predictions whose likeliest class has less probability than low_confidence (0..1).")  # fmt: skip
PREDICTION_ANOMALY_SCORE = _family("prediction_anomaly_score", "gauge", (*WINDOWED, "signal"), Row.OPERATIONS, "How far the window lies from its usual range, either way, in standard deviations over reference windows of the same length, by signal: volume, confidence (mean), low_confidence (share), entropy (of the output), repeated_inputs (ratio), multivariate_drift (score). Needs a baseline built from two such windows or more.")  # fmt: skip
REPEATED_INPUTS_RATIO = _family("repeated_inputs_ratio", "gauge", WINDOWED, Row.OPERATIONS, "Share of the window's predictions that a single input would have to make up for inputs to repeat as often as they do (0..1), from 1,024 hashed counters; 0 when all inputs are unlike, and below 0.3 / sqrt(predictions) by chance. High by nature where features have few values; a rise is a sign of probing, retries or a stuck caller.")  # fmt: skip

# Row 4: data quality.
FEATURE_COMPLETENESS = _family("feature_completeness", "gauge", (*WINDOWED, FEATURE), Row.QUALITY, "Share of the window's predictions in which the feature is present (0..1).")  # fmt: skip
FEATURE_OUT_OF_RANGE_RATIO = _family("feature_out_of_range_ratio", "gauge", (*WINDOWED, FEATURE), Row.QUALITY, "Share of the window's present numeric values outside the reference's range (0..1).")  # fmt: skip
FEATURE_UNSEEN_CATEGORY_RATIO = _family("feature_unseen_category_ratio", "gauge", (*WINDOWED, FEATURE), Row.QUALITY, "Share of the window's present categories that the reference does not hold (0..1).")  # fmt: skip
FEATURE_CORRELATION_CHANGE = _family("feature_correlation_change", "gauge", (*WINDOWED, FEATURE), Row.QUALITY, "Largest change of the feature's correlation with another numeric feature against the reference (0..2), of the changes that are significant after Benjamini-Hochberg over the model's pairs, for independent rows; 0 when none is. Values are cut off at the ends of the reference's middle 98 %. Of at most 50 numeric features that vary, the first by name. Features that hardly vary within a window, such as the weather of a day, change by nature: read longer windows.")  # fmt: skip
FEATURE_VALUES_TOTAL = _family("feature_values_total", "counter", MODEL, Row.QUALITY, "Feature values expected: predictions times features (weighted by sampling).")  # fmt: skip
MISSING_FEATURES_TOTAL = _family("missing_features_total", "counter", MODEL, Row.QUALITY, "Feature values that were null or absent (weighted by sampling).")  # fmt: skip
INVALID_INPUTS_TOTAL = _family("invalid_inputs_total", "counter", (*MODEL, "reason"), Row.QUALITY, "Feature values that the model cannot have learned from, by reason: wrong_type, non_finite, unseen_category (weighted by sampling).")  # fmt: skip

# Row 5: cost and resources.
PREDICTIONS_IN_WINDOW = _family("predictions_in_window", "gauge", WINDOWED, Row.COST, "Predictions in the window (weighted by sampling).")  # fmt: skip
SERVING_COST_USD = _family("serving_cost_usd", "gauge", WINDOWED, Row.COST, "Cost of the window's predictions in USD: the records' cost_usd where they carry it, else the configured price.")  # fmt: skip
SERVING_COST_PER_1000_USD = _family("serving_cost_per_1000_usd", "gauge", WINDOWED, Row.COST, "Cost of 1,000 predictions in the window, in USD.")  # fmt: skip
MONITORING_COST_USD = _family("monitoring_cost_usd", "gauge", ("component",), Row.COST, "Projected cost of monitoring in USD a month of 30 days: log_storage (ingestion and storage of the log at the present rate), compute (this process's CPU time); from the responder, notifications (tickets and messages that it sent in the last day).")  # fmt: skip
SAMPLING_SAVINGS_USD = _family("sampling_savings_usd", "gauge", MODEL, Row.COST, "Projected saving by sampling in USD a month of 30 days: ingestion and storage of sampling_savings_bytes, at the prices of monitoring_cost_usd's log_storage.")  # fmt: skip
SAMPLING_SAVINGS_BYTES = _family("sampling_savings_bytes", "gauge", MODEL, Row.COST, "Bytes of log that writers spare in 30 days by leaving predictions out on purpose: those skipped in the longest window, at the log's mean bytes for each logged prediction.")  # fmt: skip
PREDICTIONS_LOGGED_TOTAL = _family("predictions_logged_total", "counter", MODEL, Row.COST, "Prediction records read and counted.")  # fmt: skip
PREDICTIONS_SKIPPED_TOTAL = _family("predictions_skipped_total", "counter", MODEL, Row.COST, "Predictions that writers left out of the log on purpose (sampling), from counts records.")  # fmt: skip
PREDICTIONS_DROPPED_TOTAL = _family("predictions_dropped_total", "counter", MODEL, Row.COST, "Predictions that writers lost (full queue or disk), from counts records.")  # fmt: skip
PREDICTION_LOG_COMPLETENESS_RATIO = _family("prediction_log_completeness_ratio", "gauge", WINDOWED, Row.COST, "Prediction records read over those that the window's counts records make expect: requests less skipped. 1 when nothing is lost; what writers dropped is missing; above 1 when counts records are.")  # fmt: skip

# By segment: after all that is of the whole, so that a snapshot beyond its limit loses these first.
SEGMENT_PREDICTIONS_IN_WINDOW = _family("segment_predictions_in_window", "gauge", SEGMENTED, Row.PERFORMANCE, "Predictions of the segment in the window (weighted by sampling).")  # fmt: skip
SEGMENT_ACCURACY = _family("segment_accuracy", "gauge", SEGMENTED, Row.PERFORMANCE, "Share of the segment's labelled predictions in the window that were right (0..1).")  # fmt: skip
SEGMENT_ACCURACY_LOWER = _family("segment_accuracy_lower", "gauge", SEGMENTED, Row.PERFORMANCE, "Lower end of the 95 % Wilson interval of segment_accuracy.")  # fmt: skip
SEGMENT_ACCURACY_UPPER = _family("segment_accuracy_upper", "gauge", SEGMENTED, Row.PERFORMANCE, "Upper end of the 95 % Wilson interval of segment_accuracy.")  # fmt: skip
SEGMENT_AUC = _family("segment_auc", "gauge", SEGMENTED, Row.PERFORMANCE, "Area under the ROC curve of the segment in the window, from score bins twice as wide as those of model_auc.")  # fmt: skip
SEGMENT_MAE = _family("segment_mae", "gauge", SEGMENTED, Row.PERFORMANCE, "Mean absolute error of a regression on the segment in the window, in the label's unit.")  # fmt: skip
SEGMENT_OUTCOME_COVERAGE_RATIO = _family("segment_outcome_coverage_ratio", "gauge", SEGMENTED, Row.PERFORMANCE, "Share of the segment's predictions in the window whose outcome has arrived (0..1).")  # fmt: skip
SEGMENT_PREDICTION_DRIFT_SCORE = _family("segment_prediction_drift_score", "gauge", (*SEGMENTED, METHOD), Row.PERFORMANCE, "Distance of the output's distribution on the segment in the window from that on the same segment of the reference, or from the whole reference where that tells no segments; methods as in feature_drift_score.")  # fmt: skip
SEGMENT_LOW_CONFIDENCE_RATIO = _family("segment_low_confidence_ratio", "gauge", SEGMENTED, Row.PERFORMANCE, "Share of the segment's predictions in the window whose likeliest class has less probability than low_confidence (0..1).")  # fmt: skip
SEGMENT_FEATURE_DRIFT_SCORE = _family("segment_feature_drift_score", "gauge", (*SEGMENTED, FEATURE, METHOD), Row.DRIFT, "Distance of the feature's distribution on the segment in the window from that on the same segment of the reference, or from the whole reference where that tells no segments; for features listed under the segment's features. Methods as in feature_drift_score, without ks and wasserstein, which need finer bins than are kept by segment.")  # fmt: skip

# Row 2 as well, but last of the models' series, so that they are the first that limits.series cuts.
FEATURE_DISTRIBUTION_RATIO = _family("feature_distribution_ratio", "gauge", (*WINDOWED, FEATURE, BIN), Row.DRIFT, "Share of the feature's present values in the window that fall in the bin (0..1); at most twelve bins, numbered in order, for the drift window only.")  # fmt: skip
FEATURE_REFERENCE_RATIO = _family("feature_reference_ratio", "gauge", (MODEL_NAME, FEATURE, BIN), Row.DRIFT, "Share of the feature's present values in the baseline's reference that fall in the bin (0..1); bins as in feature_distribution_ratio.")  # fmt: skip

# The exporter itself.
BUILD_INFO = _family("prediction_exporter_build_info", "gauge", ("version", "python_version"), Row.EXPORTER, "1, labelled with the exporter's version.")  # fmt: skip
MODEL_INFO = _family("prediction_exporter_model_info", "gauge", (MODEL_NAME, "task", "baseline"), Row.EXPORTER, "1 for each configured model, labelled with its task and its baseline's fingerprint.")  # fmt: skip
WINDOW_COMPLETE = _family("prediction_exporter_window_complete", "gauge", WINDOWED, Row.EXPORTER, "1 when the version has records older than the window, which so holds all its time; 0 while its history begins within the window.")  # fmt: skip
PERIOD_COMPLETE = _family("prediction_exporter_period_complete", "gauge", (*WINDOWED, PERIOD), Row.EXPORTER, "1 when the model has records older than the period that the drift window is held against; 0 when it has not, and then no drift from it is told.")  # fmt: skip
PERIOD_ROWS = _family("prediction_exporter_period_rows", "gauge", (*WINDOWED, PERIOD), Row.EXPORTER, "Effective rows of the period that the drift window is held against, all versions together; fewer than drift.min_rows give no drift from it.")  # fmt: skip
RECORDS_TOTAL = _family("prediction_exporter_records_total", "counter", ("kind",), Row.EXPORTER, "Records accepted, by kind: prediction, outcome, counts.")  # fmt: skip
REJECTED_RECORDS_TOTAL = _family("prediction_exporter_rejected_records_total", "counter", ("reason",), Row.EXPORTER, "Records refused, by reason; the rest of their file was read.")  # fmt: skip
LAST_RECORD_TIMESTAMP_SECONDS = _family("prediction_exporter_last_record_timestamp_seconds", "gauge", (MODEL_NAME,), Row.EXPORTER, "Time of the model's newest record, Unix seconds.")  # fmt: skip
LAST_EVALUATION_TIMESTAMP_SECONDS = _family("prediction_exporter_last_evaluation_timestamp_seconds", "gauge", (), Row.EXPORTER, "When the statistics were last computed, Unix seconds.")  # fmt: skip
EVALUATION_DURATION_SECONDS = _family("prediction_exporter_evaluation_duration_seconds", "gauge", (), Row.EXPORTER, "How long the last evaluation took.")  # fmt: skip
STATISTIC_SUCCESS = _family("prediction_exporter_statistic_success", "gauge", (MODEL_NAME, "statistic"), Row.EXPORTER, "1 when the statistic's last computation raised nothing, else 0.")  # fmt: skip
STATISTIC_DURATION_SECONDS = _family("prediction_exporter_statistic_duration_seconds", "gauge", (MODEL_NAME, "statistic"), Row.EXPORTER, "How long the statistic's last computation took, over all versions and windows.")  # fmt: skip
INGESTION_SUCCESS = _family("prediction_exporter_ingestion_success", "gauge", (), Row.EXPORTER, "1 when the last reading of the log raised nothing, else 0.")  # fmt: skip
LOG_BYTES_TOTAL = _family("prediction_exporter_log_bytes_total", "counter", (), Row.EXPORTER, "Bytes of log read.")  # fmt: skip
LAG_BYTES = _family("prediction_exporter_lag_bytes", "gauge", (), Row.EXPORTER, "Bytes of log that stand on disk and are not read yet.")  # fmt: skip
ARCHIVE_SUCCESS = _family("prediction_exporter_archive_success", "gauge", (), Row.EXPORTER, "1 when the last archiving of log files at rest raised nothing, else 0; absent where no source is archived.")  # fmt: skip
ARCHIVE_LAST_SUCCESS_TIMESTAMP_SECONDS = _family("prediction_exporter_archive_last_success_timestamp_seconds", "gauge", (), Row.EXPORTER, "When log files at rest were last archived, or none was due, Unix seconds.")  # fmt: skip
ARCHIVE_FAILURES_TOTAL = _family("prediction_exporter_archive_failures_total", "counter", (), Row.EXPORTER, "Attempts to archive that failed; each is repeated, and what it left over is not lost.")  # fmt: skip
ARCHIVED_LOG_BYTES_TOTAL = _family("prediction_exporter_archived_log_bytes_total", "counter", (), Row.EXPORTER, "Bytes of log, unpacked, that this process has moved into the archive.")  # fmt: skip
ARCHIVE_BYTES = _family("prediction_exporter_archive_bytes", "gauge", (), Row.EXPORTER, "Size of the archive's files.")  # fmt: skip
ARCHIVE_FILES = _family("prediction_exporter_archive_files", "gauge", (), Row.EXPORTER, "Number of the archive's files.")  # fmt: skip
LAG_SECONDS = _family("prediction_exporter_lag_seconds", "gauge", (MODEL_NAME,), Row.EXPORTER, "How old the model's newest record was when it was last read: what writer, file and exporter delay together.")  # fmt: skip
WRITERS = _family("prediction_exporter_writers", "gauge", ("state",), Row.EXPORTER, "Writers of the log heard since the exporter started, by state: active (a prediction within the last 10 minutes), silent (within the last day). The segments of one process are one writer's, any other file is its own.")  # fmt: skip
OLDEST_WRITER_TIMESTAMP_SECONDS = _family("prediction_exporter_oldest_writer_timestamp_seconds", "gauge", (), Row.EXPORTER, "Newest prediction of the writer that is silent the longest, within the last day; Unix seconds.")  # fmt: skip
CONFIG_LAST_RELOAD_SUCCESSFUL = _family("prediction_exporter_config_last_reload_successful", "gauge", (), Row.EXPORTER, "1 when the last attempt to load the configuration succeeded, else 0.")  # fmt: skip
CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS = _family("prediction_exporter_config_last_reload_success_timestamp_seconds", "gauge", (), Row.EXPORTER, "When the configuration was last loaded with success, Unix seconds.")  # fmt: skip
INTAKE_REQUESTS_TOTAL = _family("prediction_exporter_intake_requests_total", "counter", ("code",), Row.EXPORTER, "Requests to the intake, by HTTP status, since the exporter started.")  # fmt: skip
INTAKE_RECORDS_TOTAL = _family("prediction_exporter_intake_records_total", "counter", (), Row.EXPORTER, "Records that the intake took and made durable, since the exporter started.")  # fmt: skip
INTAKE_REFUSED_RECORDS_TOTAL = _family("prediction_exporter_intake_refused_records_total", "counter", ("reason",), Row.EXPORTER, "Lines that the intake refused and told the sender of, by reason, since the exporter started.")  # fmt: skip
INTAKE_BYTES_TOTAL = _family("prediction_exporter_intake_bytes_total", "counter", (), Row.EXPORTER, "Bytes of request bodies received by the intake, as sent, since the exporter started.")  # fmt: skip
INTAKE_SPOOL_BYTES = _family("prediction_exporter_intake_spool_bytes", "gauge", (), Row.EXPORTER, "Bytes of the spool on disk: records taken and not counted yet, within a segment of 16 MiB. Senders are told to come back when it reaches intake.max_spool.")  # fmt: skip
INTAKE_WAITING_HALVES = _family("prediction_exporter_intake_waiting_halves", "gauge", (), Row.EXPORTER, "Requests and responses that wait in memory for their other half.")  # fmt: skip
INTAKE_UNMATCHED_HALVES_TOTAL = _family("prediction_exporter_intake_unmatched_halves_total", "counter", ("half",), Row.EXPORTER, "Requests and responses given up because their other half did not come, since the exporter started.")  # fmt: skip
SERIES = _family("prediction_exporter_series", "gauge", (), Row.EXPORTER, "Series in the last snapshot.")  # fmt: skip
SERIES_DROPPED_TOTAL = _family("prediction_exporter_series_dropped_total", "counter", (), Row.EXPORTER, "Series cut because the snapshot reached limits.series.")  # fmt: skip
STATE_BYTES = _family("prediction_exporter_state_bytes", "gauge", (), Row.EXPORTER, "Size of the embedded database on disk.")  # fmt: skip

# The alert responder, which exports them itself; counted from its database, so they survive its restarts.
RESPONDER_ACTIONS_TOTAL = _family("responder_actions_total", "counter", ("action", "outcome"), Row.RESPONDER, "What was decided of actions (notify, open_ticket, close_ticket, retrain, rollback), by outcome: done, dry_run (would have been done), skipped (for a reason in the audit log), failed (attempts; each is repeated).")  # fmt: skip
RESPONDER_PENDING_ACTIONS = _family("responder_pending_actions", "gauge", ("action", "standing"), Row.RESPONDER, "Actions still to be carried out, by standing: queued, waiting (for labels, budget or Prometheus), retrying (the target failed).")  # fmt: skip
RESPONDER_UNPLANNED_DELIVERIES = _family("responder_unplanned_deliveries", "gauge", (), Row.RESPONDER, "Alertmanager's deliveries that were accepted and are not planned yet.")  # fmt: skip
RESPONDER_DRY_RUN = _family("responder_dry_run", "gauge", (), Row.RESPONDER, "1 while the responder only records what it would do, else 0.")  # fmt: skip
RESPONDER_OLDEST_UNACKNOWLEDGED_TIMESTAMP_SECONDS = _family("responder_oldest_unacknowledged_timestamp_seconds", "gauge", (), Row.RESPONDER, "When the oldest open alert began that asks for more than a notification and that nobody has acknowledged, Unix seconds; absent when there is none.")  # fmt: skip
ALERT_RESPONSE_SECONDS = _family("alert_response_seconds", "histogram", (), Row.RESPONDER, "Time from an alert's start to a person's acknowledgement, in seconds.")  # fmt: skip
ALERTS_REVIEWED_TOTAL = _family("alerts_reviewed_total", "counter", ("verdict",), Row.RESPONDER, "Alerts that a person has judged, by verdict: true, false.")  # fmt: skip

FAMILIES: tuple[Family, ...] = tuple(_REGISTERED)

# Recorded series: level:metric:operations, written by the generated recording rules, read by panels and alerts.
LATENCY_P50 = "model:prediction_latency_seconds:p50"
LATENCY_P95 = "model:prediction_latency_seconds:p95"
LATENCY_P99 = "model:prediction_latency_seconds:p99"
ERROR_RATIO = "model:prediction_errors_per_request:ratio"
INVALID_INPUT_RATIO = "model:invalid_inputs_per_value:ratio"
MISSING_FEATURE_RATIO = "model:missing_features_per_value:ratio"
MEAN_COMPLETENESS = "model:feature_completeness:mean"
LEAST_COMPLETENESS = "model:feature_completeness:min"
DRIFT_OVER_THRESHOLD = "model:feature_drift_score_per_threshold:ratio"
NOTIFICATION_COST_USD = "monitoring:notification_cost_usd:month"
OBJECTIVE_EVENTS = "model:objective_events:increase"
OBJECTIVE_BAD_EVENTS = "model:objective_bad_events:increase"
OBJECTIVE_BAD_EVENT_RATIO = "model:objective_bad_events:ratio"
OBJECTIVE_BUDGET_LEFT = "model:objective_error_budget_left:ratio"
OBJECTIVE_RECORDED = (OBJECTIVE_EVENTS, OBJECTIVE_BAD_EVENTS, OBJECTIVE_BAD_EVENT_RATIO, OBJECTIVE_BUDGET_LEFT)
RECORDED = (LATENCY_P50, LATENCY_P95, LATENCY_P99, ERROR_RATIO, INVALID_INPUT_RATIO, MISSING_FEATURE_RATIO, MEAN_COMPLETENESS, LEAST_COMPLETENESS, DRIFT_OVER_THRESHOLD, NOTIFICATION_COST_USD, *OBJECTIVE_RECORDED)  # fmt: skip

# Series of others: Prometheus's own, and Alertmanager's.
UP = "up"
ALERTS = "ALERTS"
ALERTMANAGER_NOTIFICATIONS_TOTAL = "alertmanager_notifications_total"

# The value of the label `app` on every shipped alert, by which dashboards know them among others'.
ALERT_APP = "prediction_exporter"


def family(name: str) -> Family:
    """The family called `name`; KeyError if the vocabulary has none."""
    for candidate in FAMILIES:
        if candidate.name == name:
            return candidate
    raise KeyError(name)
