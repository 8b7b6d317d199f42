"""What the kernel counts: columns of the valid predictions, outcomes and counts records of one model."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from exporter.profile.columns import Codes, Column, Floats, Mask, TextColumn, index_array


@dataclass(frozen=True, slots=True)
class Predictions:
    """Prediction records of one model; every column has shape (rows,), NaN stands for a missing optional number."""

    ts: Floats
    version: TextColumn
    features: Mapping[str, Column]
    prediction: Column
    score: Floats
    confidence: Floats
    label: Column | None
    weight: Floats | None
    latency: Floats
    cost: Floats
    error: TextColumn
    ids: pa.Array | None
    segments: Mapping[str, TextColumn] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Records in the batch."""
        return len(self.ts)

    @property
    def weights(self) -> Floats:
        """Each record's weight."""
        return np.ones(self.rows) if self.weight is None else self.weight

    @property
    def failed(self) -> Mask:
        """True where the request ended in an error."""
        return self.error.codes >= 0

    def take(self, index: NDArray[np.intp] | Mask) -> "Predictions":
        """The rows that `index` (a mask or positions) selects."""
        return Predictions(
            ts=self.ts[index],
            version=self.version.take(index),
            features={name: column.take(index) for name, column in self.features.items()},
            prediction=self.prediction.take(index),
            score=self.score[index],
            confidence=self.confidence[index],
            label=None if self.label is None else self.label.take(index),
            weight=None if self.weight is None else self.weight[index],
            latency=self.latency[index],
            cost=self.cost[index],
            error=self.error.take(index),
            ids=None if self.ids is None else self.ids.take(index_array(_positions(index))),
            segments={name: column.take(index) for name, column in self.segments.items()},
        )


def _positions(index: NDArray[np.intp] | Mask) -> NDArray[np.intp]:
    return np.flatnonzero(index) if index.dtype == bool else index.astype(np.intp)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Outcome records of one model, by the id of their prediction."""

    ts: Floats
    label: Column
    ids: pa.Array

    @property
    def rows(self) -> int:
        """Records in the batch."""
        return len(self.ts)


@dataclass(frozen=True, slots=True)
class Report:
    """One counts record: a writer's totals since its last one."""

    ts: float
    version: str
    requests: float
    errors: Mapping[str, float]
    skipped: float
    dropped: float
    latency: Floats
    """Not cumulative, over `LATENCY_BOUNDS`; the last two: above all bounds, sum in seconds."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What an outcome needs to know of its prediction: its cell in the output part, its value, time and weight."""

    cell: Codes
    """Place in the flattened output part; -1 where the request failed and nothing was predicted."""
    value: Floats
    """The score of a binary model, the prediction of a regression; NaN where there is none."""
    ts: Floats
    weight: Floats
    segments: Codes | None = None
    """Each row's cells in all of the model's segments, as one whole number; None where it has no segments."""

    def take(self, index: NDArray[np.intp] | Mask) -> "Scored":
        """The rows that `index` (a mask or positions) selects."""
        segments = None if self.segments is None else self.segments[index]
        return Scored(self.cell[index], self.value[index], self.ts[index], self.weight[index], segments)
