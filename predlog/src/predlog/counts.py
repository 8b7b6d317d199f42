"""What a writer saw since its last counts record: requests, errors, skipped, dropped and the latency histogram.

Counts add: merging two equals having counted both. Whoever shares one between threads holds a lock around it.
"""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from itertools import accumulate

# Prometheus' default buckets, and 0.5, 1 and 2.5 ms before them, because small models answer in less than 5 ms.
LATENCY_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BOUND_NAMES = (*(f"{bound:g}" for bound in LATENCY_BOUNDS), "+Inf")
# Each name becomes a time series; a service has tens of kinds of failure, not thousands.
_MOST_ERROR_NAMES = 50
_OTHER = "other"


@dataclass(slots=True)
class Counts:
    """Additive totals; `latency` counts each bucket apart, and becomes cumulative only in the record."""

    requests: int = 0
    skipped: int = 0
    dropped: int = 0
    outcomes_dropped: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    latency: list[int] = field(default_factory=lambda: [0] * len(_BOUND_NAMES))
    latency_sum: float = 0.0

    def request(self, error: str | None, latency_seconds: object) -> None:
        """Count one request, its error if it failed, and its latency if that is a number of at least zero."""
        self.requests += 1
        if error is not None:
            self._failed(error, 1)
        if latency_seconds is not None:
            self._timed(latency_seconds)

    def _failed(self, error: str, times: int) -> None:
        known = error in self.errors or len(self.errors) < _MOST_ERROR_NAMES
        self.errors[error if known else _OTHER] += times

    def _timed(self, latency_seconds: object) -> None:
        try:
            seconds = float(latency_seconds)  # type: ignore[arg-type]  # whatever the caller measured with
        except (TypeError, ValueError, OverflowError):
            return
        if 0 <= seconds < float("inf"):
            self.latency[bisect_left(LATENCY_BOUNDS, seconds)] += 1
            self.latency_sum += seconds

    def merge(self, other: "Counts") -> None:
        """Add `other`, which stays as it is."""
        self.requests += other.requests
        self.skipped += other.skipped
        self.dropped += other.dropped
        self.outcomes_dropped += other.outcomes_dropped
        self.latency_sum += other.latency_sum
        self.latency = [mine + theirs for mine, theirs in zip(self.latency, other.latency, strict=True)]
        for error, times in other.errors.items():
            self._failed(error, times)

    def __bool__(self) -> bool:
        return bool(self.requests or self.skipped or self.dropped or self.outcomes_dropped)

    def fields(self) -> dict[str, object]:
        """The fields of a counts record; the buckets are cumulative, by upper bound, as Prometheus writes them."""
        fields: dict[str, object] = {
            "requests": self.requests,
            "errors": dict(self.errors),
            "skipped": self.skipped,
            "dropped": self.dropped,
            "latency_buckets": dict(zip(_BOUND_NAMES, accumulate(self.latency), strict=True)),
            "latency_sum": self.latency_sum,
        }
        if self.outcomes_dropped:
            fields["outcomes_dropped"] = self.outcomes_dropped
        return fields
