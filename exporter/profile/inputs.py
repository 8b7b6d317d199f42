"""Do inputs repeat? Each row's input, hashed into one of a few counters, alike in every batch and process.

Inputs are alike when every feature is: the same number to the last bit, the same text. Values that are missing or of a
wrong type are alike.
"""

import zlib
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from exporter.baseline import CategoryFeature, NumericFeature
from exporter.profile.batch import Predictions
from exporter.profile.cells import as_numbers
from exporter.profile.columns import Codes, Column, TextColumn, absent
from exporter.profile.layout import INPUT_CELLS

_BLOCK = 16_384  # rows: their hashes and a column stay in the second-level cache
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: Knuth (1973), section 6.4
_FOLD_EVERY = 4  # features; numbers such as 1.0 fill their upper bits alone, which no product brings down
_HALF = np.uint64(32)

Words = NDArray[np.uint64]
_NOTHING = np.uint64(0x0F0F_F0F0_3C3C_C3C3)  # the bits of no number that occurs


def input_codes(batch: Predictions, features: Iterable[NumericFeature | CategoryFeature]) -> Codes:
    """Each row's counter, 0 to INPUT_CELLS - 1."""
    words = [_words(feature, batch.features.get(feature.name)) for feature in features]
    codes = np.empty(batch.rows, dtype=np.intp)
    for start in range(0, batch.rows, _BLOCK):
        rows = slice(start, min(start + _BLOCK, batch.rows))
        codes[rows] = _hashed([of(rows) for of in words], rows.stop - start)
    return codes


def _hashed(words: Iterable[Words | np.uint64], rows: int) -> Words:
    hashes = np.zeros(rows, dtype=np.uint64)
    for place, word in enumerate(words, start=1):
        np.multiply(hashes, _FACTOR, out=hashes)
        np.add(hashes, word, out=hashes)
        if place % _FOLD_EVERY == 0:
            hashes ^= hashes >> _HALF
    hashes ^= hashes >> _HALF
    hashes *= _FACTOR
    result: Words = hashes >> np.uint64(65 - INPUT_CELLS.bit_length())
    return result


def _words(feature: NumericFeature | CategoryFeature, column: Column | None) -> Callable[[slice], Words | np.uint64]:
    """What tells the values of some rows apart."""
    if column is None:
        return lambda _: _NOTHING
    if isinstance(feature, CategoryFeature):
        assert isinstance(column, TextColumn)
        told = [_NOTHING if text is None else _of_text(text) for text in column.texts]
        table, codes = np.array([*told, _NOTHING], dtype=np.uint64), column.codes
        return lambda rows: table.take(codes[rows], mode="wrap")  # -1 is the last
    numbers = as_numbers(column)
    bits = numbers.values.view(np.uint64)
    if numbers.missing is None and numbers.wrong is None:
        return lambda rows: bits[rows]
    gap = absent(numbers)
    return lambda rows: np.where(gap[rows], _NOTHING, bits[rows])


def _of_text(text: str) -> np.uint64:
    return np.uint64(zlib.crc32(text.encode("utf-8", "surrogatepass")))
