"""The ledger of one-shot work: nothing is written before there is an outcome to settle."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import numpy as np

from exporter.ingest.ledger import Ledger, Settlement
from exporter.ingest.remembered import Origins, Remembered
from exporter.profile.batch import Outcomes, Predictions
from exporter.profile.columns import Mask


class TransientLedger(Ledger):
    """Lives in memory and a temporary file, and takes predictions whose repeats were dropped before (`SeenIds`)."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        super().__init__(connection)
        self._held: list[tuple[str, Remembered]] = []
        self._settles = False

    @contextmanager
    def trial(self) -> Iterator[None]:
        """All that is remembered within stays only if nothing is raised."""
        held, settles = list(self._held), self._settles
        origins = Origins(dict(self._origins.known))
        index, labelled = {table: of.copy() for table, of in self._index.items()}, self._labelled.copy()
        self._run("BEGIN")
        try:
            yield
        except BaseException:
            self._run("ROLLBACK")
            self._held, self._settles, self._index, self._labelled = held, settles, index, labelled
            self._origins = origins
            raise
        self._run("COMMIT")

    def fresh(self, model: str, batch: Predictions) -> Mask:  # noqa: ARG002 - the signature of every ledger
        """True for all rows."""
        return np.ones(batch.rows, dtype=bool)

    def settle(self, model: str, outcomes: Outcomes) -> Settlement:
        """As every ledger; the first call writes what was held until then."""
        self._settles = True
        held, self._held = self._held, []
        for owner, rows in held:
            super()._remember(owner, rows)
        return super().settle(model, outcomes)

    def _remember(self, model: str, rows: Remembered) -> Settlement:
        if self._settles:
            return super()._remember(model, rows)
        self._held.append((model, rows))
        return Settlement()
