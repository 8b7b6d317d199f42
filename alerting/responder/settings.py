"""The responder's configuration: strict YAML in, frozen settings out, or every problem at once with its path.

Secrets are never values here: each is the name of a file or of an environment variable, read when it is used, so that
a renewed one needs no restart. Relative paths are seen from the configuration file's folder.
"""

import os
import ssl
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from exporter.config import parse_duration
from exporter.config.base import Duration, NonNegative, Section, Url
from exporter.config.load import parse_section, read_text, section_schema
from exporter.errors import PredictionExporterError

SHORTEST_TOKEN = 16  # characters: at 6 bits each some 96, beyond guessing over a network
PLACEHOLDERS = ("model", "version", "alert", "key", "to_version")
DAY = 86_400
REVIEW_DAYS = 7  # as the alert on false alarms looks back

Response = Literal["notify", "ticket", "retrain", "rollback"]
RESPONSES: Mapping[str, tuple[Response, ...]] = {
    "Watchdog": (),
    "PredictionFeatureDriftMinor": ("notify",),
    "PredictionFeatureDriftUnusual": ("notify",),
    "PredictionFeatureDriftModerate": ("ticket",),
    "PredictionDriftModerate": ("ticket",),
    "PredictionFeaturesDrifted": ("ticket",),
    "PredictionFeatureDriftSevere": ("ticket", "retrain"),
    "PredictionDriftSevere": ("ticket", "retrain"),
    "PredictionAccuracyLow": ("ticket", "retrain"),
    "PredictionAucLow": ("ticket", "retrain"),
    "PredictionPerformanceBelowBaseline": ("ticket", "retrain"),
}
"""What is done about an alert unless `responses` says otherwise; every other alert is notified."""


def _in_folder(path: Path, info: ValidationInfo) -> Path:
    return Path((info.context or {}).get("folder", Path())) / path


InFolder = Annotated[Path, AfterValidator(_in_folder)]


class SecretError(PredictionExporterError):
    """A secret that is not where the configuration says it is."""


class Secret(Section):
    """Where a secret stands: in a file or in an environment variable."""

    file: InFolder | None = Field(None, description="Its file.")
    env: str | None = Field(None, description="Or its environment variable.")

    @model_validator(mode="after")
    def _there(self) -> Self:
        if (self.file is None) == (self.env is None):
            raise ValueError("name either a file or an environment variable")
        if not self._value():
            raise ValueError(f"{self.file or '$' + str(self.env)} is empty or cannot be read; put the secret there")
        return self

    def _value(self) -> str:
        if self.file is None:
            return os.environ.get(str(self.env), "").strip()
        try:
            return self.file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def read(self) -> str:
        """The secret as it stands there now; SecretError if it is gone."""
        value = self._value()
        if not value:
            raise SecretError(f"{self.file or '$' + str(self.env)} is empty or cannot be read")
        return value


def _named(value: object) -> object:
    # The value stays out of the message: it may be the secret itself.
    if isinstance(value, dict | Secret):
        return value
    raise ValueError("a secret is named, not written here; give {file: PATH} or {env: NAME}")


def _long(secret: Secret) -> Secret:
    if len(secret.read()) < SHORTEST_TOKEN:
        raise ValueError(f"the token is shorter than {SHORTEST_TOKEN} characters; make it of random ones")
    return secret


def _without_user(url: str) -> str:
    if "@" in url.split("/")[2]:
        raise ValueError("credentials do not belong in a URL; give them as token")
    return url


def _template(text: str) -> str:
    try:
        fields = [name for _, name, spec, _ in string.Formatter().parse(text) if name is not None and not spec]
        text.format_map(dict.fromkeys(PLACEHOLDERS, ""))
    except (ValueError, KeyError, IndexError, AttributeError, TypeError):
        fields = ["?"]
    if not set(fields) <= set(PLACEHOLDERS):
        raise ValueError(f"a placeholder is one of {', '.join(f'{{{name}}}' for name in PLACEHOLDERS)}")
    return text


