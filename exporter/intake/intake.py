"""The intake of one configuration: from a request's bytes to lines in the spool, and the answer."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException

from exporter import names
from exporter.config import Intake as Settings
from exporter.intake.body import unpack
from exporter.intake.check import Rules, Verdict
from exporter.intake.counts import IntakeCounts
from exporter.intake.spool import Spool
from exporter.intake.tokens import Tokens
from exporter.measures import Sample

_HELD_BYTES = 64 * 1024 * 1024  # of bodies in memory: bounds what any number of senders can take
_RETRY_SECONDS = 2  # two looks of the reader at its log, which may each give room
_AT_ONCE = 8  # bodies unpacked at a time: enough to share a sync, few enough to bound memory


@dataclass
class Work:
    """What outlives a reload: the counts, the thread that checks, and what is held in memory."""

    counts: IntakeCounts = field(default_factory=IntakeCounts)
    held: int = 0
    checker: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="intake-check")
    )  # one: checking holds Python's lock, so that more would only keep scrapes waiting
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))


@dataclass(frozen=True)
class Intake:
    """Takes records, or raises an HTTPException that says why not; all but `samples` on the server's thread."""

    settings: Settings
    rules: Rules
    tokens: Tokens
    spool: Spool
    work: Work

    @property
    def counts(self) -> IntakeCounts:
        """What was counted since the process began."""
        return self.work.counts

    def hold(self, more: int) -> None:
        """Note bytes held in memory, or let go of; refused when they are too many."""
        if more > 0 and self.work.held + more > max(_HELD_BYTES, self.settings.max_body):
            raise _later(429, "There is too much to do")
        self.work.held += more

    def refuse_when_full(self, more: int = 0) -> None:
        """Refuse when the spool has no room for `more` bytes."""
        if self.spool.size + more >= self.settings.max_spool:
            raise _later(429, "Too many records wait to be read")

    async def take(self, body: bytes, encoding: str) -> Verdict:
        """Check the NDJSON `body`, and return when what is good in it is durable."""
        loop = asyncio.get_running_loop()
        async with self.work.places:
            verdict = await loop.run_in_executor(self.work.checker, self._judge, body, encoding)
            if verdict.records:
                self.refuse_when_full(len(verdict.kept))
                await self._write(verdict.kept)
        self.counts.records += verdict.records
        self.counts.refused.update(reason for _, reason in verdict.refused)
        return verdict

    async def _write(self, lines: bytes) -> None:
        try:
            await asyncio.wrap_future(self.spool.append(lines))
        except OSError as error:  # the spool has logged it
            raise _later(503, "The disk does not take it") from error

    def _judge(self, body: bytes, encoding: str) -> Verdict:
        return self.rules.judge(unpack(body, encoding, self.settings.max_body), time.time())

    def samples(self) -> Iterator[Sample]:
        """The intake's metrics."""
        yield from self.counts.samples()
        yield Sample(names.INTAKE_SPOOL_BYTES, (), float(self.spool.size))


def _later(status: int, why: str) -> HTTPException:
    return HTTPException(status, f"{why}; send this again later.", {"Retry-After": str(_RETRY_SECONDS)})
