"""Writers: each process once, active, silent, then forgotten."""

import math

from exporter.ingest.writers import ACTIVE_SECONDS, FORGET_SECONDS, Writers


def test_segments_of_one_process_are_one_writer_whatever_their_form() -> None:
    writers = Writers()
    for name in ("m-7-1a2-000000.ndjson.gz", "m-7-1a2-000001.ndjson", "m-8-1a3-000000.ndjson.zst", "other.ndjson"):
        writers.heard(f"logs/{name}", 100.0)
    assert writers.states(100.0) == {"active": 3, "silent": 0}


def test_a_writer_is_active_then_silent_then_forgotten() -> None:
    writers = Writers()
    writers.heard("a.ndjson", 0.0)
    writers.heard("b.ndjson", ACTIVE_SECONDS)
    writers.heard("b.ndjson", 1.0)
    writers.heard("counts-only.ndjson", -math.inf)
    assert writers.oldest() == 0
    assert writers.states(ACTIVE_SECONDS - 1) == {"active": 2, "silent": 0}
    assert writers.states(ACTIVE_SECONDS) == {"active": 1, "silent": 1}
    assert writers.states(FORGET_SECONDS) == {"active": 0, "silent": 1}
    assert writers.oldest() == ACTIVE_SECONDS
    assert writers.states(FORGET_SECONDS + ACTIVE_SECONDS) == {"active": 0, "silent": 0}
    assert writers.oldest() is None
