"""One monitored model: its task, how its drift is judged, and what its alerts compare with."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from exporter.config.base import Duration, Label, Positive, Section, Share, parse_duration
from exporter.config.objectives import Objectives
from exporter.config.segment import Segment, segment_problem

WEEK_SECONDS = 7 * 86_400

Task = Literal["binary", "multiclass", "regression"]
Period = Literal["previous", "last_week"]
DriftMethod = Literal["psi", "js", "ks", "chi2", "hellinger", "tv", "wasserstein"]


class FeatureDriftLevels(Section):
    """PSI levels of one feature: 0.1 and 0.2 are the field's custom (Siddiqi 2006), 0.3 asks for retraining."""

    minor: Positive = Field(
        0.1, description="Noted as info; from here on, and if significant, a feature counts as drifted."
    )
    moderate: Positive = Field(0.2, description="Warns: look for the cause.")
    severe: Positive = Field(0.3, description="Critical: retrain.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.minor < self.moderate < self.severe:
            raise ValueError("levels must increase: minor < moderate < severe")
        return self


BROKEN_BELOW = 0.5  # complete: more rows lack the feature than have it, which no noise or optional field does
"""Below it a feature's source is taken for broken."""


class Thresholds(Section):
    """What the alerts of one model compare with; the defaults are the table in the README."""

    feature_drift: FeatureDriftLevels = FeatureDriftLevels()
    prediction_drift: Positive = Field(0.15, description="PSI of the output that warns.")
    prediction_drift_severe: Positive = Field(0.3, description="PSI of the output that asks for retraining.")
    drifted_features: int = Field(3, ge=1, description="This many drifted features warn.")
    accuracy: Share = Field(0.85, description="Share of right predictions; below warns.")
    auc: Share = Field(0.90, description="Area under the ROC curve of a binary model; below warns.")
    baseline_ratio: Positive = Field(0.95, description="Performance over the baseline's; below warns.")
    completeness: Share = Field(0.99, description="Share of the rows that have a feature; below warns.")
    log_completeness: Share = Field(0.99, description="Records read over those to expect by counts records.")
    invalid_inputs: Share = Field(0.01, description="Share of feature values that are invalid; above warns.")
    missing_features: Share = Field(0.001, description="Share of feature values that are missing; above warns.")
    latency_p95_seconds: Positive = Field(0.1, description="95th percentile of the latency; above warns.")
    error_ratio: Share = Field(0.01, description="Failed requests over all; above warns.")
    segment_accuracy_gap: Share = Field(
        0.05,
        description="A segment warns whose accuracy is surely this far below the whole's, interval against interval.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.prediction_drift < self.prediction_drift_severe:
            raise ValueError("prediction_drift must lie below prediction_drift_severe")
        return self


class Drift(Section):
    """How drift is judged: methods, the window that alerts look at, and how many rows a verdict needs."""

    methods: tuple[DriftMethod, ...] = Field(
        ("psi", "js", "ks", "chi2"), min_length=1, description="Distances to export; psi must be among them."
    )
    window: Duration = Field("1d", description="The window that alerts look at; one of evaluation.windows.")
    min_rows: int = Field(200, ge=1, description="Fewer (effective) rows than this give no drift score.")
    significance: Share = Field(0.05, description="False discovery rate over a model's features.")
    false_alarms_per_month: Positive = Field(
        1, description="Calibrated thresholds: alarms without drift, all features together, one verdict a window."
    )
    distributions: bool = Field(True, description="Export each feature's shares by bin, beside the reference's.")

    periods: tuple[Period, ...] = Field(
        (), description="Hold the drift window against the model's own past too: the window before, or a week ago."
    )

    @model_validator(mode="after")
    def _psi_is_there(self) -> Self:
        if "psi" not in self.methods:
            raise ValueError("methods must hold psi: verdicts and alerts stand on it")
        return self

    @model_validator(mode="after")
    def _periods_are_apart(self) -> Self:
        if len(set(self.periods)) < len(self.periods):
            raise ValueError("periods must differ")
        if "last_week" in self.periods and parse_duration(self.window) >= WEEK_SECONDS:
            raise ValueError("periods: last_week needs a window shorter than 7d; name previous instead")
        return self

    @property
    def reach(self) -> int:
        """Seconds from the window's end back to where the earliest of it and its periods starts, within an hour."""
        length = parse_duration(self.window)
        return length + max((length if period == "previous" else WEEK_SECONDS for period in self.periods), default=0)


class ModelOutcomes(Section):
    """How old predictions must be before what rests on their labels looks at them."""

    maturity: Duration | None = Field(
        None, description="Windows of performance end this long ago; none: every label that came counts at once."
    )


class Model(Section):
    """One monitored model."""

    name: str = Field(min_length=1, max_length=128, description="As the records say it in `model`.")
    task: Task = Field(description="What it predicts.")
    baseline: Path = Field(description="File that `prediction-exporter baseline build` makes from reference data.")
    positive_label: Label = Field("1", description="Binary: the class that scores are the probability of.")
    decision_threshold: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.5, description="Binary: a score from here on predicts the positive class, where a record names none."
    )
    low_confidence: Annotated[float, Field(gt=0.5, le=1)] = Field(
        0.6, description="Binary: a prediction whose likelier class has less probability than this is unsure."
    )
    segments: tuple[Segment, ...] = Field((), description="What performance and drift are also told by.")
    drift: Drift = Drift()
    outcomes: ModelOutcomes = ModelOutcomes()
    thresholds: Thresholds = Thresholds()
    objectives: Objectives = Objectives()

    @model_validator(mode="after")
    def _can_be_measured(self) -> Self:
        if self.task == "regression" and self.objectives.accuracy is not None:
            raise ValueError("objectives.accuracy: a regression is never simply right; remove it")
        return self

    @model_validator(mode="after")
    def _segments_fit(self) -> Self:
        if problem := segment_problem(self.segments):
            raise ValueError(problem)
        return self
