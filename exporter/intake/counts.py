"""What the intake counts of itself, from the start of the process."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from exporter import names
from exporter.measures import Sample
from exporter.monitor import REJECTIONS

STATUSES = (200, 202, 400, 401, 408, 413, 415, 429, 503)


@dataclass
class IntakeCounts:
    """Counters that only the server's thread changes."""

    requests: Counter[int] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    records: int = 0
    bytes: int = 0

    def samples(self) -> Iterator[Sample]:
        """Every counter, those that can be known beforehand from 0."""
        for status in STATUSES:
            yield Sample(names.INTAKE_REQUESTS_TOTAL, (str(status),), float(self.requests[status]))
        for reason in sorted({*REJECTIONS, *self.refused}):
            yield Sample(names.INTAKE_REFUSED_RECORDS_TOTAL, (reason,), float(self.refused[reason]))
        yield Sample(names.INTAKE_RECORDS_TOTAL, (), float(self.records))
        yield Sample(names.INTAKE_BYTES_TOTAL, (), float(self.bytes))
