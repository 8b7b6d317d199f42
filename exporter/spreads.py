"""Spreads as a baseline keeps them: how each feature's windows stray without drift, or why nobody knows.

Numbers are kept to six digits, some ten thousand times finer than thirty windows can tell. A `FeatureSpread` is the
file's form of `exporter.stats.spread.Spread`, and gives it back.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from exporter.stats.spread import Spread

DIGITS = 6

Powers = tuple[float, float, float]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FeatureSpread(_Part):
    """One feature's `Spread`, field by field; `strays`, `usual` and `seen` by place of the cycle."""

    degrees: int = Field(ge=1)
    rows: float = Field(gt=0)
    windows: float = Field(gt=0)
    freedom: float = Field(gt=0)
    strays: tuple[Powers, ...] = Field(min_length=1)
    usual: tuple[Powers, ...]
    seen: tuple[float, ...]
    season: float = Field(ge=0, le=1)
    aligned: float
    overlapping: float

    @model_validator(mode="after")
    def _same_cycle(self) -> "FeatureSpread":
        if not len(self.strays) == len(self.usual) == len(self.seen):
            raise ValueError("strays, usual and seen must have a row for each place of the cycle")
        return self

    @classmethod
    def of(cls, known: Spread) -> "FeatureSpread":
        """The file's form of `known`."""
        numbers = ("rows", "windows", "freedom", "season", "aligned", "overlapping")
        return cls(
            degrees=known.degrees,
            strays=_rows(known.strays),
            usual=_rows(known.usual),
            seen=tuple(_rounded(known.seen)),
            **{name: _rounded(np.array([getattr(known, name)]))[0] for name in numbers},
        )

    @cached_property
    def known(self) -> Spread:
        """The spread, one and the same object at every call."""
        fields = self.model_dump()
        arrays = {name: np.array(fields[name], dtype=np.float64) for name in ("strays", "usual", "seen")}
        return Spread(**(fields | arrays))


class Spreads(_Part):
    """What a reference's time stamps taught about windows of length `window`: by feature, or `why` nothing.

    What is usual recurs after `cycle` windows. `above` of `held_out` windows stood above the 1-in-20 threshold that
    the rest of the reference gave them, and `expected` should have; 0 windows where the reference was too short to say.
    """

    window: str
    cycle: int = Field(ge=1)
    features: dict[str, FeatureSpread] = {}
    why: str = ""
    above: int = 0
    expected: float = 0.0
    held_out: int = 0


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values.tolist()]


def _rows(powers: NDArray[np.float64]) -> tuple[Powers, ...]:
    rounded = np.array(_rounded(powers.ravel())).reshape(powers.shape)
    return tuple((one, two, three) for one, two, three in rounded.tolist())
