"""Profile vectors made small: most cells of a five-minute bucket are zero."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import zstandard
from numpy.typing import NDArray

from exporter.profile.columns import Floats


@dataclass(frozen=True, slots=True)
class Packed:
    """The non-zero cells of a vector: their places, and what they hold."""

    places: NDArray[np.uint32]
    values: Floats

    @classmethod
    def of(cls, vector: Floats) -> "Packed":
        """The non-zero cells of `vector`."""
        places = np.flatnonzero(vector != 0)  # comparing first is several times faster
        return cls(places.astype(np.uint32), vector[places])

    def to_bytes(self) -> bytes:
        """Compressed bytes; `from_bytes` is the inverse."""
        return zstandard.compress(self.places.tobytes() + self.values.tobytes(), 1)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Packed":
        """What `to_bytes` wrote."""
        raw = zstandard.decompress(data)
        count = len(raw) // 12  # four bytes for the place, eight for the value
        return cls(np.frombuffer(raw, np.uint32, count), np.frombuffer(raw, np.float64, count, 4 * count))


def sum_packed(parts: Iterable[Packed], size: int) -> Floats:
    """The sum of packed vectors, of shape (size,)."""
    total = np.zeros(size)
    for part in parts:
        total[part.places] += part.values  # a vector's places are distinct
    return total
