"""A fleet's history as Prometheus blocks: 20 models of 50 features over 7 days at a step of 5 minutes, by promtool.

Every family of the vocabulary, every recorded series and some alerts; values walk in a plausible range. Of the first
model a second version is deployed on the fourth day, with a new baseline for both.
"""

import itertools
import shutil
import subprocess
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from exporter import names
from exporter.names import FAMILIES, Family

MODELS, FEATURES, DAYS, STEP = 20, 50, 7, 300
DEPLOYED = 3 * 86_400  # after the start
BLOCK = 54 * 3_600  # the widest blocks that promtool makes for a week
PATTERNS = 24
WINDOWS = ("1h", "1d", "7d")
BINS = tuple(f"{place:02d}: {place - 1} to {place}" for place in range(1, 11))
LABELS: Mapping[str, Sequence[str]] = {
    names.WINDOW: WINDOWS,
    names.FEATURE: tuple(f"feature_{number:02d}" for number in range(FEATURES)),
    names.METHOD: ("psi", "js", "ks", "chi2"),
    names.BIN: BINS,
    "metric": ("accuracy", "auc", "f1", "precision", "recall", "log_loss", "brier_score"),
    "signal": ("volume", "confidence", "low_confidence", "entropy"),
    "error": ("timeout", "value"),
    "reason": ("wrong_type", "non_finite", "unseen_category"),
    "component": ("log_storage", "compute"),
    "kind": ("prediction", "outcome", "counts"),
    "statistic": ("performance", "feature_drift", "output_drift", "quality", "cost"),
    "age": ("1h", "1d", "7d"),
    "period": ("previous", "last_week"),
    "segment": ("region",),
    "value": ("north", "south", "east", "other"),
    "state": ("active", "quiet"),
    "code": ("200", "400"),
    "half": ("request", "response"),
    "action": ("notify", "ticket", "retrain"),
    "outcome": ("done", "failed"),
    "standing": ("due", "waiting"),
    "verdict": ("true", "false"),
    "task": ("binary",),
    "baseline": ("0123456789ab",),
    "version": ("0.1.0",),
    "python_version": ("3.13.0",),
}
RECORDED_LABELS = {
    names.MEAN_COMPLETENESS: (names.WINDOW,),
    names.LEAST_COMPLETENESS: (names.WINDOW,),
    names.DRIFT_OVER_THRESHOLD: (names.WINDOW, names.FEATURE),
}
JUDGED = {"_lower", "_upper", "_threshold"}  # of drift, only for PSI
RANGES: Mapping[Family | str, tuple[float, float]] = {
    names.FEATURE_DRIFT_SCORE: (0.0, 0.16),
    names.FEATURE_DRIFT_SCORE_UPPER: (0.16, 0.2),
    names.FEATURE_DRIFT_THRESHOLD: (0.1, 0.12),
    names.FEATURE_DISTRIBUTION_RATIO: (0.09, 0.11),
    names.FEATURE_REFERENCE_RATIO: (0.1, 0.1),
    names.FEATURE_DRIFTED: (0, 0),
    names.FEATURE_COMPLETENESS: (0.985, 1),
    names.LEAST_COMPLETENESS: (0.985, 1),
    names.MEAN_COMPLETENESS: (0.995, 1),
    names.FEATURE_OUT_OF_RANGE_RATIO: (0, 0.01),
    names.FEATURE_UNSEEN_CATEGORY_RATIO: (0, 0.01),
    names.DRIFTED_FEATURES: (0, 4),
    names.MODEL_PERFORMANCE_BASELINE_RATIO: (0.93, 1.02),
    names.MODEL_AUC: (0.88, 0.95),
    names.MODEL_ACCURACY: (0.83, 0.92),
    names.PREDICTION_ANOMALY_SCORE: (0, 3),
    names.PREDICTIONS_IN_WINDOW: (90_000, 110_000),
    names.SERVING_COST_USD: (1.8, 2.2),
    names.LATENCY_P95: (0.03, 0.09),
    names.ERROR_RATIO: (0, 0.012),
    names.LATENCY_P50: (0.01, 0.03),
    names.LATENCY_P99: (0.08, 0.2),
    names.SERIES: (18_000, 18_500),
    names.LAG_BYTES: (0, 1e5),
    names.STATE_BYTES: (4e7, 5e7),
    names.STATISTIC_SUCCESS: (1, 1),
    names.INGESTION_SUCCESS: (1, 1),
    names.CONFIG_LAST_RELOAD_SUCCESSFUL: (1, 1),
    names.BUILD_INFO: (1, 1),
    names.MODEL_INFO: (1, 1),
}


