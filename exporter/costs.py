"""What monitoring costs, and what sampling saves of it: USD a month of 30 days, at the rates and prices of now.

Both sides of sampling are priced alike: the log's mean bytes for each logged prediction, times the predictions of the
longest window that were logged, or left out on purpose. Of the running log only: files read once have no rate.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from exporter import names
from exporter.config import Costs, parse_duration
from exporter.measures import Sample, Scope

MONTH_SECONDS = 30 * 86_400


@dataclass(frozen=True)
class LogRate:
    """How fast the log grows: by `per_prediction` bytes for each prediction in the `window` of so many `seconds`."""

    scopes: Sequence[Scope]
    window: str
    seconds: int
    per_prediction: float

    @classmethod
    def of(cls, scopes: Sequence[Scope], windows: Mapping[str, int], log_bytes: float, predictions: float) -> "LogRate":
        """The rate in the longest of `windows`; all log read so far had `log_bytes` for so many `predictions`."""
        longest = max(windows, key=windows.__getitem__)
        return cls(scopes, longest, windows[longest], log_bytes / predictions if predictions else 0.0)

    @property
    def bytes_a_month(self) -> float:
        """Bytes of log in 30 days."""
        return self._a_month(sum(scope.windows[self.window].records for scope in self.scopes))

    def savings(self, costs: Costs) -> Iterator[Sample]:
        """What sampling spares of the log by model and version, in bytes and USD a month."""
        for scope in self.scopes:
            _, _, _, skipped, _ = scope.windows[self.window].part("reported")
            spared = self._a_month(float(skipped))
            yield from scope.gauge(names.SAMPLING_SAVINGS_BYTES, spared)
            yield from scope.gauge(names.SAMPLING_SAVINGS_USD, log_cost(costs, spared))

    def _a_month(self, predictions: float) -> float:
        return predictions * self.per_prediction * MONTH_SECONDS / self.seconds


def monitoring_cost(costs: Costs, rate: LogRate, cpu_seconds: float, elapsed: float) -> Iterator[Sample]:
    """What the log costs, and this process, which used `cpu_seconds` in so many seconds `elapsed`."""
    core_hours = cpu_seconds / max(elapsed, 1.0) * MONTH_SECONDS / 3_600
    for component, usd in (
        ("log_storage", log_cost(costs, rate.bytes_a_month)),
        ("compute", core_hours * costs.compute_usd_per_core_hour),
    ):
        yield Sample(names.MONITORING_COST_USD, (component,), usd)


def log_cost(costs: Costs, bytes_a_month: float) -> float:
    """USD a month for taking in that much log and keeping it for the configured retention."""
    gib = bytes_a_month / 2**30
    kept_months = parse_duration(costs.log_retention) / MONTH_SECONDS
    return gib * (costs.log_ingestion_usd_per_gib + kept_months * costs.log_storage_usd_per_gib_month)
