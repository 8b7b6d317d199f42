"""The law: merging equals having seen both inputs, and a feature's cells add up to the rows seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.baseline import MomentFeature, Moments
from exporter.profile.layout import Layout, Profile, feature_part
from exporter.profile.packed import Packed, sum_packed
from tests.strategies import C, Counting, X, baseline_of, by_lines, lines, model_of, predictions, schema_of

TASKS = ("binary", "multiclass", "regression")
Y = X.model_copy(update={"name": "y"})
MOMENTS = Moments(features=tuple(
    MomentFeature(name=of.name, low=-1.0, high=2.0, centre=0.25, step=0.125) for of in (X, Y)
))  # fmt: skip
COUNTINGS = {
    task: Counting.of(model_of(task), baseline_of(task, features=(X, Y, C), moments=MOMENTS)) for task in TASKS
}
rows = st.lists(predictions(), max_size=12)
tasks = st.sampled_from(TASKS)
few = settings(max_examples=25)  # each example reads and counts several batches


def of_task(task: str, drawn: list[dict[str, object]]) -> list[dict[str, object]]:
    """Rows that the task accepts (a regression's prediction is a number, a class is a text), with a second number."""
    number = {"regression": 1.5, "multiclass": "a", "binary": 1}[task]
    return [{**row, "features": with_second(row.get("features"), place), "prediction": row.get("prediction") or number}
            for place, row in enumerate(drawn)]  # fmt: skip


def with_second(features: object, place: int) -> object:
    return {**features, "y": place / 4 if place % 3 else None} if isinstance(features, dict) else features


def assert_same(one: Profile, other: Profile) -> None:
    np.testing.assert_allclose(one.vector, other.vector, rtol=1e-12, atol=1e-12)


@few
@given(tasks, rows)
def test_zero_changes_nothing_on_either_side(task: str, drawn: list[dict[str, object]]) -> None:
    profile = COUNTINGS[task].of_rows(of_task(task, drawn))
    zero = Profile.empty(profile.layout)
    np.testing.assert_array_equal(zero.merge(profile).vector, profile.vector)
    np.testing.assert_array_equal(profile.merge(zero).vector, profile.vector)
    assert not zero.merge(zero).vector.any()


@few
@given(tasks, rows, st.data())
def test_any_partition_in_any_order_gives_the_profile_of_one_batch(
    task: str, drawn: list[dict[str, object]], data: st.DataObject
) -> None:
    of = COUNTINGS[task]
    whole = of_task(task, drawn)
    places = data.draw(st.lists(st.integers(0, 3), min_size=len(whole), max_size=len(whole)))
    batches = [[row for row, place in zip(whole, places, strict=True) if place == part] for part in range(4)]
    order = data.draw(st.permutations(range(4)))
    merged = Profile.empty(of.kernel.layout)
    for part in order:
        merged = merged.merge(of.of_rows(batches[part]))
    assert_same(merged, of.of_rows(whole))


@few
@given(tasks, rows, st.data())
def test_groups_of_one_batch_are_the_profiles_of_their_rows(
    task: str, drawn: list[dict[str, object]], data: st.DataObject
) -> None:
    of = COUNTINGS[task]
    for batch in by_lines(lines(of_task(task, drawn)), of.model, schema_of(of.kernel.layout.baseline)).predictions.get(
        "m", []
    ):
        groups = np.array(data.draw(st.lists(st.integers(0, 2), min_size=batch.rows, max_size=batch.rows)), np.intp)
        scored = of.kernel.scored(batch)
        matrix = of.kernel.predictions(batch, scored, groups, 3)
        for group in range(3):
            part = batch.take(groups == group)
            alone = of.kernel.predictions(part, scored.take(groups == group), None, 1)
            np.testing.assert_allclose(matrix[group], alone[0], rtol=1e-12, atol=1e-12)


@few
@given(rows, rows)
def test_merging_leaves_both_arguments_as_they_were(one: list[dict[str, object]], two: list[dict[str, object]]) -> None:
    left, right = COUNTINGS["binary"].of_rows(one), COUNTINGS["binary"].of_rows(two)
    before = left.vector.copy(), right.vector.copy()
    merged = left.merge(right)
    merged.vector[:] = -1.0
    np.testing.assert_array_equal(left.vector, before[0])
    np.testing.assert_array_equal(right.vector, before[1])


@few
@given(tasks, rows)
def test_a_features_cells_add_up_to_the_weight_of_the_rows_seen(task: str, drawn: list[dict[str, object]]) -> None:
    profile = COUNTINGS[task].of_rows(of_task(task, drawn))
    for feature in profile.layout.features:
        cells = profile.part(feature_part(feature.name))
        assert (cells >= 0).all()
        assert cells.sum() == pytest.approx(profile.weight, rel=1e-12)


def test_profiles_of_different_baselines_refuse_to_merge() -> None:
    mine, other = baseline_of(), baseline_of(label_offset=1.0)
    with pytest.raises(ValueError, match=f"{mine.fingerprint} and {other.fingerprint}"):
        Profile.empty(Layout(mine)).merge(Profile.empty(Layout(other)))


@few
@given(rows)
def test_a_packed_vector_comes_back_from_its_bytes(drawn: list[dict[str, object]]) -> None:
    profile = COUNTINGS["binary"].of_rows(drawn)
    packed = Packed.from_bytes(Packed.of(profile.vector).to_bytes())
    np.testing.assert_array_equal(sum_packed([packed], profile.layout.size), profile.vector)


@few
@given(st.lists(rows, max_size=3))
def test_the_sum_of_packed_vectors_is_the_merged_profile(parts: list[list[dict[str, object]]]) -> None:
    profiles = [COUNTINGS["binary"].of_rows(part) for part in parts]
    layout = COUNTINGS["binary"].kernel.layout
    total = Profile.total(layout, [profile.vector for profile in profiles])
    np.testing.assert_array_equal(sum_packed([Packed.of(p.vector) for p in profiles], layout.size), total.vector)


@pytest.mark.parametrize("task", TASKS)
def test_a_batch_without_rows_is_the_zero_in_every_way(task: str) -> None:
    of = COUNTINGS[task]
    row = {"prediction": 1.5, "label": 1, "latency_seconds": 0.1}
    [batch] = by_lines(lines(of_task(task, [{**row, "kind": "prediction", "ts": 1, "model": "m", "version": "v"}])),
                       of.model, schema_of(of.kernel.layout.baseline)).predictions["m"]  # fmt: skip
    nothing = batch.take(np.array([], dtype=np.intp))
    scored = of.kernel.scored(nothing)
    assert not of.kernel.predictions(nothing, scored, None, 1).any()
    assert not of.kernel.predictions(nothing, scored, np.array([], dtype=np.intp), 2).any()
    assert not of.kernel.labelled(nothing, scored, None, 1).any()
    assert not of.kernel.reports([]).any()


def test_the_kernel_counts_with_the_models_own_settings() -> None:
    strict = Counting.of(model_of(decision_threshold=0.9), baseline_of())
    row = {"kind": "prediction", "ts": 1, "model": "m", "version": "v", "score": 0.8}
    assert strict.of_rows([row]).part("output")[0].sum() == 1
    assert COUNTINGS["binary"].of_rows([row]).part("output")[1].sum() == 1
