"""Who writes the log: when each writer's newest prediction was made, as far as a day back."""

import math
import re
from collections.abc import Mapping
from pathlib import PurePath

ACTIVE_SECONDS = 600.0  # ten minutes: a writer that serves anything at all, and flushes every second, is seen by then
FORGET_SECONDS = 86_400.0
_SEGMENT = re.compile(r"-\d+\.ndjson(\.gz|\.zst)?$")


class Writers:
    """Newest predictions by writer; the segments of one process are one writer's, any other file is its own."""

    def __init__(self) -> None:
        self._newest: dict[str, float] = {}

    def heard(self, path: str, newest: float) -> None:
        """Note that the file at `path` held a prediction of that time."""
        if math.isfinite(newest):
            writer = writer_of(path)
            self._newest[writer] = max(newest, self._newest.get(writer, newest))

    def states(self, at: float) -> Mapping[str, int]:
        """How many are active and silent at the instant `at`; those that are silent for a day are forgotten."""
        self._newest = {writer: newest for writer, newest in self._newest.items() if newest > at - FORGET_SECONDS}
        active = sum(newest > at - ACTIVE_SECONDS for newest in self._newest.values())
        return {"active": active, "silent": len(self._newest) - active}

    def oldest(self) -> float | None:
        """The newest prediction of the writer that is silent the longest; None without any writer."""
        return min(self._newest.values(), default=None)


def writer_of(path: str) -> str:
    """The writer of a file, by its name.

    >>> writer_of("logs/churn-17-18a3f-000004.ndjson.gz"), writer_of("logs/predictions.ndjson")
    ('churn-17-18a3f', 'predictions.ndjson')
    """
    return _SEGMENT.sub("", PurePath(path).name)
