"""Steps over time: they make up the window, no more and no less, whatever its length."""

from pathlib import Path

import numpy as np
import pytest

from exporter.pages.history import MOST, step_length, step_starts, steps, trace
from exporter.windows import BUCKET, FINE, HOUR, window_start
from tests.exporters import Make, some, step, write


@pytest.mark.parametrize("length", [BUCKET, HOUR, 6 * HOUR, 86_400, FINE, 7 * 86_400, 28 * 86_400, 365 * 86_400])
@pytest.mark.parametrize("at", [1_700_006_400.0, 1_700_009_999.5])
def test_steps_tile_the_window_on_bounds_of_its_buckets(length: int, at: float) -> None:
    starts = step_starts(at, length)
    assert starts[0] == window_start(at, length)
    assert (np.diff(starts) > 0).all()
    assert set(np.diff(starts[1:])) <= {step_length(length)}
    assert len(starts) <= MOST + 2
    assert not any(start % (BUCKET if length <= FINE else HOUR) for start in starts)
    assert starts[-1] <= at


@pytest.mark.parametrize("window", ["1h", "1d", "7d"])
def test_the_steps_of_a_window_add_up_to_it(tmp_path: Path, make: Make, window: str) -> None:
    write(tmp_path, some(0, 3_000))
    exporter = make()
    step(exporter)
    seen = exporter.seen()
    assert seen is not None
    [scope] = seen.versions("churn")
    found = steps(seen, scope, {"1h": HOUR, "1d": 86_400, "7d": 7 * 86_400}[window])
    total = sum((of.profile.vector for of in found[1:]), found[0].profile.vector)
    assert total == pytest.approx(scope.windows[window].vector)
    assert found[0].profile.records > 0
    points = trace(found, lambda profile: (profile.records, None, None))
    assert sum(value or 0.0 for _, (value, *_) in points) == scope.windows[window].records
    assert [at for at, _ in points] == sorted(at for at, _ in points)
