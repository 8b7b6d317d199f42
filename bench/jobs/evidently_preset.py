"""Evidently's DataDriftPreset: one test or distance for each feature, chosen by its defaults."""

from pathlib import Path
from typing import Any

import evidently
import frames
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
from job import categories, numbers, run


def dataset(path: Path) -> Any:
    frame = frames.features(path)
    kinds = DataDefinition(numerical_columns=numbers(frame), categorical_columns=categories(frame))
    return Dataset.from_pandas(frame, data_definition=kinds)


def work(reference: Any, current: Any) -> int:
    snapshot = Report([DataDriftPreset()]).run(current, reference)
    return sum("ValueDrift" in metric["metric_name"] for metric in snapshot.dict()["metrics"])


run(evidently.__version__, dataset, dataset, work)
