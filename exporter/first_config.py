"""The first configuration of a stranger: guesses from reference data and answers in, commented YAML out."""

import re
from dataclasses import dataclass
from typing import Any, get_args

import pyarrow as pa
import yaml

from exporter.config import Config, Model, Task
from exporter.config.load import validated
from exporter.profile.columns import NumericColumn, combined, numbers_from_texts, text_column

TASKS: tuple[str, ...] = get_args(Task)
LOG = "logs/*.ndjson*"  # predlog's files, those that it has packed too
FEW = 10  # classes; more whole numbers than this are amounts rather than names, as in schemas that are proposed
POSITIVE = "1"  # how 1, 1.0 and true are spelled; any other label may mean either


@dataclass(frozen=True, slots=True)
class Guesses:
    """What reference data tell of their model; None where a person must say it."""

    name: str | None = None
    task: str | None = None
    positive_label: str | None = POSITIVE


def guessed(table: pa.Table) -> Guesses:
    """What the columns `model`, `label`, `prediction`, `score` and `probabilities` of reference data tell."""
    names, labels = _distinct(table, "model"), _distinct(table, "label") or _distinct(table, "prediction")
    return Guesses(
        name=names[0] if len(names) == 1 else None,
        task=_task(set(table.column_names), labels),
        positive_label=POSITIVE if not labels or POSITIVE in labels else None,
    )


def _distinct(table: pa.Table, name: str) -> list[str]:
    """The texts of a column in order; none where there is no such column."""
    if name not in table.column_names:
        return []
    return sorted({text for text in text_column(combined(table.column(name))).texts if text is not None})


def _task(columns: set[str], labels: list[str]) -> str | None:
    if "probabilities" in columns or not labels:
        return "multiclass" if "probabilities" in columns else "binary" if "score" in columns else None
    if len(labels) <= 2:
        return "binary"
    numbers: NumericColumn = numbers_from_texts(text_column(pa.array(labels)))
    if numbers.wrong is not None and numbers.wrong.any():
        return "multiclass"
    whole = bool((numbers.values % 1 == 0).all())
    return "multiclass" if whole and len(labels) <= FEW else "regression"


def first_config(name: str, task: str, log: str, positive_label: str, source: str) -> Config:
    """The configuration that the answers make; ConfigError names the answers that cannot be used."""
    model: dict[str, Any] = {"name": name, "task": task, "baseline": f"baselines/{_file_name(name)}.json"}
    if task == "binary":
        model["positive_label"] = positive_label
    return validated(Config, {"log": [{"path": log}], "models": [model]}, source)


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)


def to_yaml(config: Config) -> str:
    """The configuration of one model as YAML whose comments say what each key decides; it reads back the same."""
    model, evaluation = config.models[0], config.evaluation
    return f"""\
# Every key and its default: docs/configuration.md, or `prediction-exporter check-config --schema`.
# Paths are seen from this file's folder.
state: {_spelled(config.state)}  # folder of the exporter's memory, one embedded database
log:
  - path: {_spelled(config.log[0].path)}  # NDJSON (plain, gzip, zstd) or Parquet: a file, glob, folder or URL; followed
evaluation:
  interval: {evaluation.interval}  # time between two evaluations
  windows: [{", ".join(evaluation.windows)}]  # what each statistic looks back over
  clock: {evaluation.clock}  # log: windows end at the newest record, for replays and batch scoring
models:
  - name: {_spelled(model.name)}  # as the records say it
    task: {model.task}  # {", ".join(TASKS)}
{_decision(model)}\
    baseline: {_spelled(model.baseline)}  # `prediction-exporter baseline build` makes it from reference data
    drift:
      methods: [{", ".join(model.drift.methods)}]  # also hellinger, tv, wasserstein
      window: {model.drift.window}  # the window that alerts look at
      min_rows: {model.drift.min_rows}  # fewer rows than this give no drift score
    thresholds:  # what the generated alerts compare with
{_thresholds(model)}"""


def _decision(model: Model) -> str:
    if model.task != "binary":
        return ""
    return (
        f"    positive_label: {_spelled(model.positive_label)}  # the class that score is the probability of\n"
        f"    decision_threshold: {model.decision_threshold:g}  # a score from here on predicts it\n"
    )


def _thresholds(model: Model) -> str:
    limits = model.thresholds
    drift = ", ".join(f"{name}: {level:g}" for name, level in limits.feature_drift)
    lines = [f"feature_drift: {{{drift}}}  # PSI"]
    lines += [f"prediction_drift: {limits.prediction_drift:g}  # PSI of what the model says"]
    if model.task != "regression":
        lines += [f"accuracy: {limits.accuracy:g}  # below warns, once outcomes are logged"]
    if model.task == "binary":
        lines += [f"auc: {limits.auc:g}"]
    lines += [f"baseline_ratio: {limits.baseline_ratio:g}  # performance over the baseline's; below warns"]
    return "".join(f"      {line}\n" for line in lines)


def _spelled(value: object) -> str:
    """A text as YAML reads it back, whatever is in it; only in double quotes are all line breaks what they were."""
    text = str(value)
    style = None if text.isprintable() else '"'
    dumped: str = yaml.safe_dump(text, width=2**31, allow_unicode=True, default_style=style)
    return dumped.removesuffix("...\n").rstrip("\n")
