"""Which lines of a request are taken: those that the log's reader would count, by its own rules."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exporter.config import Model
from exporter.formats.common import Translated
from exporter.ingest.lines import chunks
from exporter.ingest.ndjson import LineReader
from exporter.ingest.records import sort_records
from exporter.ingest.schema import FeatureSchema
from exporter.profile.columns import Codes


@dataclass(frozen=True, slots=True)
class Verdict:
    """The lines to keep, how many records they hold, and the lines refused: number from 1, and reason."""

    kept: bytes
    records: int
    refused: tuple[tuple[int, str], ...] = ()


class Rules:
    """The readers' rules for the models of one configuration; `future` seconds ahead of the clock are allowed."""

    def __init__(self, models: Sequence[Model], schema: FeatureSchema, future: float) -> None:
        self._models, self._future = models, future
        self._reader = LineReader(schema)

    def judge(self, text: bytes, now: float) -> Verdict:
        """What becomes of the NDJSON `text`; its last line may lack the newline.

        What depends on the state is left to the reader: repeated ids, and versions beyond `limits.versions`.
        """
        kept: list[bytes] = []
        refused: list[tuple[int, str]] = []
        records = first = 0
        for chunk in chunks(text, 0, len(text)):
            count, bad = self._judge(chunk, now + self._future)
            records += count
            refused += [(first + number + 1, bad[number]) for number in sorted(bad)]
            kept.append(_without(chunk, bad))
            first += chunk.count(b"\n")
        return Verdict(b"".join(kept), records, tuple(refused))

    def judge_translated(self, translated: Translated, now: float) -> Verdict:
        """As `judge`, with the numbers of the lines that ours came from; one with several bad records is named once."""
        verdict = self.judge(translated.lines, now)
        refused = {translated.origins[number - 1]: reason for number, reason in verdict.refused}
        refused |= dict(translated.refused) | {number: "half_record" for number, _ in translated.halves}
        return Verdict(verdict.kept, verdict.records, tuple(sorted(refused.items())))

    def _judge(self, chunk: bytes, latest: float) -> tuple[int, dict[int, str]]:
        """How many records a chunk holds, and the reasons to refuse lines, by number from 0."""
        parts, refused = self._reader.outline(chunk)
        bad = dict(refused)
        records = 0
        for lines, part in parts:
            numbers = np.array(lines)

            def note(reason: str, places: Codes, numbers: Codes = numbers) -> None:
                bad.update(dict.fromkeys(numbers[places].tolist(), reason))

            records += sum(sort_records(part, self._models, latest, note=note).accepted.values())
        return records, bad


def _without(chunk: bytes, bad: dict[int, str]) -> bytes:
    """The chunk without some of its lines, its last one ended."""
    if bad:
        chunk = b"\n".join(line for number, line in enumerate(chunk.split(b"\n")) if number not in bad)
    return chunk if not chunk or chunk.endswith(b"\n") else chunk + b"\n"
