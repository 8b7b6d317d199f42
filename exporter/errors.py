"""Errors that a person can act on: each names the place and the remedy."""

from collections.abc import Sequence


class PredictionExporterError(Exception):
    """Base of the errors that end a command with a message instead of a traceback."""

    exit_status = 1


class ConfigError(PredictionExporterError):
    """A configuration, baseline or argument that cannot be used; carries every problem found, not only the first."""

    exit_status = 2

    def __init__(self, source: str, problems: Sequence[str]) -> None:
        """Keep `problems`, each as `path: what is wrong; remedy`, found in `source`."""
        self.source = source
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{source}: {problem}" for problem in self.problems))


class DataError(PredictionExporterError):
    """Data that cannot be read at all (a missing file, a Parquet file without the needed columns)."""
