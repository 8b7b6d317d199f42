"""A segment: a name whose values a model's performance is also told by, and how many of them."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from exporter.config.base import FEATURE_NAME, FeatureName, Label, Section
from exporter.names import MISSING, OTHER

MAX_LABEL = 128  # characters of a name or a value, which become label values
_MAX_VALUES = 100  # label guides ask to think again from there on
_MAX_JOINT = 2**53  # combinations of values, kept as one whole number with each prediction that awaits its outcome


def _or_its_name(schema: dict[str, Any]) -> None:
    section = dict(schema)
    schema.clear()
    schema |= {"anyOf": [{"type": "string"}, section]}


class Segment(Section):
    """A key of the records' `segments` or, where a record lacks it, a categorical feature of that name."""

    model_config = ConfigDict(json_schema_extra=_or_its_name)

    name: str = Field(max_length=MAX_LABEL, pattern=f"^{FEATURE_NAME}$", description="The key, or the feature's name.")
    values: tuple[Annotated[Label, Field(min_length=1, max_length=MAX_LABEL)], ...] = Field(
        (), max_length=_MAX_VALUES, description="Values told apart; without any, the reference's most frequent ones."
    )
    max_values: int = Field(10, ge=1, le=_MAX_VALUES, description="So many of the reference's most frequent values.")
    features: tuple[FeatureName, ...] = Field(
        (), description="Features whose drift is told by value too; each costs state and series by value."
    )

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        return {"name": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.values)) < len(self.values):
            raise ValueError("values: one stands twice; remove it")
        if reserved := {OTHER, MISSING} & set(self.values):
            raise ValueError(f"values: {min(reserved)!r} is what the rest is counted as; remove it")
        if self.values and "max_values" in self.model_fields_set:
            raise ValueError("max_values chooses among values that are not listed; remove it or values")
        if len(set(self.features)) < len(self.features):
            raise ValueError("features: one stands twice; remove it")
        return self


def segment_problem(segments: Sequence[Segment]) -> str | None:
    """What is wrong with segments that stand together; None when nothing is."""
    names = [segment.name for segment in segments]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        return f"segments: the name {twice[0]!r} stands twice; remove one"
    if math.prod((len(segment.values) or segment.max_values) + 2 for segment in segments) > _MAX_JOINT:
        return "segments: too many values in all; have fewer segments, or fewer values of each"
    return None
