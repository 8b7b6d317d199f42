"""The configuration: strict YAML in, frozen objects out, or every problem at once with its path.

Defaults live here and nowhere else. Unknown keys are errors. Paths stay as written; they are resolved against
the configuration file's folder by `Config.resolve`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from exporter.errors import ConfigError
from exporter.labels import canonical_label

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"([1-9][0-9]*)([smhdw])")

Task = Literal["binary", "multiclass", "regression"]
DriftMethod = Literal["psi", "js", "ks", "chi2", "hellinger", "tv", "wasserstein"]


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
Share = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


Label = Annotated[
    str,
    BeforeValidator(canonical_label),
    WithJsonSchema({"type": ["string", "integer", "number", "boolean"]}),
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LogSource(_Section):
    """One place that predictions are read from: a file, a glob, a directory or an object-store URL."""

    path: str = Field(min_length=1, description="NDJSON (plain, gzip, zstd) or Parquet; file, glob, directory, URL.")


class Evaluation(_Section):
    """When and over which windows statistics are computed."""

    interval: Duration = Field("1m", description="Time between two evaluations.")
    windows: tuple[Duration, ...] = Field(("1h", "1d", "7d"), min_length=1)
    clock: Literal["wall", "log"] = Field("wall", description="log: windows end at the newest record.")
    max_age: Duration = Field("1d", description="Alert when the newest evaluation is older than this.")

    @model_validator(mode="after")
    def _windows_differ(self) -> Self:
        seconds = [parse_duration(window) for window in self.windows]
        if len(set(seconds)) < len(seconds):
            raise ValueError("windows must differ in length")
        if any(length % 300 for length in seconds):
            raise ValueError("windows must be whole multiples of 5m, the width of a time bucket")
        if any(length > 2 * 86_400 and length % 3_600 for length in seconds):
            raise ValueError("windows longer than 2d must be whole hours")
        return self


class FeatureDriftLevels(_Section):
    """PSI levels of one feature: 0.1 and 0.2 are the field's custom (Siddiqi 2006), 0.3 asks for retraining."""

    minor: Positive = 0.1
    moderate: Positive = 0.2
    severe: Positive = 0.3

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.minor < self.moderate < self.severe:
            raise ValueError("levels must increase: minor < moderate < severe")
        return self


class Thresholds(_Section):
    """What the alerts of one model compare with; the defaults are the table in the README."""

    feature_drift: FeatureDriftLevels = FeatureDriftLevels()
    prediction_drift: Positive = Field(0.15, description="PSI of the output that warns.")
    prediction_drift_severe: Positive = Field(0.3, description="PSI of the output that asks for retraining.")
    drifted_features: int = Field(3, ge=1, description="This many drifted features warn.")
    accuracy: Share = 0.85
    auc: Share = 0.90
    baseline_ratio: Positive = Field(0.95, description="Performance over the baseline's; below warns.")
    completeness: Share = 0.99
    invalid_inputs: Share = 0.01
    missing_features: Share = 0.001
    latency_p95_seconds: Positive = 0.1
    error_ratio: Share = 0.01

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.prediction_drift < self.prediction_drift_severe:
            raise ValueError("prediction_drift must lie below prediction_drift_severe")
        return self


class Drift(_Section):
    """How drift is judged: methods, the window that alerts look at, and how many rows a verdict needs."""

    methods: tuple[DriftMethod, ...] = Field(("psi", "js", "ks", "chi2"), min_length=1)
    window: Duration = "1d"
    min_rows: int = Field(200, ge=1, description="Fewer (effective) rows than this give no drift score.")
    significance: Share = Field(0.05, description="False discovery rate over a model's features.")
    false_alarms_per_month: Positive = Field(
        1, description="Calibrated thresholds: alarms without drift, all features together, one verdict a window."
    )
    distributions: bool = Field(True, description="Export each feature's shares by bin, beside the reference's.")

    @model_validator(mode="after")
    def _psi_is_there(self) -> Self:
        if "psi" not in self.methods:
            raise ValueError("methods must hold psi: verdicts and alerts stand on it")
        return self


class Model(_Section):
    """One monitored model."""

    name: str = Field(min_length=1, max_length=128)
    task: Task
    baseline: Path
    positive_label: Label = "1"
    decision_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    low_confidence: Annotated[float, Field(gt=0.5, le=1)] = Field(
        0.6, description="Binary: a prediction whose likelier class has less probability than this is unsure."
    )
    drift: Drift = Drift()
    thresholds: Thresholds = Thresholds()


class Outcomes(_Section):
    """How long a prediction waits for its outcome, and an outcome for its prediction."""

    horizon: Duration = "30d"


class MonthlyLimits(_Section):
    """What monitoring may cost in a month, in USD, before an alert says so."""

    log_storage_usd: Positive = 100
    compute_usd: Positive = 50
    notifications_usd: Positive = 20


class Costs(_Section):
    """Prices; the defaults are a large cloud's list prices for object storage, log ingestion and a vCPU hour."""

    serving_usd_per_1000_predictions: NonNegative = 0.02
    log_storage_usd_per_gib_month: NonNegative = 0.023
    log_ingestion_usd_per_gib: NonNegative = 0.10
    compute_usd_per_core_hour: NonNegative = 0.04
    notification_usd: NonNegative = 0.005
    log_retention: Duration = Field("30d", description="How long logs are kept, for the storage cost.")
    monthly_limits: MonthlyLimits = MonthlyLimits()


