"""NannyML's univariate drift calculator: its default method, Jensen-Shannon, for every feature by day."""

from pathlib import Path
from typing import Any

import frames
import nannyml
from job import categories, numbers, run


def load(path: Path) -> Any:
    reference = frames.timed_features(path)
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=[*numbers(reference), *categories(reference)],
        treat_as_categorical=categories(reference),
        timestamp_column_name="ts",
        chunk_period="D",
    )
    return calculator.fit(reference)


def work(calculator: Any, current: Any) -> int:
    result = calculator.calculate(current).filter(period="analysis").to_df()
    return len(result) * [column[-1] for column in result.columns].count("value")


run(nannyml.__version__, load, frames.timed_features, work)