@dataclass(frozen=True)
class Series:
    """One series' name with labels, which range its values walk in, and when it exists (seconds since the start)."""

    text: bytes
    key: Family | str
    grows: bool
    since: float = 0.0
    until: float = float("inf")
    at: float | None = None  # seconds since the start, when the value is one instant


def build(folder: Path, end: float) -> None:
    """Prometheus's data directory at `folder`, the last sample at `end`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    start = end - DAYS * 86_400
    everything = list(fleet())
    print(f"{len(everything)} series, {DAYS * 86_400 // STEP} samples each", flush=True)
    for first in range(int(start // BLOCK) * BLOCK, int(end) + 1, BLOCK):
        times = np.arange(max(first, start), min(first + BLOCK, end + 1), STEP)
        began, text = time.monotonic(), folder / "history.om"
        with text.open("wb") as file:
            for one in everything:
                file.write(lines(one, times, start))
            file.write(b"# EOF\n")
        command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet"]
        subprocess.run([*command, f"--max-block-duration={BLOCK}s", text, folder], check=True)
        print(f"block of {len(times)} steps: {text.stat().st_size / 2**30:.1f} GiB of text, "
              f"{time.monotonic() - began:.0f} s", flush=True)  # fmt: skip
        text.unlink()


def lines(series: Series, times: np.ndarray, start: float) -> bytes:
    """The series' samples at `times` as OpenMetrics."""
    if series.at is not None:
        return b"".join([b"%s %.0f %.0f\n" % (series.text, start + series.at, moment) for moment in times
                         if moment - start >= series.since])  # fmt: skip
    pattern = zlib.crc32(series.text) % PATTERNS
    samples = _samples(series.key, pattern, float(times[0]), len(times), start, grows=series.grows)
    low, high = np.searchsorted(times - start, [series.since, series.until])
    kept = samples[low:high]
    return b"".join([series.text + sample for sample in kept])


@lru_cache(4096)
def _samples(key: Family | str, pattern: int, first: float, count: int, start: float, *, grows: bool) -> list[bytes]:
    at = first + STEP * np.arange(count)
    low, high = RANGES.get(key, (0.0, 1.0))
    rng = np.random.default_rng(pattern)
    phases, speeds = rng.uniform(0, 6.3, 4), np.array([1, 3, 24, 90]) / 86_400
    waves = np.sin(6.3 * np.outer(at - start, speeds) + phases) @ np.array([0.5, 0.25, 0.15, 0.1])
    values = low + (high - low) * (0.5 + waves / 2)
    if key in _TIMES:
        values = at - 20.0
    elif key is names.DRIFTED_FEATURES:
        values = np.floor(values)
    elif grows:
        values = (at - start) * (pattern + 1) / 10
    return [f" {value:.4g} {moment:.0f}\n".encode() if not grows and key not in _TIMES
            else f" {value:.1f} {moment:.0f}\n".encode() for value, moment in zip(values, at, strict=True)]  # fmt: skip


_TIMES = {names.LAST_RECORD_TIMESTAMP_SECONDS, names.LAST_EVALUATION_TIMESTAMP_SECONDS,
          names.CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS}  # fmt: skip


