"""The archive: log files at rest become zstd Parquet by model and day, are deleted, and expire."""
