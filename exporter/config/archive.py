"""What becomes of log files at rest, in the sources that ask for it with `archive: true`."""

from pathlib import Path

from pydantic import Field

from exporter.config.base import Duration, Section


class Archive(Section):
    """Log files that are read and at rest become zstd Parquet by model and day, and are deleted."""

    after: Duration = Field("1d", description="Age of a file's last change at which it is archived.")
    retention: Duration = Field("90d", description="Age at which archived files are deleted, from their archiving on.")
    path: Path | None = Field(None, description="Folder of the archive; `archive` in the folder `state` by default.")
