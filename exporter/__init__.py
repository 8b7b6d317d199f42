"""A Prometheus exporter for machine-learning models.

The flow, in seven nouns, each in the module that bears its name:

    record -> batch -> profile -> window -> statistic -> snapshot -> series

Only the two ends touch the world (files, sockets, clock). Between them are pure functions of frozen values,
with time passed in.
"""

__version__ = "0.1.0"
