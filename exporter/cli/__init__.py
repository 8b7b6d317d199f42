"""The command line: `app` has the commands, `baseline` those about reference data, `common` what both need."""

from exporter.cli.app import main

__all__ = ["main"]
