"""From samples to bytes: exact labels, families once, bounded series, and a golden scrape."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter import names
from exporter.collector import SampleCollector, cut, render, series_of, to_json
from exporter.measures import Histogram, Sample
from exporter.names import FAMILIES, Family
from exporter.snapshot import take_snapshot
from tests.strategies import Counting, binary_rows, built, model_of, scope_of

GOLDEN = Path(__file__).parent / "golden/small.prom"
HISTOGRAM = Histogram((0.1, 1.0), (1.0, 3.0, 4.0), 7.5)


def small_samples() -> list[Sample]:
    """Every statistic of a small model whose numbers do not hang on the machine."""
    model = model_of(
        drift={"methods": ["psi", "ks"], "min_rows": 20}, segments=[{"name": "c", "max_values": 2, "features": ["x"]}]
    )
    baseline = built(model, binary_rows(1, 400))
    profile = Counting.of(model, baseline).of_rows(binary_rows(2, 300, shift=0.5))
    samples = list(take_snapshot([scope_of(model, baseline, profile)], 0.0, lambda: 0.0).samples)
    samples.append(Sample(names.PREDICTION_ERRORS_TOTAL, ("m", "v", 'a "quoted"\\\nerror'), 2.0))
    return samples


def test_the_golden_scrape_is_byte_exact() -> None:
    assert render(rounded(small_samples()))[0].decode() == GOLDEN.read_text()


def rounded(samples: list[Sample]) -> list[Sample]:
    """Ten digits: the last ones of a sum depend on the processor."""
    return [
        sample
        if isinstance(sample.value, Histogram)
        else Sample(sample.family, sample.labels, float(f"{sample.value:.10g}"))
        for sample in samples
    ]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_to_say_about_the_golden_scrape() -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=GOLDEN.read_bytes(), capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def series(families: Any) -> dict[tuple[str, ...], float]:
    return {(s.name, *map(str, sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_both_formats_say_the_same_to_their_parsers() -> None:
    samples = small_samples()
    text, openmetrics = (body.decode() for body in render(samples))
    assert openmetrics.endswith("# EOF\n")
    found = series(parse_text(text))
    assert found == series(parse_openmetrics(openmetrics))  # type: ignore[no-untyped-call]  # the library leaves it untyped
    assert len(found) == sum(map(series_of, samples))


def test_every_family_is_built_once_in_the_vocabularys_order() -> None:
    built_names = [family.name for family in SampleCollector(small_samples()).collect()]
    order = [family.name.removesuffix("_total") if family.kind == "counter" else family.name for family in FAMILIES]
    assert built_names == [name for name in order if name in built_names]
    assert len(set(built_names)) == len(built_names)


@pytest.mark.parametrize("labels", [("m", "v"), ("m", "v", "1d", "extra"), ()])
def test_a_sample_with_another_label_set_is_refused(labels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"model_auc has the labels \('model_name', 'model_version', 'window'\)"):
        render([Sample(names.MODEL_AUC, labels, 0.5)])


def test_two_samples_with_the_same_labels_are_refused() -> None:
    sample = Sample(names.MODEL_AUC, ("m", "v", "1d"), 0.5)
    with pytest.raises(ValueError, match="model_auc twice with the labels"):
        render([sample, Sample(names.MODEL_AUC, ("m", "v", "1d"), 0.6)])
    assert render([sample])


def test_a_histogram_counts_with_all_its_buckets() -> None:
    sample = Sample(names.MODEL_OUTCOME_DELAY_SECONDS, ("m", "v"), HISTOGRAM)
    assert series_of(sample) == 5
    lines = [line for line in render([sample])[0].decode().splitlines() if not line.startswith("#")]
    assert lines == [
        'model_outcome_delay_seconds_bucket{le="0.1",model_name="m",model_version="v"} 1.0',
        'model_outcome_delay_seconds_bucket{le="1.0",model_name="m",model_version="v"} 3.0',
        'model_outcome_delay_seconds_bucket{le="+Inf",model_name="m",model_version="v"} 4.0',
        'model_outcome_delay_seconds_count{model_name="m",model_version="v"} 4.0',
        'model_outcome_delay_seconds_sum{model_name="m",model_version="v"} 7.5',
    ]


def test_what_exceeds_the_limit_is_cut_and_counted_the_exporters_own_series_last() -> None:
    own = Sample(names.SERIES, (), 1.0)
    samples = [
        *(Sample(names.FEATURE_COMPLETENESS, ("m", "v", "1d", f"f{place}"), 1.0) for place in range(5)),
        Sample(names.MODEL_OUTCOME_DELAY_SECONDS, ("m", "v"), HISTOGRAM),
        Sample(names.MODEL_AUC, ("m", "v", "1d"), 0.5),
        own,
    ]
    assert cut(samples, 12)[1] == 0
    kept, dropped = cut(samples, 8)
    assert (sum(map(series_of, kept)), dropped) == (8, 4)
    assert kept[0] == own
    assert cut(samples, 0) == ([], 12)
    kept, dropped = cut(samples, 3)
    assert [sample.family for sample in kept] == [names.SERIES, names.MODEL_AUC, names.FEATURE_COMPLETENESS]
    assert dropped == 9


def test_json_holds_what_the_text_holds() -> None:
    samples = [
        Sample(names.MODEL_AUC, ("m", "v", "1d"), 0.5),
        Sample(names.MODEL_OUTCOME_DELAY_SECONDS, ("m", "v"), HISTOGRAM),
    ]
    first, second = json.loads(to_json(samples))
    labels = {"model_name": "m", "model_version": "v", "window": "1d"}
    assert first == {"name": "model_auc", "labels": labels, "value": 0.5}
    assert second["value"] == {"bounds": [0.1, 1.0], "cumulative": [1.0, 3.0, 4.0], "total": 7.5}


AVOIDED = {"type", "region", "zone", "cluster", "service", "env", "environment", "stage", "owner",
           "customer", "le", "quantile", "job", "instance"}  # fmt: skip
UNITS = {"milliseconds", "ms", "minutes", "hours", "days", "percent", "kilobytes", "megabytes"}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_name_keeps_to_the_conventions(family: Family) -> None:
    words = family.name.split("_")
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)+", family.name)
    assert family.name.endswith("_total") == (family.kind == "counter")
    assert words[-1] not in {"sum", "count", "bucket", "info"} or family.name.endswith("_info")
    assert not UNITS & set(words)
    assert not AVOIDED & set(family.labels)
    assert len(set(family.labels)) == len(family.labels)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", label) for label in family.labels)
    assert not any(kind in words for kind in ("gauge", "counter", "histogram", "summary"))
    assert family.help.endswith(".")


def test_names_are_unique() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
