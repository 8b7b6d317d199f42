"""Logs a model's predictions and outcomes as NDJSON, without slowing the process that serves them.

`PredictionLog` takes predictions at the price of one append to a bounded queue; a background thread samples, encodes
and writes them. Standard library and orjson only.
"""

from predlog.log import PredictionLog
from predlog.sampling import Sampling, confidence_below, failed, score_above, value_above

__all__ = ["PredictionLog", "Sampling", "confidence_below", "failed", "score_above", "value_above"]
