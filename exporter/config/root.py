"""The whole configuration file; the models' and the alerting's sections have modules of their own."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from exporter.config.alerting import Alerting
from exporter.config.archive import Archive
from exporter.config.base import Duration, NonNegative, Positive, Section, parse_duration
from exporter.config.intake import Foreign, Intake
from exporter.config.model import Model


class LogSource(Section):
    """One place that predictions are read from: a file, a glob, a directory or an object-store URL."""

    path: str = Field(min_length=1, description="NDJSON (plain, gzip, zstd) or Parquet; file, glob, directory, URL.")
    format: Literal["records", "sagemaker", "azureml"] = Field("records", description="Whose JSON lines they are.")
    foreign: Foreign | None = Field(None, description="Whose records are that are in a format of others.")
    archive: bool = Field(False, description="Move what is read and at rest into the archive: the files are deleted.")

    @model_validator(mode="after")
    def _says_whose(self) -> Self:
        if (self.format == "records") != (self.foreign is None):
            raise ValueError("format and foreign go together: give both, or neither for records of our own format")
        return self

    @model_validator(mode="after")
    def _can_be_archived(self) -> Self:
        if self.archive and "://" in self.path:
            raise ValueError("archive: only local files are archived; remove it, or expire the objects in their store")
        if self.archive and self.foreign is not None:
            raise ValueError("archive: only records of our own format are archived; remove it")
        return self


class Evaluation(Section):
    """When and over which windows statistics are computed."""

    interval: Duration = Field("1m", description="Time between two evaluations.")
    windows: tuple[Duration, ...] = Field(
        ("1h", "1d", "7d"), min_length=1, description="How far back statistics look; multiples of 5m, beyond 2d of 1h."
    )
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


class Outcomes(Section):
    """How long a prediction waits for its outcome, and an outcome for its prediction."""

    horizon: Duration = Field("30d", description="Predictions and outcomes wait for each other for this long.")
    max_age: Duration = Field("7d", description="Alert when outcomes came before, and none came for this long.")


class MonthlyLimits(Section):
    """What monitoring may cost in a month, in USD, before an alert says so."""

    log_storage_usd: Positive = Field(100, description="Keeping and ingesting the logs.")
    compute_usd: Positive = Field(50, description="The exporter's own computing.")
    notifications_usd: Positive = Field(20, description="Notifications sent.")


class Costs(Section):
    """Prices; the defaults are a large cloud's list prices for object storage, log ingestion and a vCPU hour."""

    serving_usd_per_1000_predictions: NonNegative = Field(0.02, description="Of predictions that name no `cost_usd`.")
    log_storage_usd_per_gib_month: NonNegative = Field(0.023, description="Keeping a GiB of log for a month.")
    log_ingestion_usd_per_gib: NonNegative = Field(0.10, description="Taking in a GiB of log.")
    compute_usd_per_core_hour: NonNegative = Field(0.04, description="The exporter's own CPU time.")
    notification_usd: NonNegative = Field(0.005, description="One notification sent.")
    log_retention: Duration = Field("30d", description="How long logs are kept, for the storage cost.")
    monthly_limits: MonthlyLimits = MonthlyLimits()


class Limits(Section):
    """Bounds on what the exporter holds and exports."""

    series: int = Field(20_000, ge=100, description="Series beyond this are cut, and counted.")
    versions: int = Field(10, ge=1, description="Versions of a model; records of a further one are rejected.")
    retention: Duration = Field("90d", description="Age at which profiles are forgotten.")
    future: Duration = Field("5m", description="A record further ahead of the clock than this is rejected.")


StatisticPath = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$")]


class Config(Section):
    """The whole configuration file."""

    state: Path = Field(Path("state"), description="Folder of the embedded database.")
    log: tuple[LogSource, ...] = Field(min_length=1, description="Where records are read from; followed.")
    intake: Intake | None = None
    evaluation: Evaluation = Evaluation()
    models: tuple[Model, ...] = Field(min_length=1, description="Records of other models are rejected.")
    statistics: tuple[StatisticPath, ...] = Field(
        (),
        description="Statistics of your own, each package.module:name, imported from PYTHONPATH; see exporter.custom.",
    )
    archive: Archive = Archive()
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

    @model_validator(mode="after")
    def _foreign_is_known(self) -> Self:
        names = [model.name for model in self.models]
        places = {f"log[{index}].foreign": source.foreign for index, source in enumerate(self.log)}
        services = self.intake.services if self.intake else ()
        places |= {f"intake.services[{index}]": service for index, service in enumerate(services)}
        for place, foreign in places.items():
            if foreign and foreign.model not in names:
                raise ValueError(f"{place}.model: there is no model {foreign.model!r}; name one of models")
        return self

    @model_validator(mode="after")
    def _remembered(self) -> Self:
        retention = parse_duration(self.limits.retention)
        for window in self.evaluation.windows:
            if parse_duration(window) > retention:
                raise ValueError(f"limits.retention: {self.limits.retention} is shorter than the window {window}; "
                                 "raise it or drop the window")  # fmt: skip
        for index, model in enumerate(self.models):
            if model.drift.periods and model.drift.reach >= retention:
                raise ValueError(
                    f"limits.retention: {self.limits.retention} must be longer than the {model.drift.reach // 3_600} h "
                    f"that models[{index}].drift.periods look back; raise it or drop the period"
                )
        return self

    @property
    def archive_folder(self) -> Path:
        """Where the archive stands."""
        return self.resolve(self.archive.path or self.state / "archive")

    def resolve(self, path: Path | str) -> Path:
        """`path` as seen from the configuration file's folder."""
        return self._folder / path

    def locate(self, source: LogSource) -> str:
        """The source's path as seen from the configuration file's folder; an object store's URL stays as it is."""
        return source.path if "://" in source.path else str(self.resolve(source.path))

    def model(self, name: str) -> Model:
        """The model called `name`; KeyError if there is none."""
        for model in self.models:
            if model.name == name:
                return model
        raise KeyError(name)
