"""popmon's stability metrics: histograms of every feature by day, held against the reference's histograms."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import frames
from histogrammar.dfinterface.make_histograms import make_histograms
from job import run
from popmon import df_stability_metrics


def load(path: Path) -> Any:
    return make_histograms(frames.timed_features(path), time_axis="ts", binning="unit")


def work(reference: Any, current: Any) -> int:
    store = df_stability_metrics(current, time_axis="ts", reference_type="external", reference=reference)
    return sum(comparison.size for comparison in store["comparisons"].values())


run(version("popmon"), load, frames.timed_features, work)
