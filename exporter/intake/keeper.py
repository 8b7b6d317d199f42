"""The intake's place in the exporter: opened and renewed with the configuration, cleared as records are counted."""

from collections.abc import Iterator
from pathlib import Path

from exporter.config import parse_duration
from exporter.errors import ConfigError
from exporter.formats.targets import Targets
from exporter.ingest.sources import LogReader
from exporter.intake.check import Rules
from exporter.intake.intake import Intake, Work
from exporter.intake.spool import Spool
from exporter.intake.tokens import Tokens
from exporter.measures import Sample
from exporter.monitor import Monitor
from exporter.store import Store


class Keeper:
    """Keeps the spool, and the intake while one is configured."""

    def __init__(self) -> None:
        self.intake: Intake | None = None
        self._monitor: Monitor | None = None
        self._spool: Spool | None = None
        self._work = Work()
        self._gone: list[str] = []

    def adopt(self, monitor: Monitor) -> None:
        """Work by `monitor`, whose state this process holds; ConfigError, and all as before, when that cannot be."""
        if monitor is self._monitor:
            return
        config = monitor.config
        settings, folder = config.intake, config.resolve(config.state) / "intake"
        tokens = Tokens([config.resolve(path) for path in settings.token_files]) if settings else None
        spool = self._spool_of(folder) if settings or folder.exists() else None
        if self._spool and self._spool is not spool:
            self._spool.close()
        self._monitor, self._spool, self.intake = monitor, spool, None
        if settings and tokens and spool:
            rules = Rules(config.models, monitor.schema, parse_duration(config.limits.future))
            targets = Targets(config, monitor.baselines)
            self.intake = Intake(settings, rules, targets, tokens, spool, self._work)

    def _spool_of(self, folder: Path) -> Spool:
        if self._spool and self._spool.folder == folder:
            return self._spool
        try:
            return Spool(folder)
        except OSError as error:
            problem = f"cannot be used ({error.strerror}); give `state` a folder that this user can write"
            raise ConfigError(str(folder), [problem]) from error

    @property
    def paths(self) -> list[str]:
        """What the log's reader follows for the intake: what was taken is counted even when nothing more is."""
        return [str(self._spool.folder)] if self._spool else []

    def clear(self, store: Store, reader: LogReader) -> None:
        """Delete what is counted in full, as the store has committed it."""
        for segment in self._spool.discard(store.positions) if self._spool else ():
            reader.release(str(segment.path), segment.identities)
            self._gone += segment.identities

    def forget(self, store: Store) -> None:
        """Drop the positions of what was deleted; within a transaction, now and then."""
        if self._gone:
            store.forget_positions(self._gone)
            self._gone = []

    def samples(self) -> Iterator[Sample]:
        """The intake's metrics; none while it is off."""
        if self.intake:
            yield from self.intake.samples()

    def close(self) -> None:
        """Write what was taken, and end."""
        if self._spool:
            self._spool.close()
        self._work.checker.shutdown()
