"""The baseline: what one model's data looked like when it was known to be good, as a versioned file.

It fixes the cells that every profile counts in, and holds the reference's own counts in them. Cells never change at
run time: a new reference makes a new baseline with another fingerprint.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from exporter.config import Model, Task
from exporter.config.base import FeatureName
from exporter.errors import ConfigError
from exporter.names import MISSING, OTHER
from exporter.spreads import Spreads


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NumericFeature(_Part):
    """Bins of a number: half-open [edge, next edge), plus the open ends below the first and from the last on.

    `groups` holds the first cell of each of the about ten merged bins that PSI, JS and chi-square are computed on.
    """

    kind: Literal["numeric"] = "numeric"
    name: FeatureName
    edges: tuple[float, ...] = Field(min_length=2)
    groups: tuple[int, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _usable(self) -> "NumericFeature":
        if not all(low < high for low, high in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("edges must increase")
        if self.groups[0] != 0 or list(self.groups) != sorted(set(self.groups)):
            raise ValueError("groups must start at 0 and increase")
        if self.groups[-1] >= self.placed:
            raise ValueError("groups must name cells that the edges make")
        return self

    @property
    def placed(self) -> int:
        """Cells that hold a finite number."""
        return len(self.edges) + 1

    @property
    def cells(self) -> int:
        """Cells in all: placed ones, then missing, non-finite, wrong type."""
        return self.placed + 3


class CategoryFeature(_Part):
    """The reference's values; `rare` ones are known but share the cell `other`."""

    kind: Literal["category"] = "category"
    name: FeatureName
    values: tuple[str, ...]
    rare: tuple[str, ...] = ()
    complete: bool = Field(True, description="False when the reference held more values than are listed.")

    @property
    def groups(self) -> Sequence[int]:
        """As of a number; no category is merged with another."""
        return range(self.placed)

    @property
    def placed(self) -> int:
        """Cells that hold a category: the listed values, other, unseen."""
        return len(self.values) + 2

    @property
    def cells(self) -> int:
        """Cells in all: placed ones, then missing, wrong type."""
        return self.placed + 2


Feature = Annotated[NumericFeature | CategoryFeature, Field(discriminator="kind")]


class MomentFeature(_Part):
    """A number's scores in the second moments: steps from `centre`, cut off below `low` and above `high`."""

    name: FeatureName
    low: float
    high: float
    centre: float
    step: float = Field(gt=0)

    @model_validator(mode="after")
    def _usable(self) -> "MomentFeature":
        if not self.low <= self.centre <= self.high:
            raise ValueError("the centre must lie between low and high")
        return self


class Moments(_Part):
    """The numeric features whose second moments are kept, and how these vary by chance in the reference.

    `spread`, by pair in the upper triangle: how many times the variance that normal numbers would give a correlation.
    `error_variance`: that of a row's reconstruction error, over its mean squared; None where there is no error.
    """

    features: tuple[MomentFeature, ...] = Field(min_length=2)
    left_out: tuple[FeatureName, ...] = Field((), description="Numbers beyond the most that moments are kept of.")
    spread: tuple[float, ...] = ()
    error_variance: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _paired(self) -> "Moments":
        features = len(self.features)
        if self.spread and len(self.spread) != features * (features + 1) // 2:
            raise ValueError("spread must have a number for each pair")
        return self


class SegmentValues(_Part):
    """The values of a segment that are told apart; the others, and records without a value, are counted together."""

    name: FeatureName
    values: tuple[str, ...]
    features: tuple[FeatureName, ...] = Field((), description="Those that are counted by value too.")

    @property
    def labels(self) -> tuple[str, ...]:
        """What each cell is called: the values, then those of other records, and of records without a value."""
        return (*self.values, OTHER, MISSING)


class Provenance(_Part):
    """Where a baseline comes from."""

    source: str
    digest: str
    rows: int
    first: float
    last: float
    created: float


class UsualRange(_Part):
    """A number of a window over reference windows as long: mean, standard deviation (over windows - 1), windows."""

    mean: float
    deviation: float = Field(ge=0)
    windows: int = Field(ge=2)


