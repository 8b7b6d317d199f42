"""alibi-detect's TabularDrift: Kolmogorov-Smirnov for numbers, chi-square for categories.

It takes one array of numbers, so reading includes turning categories into codes.
"""

from pathlib import Path
from typing import Any

import alibi_detect
import frames
import numpy as np
from alibi_detect.cd import TabularDrift
from job import categories, numbers, run


def read(path: Path) -> Any:
    frame = frames.features(path)
    codes = [frame[name].str.removeprefix("value-").astype("int64") for name in categories(frame)]
    return np.column_stack([frame[numbers(frame)].to_numpy(), *codes])


def load(path: Path) -> Any:
    columns = list(frames.features(path))
    places = map(columns.index, categories(columns))
    return TabularDrift(read(path), categories_per_feature=dict.fromkeys(places))


def work(detector: Any, current: Any) -> int:
    return len(detector.predict(current, drift_type="feature")["data"]["distance"])


run(alibi_detect.__version__, load, read, work)
