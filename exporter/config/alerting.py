"""Who hears of an alert, and where its links lead."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from exporter.config.base import Duration, Section, Share, Url


class Slack(Section):
    """A Slack channel; the incoming-webhook URL is a secret and is read from a file."""

    channel: str = Field(min_length=2, description="Its name.")
    api_url_file: Path = Field(description="File with the URL, as Alertmanager finds it.")


class Email(Section):
    """An e-mail recipient; the password, where one is needed, is read from a file."""

    to: str = Field(description="Who gets it.")
    sender: str = Field(description="Whom it is from.")
    smarthost: str = Field(pattern=r"^\S+:\d+$", description="Mail server, host:port.")
    username: str | None = Field(None, description="Where the mail server asks for one.")
    password_file: Path | None = Field(None, description="File with its password, as Alertmanager finds it.")


class PagerDuty(Section):
    """A PagerDuty service; the integration key is read from a file."""

    routing_key_file: Path = Field(description="File with the key, as Alertmanager finds it.")


class Webhook(Section):
    """An HTTP endpoint that takes Alertmanager's webhook payloads."""

    url: Url = Field(description="Where it listens.")
    bearer_token_file: Path | None = Field(None, description="File with its token, as Alertmanager finds it.")


class Alerting(Section):
    """Links in alerts, and who hears of them: all by webhook and Slack, warnings by e-mail, critical ones by page."""

    exporter_url: Url = Field("http://localhost:9750", description="The exporter's own pages, as people reach them.")
    runbook_url: Url = Field("http://localhost:9750/runbook", description="The page with a heading for each alert.")
    dashboard_url: Url = Field("http://localhost:3000", description="Grafana, as people reach it.")
    slack: Slack | None = None
    email: Email | None = None
    pagerduty: PagerDuty | None = None
    webhook: Webhook | None = None
    max_response: Duration = Field("30m", description="Firing to acknowledged; longer warns.")
    speed: Annotated[float, Field(ge=1)] = Field(
        1, description="How many times faster than real time the log is replayed; alert durations shrink by it."
    )
    max_false_ratio: Share = Field(0.05, description="Share of reviewed alerts judged false; above warns.")