class Baseline(_Part):
    """A model's reference: its features' cells, its output's groups and classes, and the counts in them."""

    format: Literal[1] = 1
    model: str
    task: Task
    features: tuple[Feature, ...] = Field(min_length=1)
    segments: tuple[SegmentValues, ...] = ()
    classes: tuple[str, ...] = Field((), description="Labels of a multiclass model.")
    output: NumericFeature | None = Field(None, description="Bins of a regression's prediction and label.")
    label_offset: float = Field(0.0, description="Regression: sums of labels are kept around this value.")
    settings: str = Field(description="Digest of the configuration that shapes the counts.")
    counts: dict[str, tuple[float, ...]] = Field(description="The reference's profile, part by part.")
    performance: dict[str, float] = Field(description="The reference's own performance, by metric.")
    usual: dict[int, dict[str, UsualRange]] = Field(
        {}, description="Usual ranges by the windows' seconds and signal; empty when the reference has no times."
    )
    provenance: Provenance
    moments: Moments | None = Field(None, description="None with fewer than two numbers that vary.")
    spreads: Spreads | None = Field(None, description="How windows stray without drift; older files lack it.")

    @model_validator(mode="after")
    def _complete(self) -> "Baseline":
        if (self.task == "regression") != (self.output is not None):
            raise ValueError("output bins belong to a regression, and only to it")
        if {name for segment in self.segments for name in segment.features} - {one.name for one in self.features}:
            raise ValueError("a segment counts a feature that is none of the model's")
        return self

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that name this baseline; equal cells and counts give equal ones.

        Usual ranges and spreads are no part of it: learned for other windows, they leave what was counted as it is.
        """
        content = self.model_dump(mode="json", exclude={"provenance", "usual", "spreads"})
        content["segments"] = [  # keys that older files lack count only where they say something
            {key: value for key, value in segment.items() if value or key != "features"}
            for segment in content["segments"]
        ]
        if not content["segments"]:
            del content["segments"]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    def to_json(self) -> str:
        """The file's text; `from_json` is the inverse."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":")) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str) -> "Baseline":
        """The baseline in `text`; ConfigError names what is wrong in `source` and what to do."""
        remedy = "build it again with `prediction-exporter baseline build`"
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            places = [".".join(map(str, item["loc"])) or "file" for item in error.errors(include_url=False)]
            inner = [place for place in places if not any(other.startswith(f"{place}.") for other in places)]
            raise ConfigError(source, [f"not a usable baseline ({', '.join(inner[:5])}); {remedy}"]) from error


def load_baseline(path: Path, model: Model) -> Baseline:
    """The baseline of `model` at `path`, held against the model's configuration; ConfigError names every problem."""
    baseline = _read(path, f"build it with `prediction-exporter baseline build --model {model.name} --out {path}`")
    if problems := [*_mismatches(baseline, model), *_miscounted(baseline)]:
        raise ConfigError(str(path), problems)
    return baseline


def read_baseline(path: Path) -> Baseline:
    """The baseline at `path`, whatever model it is of; ConfigError when it is no usable one."""
    baseline = _read(path, "give a file that `prediction-exporter baseline build` wrote")
    if problems := _miscounted(baseline):
        raise ConfigError(str(path), problems)
    return baseline


def _read(path: Path, remedy: str) -> Baseline:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise ConfigError(str(path), [f"{reason}; {remedy}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), ["not UTF-8 text; build it again with `baseline build`"]) from error
    return Baseline.from_json(text, str(path))


def settings_digest(model: Model) -> str:
    """Digest of the settings that shape a profile's counts: other settings, other counts."""
    shaping = (model.task, model.positive_label, model.decision_threshold, model.low_confidence)
    return hashlib.sha256(repr(shaping).encode()).hexdigest()[:12]


def _miscounted(baseline: Baseline) -> list[str]:
    from exporter.profile.layout import Layout  # which stands on this module

    sizes = {name: math.prod(shape) for name, shape in Layout(baseline).shapes.items()}
    parts = sorted(sizes.keys() | baseline.counts.keys())
    wrong = [part for part in parts if len(baseline.counts.get(part, ())) != sizes.get(part)]
    if not wrong:
        return []
    return [f"counts do not fit the cells ({', '.join(wrong[:5])}); build it again with `baseline build`"]


def _mismatches(baseline: Baseline, model: Model) -> list[str]:
    problems = []
    if baseline.model != model.name:
        problems.append(f"built for model {baseline.model!r}, not {model.name!r}; name its own file under baseline")
    if baseline.task != model.task:
        problems.append(f"built for task {baseline.task}, the configuration says {model.task}; build it again")
    elif baseline.settings != settings_digest(model):
        problems.append(
            "built with another positive_label, decision_threshold or low_confidence than the configuration has; "
            "build it again or restore them"
        )
    if not _same_segments(baseline, model):
        problems.append("built with other segments than the configuration has; build it again or restore them")
    return problems


def _same_segments(baseline: Baseline, model: Model) -> bool:
    """Whether the baseline counts what is configured: listed values as they are, else as many as are allowed."""
    if [segment.name for segment in baseline.segments] != [segment.name for segment in model.segments]:
        return False
    return all(
        held.features == asked.features
        and (held.values == asked.values if asked.values else len(held.values) <= asked.max_values)
        for held, asked in zip(baseline.segments, model.segments, strict=True)
    )
