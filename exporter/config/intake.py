"""Where records come in over HTTP; off while there is no such section."""

from pathlib import Path

from pydantic import Field

from exporter.config.base import Section

_MIB = 2**20


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