def fleet() -> Iterator[Series]:
    """Every series of every model, and the exporter's own."""
    for family in FAMILIES:
        models = range(MODELS) if names.MODEL_NAME in family.labels else (0,)
        for number in models:
            if names.MODEL_VERSION in family.labels:
                versions = [("v1", 0.0), ("v2", float(DEPLOYED))] if number == 0 else [("v1", 0.0)]
            else:
                versions = [("", 0.0)]
            for version, since in versions:
                yield from _of_family(family, f"model_{number:02d}", version, since)
    yield from _recorded()
    yield from _alerts()
    yield Series(b'prediction_exporter_model_info{model_name="model_00",task="binary",baseline="ba9876543210"}',
                 names.MODEL_INFO, grows=False, since=DEPLOYED)  # fmt: skip


def _of_family(family: Family, model: str, version: str, since: float) -> Iterator[Series]:
    known = {names.MODEL_NAME: [model], names.MODEL_VERSION: [version]} | {k: list(v) for k, v in LABELS.items()}
    if any(family.name.endswith(end) for end in JUDGED):
        known[names.METHOD] = ["psi"]
    if family is names.FEATURE_DISTRIBUTION_RATIO:
        known[names.WINDOW] = ["1d"]
    if family is names.SEGMENT_FEATURE_DRIFT_SCORE:
        known[names.FEATURE], known[names.METHOD] = list(LABELS[names.FEATURE][:5]), ["psi", "js", "chi2"]
    until = float(DEPLOYED) if family is names.MODEL_INFO and model == "model_00" else float("inf")
    for values in itertools.product(*(known[label] for label in family.labels)):
        pairs = dict(zip(family.labels, values, strict=True))
        if family.kind == "histogram":
            for bound in ("0.01", "0.1", "1.0", "60.0", "+Inf"):
                yield Series(_text(f"{family.name}_bucket", pairs | {"le": bound}), family, grows=True, since=since)
        else:
            grows = family.kind == "counter"
            yield Series(_text(family.name, pairs), family, grows, since, until)


def _recorded() -> Iterator[Series]:
    for name in names.RECORDED:
        for number in range(MODELS):
            labels = [names.MODEL_NAME, names.MODEL_VERSION, *RECORDED_LABELS.get(name, ())]
            known = {
                **LABELS,
                names.MODEL_NAME: [f"model_{number:02d}"],
                names.MODEL_VERSION: ["v1"],
                names.WINDOW: ["1d"],
            }
            for values in itertools.product(*(known[label] for label in labels)):
                yield Series(_text(name, dict(zip(labels, values, strict=True))), name, grows=False)


def _alerts() -> Iterator[Series]:
    common = {"app": names.ALERT_APP}
    firing = [
        (_alert("PredictionWatchdog", "none"), 0.0),
        (_alert("PredictionErrorsHigh", "critical", 7), 6.2 * 86_400),
        *((_alert("FeatureDriftModerate", "warning", number, {names.FEATURE: f"feature_{number:02d}",
                                                              names.WINDOW: "1d"}), number * 30_000.0)
          for number in (3, 4, 12)),
    ]  # fmt: skip
    for labels, since in firing:
        yield Series(_text("ALERTS", labels | common | {"alertstate": "firing"}), names.MODEL_INFO, grows=False,
                     since=since)  # fmt: skip
        yield Series(_text("ALERTS_FOR_STATE", labels | common), "", grows=False, since=since, at=since)


def _alert(
    name: str, severity: str, number: int | None = None, more: Mapping[str, str] | None = None
) -> dict[str, str]:
    whose = {} if number is None else {names.MODEL_NAME: f"model_{number:02d}", names.MODEL_VERSION: "v1"}
    return {"alertname": name, "severity": severity, **whose, **(more or {})}


def _text(name: str, labels: Mapping[str, str]) -> bytes:
    return f"{name}{{{','.join(f'{label}={chr(34)}{value}{chr(34)}' for label, value in labels.items())}}}".encode()
