"""The configuration: strict YAML in, frozen objects out, or every problem at once with its path.

Defaults live here and nowhere else. Unknown keys are errors. Paths stay as written; they are resolved against
the configuration file's folder by `Config.resolve`.
"""

from exporter.config.alerting import Alerting, Email, PagerDuty, Slack, Webhook
from exporter.config.base import parse_duration
from exporter.config.intake import Foreign, Intake
from exporter.config.load import UniqueKeyLoader, config_schema, load_config, parse_config, problems_of, yaml_problem
from exporter.config.model import BROKEN_BELOW, Model, Task, Thresholds
from exporter.config.objectives import Objectives
from exporter.config.root import Config, Costs

__all__ = [
    "BROKEN_BELOW",
    "Alerting",
    "Config",
    "Costs",
    "Email",
    "Foreign",
    "Intake",
    "Model",
    "Objectives",
    "PagerDuty",
    "Slack",
    "Task",
    "Thresholds",
    "UniqueKeyLoader",
    "Webhook",
    "config_schema",
    "load_config",
    "parse_config",
    "parse_duration",
    "problems_of",
    "yaml_problem",
]
