"""The ledger of one-shot work: nothing is written before there is an outcome to settle."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import numpy as np
import pyarrow as pa

from exporter.ingest.ledger import Ledger, Settled
from exporter.profile.batch import Outcomes, Predictions
from exporter.profile.columns import Mask


class TransientLedger(Ledger):
    """Lives in memory, holds hashes of ids, and takes predictions whose repeats were dropped before (`SeenIds`).

    Of predictions that carry their label it knows nothing more: an outcome that repeats such a label is passed over.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        super().__init__(connection, exact=False)
        self._held: list[tuple[str, pa.Table]] = []
        self._settles = False

    @contextmanager
    def trial(self) -> Iterator[None]:
        """All that is remembered within stays only if nothing is raised."""
        held, settles = list(self._held), self._settles
        self._run("BEGIN")
        try:
            yield
        except BaseException:
            self._run("ROLLBACK")
            self._held, self._settles = held, settles
            raise
        self._run("COMMIT")

    def fresh(self, model: str, batch: Predictions) -> Mask:  # noqa: ARG002 - the signature of every ledger
        """True for all rows."""
        return np.ones(batch.rows, dtype=bool)

    def settle(self, model: str, outcomes: Outcomes) -> tuple[Settled | None, int]:
        """As every ledger; the first call writes what was held until then."""
        self._settles = True
        held, self._held = self._held, []
        for owner, rows in held:
            super()._expect(owner, rows)
        return super().settle(model, outcomes)

    def _expect(self, model: str, rows: pa.Table) -> Settled | None:
        if self._settles:
            return super()._expect(model, rows)
        self._held.append((model, rows))
        return None

    def _remember_settled(self, model: str, batch: Predictions) -> None:
        """Nothing is left to remember."""
