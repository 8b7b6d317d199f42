"""What every section of the configuration is made of: durations, bounded numbers, labels, URLs."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from exporter.labels import canonical_label

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"([1-9][0-9]*)([smhdw])")


def parse_duration(text: str) -> int:
    """Seconds of a Prometheus-style duration such as `90s`, `5m`, `1h`, `7d`; ValueError for anything else."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("expected a duration such as 30s, 5m, 1h or 7d")
    return int(match[1]) * _UNIT_SECONDS[match[2]]


def _checked_duration(text: str) -> str:
    parse_duration(text)
    return text


Duration = Annotated[
    str,
    BeforeValidator(_checked_duration),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$", "examples": ["30s", "5m", "1h", "7d"]}),
]
# Of features and segments; Prometheus and the JSON decoder take any other name.
FEATURE_NAME = r'[^"\\\x00-\x1f]+'
FeatureName = Annotated[str, Field(pattern=f"^{FEATURE_NAME}$")]
Share = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


Label = Annotated[
    str,
    BeforeValidator(canonical_label),
    WithJsonSchema({"type": ["string", "integer", "number", "boolean"]}),
]


def _http_url(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+\S*", url):
        raise ValueError("expected an http:// or https:// URL")
    return url.rstrip("/")


Url = Annotated[str, AfterValidator(_http_url)]


class Section(BaseModel):
    """A mapping of the file: unknown keys are errors, and nothing changes once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
