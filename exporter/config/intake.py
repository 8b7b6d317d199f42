"""Where records come in over HTTP (off while there is no such section), and whose foreign records are."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from exporter.config.base import Section

_MIB = 2**20


class Foreign(Section):
    """Whose records are that do not say it in our words."""

    model: str = Field(min_length=1, description="The model that the records are of.")
    version: str = Field("default", min_length=1, max_length=128, description="Of records that name no version.")
    features: tuple[str, ...] = Field((), description="Names of inputs that come by position, in order.")


class Service(Foreign):
    """A service elsewhere whose requests and responses are sent to the intake."""

    name: str = Field(min_length=1, description="As KServe calls it, or as the parameter `service` says.")


class Intake(Section):
    """`POST /v1/records`: who may send, how much at once, and how much may wait to be read."""

    token_files: tuple[Path, ...] = Field(
        min_length=1, description="Files of bearer tokens, one a line; read again when they change."
    )
    max_body: int = Field(
        8 * _MIB, ge=1024, le=256 * _MIB, description="Bytes of one request, as sent and when decompressed."
    )
    max_spool: int = Field(
        1024 * _MIB, ge=_MIB, description="Bytes taken and not read yet; beyond, senders are told to come back later."
    )
    services: tuple[Service, ...] = Field(
        (), description="Services whose name is not their model's, or whose inputs come by position."
    )

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if self.max_spool <= self.max_body:
            raise ValueError(f"max_spool: {self.max_spool} has no room for a request of {self.max_body} (max_body)")
        return self
