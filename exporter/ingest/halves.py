"""Halves of predictions, each in a log of its own: they wait in the database, and commit with their positions."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

import duckdb
import msgspec
import numpy as np
import pyarrow as pa

from exporter.formats.common import Gathered, Half
from exporter.ingest.records import Records
from exporter.ingest.sources import Piece
from exporter.profile.columns import index_array, string_array

_SAME = "h.model = o.model AND h.id = o.id"
Pair = tuple[Half, bytes]  # a half, and the line of its other one
Parse = Callable[[bytes], tuple[tuple[Records, ...], Counter[str]]]


class Halves:
    """The halves of one state. Callers open the transaction that `complete` and `expire` write in."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        connection.execute(
            "CREATE TABLE IF NOT EXISTS halves (model VARCHAR, id VARCHAR, side VARCHAR, line VARCHAR, since DOUBLE)"
        )

    def complete(self, piece: Piece, parse: Parse, now: float) -> Piece:
        """A piece with the records that its halves complete; other halves wait from `now` (Unix seconds) on."""
        if not piece.halves:
            return piece
        lines, failed = self._meet(piece.halves, now)
        records, rejected = parse(lines)
        rejected = +(rejected + piece.rejected + Counter(malformed=failed))
        return replace(piece, records=(*piece.records, *records), rejected=rejected, halves=())

    def _meet(self, halves: Iterable[Half], now: float) -> tuple[bytes, int]:
        """Lines of ours, of halves whose other one is there; and how many pairs became none. The others wait."""
        pairs, left = _paired(halves)
        if left:
            waited = self._taken(left)
            pairs += [(half, waited[place]) for place, half in enumerate(left) if place in waited]
            self._keep([half for place, half in enumerate(left) if place not in waited], now)
        gathered = Gathered()
        for number, (half, other) in enumerate(pairs, 1):
            lines = half.line, msgspec.json.decode(other)
            inputs, outputs = lines if half.side == "inputs" else reversed(lines)
            gathered.add(number, lambda join=half.join, of=(inputs, outputs): join(*of))  # type: ignore[misc]  # bound now
        translated = gathered.translated()
        return translated.lines, len(translated.refused)

    def expire(self, before: float) -> int:
        """Forget the halves that wait since before `before`; how many there were."""
        return len(
            self._connection.execute("DELETE FROM halves WHERE since < $t RETURNING 1", {"t": before}).fetchall()
        )

    def _taken(self, halves: list[Half]) -> dict[int, bytes]:
        """By the place of a half: the line of its other one, which waits no more. Earlier copies go too."""
        self._offer(halves)
        found = self._connection.execute(
            f"SELECT o.place, h.line FROM halves h JOIN halves_offered o ON {_SAME} AND h.side != o.side"
        ).fetchall()
        self._connection.execute(f"DELETE FROM halves h USING halves_offered o WHERE {_SAME}")
        return {place: line.encode() for place, line in found}

    def _keep(self, halves: list[Half], now: float) -> None:
        self._offer(halves)
        self._connection.execute(
            "INSERT INTO halves SELECT model, id, side, line, $now FROM halves_offered", {"now": now}
        )

    def _offer(self, halves: list[Half]) -> None:
        columns = {
            "model": string_array([half.model for half in halves]),
            "id": string_array([half.identity for half in halves]),
            "side": string_array([half.side for half in halves]),
            "line": string_array([msgspec.json.encode(half.line).decode() for half in halves]),
            "place": index_array(np.arange(len(halves))),
        }
        self._connection.register("halves_offered", pa.table(columns))


def _paired(halves: Iterable[Half]) -> tuple[list[Pair], list[Half]]:
    """Those that came together, and the others, the last of each side."""
    pairs, waiting = list[Pair](), dict[tuple[str, str], Half]()
    for half in halves:
        key = half.model, half.identity
        other = waiting.pop(key, half)
        if other.side == half.side:
            waiting[key] = half
        else:
            pairs.append((half, msgspec.json.encode(other.line)))
    return pairs, list(waiting.values())
