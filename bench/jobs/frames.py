"""The data as pandas frames, for those that take them."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from job import categories, numbers


def features(path: Path, *others: str) -> pd.DataFrame:
    """All features, and the columns named in `others`."""
    columns = pq.read_schema(path).names
    return pd.read_parquet(path, columns=[*numbers(columns), *categories(columns), *others])


def timed_features(path: Path) -> pd.DataFrame:
    """All features, and `ts` as time stamps."""
    frame = features(path, "ts")
    frame["ts"] = pd.to_datetime(frame["ts"], unit="s")
    return frame
