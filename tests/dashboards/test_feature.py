"""The page of a feature: its thresholds are the configuration's, its bins stand in order and in twelve colours."""

import re

from dashboards.colors import BAD, NOTE, RAMP, WARN
from exporter import names
from exporter.config import parse_config

from .configs import FEATURE, HEAD, Json, built, configs, drawn, expressions, titled


def drawn_steps(panel: Json) -> list[tuple[str, float | None]]:
    return [(step["color"], step["value"]) for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]


def test_every_series_is_of_the_chosen_feature_where_it_has_one() -> None:
    of_features = "|".join(family.name for family in names.FAMILIES if names.FEATURE in family.labels)
    selectors = re.findall(rf"\b(?:{of_features}){{[^}}]*}}", " ".join(expressions(built("production", FEATURE))))
    assert len(selectors) > 15
    assert all('feature="$feature"' in selector for selector in selectors)


def test_the_levels_and_the_significance_are_drawn_from_the_configuration() -> None:
    dashboard = built("production", FEATURE)
    levels = configs()["production"].models[0].thresholds.feature_drift
    expected = [("transparent", None), (NOTE, levels.minor), (WARN, levels.moderate), (BAD, levels.severe)]
    assert drawn_steps(titled(dashboard, "PSI", "timeseries")) == expected
    assert drawn_steps(titled(dashboard, "p values", "timeseries")) == [(NOTE, None), ("transparent", 0.05)]


def test_the_calibrated_threshold_is_a_line_of_its_own() -> None:
    asked = [target["expr"] for target in titled(built("production", FEATURE), "PSI", "timeseries")["targets"]]
    assert sum(names.FEATURE_DRIFT_THRESHOLD.name in expr for expr in asked) == 1


def test_bins_run_from_dark_to_bright_in_their_order() -> None:
    panel = titled(built("production", FEATURE), "Distribution over time", "timeseries")
    hues = {
        one["matcher"]["options"]: one["properties"][0]["value"]["fixedColor"]
        for one in panel["fieldConfig"]["overrides"]
    }
    assert hues == {f"/^{place:02d}: /": color for place, color in enumerate(RAMP, start=1)}


def test_a_configuration_of_psi_alone_has_no_panel_of_other_methods() -> None:
    from dashboards.build import dashboards

    config = parse_config(HEAD + "  - {name: a, task: binary, baseline: b.json, drift: {methods: [psi]}}\n")
    [page] = [one for one in dashboards(config) if one["uid"] == FEATURE]
    assert "Every other method" not in {panel["title"] for panel in drawn(page)}
    assert "Every other method" in {panel["title"] for panel in drawn(built("production", FEATURE))}
