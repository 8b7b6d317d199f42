"""A block of NDJSON to records, in the fastest way that its lines allow."""

import logging
from collections import Counter

import duckdb

from exporter.ingest.bulk import BulkReader
from exporter.ingest.lines import chunks
from exporter.ingest.ndjson import LineReader
from exporter.ingest.records import Records
from exporter.ingest.salvage import Salvage, Salvaged
from exporter.ingest.schema import FeatureSchema

log = logging.getLogger(__name__)

BULK_FROM = 1024 * 1024  # bytes; below, DuckDB's fixed cost of 9 ms outweighs its speed (bench/README.md)


class Blocks:
    """In bulk; past bad lines when there are some; and line by line what neither takes."""

    def __init__(self, schema: FeatureSchema) -> None:
        self._lines = LineReader(schema)
        self.bulk = BulkReader(schema)
        self.salvage = Salvage(self.bulk, self._lines)
        self._spoilt = False

    def read(self, block: bytes, start: int, end: int) -> Salvaged:
        """The records of the complete lines from `start` to `end`, and how many lines were refused, by reason."""
        if end - start >= BULK_FROM:
            ways = (self._salvaged,) if self._spoilt else (self._strictly, self._salvaged)  # bad lines come in company
            for way in ways:
                try:
                    return way(memoryview(block)[start:end])
                except duckdb.Error as error:
                    log.debug("%s of a block: %s", way.__name__, error)
        return self._by_lines(block, start, end)

    def _strictly(self, text: memoryview) -> Salvaged:
        return (self.bulk.read(iter([text])),), Counter()

    def _salvaged(self, text: memoryview) -> Salvaged:
        records, rejected = self.salvage.read(text)
        self._spoilt = bool(rejected) or len(records) > 1
        return records, rejected

    def _by_lines(self, block: bytes, start: int, end: int) -> Salvaged:
        records: list[Records] = []
        rejected = Counter[str]()
        for chunk in chunks(block, start, end):
            read, refused = self._lines.read(chunk)
            records += read
            rejected += refused
        return tuple(records), rejected
