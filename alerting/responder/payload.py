"""Alertmanager's webhook, version 4: bytes in, a delivery of alerts out, or a sentence that says what is wrong."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from exporter.config import problems_of
from exporter.names import MODEL_NAME, MODEL_VERSION


class Labelled:
    """What an alert's labels say it is about."""

    __slots__ = ()
    labels: Mapping[str, str]

    @property
    def name(self) -> str:
        """The alert's name."""
        return self.labels.get("alertname", "")

    @property
    def model(self) -> str:
        """The model's name; "" for alerts about none."""
        return self.labels.get(MODEL_NAME, "")

    @property
    def version(self) -> str:
        """The model's version; "" for alerts about none."""
        return self.labels.get(MODEL_VERSION, "")


@dataclass(frozen=True, slots=True)
class Alert(Labelled):
    """One alert as a delivery tells it; times in Unix seconds, `ends_at` only of a resolved one."""

    fingerprint: str
    firing: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: float
    ends_at: float

    @property
    def key(self) -> str:
        """What tells this episode of this alert from every other: the same in every repetition and route."""
        return hashlib.sha256(f"{self.fingerprint} {self.starts_at!r}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one webhook told, and when it was received (Unix seconds); `truncated` alerts were left out of it."""

    received: float
    group: str
    alerts: tuple[Alert, ...]
    truncated: int = 0


class _Told(BaseModel):
    # Alertmanager adds fields between releases; those not named here are ignored.
    model_config = ConfigDict(frozen=True)
    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: Annotated[AwareDatetime, Field(alias="startsAt")]
    ends_at: Annotated[AwareDatetime, Field(alias="endsAt")]
    fingerprint: str = Field(min_length=1)

    def alert(self) -> Alert:
        return Alert(
            self.fingerprint,
            self.status == "firing",
            self.labels,
            self.annotations,
            _seconds(self.starts_at),
            _seconds(self.ends_at),
        )


class _Payload(BaseModel):
    version: Literal["4"]
    group: str = Field(alias="groupKey")
    truncated: int = Field(0, alias="truncatedAlerts")
    alerts: tuple[_Told, ...]


def parse_delivery(body: bytes, received: float) -> Delivery:
    """The delivery in a webhook's body; ValueError with every problem and its path."""
    try:
        payload = _Payload.model_validate_json(body)
    except ValidationError as error:
        raise ValueError("; ".join(problems_of(error))) from error
    return Delivery(received, payload.group, tuple(told.alert() for told in payload.alerts), payload.truncated)


def _seconds(moment: datetime) -> float:
    # The zero time, which Alertmanager sends for "not yet", lies before what some platforms can convert.
    return moment.timestamp() if moment.year > 1 else 0.0
