"""Objectives: what a model promises its callers, from which alerts on the burning of its error budget follow."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from exporter.config.base import Section
from exporter.names import LATENCY_BOUNDS

Target = Annotated[float, Field(gt=0, lt=1)]


def _bucket(seconds: float) -> float:
    if seconds not in LATENCY_BOUNDS:
        bounds = ", ".join(f"{bound:g}" for bound in LATENCY_BOUNDS)
        raise ValueError(f"{seconds:g} is no bucket of the latency histogram; take one of {bounds}")
    return seconds


class Objectives(Section):
    """The least share of good events over 30 days, over all versions of the model; one left out promises nothing.

    A promise is agreed with those it is made to, so none has a default.
    """

    accuracy: Target | None = Field(None, description="Of the outcomes that arrive, those that prove it right.")
    availability: Target | None = Field(None, description="Of the requests, those that do not fail.")
    latency: Target | None = Field(None, description="Of the predictions, those within latency_seconds.")
    latency_seconds: Annotated[float, AfterValidator(_bucket)] = Field(
        0.1, description="What counts as fast; a bucket of the latency histogram."
    )
    valid_inputs: Target | None = Field(None, description="Of the feature values, those the model can have learned.")
    min_bad_events: int = Field(
        10, ge=1, description="Bad events that a burn's longer window needs; at 10, their rate is known to a third."
    )

    @model_validator(mode="after")
    def _latency_has_a_share(self) -> Self:
        if "latency_seconds" in self.model_fields_set and self.latency is None:
            raise ValueError("latency_seconds without latency; add the share that must be within it")
        return self

    @property
    def targets(self) -> dict[str, float]:
        """The agreed shares by the name of their objective."""
        shares = {name: getattr(self, name) for name in ("accuracy", "availability", "latency", "valid_inputs")}
        return {name: share for name, share in shares.items() if share is not None}
