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

    minor: Positive = 0.1
    moderate: Positive = 0.2
    severe: Positive = 0.3

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.minor < self.moderate < self.severe:
            raise ValueError("levels must increase: minor < moderate < severe")
        return self


class Thresholds(Section):
    """What the alerts of one model compare with; the defaults are the table in the README."""

    feature_drift: FeatureDriftLevels = FeatureDriftLevels()
    prediction_drift: Positive = Field(0.15, description="PSI of the output that warns.")
    prediction_drift_severe: Positive = Field(0.3, description="PSI of the output that asks for retraining.")
    drifted_features: int = Field(3, ge=1, description="This many drifted features warn.")
    accuracy: Share = 0.85
    auc: Share = 0.90
    baseline_ratio: Positive = Field(0.95, description="Performance over the baseline's; below warns.")
    completeness: Share = 0.99
    log_completeness: Share = Field(0.99, description="Records read over those to expect by counts records.")
    invalid_inputs: Share = 0.01
    missing_features: Share = 0.001
    latency_p95_seconds: Positive = 0.1
    error_ratio: Share = 0.01
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

    methods: tuple[DriftMethod, ...] = Field(("psi", "js", "ks", "chi2"), min_length=1)
    window: Duration = "1d"
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

    name: str = Field(min_length=1, max_length=128)
    task: Task
    baseline: Path
    positive_label: Label = "1"
    decision_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    low_confidence: Annotated[float, Field(gt=0.5, le=1)] = Field(
        0.6, description="Binary: a prediction whose likelier class has less probability than this is unsure."
    )
    segments: tuple[Segment, ...] = Field((), description="What performance and prediction drift are also told by.")
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