NamedSecret = Annotated[Secret, BeforeValidator(_named)]
Token = Annotated[NamedSecret, AfterValidator(_long)]
TargetUrl = Annotated[Url, AfterValidator(_without_user)]
Template = Annotated[str, AfterValidator(_template)]


class Access(Section):
    """A service and how to be let in: with a user name by basic authentication, else with a bearer token."""

    url: TargetUrl = Field(description="Where it is.")
    username: str | None = Field(None, description="For basic authentication.")
    token: NamedSecret | None = Field(None, description="Password or bearer token.")


class Webhook(Section):
    """An endpoint that takes a JSON object by POST; a URL that is itself a secret is read from `url_from`."""

    url: TargetUrl | None = Field(None, description="Where it is.")
    url_from: NamedSecret | None = Field(None, description="Or where it is secret.")
    token: NamedSecret | None = Field(None, description="Bearer token.")

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        if (self.url is None) == (self.url_from is None):
            raise ValueError("give either url or url_from")
        return self


class GitHub(Section):
    """A repository on GitHub; the token may write issues (tickets) or actions (workflows)."""

    url: TargetUrl = Field("https://api.github.com", description="The API; of GitHub Enterprise, ends in /api/v3.")
    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="owner/name")
    token: NamedSecret = Field(description="May write issues or actions.")


class GitHubIssues(GitHub):
    """Tickets as GitHub issues; `label` marks them, and the search for existing ones reads those with it only."""

    label: str = Field("prediction-alert", min_length=1, description="Marks its issues.")


class GitHubWorkflow(GitHub):
    """A workflow dispatch. Where the workflow's `run-name` holds the key, a run is found and not repeated."""

    workflow: str = Field(min_length=1, description="The workflow's file name or number.")
    ref: str = Field("main", description="Branch or tag that it runs on.")
    inputs: Mapping[str, Template] = Field({"model": "{model}", "key": "{key}"}, description="Inputs it declares.")


class Jira(Access):
    """Tickets in Jira: Cloud with a user name, Data Center without."""

    token: NamedSecret = Field(description="API token or personal access token.")
    project: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$", description="Its key.")
    issue_type: str = Field("Task", description="Of the issues that are opened.")
    close_transition: str = Field("Done", description="The transition that closes an issue.")


class Airflow(Access):
    """A run of a DAG; its run id is the action's key, so that none is made twice."""

    dag: str = Field(min_length=1, description="Its id.")
    api: Literal["v1", "v2"] = Field("v2", description="v1 for Airflow 2.")


class Command(Section):
    """A program on this machine, without a shell; it reads the request as JSON on standard input."""

    command: tuple[Template, ...] = Field(
        min_length=1, description="Program and arguments; {model} and so on are filled in."
    )
    timeout: Duration = Field("1m", description="It is killed after that, and run again.")


class _OneOf(Section):
    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name, value in self if value is not None]
        if len(given) != 1:
            raise ValueError(f"give one of {', '.join(type(self).model_fields)}; found {len(given)}")
        return self


class Tickets(_OneOf):
    """Where tickets are opened."""

    github: GitHubIssues | None = Field(None, description="As issues of a repository.")
    jira: Jira | None = Field(None, description="As issues of a project.")
    webhook: Webhook | None = Field(None, description="By whoever takes a JSON object.")


class Trigger(_OneOf):
    """What starts a job."""

    webhook: Webhook | None = Field(None, description="Whoever takes a JSON object.")
    github: GitHubWorkflow | None = Field(None, description="A workflow dispatch.")
    airflow: Airflow | None = Field(None, description="A DAG run.")
    command: Command | None = Field(None, description="A program.")


class Retraining(Section):
    """How retrainings are started, and what holds them back."""

    target: Trigger = Field(description="What is started.")
    cooldown: Duration = Field("12h", description="After a model's retraining began, alerts start no other.")
    daily_budget: int = Field(3, ge=0, description="Retrainings in any 24 hours, all models together.")
    fresh_labels: int = Field(
        1_000, ge=0, description="Labels since the last retraining, or in label_window; 0 asks for none."
    )  # 1,000 tell an accuracy to within 3 points (95 % Wilson interval at 0.5)
    label_window: Duration = Field("7d", description="How far back labels count as fresh.")
    every: Mapping[str, Duration] = Field({}, description="Model to period: retrained without an alert.")


