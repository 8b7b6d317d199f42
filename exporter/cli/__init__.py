"""The command line: `app` has the commands, other modules those that fill a file, `common` what they share."""

from exporter.cli.app import main

__all__ = ["main"]
