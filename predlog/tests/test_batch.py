from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from predlog import PredictionLog

Read = Callable[..., list[dict[str, Any]]]

COLUMNS: dict[str, Any] = {"age": [41, None, 17], "plan": ["gold", "free", None]}
ROWS = [{"age": 41, "plan": "gold"}, {"age": None, "plan": "free"}, {"age": 17, "plan": None}]


@pytest.mark.parametrize(
    "features",
    [
        COLUMNS,
        {name: np.array(values, dtype=object) for name, values in COLUMNS.items()},
        pd.DataFrame({"age": pd.array(COLUMNS["age"], dtype="Int64"), "plan": COLUMNS["plan"]}),
        pd.DataFrame({"age": COLUMNS["age"], "plan": pd.Categorical(COLUMNS["plan"])}, index=[7, 7, 1]),
        pa.table(COLUMNS),
        pa.RecordBatch.from_pydict(COLUMNS),
        ROWS,
    ],
    ids=["lists", "numpy", "pandas", "pandas with an odd index", "Arrow table", "Arrow batch", "rows"],
)
def test_columns_of_every_kind_become_the_same_records(folder: Path, read: Read, features: Any) -> None:
    with PredictionLog("m", "v", folder) as log:
        log.log_batch(features, score=np.array([0.1, 0.2, 0.3]), id=["a", "b", "c"], ts=5.0)
        assert log.flush() == 0
    records = read("prediction")
    assert [record["features"] for record in records] == ROWS
    assert [(record["score"], record["id"], record["ts"]) for record in records] == [
        (0.1, "a", 5.0), (0.2, "b", 5.0), (0.3, "c", 5.0),
    ]  # fmt: skip


def test_a_matrix_and_probabilities_by_class_are_split_by_column(folder: Path, read: Read) -> None:
    with PredictionLog("m", "v", folder, feature_names=["a", "b"]) as log:
        log.log_batch(np.array([[1.0, 2.0], [3.0, 4.0]]), probabilities={"yes": [0.1, 0.2], "no": [0.9, 0.8]})
        log.log_batch(np.array([[5.0, 6.0]]), probabilities=np.array([[0.25, 0.75]]))
    records = read("prediction")
    assert [record["features"] for record in records] == [{"a": 1, "b": 2}, {"a": 3, "b": 4}, {"a": 5, "b": 6}]
    assert [record["probabilities"] for record in records] == [
        {"yes": 0.1, "no": 0.9}, {"yes": 0.2, "no": 0.8}, {"0": 0.25, "1": 0.75},
    ]  # fmt: skip


def test_one_value_serves_all_rows_and_segments_may_be_columns(folder: Path, read: Read) -> None:
    with PredictionLog("m", "v", folder) as log:
        log.log_batch({"a": [1, 2]}, latency_seconds=0.5, segments={"region": "eu"}, metadata={"tags": ["x", "y"]})
        log.log_batch({"a": [3, 4]}, segments={"region": ["us", "asia"]}, error=[None, "Timeout"])
    records = read("prediction")
    assert [record["segments"]["region"] for record in records] == ["eu", "eu", "us", "asia"]
    assert [record.get("latency_seconds") for record in records] == [0.5, 0.5, None, None]
    assert [record.get("error") for record in records] == [None, None, None, "Timeout"]
    assert records[0]["metadata"] == {"tags": ["x", "y"]}


def test_times_of_numpy_and_pandas_are_written_as_times(folder: Path, read: Read) -> None:
    times = pd.to_datetime(["1970-01-01T00:01:00", "1970-01-01T00:02:00"])
    with PredictionLog("m", "v", folder) as log:
        log.log_batch({"a": [1, 2]}, ts=times.to_series())
        log.log_batch({"a": [1, 2]}, ts=times.to_numpy())
        log.log_batch({"a": [1, 2]}, ts=pa.array(times.to_numpy()))
    assert [record["ts"] for record in read("prediction")] == [60, 120] * 3


def test_columns_of_different_lengths_cost_their_batch_and_are_counted(
    folder: Path, read: Read, total: Callable[[str], int]
) -> None:
    with PredictionLog("m", "v", folder) as log:
        log.log_batch({"a": [1, 2, 3]}, score=[0.5])
        log.log_batch({"a": [1]}, score=[0.5])
        assert log.flush() == 3
    assert len(read("prediction")) == 1
    assert (total("requests"), total("dropped")) == (4, 3)
