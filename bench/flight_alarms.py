"""How many drift alarms each rule gives on the flights' February, day by day against January, feature by feature.

Nobody knows which of them are false: the weather of one winter month is no more than a sample of winters, and its days
resemble their neighbours. Prints a Markdown table: the calibrated threshold of a mean February day, and the days of
February above each rule; and what the held-out check says of January.
"""

import tempfile
from pathlib import Path

import numpy as np

from exporter.baseline import Baseline, CategoryFeature, NumericFeature
from exporter.config import Model
from exporter.demo.flights import DAY, FEATURES, JANUARY_END, reference, year
from exporter.measures.distribution import feature_distribution
from exporter.measures.thresholds import budget
from exporter.profile.batch import Predictions
from exporter.profile.kernel import Kernel
from exporter.profile.layout import Layout, Profile
from exporter.reference import _predictions, build_baseline, read_reference
from exporter.reference_spreads import told
from exporter.stats import distances
from exporter.stats.spread import Spread
from exporter.stats.tolerance import threshold

FEBRUARY = 28
FIXED = (0.1, 0.2, 0.3)
MODEL = Model.model_validate({"name": "flight_delay", "task": "binary", "baseline": "unused.json"})


def read() -> tuple[Baseline, Predictions]:
    """The baseline of January, and February's predictions."""
    scored, _ = year()
    february = (scored["ts"] >= JANUARY_END) & (scored["ts"] < JANUARY_END + FEBRUARY * DAY) & scored["score"].notna()
    past, now = reference(scored), scored.loc[february]
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("january.parquet", "february.parquet")]
        for frame, path in zip((past, now[past.columns]), paths, strict=True):
            frame.to_parquet(path)
        return build_baseline(MODEL, read_reference(paths[0]), 0.0), _predictions(MODEL, read_reference(paths[1]), ())


def row(feature: NumericFeature | CategoryFeature, known: Spread, days: list[Profile]) -> str:
    """One feature's line of the table."""
    past = feature_distribution(Profile.reference(days[0].layout), feature)
    now = [feature_distribution(day, feature) for day in days]
    scores = np.array([distances.psi(past.merged, day.merged, past.rows, day.rows) for day in now], dtype=float)
    probability = budget(MODEL, len(FEATURES))
    assert probability is not None
    limits = np.array([threshold(known, probability, day.rows) for day in now])
    above = [str((scores > limit).sum()) for limit in (*FIXED, limits)]
    seen = f"{np.median(scores):.3g} (up to {scores.max():.3g})"
    return f"| {' | '.join([feature.name, seen, f'{limits.mean():.3g}', *above])} |"


def main() -> None:
    baseline, batch = read()
    kernel = Kernel(MODEL, Layout(baseline))
    number = ((batch.ts - JANUARY_END) // DAY).astype(np.intp)
    vectors = kernel.predictions(batch, kernel.scored(batch), number, FEBRUARY)
    days = [Profile(kernel.layout, vector) for vector in vectors]
    titles = ["feature", "PSI of the days", "calibrated", *(f"days > {level}" for level in FIXED), "days > calibrated"]
    print(f"| {' | '.join(titles)} |")
    print("|---" * len(titles) + "|")
    assert baseline.spreads is not None
    for feature in baseline.features:
        if feature.name in baseline.spreads.features:
            print(row(feature, baseline.spreads.features[feature.name].known, days))
    print(f"\n{told(MODEL, baseline)}")


if __name__ == "__main__":
    main()
