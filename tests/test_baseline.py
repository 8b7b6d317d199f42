"""The baseline file: round trip, fingerprint, and what is refused with which words."""

import json
from pathlib import Path
from typing import Any

import pytest

from exporter.baseline import Baseline, CategoryFeature, NumericFeature, load_baseline, settings_digest
from exporter.errors import ConfigError
from tests.strategies import C, X, baseline_of, binary_rows, built, model_of, prediction, provenance

MODEL = model_of()
BUILT = built(MODEL, binary_rows(1, 400))


def stored(tmp_path: Path, baseline: Baseline | str) -> Path:
    path = tmp_path / "b.json"
    path.write_text(baseline if isinstance(baseline, str) else baseline.to_json())
    return path


def changed(**fields: Any) -> str:
    return json.dumps({**json.loads(BUILT.to_json()), **fields})


def test_a_baseline_comes_back_from_its_file(tmp_path: Path) -> None:
    loaded = load_baseline(stored(tmp_path, BUILT), MODEL)
    assert loaded == BUILT
    assert loaded.fingerprint == BUILT.fingerprint
    assert loaded.to_json() == BUILT.to_json()


def test_where_and_when_it_was_built_leaves_the_fingerprint_alone() -> None:
    other = BUILT.model_copy(update={"provenance": provenance()})
    assert Baseline.from_json(other.to_json(), "b").fingerprint == BUILT.fingerprint
    assert built(MODEL, binary_rows(1, 400)).fingerprint == BUILT.fingerprint


@pytest.mark.parametrize("fields", [
    {"counts": {**BUILT.counts, "rows": (401.0, 400.0, 400.0)}},
    {"features": (X, C)},
    {"settings": "0"},
    {"performance": {}},
])  # fmt: skip
def test_other_cells_or_counts_make_another_fingerprint(fields: dict[str, Any]) -> None:
    other = Baseline.model_validate({**BUILT.model_dump(), **fields})
    assert other.fingerprint != BUILT.fingerprint


def test_one_row_more_makes_another_fingerprint() -> None:
    assert built(MODEL, [*binary_rows(1, 400), prediction()]).fingerprint != BUILT.fingerprint


def unusable(place: str) -> str:
    return f"not a usable baseline ({place}); build it again with `prediction-exporter baseline build`"


def feature(of: NumericFeature | CategoryFeature, **fields: Any) -> str:
    """The file with one feature, changed."""
    return changed(features=[{**of.model_dump(), **fields}])


BROKEN = {
    "not JSON": ("{", "file"),
    "no object": ("[]", "file"),
    "another format": (changed(format=2), "format"),
    "an unknown key": (changed(extra=1), "extra"),
    "falling edges": (feature(X, edges=[1, 0]), "features.0.numeric"),
    "an infinite edge": (feature(X, edges=[0, 1e999]), "features.0.numeric.edges.1"),
    "groups beyond the cells": (feature(X, groups=[0, 9]), "features.0.numeric"),
    "groups that do not start": (feature(X, groups=[1]), "features.0.numeric"),
    "a name with a quote": (feature(C, name='"'), "features.0.category.name"),
    "no features": (changed(features=[]), "features"),
    "a regression without bins": (changed(task="regression"), "file"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_is_no_baseline_names_the_place_and_the_remedy(name: str, tmp_path: Path) -> None:
    text, place = BROKEN[name]
    path = stored(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        load_baseline(path, MODEL)
    assert raised.value.problems == (unusable(place),)
    assert raised.value.source == str(path)


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    with pytest.raises(ConfigError) as raised:
        load_baseline(path, MODEL)
    [problem] = raised.value.problems
    assert problem == (
        f"no such file or directory; build it with `prediction-exporter baseline build --model m --out {path}`"
    )


def test_a_file_that_is_no_text_says_so(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8 text; build it again with `baseline build`"):
        load_baseline(path, MODEL)


def test_every_mismatch_with_the_model_is_named_at_once(tmp_path: Path) -> None:
    counts = {name: cells for name, cells in BUILT.counts.items() if name != "rows"}
    path = stored(tmp_path, changed(counts={**counts, "feature:x": [1.0], "odd": [1.0]}))
    with pytest.raises(ConfigError) as raised:
        load_baseline(path, model_of(name="other", decision_threshold=0.4))
    assert raised.value.problems == (
        "built for model 'm', not 'other'; name its own file under baseline",
        (
            "built with another positive_label, decision_threshold or low_confidence than the configuration has; "
            "build it again or restore them"
        ),
        "counts do not fit the cells (feature:x, odd, rows); build it again with `baseline build`",
    )


def test_another_task_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load_baseline(stored(tmp_path, BUILT), model_of("multiclass"))
    assert raised.value.problems == ("built for task binary, the configuration says multiclass; build it again",)


@pytest.mark.parametrize("setting", [
    {"positive_label": "yes"}, {"decision_threshold": 0.4}, {"low_confidence": 0.7}, {"task": "multiclass"},
])  # fmt: skip
def test_settings_that_shape_counts_change_their_digest(setting: dict[str, Any]) -> None:
    assert settings_digest(model_of(**{"task": "binary", **setting})) != settings_digest(MODEL)
    assert settings_digest(model_of(thresholds={"auc": 0.5})) == settings_digest(MODEL)


def test_cells_of_a_hand_made_baseline_have_their_places() -> None:
    assert (X.placed, X.cells, C.placed, C.cells) == (5, 8, 5, 7)
    assert baseline_of().fingerprint == Baseline.from_json(baseline_of().to_json(), "b").fingerprint
