"""The intake of one configuration: from a request's bytes to lines in the spool, and the answer."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from starlette.exceptions import HTTPException

from exporter import names
from exporter.config import Intake as Settings
from exporter.formats.kserve import Event
from exporter.formats.targets import Targets, Translate
from exporter.intake.body import unpack
from exporter.intake.check import Rules, Verdict
from exporter.intake.counts import IntakeCounts
from exporter.intake.halves import Halves
from exporter.intake.pairs import Paired, pair
from exporter.intake.spool import Spool
from exporter.intake.tokens import Tokens
from exporter.measures import Sample

Made = TypeVar("Made")
_HELD_BYTES = 64 * 1024 * 1024  # of bodies in memory: bounds what any number of senders can take
_RETRY_SECONDS = 2  # two looks of the reader at its log, which may each give room
_AT_ONCE = 8  # bodies unpacked at a time: enough to share a sync, few enough to bound memory


@dataclass
class Work:
    """What outlives a reload: the counts, the thread that checks, and what is held in memory."""

    counts: IntakeCounts = field(default_factory=IntakeCounts)
    halves: Halves = field(default_factory=Halves)
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
    targets: Targets
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

    async def take(self, body: bytes, encoding: str, translate: Translate | None = None) -> Verdict:
        """Check the lines of `body`, ours or to be translated, and return when what is good in them is durable."""

        def judge() -> Verdict:
            text, now = unpack(body, encoding, self.settings.max_body), time.time()
            return self.rules.judge_translated(translate(text), now) if translate else self.rules.judge(text, now)

        async with self.work.places:
            verdict = await self._beside(judge)
            await self._keep(verdict)
        return verdict

    async def take_events(self, read: Callable[[], Sequence[tuple[int, Event]]]) -> tuple[Verdict, int]:
        """Match events to their other halves; what is whole is durable on return. And how many halves wait now."""
        halves = self.work.halves

        def match() -> tuple[Paired, Verdict]:
            paired = pair(read(), halves, self.targets, time.monotonic(), self.settings.max_body)
            return paired, self.rules.judge_translated(paired.translated, time.time())

        def forget() -> None:
            for event in paired.whole:
                halves.done(event)

        async with self.work.places:
            paired, verdict = await self._beside(match)
            await self._keep(verdict)
            await self._beside(forget)
        return verdict, paired.held

    async def _keep(self, verdict: Verdict) -> None:
        """Write what is good, and count."""
        if verdict.records:
            self.refuse_when_full(len(verdict.kept))
            await self._write(verdict.kept)
        self.counts.records += verdict.records
        self.counts.refused.update(reason for _, reason in verdict.refused)

    async def _beside(self, work: Callable[[], Made]) -> Made:
        """What `work` makes on the one thread beside the server's, which alone touches the halves."""
        return await asyncio.get_running_loop().run_in_executor(self.work.checker, work)

    async def _write(self, lines: bytes) -> None:
        try:
            await asyncio.wrap_future(self.spool.append(lines))
        except OSError as error:  # the spool has logged it
            raise _later(503, "The disk does not take it") from error

    def samples(self) -> Iterator[Sample]:
        """The intake's metrics."""
        self.work.checker.submit(self.work.halves.expire, time.monotonic())
        yield from self.counts.samples()
        yield Sample(names.INTAKE_SPOOL_BYTES, (), float(self.spool.size))
        yield Sample(names.INTAKE_WAITING_HALVES, (), float(len(self.work.halves)))
        for half in ("request", "response"):
            yield Sample(names.INTAKE_UNMATCHED_HALVES_TOTAL, (half,), float(self.work.halves.unmatched[half]))


def _later(status: int, why: str) -> HTTPException:
    return HTTPException(status, f"{why}; send this again later.", {"Retry-After": str(_RETRY_SECONDS)})
