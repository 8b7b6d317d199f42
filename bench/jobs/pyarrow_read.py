"""The floor: reading the columns that ours reads, and nothing else."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from job import run


def load(_: Path) -> None:
    """Nothing is needed before."""


def work(_: None, __: Any) -> int:
    return 0


run(pa.__version__, load, pq.read_table, work)
