"""From events to records: each half meets the other, or waits for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from exporter.formats.common import Gathered, Translated
from exporter.formats.kserve import Event, records
from exporter.formats.targets import Targets
from exporter.intake.halves import Halves


@dataclass(frozen=True, slots=True)
class Paired:
    """The records of whole pairs, by the place of the later half; those halves; and how many others wait now."""

    translated: Translated
    whole: tuple[Event, ...]
    held: int


def pair(found: Sequence[tuple[int, Event]], halves: Halves, targets: Targets, now: float, limit: float) -> Paired:
    """What becomes of events, given with their sizes, in up to `limit` bytes; `now` is of a steady clock.

    Whole pairs stay among the halves until the caller is `done` with them, so that what fails can be sent again.
    """
    gathered, whole, held = Gathered(limit), list[Event](), 0
    for place, (size, event) in enumerate(found, 1):
        try:
            target = targets.service(event.service)
        except KeyError:
            gathered.refuse(place, "unknown_model")
            continue
        if (other := halves.other(event)) is None:
            halves.wait(event, size, now)
            held += 1
            continue
        whole.append(event)
        request, response = (event, other) if event.half == "request" else (other, event)
        gathered.add(place, partial(records, request, response, target))
    return Paired(gathered.translated(), tuple(whole), held)
