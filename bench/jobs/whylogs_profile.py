"""whylogs' profile of the current data: sketches that drift could be computed from; the reference is not looked at."""

from pathlib import Path
from typing import Any

import frames
import whylogs
from job import run


def load(_: Path) -> None:
    """Nothing is needed before."""


def work(_: None, current: Any) -> int:
    return len(whylogs.log(current).view().get_columns())


run(whylogs.__version__, load, frames.features, work)
