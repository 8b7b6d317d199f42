"""Followers let go of their files when a test ends."""

from collections.abc import Iterator

import pytest

from tests.ingest.follower import Follower


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while Follower.made:
        Follower.made.pop().reader.close()
