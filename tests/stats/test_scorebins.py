"""Score cells: codes and edges are inverses, and AUC on the cells is the exact one to 1e-3 on many kinds of scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from exporter.profile.scorebins import BLOCK, CELLS, EDGES, TENTHS, score_codes, score_mids
from exporter.stats.auc import auc, auc_error_bound

Floats = NDArray[np.float64]
ROWS = 100_000


def _by_search(scores: Floats) -> NDArray[np.intp]:
    return np.clip(np.searchsorted(EDGES, scores, side="right") - 1, 0, CELLS - 1)


def _scores(kind: str, rng: np.random.Generator) -> Floats:
    if kind.startswith("beta"):
        a, b = (float(part) for part in kind.split()[1:])
        return rng.beta(a, b, ROWS)
    mean, deviation = (float(part) for part in kind.split()[1:])
    scores: Floats = expit(rng.normal(mean, deviation, ROWS))
    return scores


KINDS = ("beta 0.5 8", "beta 2 2", "beta 8 0.5", "beta 1 1", "logistic 0 1", "logistic -7 2", "logistic -10 1.5")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rounded", [False, True])
def test_auc_on_the_cells_is_the_exact_one_to_a_thousandth(kind: str, *, rounded: bool) -> None:
    rng = np.random.default_rng(4)
    smooth = _scores(kind, rng)
    rank = smooth.argsort().argsort() / ROWS
    scores = smooth.round(2) if rounded else smooth
    for labels in (rng.random(ROWS) < rank, rng.random(ROWS) < 0.02 + 0.3 * rank**3):
        codes = score_codes(scores)
        positive, negative = (np.bincount(codes[labels == side], minlength=CELLS) for side in (True, False))
        exact, binned, bound = (
            roc_auc_score(labels, scores),
            auc(positive, negative),
            auc_error_bound(positive, negative),
        )
        assert isinstance(bound, float)
        assert binned == pytest.approx(exact, abs=1e-3)
        assert binned == pytest.approx(exact, abs=bound + 1e-12)


@given(st.lists(st.floats(0, 1), max_size=50))
def test_codes_are_those_of_a_search_in_the_edges(scores: list[float]) -> None:
    array = np.array(scores, float)
    assert score_codes(array).tolist() == _by_search(array).tolist()


def test_codes_are_exact_at_every_edge_and_one_step_to_either_side() -> None:
    for near in (EDGES, np.nextafter(EDGES[1:], 0), np.nextafter(EDGES[:-1], 1)):
        assert score_codes(near).tolist() == _by_search(near).tolist()


def test_codes_are_those_of_a_search_on_many_scores_over_several_blocks() -> None:
    rng = np.random.default_rng(9)
    scores = np.concatenate([expit(rng.normal(0, 6, 3 * BLOCK + 17)), rng.random(BLOCK), rng.random(999).round(2)])
    codes = score_codes(scores)
    assert codes.dtype == np.uint16
    assert np.array_equal(codes, _by_search(scores))


def test_the_middle_of_a_cell_has_the_code_of_the_cell() -> None:
    assert score_codes(score_mids()).tolist() == list(range(CELLS))


def test_edges_run_from_0_to_1_mirror_each_other_and_cannot_be_written() -> None:
    assert EDGES.shape == (CELLS + 1,)
    assert (EDGES[0], EDGES[-1]) == (0.0, 1.0)
    assert (np.diff(EDGES) > 0).all()
    assert pytest.approx(1 - EDGES, abs=1e-12) == EDGES[::-1]
    with pytest.raises(ValueError, match="read-only"):
        EDGES[0] = 1


def test_multiples_of_a_twentieth_are_edges_and_tenths_start_ten_equal_cells() -> None:
    assert set((np.arange(21) / 20).tolist()) <= set(EDGES.tolist())
    assert EDGES[TENTHS].tolist() == (np.arange(10) / 10).tolist()
    scores = np.arange(1_000) / 1_000
    by_tenth = np.add.reduceat(np.bincount(score_codes(scores), minlength=CELLS), TENTHS)
    assert by_tenth.tolist() == [100] * 10


def test_scores_outside_0_and_1_and_nan_get_a_code_without_a_warning() -> None:
    outside = np.array([-1.0, 2.0, np.nan, np.inf, -np.inf])
    assert score_codes(outside).tolist() == [0, CELLS - 1, 0, CELLS - 1, 0]


def test_no_scores_have_no_codes() -> None:
    assert score_codes(np.array([])).shape == (0,)
