"""The scored year, made once for all tests of the demo."""

from pathlib import Path

import pandas as pd
import pytest

from exporter.demo.flights import year
from exporter.demo.model import DelayModel


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("flights")


@pytest.fixture(scope="session")
def scored_year(cache: Path) -> tuple[pd.DataFrame, DelayModel]:
    return year(cache=cache)


@pytest.fixture(scope="session")
def scored(scored_year: tuple[pd.DataFrame, DelayModel]) -> pd.DataFrame:
    return scored_year[0]


@pytest.fixture(scope="session")
def model(scored_year: tuple[pd.DataFrame, DelayModel]) -> DelayModel:
    return scored_year[1]