class Rollback(Section):
    """How a model goes back to another version that serves beside it, and what proves that one better."""

    target: Trigger = Field(description="What is started.")
    metric: Literal["accuracy", "auc"] = Field("auc", description="By which versions are compared.")
    window: Duration = Field("7d", description="One of the exporter's evaluation.windows.")


class Tls(Section):
    """The certificate that the responder shows; the key unencrypted."""

    cert_file: InFolder = Field(description="Certificate chain, PEM.")
    key_file: InFolder = Field(description="Its private key, PEM.")

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.cert_file, self.key_file, password="")
        except OSError as error:  # what TLS finds wrong is one too
            raise ValueError(f"{error.strerror or error}; give PEM files that belong together") from error
        return self


class Settings(Section):
    """The whole configuration file."""

    dry_run: bool = Field(True, description="Decide and record, but call no target.")
    listen: str = Field("127.0.0.1:9751", pattern=r"^[^:\s]+:\d{1,5}$", description="host:port")
    tls: Tls | None = Field(None, description="Where others than this machine connect.")
    state: InFolder = Field(Path("responder.sqlite"), description="The embedded database.", validate_default=True)
    external_url: Url = Field("http://localhost:9751", description="The page, as people reach it.")
    report_url: Template | None = Field(None, description="A model's report; {model} and {version} are filled in.")
    webhook_token: Token = Field(description="What Alertmanager sends as bearer token.")
    page_token: Token = Field(description="What a person signs in with.")
    prometheus: Access | None = Field(None, description="Asked for drifted features, fresh labels and versions.")
    timeout: Duration = Field("10s", description="Of one call to a target or to Prometheus.")
    stale_after: Duration = Field(
        "2d", description="An open alert not repeated for this long has ended unheard; twice the longest repetition."
    )
    retention: Duration = Field(
        "90d", description="Ended investigations and settled actions are dropped after it; the audit log never is."
    )  # a quarter, over which alerts are usually looked back on
    notification_usd: NonNegative = Field(0.005, description="What a ticket or a message costs.")
    responses: Mapping[str, tuple[Response, ...]] = Field({}, description="Alert to what is done, where not as usual.")
    notify: Webhook | None = Field(None, description="Where messages go; without it they stand in the log alone.")
    tickets: Tickets | None = Field(None, description="Without it no ticket is opened.")
    retraining: Retraining | None = Field(None, description="Without it nothing is retrained.")
    rollback: Rollback | None = Field(None, description="Without it nothing is rolled back.")

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        wanted = {response for responses in self.responses.values() for response in responses}
        for response, section in (("ticket", "tickets"), ("retrain", "retraining"), ("rollback", "rollback")):
            if response in wanted and getattr(self, section) is None:
                raise ValueError(f"{section}: responses asks to {response}, and no target is given; add the section")
        if parse_duration(self.retention) < max(self.stale_seconds, REVIEW_DAYS * DAY):
            raise ValueError(f"retention: shorter than stale_after or the {REVIEW_DAYS}d of the page; lengthen it")
        if self.prometheus is None and self.retraining is not None and self.retraining.fresh_labels:
            raise ValueError("prometheus: retraining.fresh_labels asks it; add the section, or set fresh_labels: 0")
        if self.prometheus is None and self.rollback is not None:
            raise ValueError("prometheus: a rollback asks it which version is better; add the section")
        return self

    def responses_to(self, alert: str) -> tuple[Response, ...]:
        """What is done about the alert called `alert`."""
        return self.responses.get(alert, RESPONSES.get(alert, ("notify",)))

    @property
    def stale_seconds(self) -> int:
        """`stale_after` in seconds."""
        return parse_duration(self.stale_after)


def load_settings(path: Path) -> Settings:
    """Read and check the configuration at `path`; ConfigError names every problem with its path in the file."""
    return parse_section(Settings, read_text(path), str(path), "the keys webhook_token and page_token", path.parent)


def settings_schema() -> dict[str, Any]:
    """The configuration's JSON Schema, for editors."""
    return section_schema(Settings)
