"""The raw rows' case, with weights and without."""

import pandas as pd
import pytest

from exporter.baseline import Baseline
from exporter.measures import Sample
from tests.measures.raw import BASELINES, BINARY, MODEL, REFERENCE, frame, weighted
from tests.strategies import measured


@pytest.fixture(params=["plain", "weighted"])
def case(request: pytest.FixtureRequest) -> tuple[list[Sample], pd.DataFrame, pd.DataFrame, Baseline]:
    kind = request.param
    samples, _ = measured(MODEL, BASELINES[kind], BINARY[kind])
    reference = REFERENCE if kind == "plain" else weighted(REFERENCE, 14)
    return samples, frame(BINARY[kind]), frame(reference), BASELINES[kind]
