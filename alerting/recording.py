"""Recording rules: the expressions that panels and alerts share, each under its name from the vocabulary.

Sums are taken before they are divided, so that a ratio over replicas weighs each by its traffic.
"""

from dataclasses import dataclass, field

from alerting.durations import DAY, HOUR, MINUTE, Pace
from alerting.promql import REPLICA, number, total
from exporter import names
from exporter.config import Config
from exporter.names import Family

OPERATIONS_RANGE = 5 * MINUTE  # twenty scrapes at Prometheus's usual 15 s
QUALITY_RANGE = HOUR  # inputs are judged over enough rows for a share of 0.1 % to mean something
MONTH = 30 * DAY  # as in monitoring_cost_usd


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded series and the expression it stands for; `labels` are added to what the expression carries."""

    name: str
    expr: str
    labels: dict[str, str] = field(default_factory=dict)

    def rule(self) -> dict[str, object]:
        """The rule as Prometheus reads it."""
        return {"record": self.name, "expr": self.expr} | ({"labels": self.labels} if self.labels else {})


def recordings(config: Config) -> tuple[Recording, ...]:
    """Every recording rule of `config`."""
    pace = Pace(config.alerting.speed)
    quality = pace.range(QUALITY_RANGE)
    values, invalid = _rate(names.FEATURE_VALUES_TOTAL, quality), _rate(names.INVALID_INPUTS_TOTAL, quality, "reason")
    return (
        _latency(names.LATENCY_P50, 0.5, pace),
        _latency(names.LATENCY_P95, 0.95, pace),
        _latency(names.LATENCY_P99, 0.99, pace),
        Recording(names.ERROR_RATIO, _known(_error_ratio(pace.range(OPERATIONS_RANGE)))),
        Recording(names.INVALID_INPUT_RATIO, _known(f"{invalid}\n/\n{values}")),
        Recording(names.MISSING_FEATURE_RATIO, _known(f"{_rate(names.MISSING_FEATURES_TOTAL, quality)}\n/\n{values}")),
        Recording(names.MEAN_COMPLETENESS, _completeness("avg")),
        Recording(names.LEAST_COMPLETENESS, _completeness("min")),
        Recording(
            names.DRIFT_OVER_THRESHOLD, f"{names.FEATURE_DRIFT_SCORE.name}\n/\n{names.FEATURE_DRIFT_THRESHOLD.name}"
        ),
        Recording(names.NOTIFICATION_COST_USD, _notification_cost(config, pace)),
    )


def _known(expr: str) -> str:
    """Without the NaN of 0 / 0: where nothing came there is no ratio, and a graph has a gap."""
    return f"{expr}\n>= 0"


def _latency(name: str, quantile: float, pace: Pace) -> Recording:
    buckets = f"rate({names.PREDICTION_LATENCY_SECONDS.name}_bucket[{pace.range(OPERATIONS_RANGE)}])"
    return Recording(name, _known(f"histogram_quantile({quantile}, {total(buckets)})"))


def _error_ratio(window: str) -> str:
    errors = _rate(names.PREDICTION_ERRORS_TOTAL, window, "error")
    return f"{errors}\n/\n{_rate(names.PREDICTION_REQUESTS_TOTAL, window)}"


def _rate(counter: Family, window: str, *labels: str) -> str:
    return total(f"rate({counter.name}[{window}])", *labels)


def _completeness(how: str) -> str:
    """Over all features; a page of many models cannot ask for every feature of each at every step."""
    return f"{how} without ({', '.join((names.FEATURE, *REPLICA))}) ({names.FEATURE_COMPLETENESS.name})"


def _notification_cost(config: Config, pace: Pace) -> str:
    """Projected as monitoring_cost_usd is: the present rate, kept up for a month of the log's time."""
    sent = total(f"rate({names.ALERTMANAGER_NOTIFICATIONS_TOTAL}[{pace.range(DAY)}])", "integration")
    return f"{sent} * {number(MONTH / pace.speed)} * {number(config.costs.notification_usd)}"
