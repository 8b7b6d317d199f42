"""What monitoring costs: prices and rates in, USD a month of 30 days by component out."""

from exporter.config import Costs, parse_duration

MONTH_SECONDS = 30 * 86_400


def monitoring_cost(costs: Costs, bytes_a_month: float, cores: float) -> dict[str, float]:
    """Of so much log a month, and of a process that keeps so many cores busy."""
    return {
        "log_storage": log_cost(costs, bytes_a_month),
        "compute": cores * MONTH_SECONDS / 3_600 * costs.compute_usd_per_core_hour,
    }


def log_cost(costs: Costs, bytes_a_month: float) -> float:
    """For taking in that much log and keeping it for the configured retention."""
    gib = bytes_a_month / 2**30
    kept_months = parse_duration(costs.log_retention) / MONTH_SECONDS
    return gib * (costs.log_ingestion_usd_per_gib + kept_months * costs.log_storage_usd_per_gib_month)
