"""A sampled log against the full stream that it was drawn from."""

import numpy as np
import pytest

from exporter import names
from tests.measures.raw import BASELINES, MODEL, effective, frame
from tests.strategies import binary_rows, measured, value_of


def test_weighted_statistics_of_a_sampled_log_agree_with_the_full_stream_and_unweighted_ones_do_not() -> None:
    rng = np.random.default_rng(41)
    full = binary_rows(42, 12_000)
    unsure = [abs(row["score"] - 0.5) < 0.1 for row in full]
    kept = [row if keep else {**row, "weight": 10.0}
            for row, keep in zip(full, unsure, strict=True) if keep or rng.random() < 0.1]  # fmt: skip
    plain = [{name: value for name, value in row.items() if name != "weight"} for row in kept]
    everything, sampled, naive = (measured(MODEL, BASELINES["plain"], rows)[0] for rows in (full, kept, plain))
    deviation = {  # of one row
        names.MODEL_ACCURACY: 0.5,
        names.MODEL_BRIER_SCORE: 0.15,
        names.LOW_CONFIDENCE_RATIO: 0.5,
        names.MODEL_AUC: 0.6,
    }
    rows = frame(kept)
    for family, one in deviation.items():
        error = 4 * one / np.sqrt(effective(rows))
        truth, estimate, wrong = (value_of(samples, family) for samples in (everything, sampled, naive))
        assert truth is not None
        assert estimate == pytest.approx(truth, abs=error), family.name
        assert wrong is not None
        assert abs(wrong - truth) > 1.2 * abs((estimate or 0.0) - truth), family.name
    assert value_of(sampled, names.PREDICTIONS_IN_WINDOW) == pytest.approx(12_000, rel=0.06)
    drift, naive_drift = (value_of(samples, names.PREDICTION_DRIFT_SCORE, "psi") for samples in (sampled, naive))
    assert drift is not None and naive_drift is not None  # noqa: PT018 - both are there
    assert drift < 0.05
    assert naive_drift > 0.2
