"""Rows of predictions: what is put under numbers is taken by them, whatever of it is gone."""

from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.ingest import remembered
from exporter.ingest.remembered import ROW, Origins, Rows, Structured, arrays, rows_of
from exporter.profile.columns import texts_of


def rows(numbers: np.ndarray) -> Structured:
    """Rows that tell their numbers in every column."""
    made = np.zeros(len(numbers), dtype=ROW)
    for name in ROW.names or ():
        made[name] = numbers % 2**31
    return made


@given(st.lists(st.sets(st.integers(0, 40), max_size=20), max_size=4), st.integers(0, 40), st.randoms())
def test_rows_are_taken_by_their_numbers_in_any_order(batches: list[set[int]], first: int, random: Random) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remembered, "_BITS", 3)
        patch.setattr(remembered, "_WITHIN", 7)
        kept, known = Rows(None), set[int]()
        for batch in batches:
            numbers = np.array(sorted(batch), dtype=np.int64)
            kept.put(numbers, rows(numbers))
            known |= batch
        kept.forget(first)
        wanted = [number for number in known if number >= first] * 2
        random.shuffle(wanted)
        assert kept.take(np.array(wanted, dtype=np.int64)).tolist() == rows(np.array(wanted, dtype=np.int64)).tolist()


def test_files_have_no_names_and_go_when_they_are_forgotten(tmp_path: Path) -> None:
    kept, before = Rows(tmp_path), len(list(Path("/proc/self/fd").iterdir()))
    kept.put(np.arange(5), rows(np.arange(5)))
    assert list(tmp_path.iterdir()) == []
    kept.forget(2**20)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_folder_that_cannot_be_written_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Rows(tmp_path / "absent").put(np.arange(1), rows(np.arange(1)))


def test_columns_and_rows_are_each_others_inverse() -> None:
    made = rows(np.arange(7))
    [batch] = pa.table(arrays(made)).to_batches()
    assert rows_of(batch.slice(2)).tolist() == made[2:].tolist()


def test_an_origin_is_one_model_with_one_version() -> None:
    origins = Origins()
    numbers, new = origins.of("m", texts_of(["v2", "v1", "v2"]))
    assert (numbers.tolist(), new) == ([0, 1, 0], {("m", "v2"): 0, ("m", "v1"): 1})
    numbers, new = origins.of("n", texts_of(["v1"]))
    assert (numbers.tolist(), new) == ([2], {("n", "v1"): 2})
    kept = np.zeros(3, dtype=ROW)
    kept["origin"] = [1, 2, 0]
    assert origins.versions(kept).decode() == ["v1", "v1", "v2"]