class Limits(_Section):
    """Bounds on what the exporter holds and exports."""

    series: int = Field(20_000, ge=100, description="Series beyond this are cut, and counted.")
    versions: int = Field(10, ge=1, description="Versions of a model; records of a further one are rejected.")
    retention: Duration = Field("90d", description="Age at which profiles are forgotten.")
    future: Duration = Field("5m", description="A record further ahead of the clock than this is rejected.")


def _http_url(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+\S*", url):
        raise ValueError("expected an http:// or https:// URL")
    return url.rstrip("/")


Url = Annotated[str, AfterValidator(_http_url)]


class Slack(_Section):
    """A Slack channel; the incoming-webhook URL is a secret and is read from a file."""

    channel: str = Field(min_length=2)
    api_url_file: Path


class Email(_Section):
    """An e-mail recipient; the password, where one is needed, is read from a file."""

    to: str
    sender: str
    smarthost: str = Field(pattern=r"^\S+:\d+$", description="host:port")
    username: str | None = None
    password_file: Path | None = None


class PagerDuty(_Section):
    """A PagerDuty service; the integration key is read from a file."""

    routing_key_file: Path


class Webhook(_Section):
    """An HTTP endpoint that takes Alertmanager's webhook payloads."""

    url: Url
    bearer_token_file: Path | None = None


class Alerting(_Section):
    """Links in alerts, and who hears of them: all by webhook and Slack, warnings by e-mail, critical ones by page."""

    exporter_url: Url = Field("http://localhost:9750", description="The exporter's own pages, as people reach them.")
    runbook_url: Url = Field("http://localhost:9750/runbook", description="The page with a heading for each alert.")
    dashboard_url: Url = "http://localhost:3000"
    slack: Slack | None = None
    email: Email | None = None
    pagerduty: PagerDuty | None = None
    webhook: Webhook | None = None
    max_response: Duration = Field("30m", description="Firing to acknowledged; longer warns.")
    speed: Annotated[float, Field(ge=1)] = Field(
        1, description="How many times faster than real time the log is replayed; alert durations shrink by it."
    )
    max_false_ratio: Share = Field(0.05, description="Share of reviewed alerts judged false; above warns.")


class Config(_Section):
    """The whole configuration file."""

    state: Path = Field(Path("state"), description="Folder of the embedded database.")
    log: tuple[LogSource, ...] = Field(min_length=1)
    evaluation: Evaluation = Evaluation()
    models: tuple[Model, ...] = Field(min_length=1)
    outcomes: Outcomes = Outcomes()
    costs: Costs = Costs()
    limits: Limits = Limits()
    alerting: Alerting = Alerting()
    _folder: Path = PrivateAttr(default=Path())

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        names = [model.name for model in self.models]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"models: the name {twice[0]!r} stands twice; give each model a name of its own")
        windows = self.evaluation.windows
        for index, model in enumerate(self.models):
            if model.drift.window not in windows:
                raise ValueError(
                    f"models[{index}].drift.window: {model.drift.window} is not among evaluation.windows "
                    f"({', '.join(windows)}); add it there or choose one of them"
                )
        return self

    def resolve(self, path: Path | str) -> Path:
        """`path` as seen from the configuration file's folder."""
        return self._folder / path

    def model(self, name: str) -> Model:
        """The model called `name`; KeyError if there is none."""
        for model in self.models:
            if model.name == name:
                return model
        raise KeyError(name)


def load_config(path: Path) -> Config:
    """Read and check the configuration at `path`; ConfigError names every problem with its path in the file."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise ConfigError(str(path), [f"{reason}; give the path of an existing YAML file"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), [f"not UTF-8 text at byte {error.start}; save it as UTF-8"]) from error
    return parse_config(text, source=str(path), folder=path.parent)


def parse_config(text: str, source: str = "configuration", folder: Path = Path()) -> Config:
    """Check the YAML `text`; relative paths in it are seen from `folder`."""
    try:
        data = yaml.load(text, Loader=UniqueKeyLoader)  # noqa: S506 - a subclass of the safe loader
    except yaml.YAMLError as error:
        raise ConfigError(source, [yaml_problem(error)]) from error
    if not isinstance(data, dict):
        raise ConfigError(source, ["expected a mapping with the keys log and models at the top"])
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError(source, list(problems_of(error))) from error
    config._folder = folder  # noqa: SLF001 - set once, by the one maker of configurations
    return config


def config_schema() -> dict[str, Any]:
    """The configuration's JSON Schema, for editors."""
    schema = Config.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


class UniqueKeyLoader(yaml.SafeLoader):
    """PyYAML keeps the last of two equal keys and says nothing; a configuration must not."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        """Refuse a key that stands twice, and go on as the safe loader does."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode):
                continue  # the safe loader refuses it
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice; remove one", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def yaml_problem(error: yaml.YAMLError) -> str:
    """What is wrong with a YAML text, and where."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{place}not valid YAML: {problem}"


def problems_of(error: ValidationError) -> Iterator[str]:
    """Each problem of a validation as `path: what is wrong`."""
    items = error.errors(include_url=False)
    places = [item["loc"] for item in items]
    for item in items:
        here = item["loc"]
        if item["type"] == "too_short" and any(place[: len(here)] == here != place for place in places):
            continue  # pydantic counts usable items only, and says of the others what is wrong with them
        path, message = _path(here), _message(item)
        yield f"{path}: {message}" if path else message


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


def _message(item: Any) -> str:
    match item["type"]:
        case "extra_forbidden":
            return "unknown key; remove it or correct its spelling"
        case "missing":
            return "required key is missing; add it"
        case "too_short":
            return "empty; add an item"
        case "value_error":
            return str(item["ctx"]["error"])
        case _:
            return f"{item['msg'][0].lower()}{item['msg'][1:]} (found {item['input']!r})"
