"""The responder's configuration: dry by default, every problem at once, and no secret in any message."""

from pathlib import Path
from typing import Any

import pytest

from alerting.responder.settings import RESPONSES, SecretError, load_settings
from alerting.rules import alerts
from exporter.config import load_config
from exporter.errors import ConfigError

from .world import FULL, PAGE_TOKEN, settings_file, settings_of

ROOT = Path(__file__).parents[3]


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_settings(path)
    return list(caught.value.problems)


def test_the_tokens_are_enough_and_nothing_is_called_unless_asked_for(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    assert settings.dry_run
    assert settings.listen.startswith("127.0.0.1:")
    assert settings.page_token.read() == PAGE_TOKEN
    assert settings.state == tmp_path / "responder.sqlite"


def test_every_alert_with_a_response_of_its_own_is_shipped() -> None:
    shipped = {alert.name for alert in alerts(load_config(ROOT / "deploy/prediction-exporter.yml"))}
    assert set(RESPONSES) <= shipped


def test_responses_change_those_named_and_leave_the_others(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, responses={"PredictionFeatureDriftSevere": ["notify"]})
    assert settings.responses_to("PredictionFeatureDriftSevere") == ("notify",)
    assert settings.responses_to("PredictionFeatureDriftModerate") == ("ticket",)
    assert settings.responses_to("SomebodyElsesAlert") == ("notify",)
    assert settings.responses_to("Watchdog") == ()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"dryrun": True}, "dryrun: unknown key; remove it or correct its spelling"),
        ({"page_token": {"file": "absent"}}, "absent is empty or cannot be read; put the secret there"),
        ({"page_token": {"env": "NO_SUCH_VARIABLE"}}, "$NO_SUCH_VARIABLE is empty or cannot be read"),
        ({"page_token": {"file": "a", "env": "b"}}, "page_token: name either a file or an environment variable"),
        ({"prometheus": {"url": "http://u:p@prometheus:9090"}}, "prometheus.url: credentials do not belong in a URL"),
        ({"prometheus": {"url": "prometheus:9090"}}, "prometheus.url: expected an http:// or https:// URL"),
        ({"responses": {"A": ["ticket"]}}, "tickets: responses asks to ticket, and no target is given"),
        ({"responses": {"A": ["sleep"]}}, "responses.A[0]: input should be 'notify'"),
        ({"tickets": {}}, "tickets: give one of github, jira, webhook; found 0"),
        ({"tickets": FULL["tickets"] | {"jira": None, "github": {}}}, "tickets.github.repository: required key"),
        ({"retraining": FULL["retraining"]}, "prometheus: retraining.fresh_labels asks it"),
        ({"rollback": FULL["rollback"]}, "prometheus: a rollback asks it"),
        ({"retention": "6d"}, "retention: shorter than stale_after or the 7d of the page; lengthen it"),
        ({"retention": "2w", "stale_after": "15d"}, "retention: shorter than stale_after"),
        ({"notify": {}}, "notify: give either url or url_from"),
        ({"report_url": "http://e/{secret}"}, "report_url: a placeholder is one of {model}"),
        ({"report_url": "http://e/{model.__class__}"}, "report_url: a placeholder is one of {model}"),
        ({"report_url": "http://e/{"}, "report_url: a placeholder is one of {model}"),
        ({"tls": {"cert_file": "page.token", "key_file": "page.token"}}, "tls: "),
        ({"listen": "9751"}, "listen: "),
    ],
)
def test_a_wrong_key_is_told_with_its_path(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    found = problems(settings_file(tmp_path, **changes))
    assert any(problem in one for one in found), found


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    wrong = {"dry_run": "perhaps", "timeout": "10", "notification_usd": -1, "page_token": {"file": "absent"}}
    assert len(problems(settings_file(tmp_path, **wrong))) == len(wrong)


@pytest.mark.parametrize("key", ["page_token", "webhook_token"])
def test_a_secret_written_into_the_file_is_refused_and_not_repeated(tmp_path: Path, key: str) -> None:
    [problem] = problems(settings_file(tmp_path, **{key: "hunter2-and-more-of-it"}))
    assert problem == f"{key}: a secret is named, not written here; give {{file: PATH}} or {{env: NAME}}"


def test_a_short_token_is_refused_and_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHORT", "hunter2")
    [problem] = problems(settings_file(tmp_path, page_token={"env": "SHORT"}))
    assert problem == "page_token: the token is shorter than 16 characters; make it of random ones"


def test_a_key_that_stands_twice_and_an_absent_file_are_told(tmp_path: Path) -> None:
    path = tmp_path / "twice.yml"
    path.write_text("dry_run: true\ndry_run: false\n")
    assert "stands twice" in problems(path)[0]
    assert "No such file" in problems(tmp_path / "absent.yml")[0]


def test_a_renewed_secret_is_read_without_a_restart(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    (tmp_path / "page.token").write_text("another token of enough length")
    assert settings.page_token.read() == "another token of enough length"
    (tmp_path / "page.token").unlink()
    with pytest.raises(SecretError, match=r"page\.token is empty or cannot be read"):
        settings.page_token.read()
