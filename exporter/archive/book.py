"""What the archive holds and how far each log's content is in it, in the exporter's database."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the archive: its name within the folder, its size, and when it was archived (Unix seconds)."""

    name: str
    size: int
    at: float


class Book:
    """Remembers with the log's positions: callers open the transaction that `enter` and `strike` write in."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        for table in (
            "archived (identity VARCHAR, position BIGINT)",
            "archive (name VARCHAR, size BIGINT, archived_at DOUBLE)",
        ):
            connection.execute(f"CREATE TABLE IF NOT EXISTS {table}")
        rows = connection.execute("SELECT name, size, archived_at FROM archive").fetchall()
        self.entries = {name: Entry(name, size, at) for name, size, at in rows}
        self.positions: dict[str, int] = dict(connection.execute("SELECT identity, position FROM archived").fetchall())
        self.owner = self._owner()

    def _owner(self) -> str:
        """What this state's files are called by, so that exporters may share a folder."""
        found = self._connection.execute("SELECT value FROM meta WHERE name = 'archive'").fetchone()
        if found is None:
            self._connection.execute("INSERT INTO meta VALUES ('archive', $owner)", {"owner": uuid.uuid4().hex[:12]})
            return self._owner()
        return str(found[0])

    def enter(self, entries: Sequence[Entry], positions: Mapping[str, int]) -> None:
        """Write down new files, and how far contents are archived now; `remember` when that is committed."""
        for entry in entries:
            row = {"name": entry.name, "size": entry.size, "at": entry.at}
            self._connection.execute("INSERT INTO archive VALUES ($name, $size, $at)", row)
        for identity, position in positions.items():
            row = {"identity": identity, "position": position}
            self._connection.execute("DELETE FROM archived WHERE identity = $identity", {"identity": identity})
            self._connection.execute("INSERT INTO archived VALUES ($identity, $position)", row)

    def remember(self, entries: Sequence[Entry], positions: Mapping[str, int]) -> None:
        """Know what was committed."""
        self.entries |= {entry.name: entry for entry in entries}
        self.positions |= positions

    def strike(self, entries: Sequence[Entry]) -> None:
        """Forget files that are gone."""
        for entry in entries:
            self._connection.execute("DELETE FROM archive WHERE name = $name", {"name": entry.name})
            del self.entries[entry.name]
