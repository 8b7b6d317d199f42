"""Targets over real HTTP: what each is sent, what it is asked first, and that failures tell no secret."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from alerting.responder.calls import Caller, CallError
from alerting.responder.evidence import DriftedFeature, Evidence, label_seconds
from alerting.responder.plan import plan
from alerting.responder.settings import Access, Settings, Trigger
from alerting.responder.state import Action, Incident, State
from alerting.responder.tickets import TicketSystem, ticket_system
from alerting.responder.triggers import trigger
from alerting.responder.words import Ticket, notification, request, ticket

from .stubs import GitHub, Jira
from .world import FULL, START, TARGET_TOKEN, Request, Target, alert, delivery, settings_of

CALLER = Caller(timeout=10)
TICKET = Ticket("title", "text responder:open_ticket-1", "responder:open_ticket-1")
TOKEN = {"token": {"file": "target.token"}}


def settings(folder: Path, **changes: Any) -> Settings:
    return settings_of(folder, **{**FULL, **changes})


def tickets(folder: Path, **section: Any) -> TicketSystem:
    found = settings(folder, tickets=section).tickets
    assert found
    return ticket_system(found, CALLER)


def triggers(folder: Path, **section: Any) -> Trigger:
    found = settings(folder, retraining={"target": section}).retraining
    assert found
    return found.target


def test_a_github_issue_is_opened_once_and_closed_once(tmp_path: Path) -> None:
    with Target(GitHub()) as target:
        system = tickets(tmp_path, github={"url": target.url, "repository": "o/r", **TOKEN})
        assert [system.open(TICKET), system.open(TICKET)] == ["1", "1"]
        system.close("1", "resolved")
        system.close("1", "resolved")
        [opened] = [one for one in target.requests if one.method == "POST" and one.path == "/repos/o/r/issues"]
        assert opened.body == {"title": "title", "body": TICKET.text, "labels": ["prediction-alert"]}
        assert len(target.sent("/repos/o/r/issues/1/comments")) == 1
        assert {one.headers["authorization"] for one in target.requests} == {f"Bearer {TARGET_TOKEN}"}
        [closed] = [one.body for one in target.requests if one.method == "PATCH"]
        assert closed == {"state": "closed", "state_reason": "completed"}


def test_a_false_alarm_closes_its_issue_as_not_planned(tmp_path: Path) -> None:
    with Target(GitHub()) as target:
        system = tickets(tmp_path, github={"url": target.url, "repository": "o/r", **TOKEN})
        system.close(system.open(TICKET), "judged false")
        assert [one.body["state_reason"] for one in target.requests if one.method == "PATCH"] == ["not_planned"]


@pytest.mark.parametrize(
    ("user", "search", "scheme"),
    [
        ({}, "/rest/api/2/search", "Bearer"),
        ({"username": "bot@example.com"}, "/rest/api/2/search/jql", "Basic"),
    ],
)
def test_a_jira_issue_is_opened_once_and_closed_once(
    tmp_path: Path, user: dict[str, str], search: str, scheme: str
) -> None:
    with Target(Jira("Done")) as target:
        system = tickets(tmp_path, jira={"url": target.url, "project": "ML", **TOKEN, **user})
        assert [system.open(TICKET), system.open(TICKET)] == ["ML-7", "ML-7"]
        system.close("ML-7", "resolved")
        system.close("ML-7", "resolved")
        assert len(target.sent("/rest/api/2/issue")) == 1
        assert len(target.sent(search)) == 2
        [moved] = [one.body for one in target.requests if one.method == "POST" and "transitions" in one.path]
        assert moved == {"transition": {"id": "31"}}
        assert {one.headers["authorization"].partition(" ")[0] for one in target.requests} == {scheme}


def test_a_jira_that_offers_no_such_transition_is_told_which(tmp_path: Path) -> None:
    with Target(Jira("Start", status="new")) as target:
        system = tickets(tmp_path, jira={"url": target.url, "project": "ML", **TOKEN})
        with pytest.raises(CallError, match=r"no transition called 'Done'; set tickets\.jira\.close_transition"):
            system.close("ML-7", "resolved")


def test_a_ticket_webhook_is_told_with_keys_to_know_repetitions_by(tmp_path: Path) -> None:
    with Target() as target:
        system = tickets(tmp_path, webhook={"url": f"{target.url}/t", **TOKEN})
        system.close(system.open(TICKET), "resolved")
        assert [(one.body["action"], one.headers["idempotency-key"]) for one in target.requests] == [
            ("open_ticket", "open-responder:open_ticket-1"),
            ("close_ticket", "close-responder:open_ticket-1"),
        ]


TOLD = {"action": "retrain", "key": "retrain-1", "model": "churn", "version": "v2", "alert": "A", "cause": "c"}


def test_a_workflow_is_dispatched_once_though_asked_again(tmp_path: Path) -> None:
    with Target(GitHub()) as target:
        github = triggers(tmp_path, github={"url": target.url, "repository": "o/r", "workflow": "retrain.yml", **TOKEN})
        assert trigger(github, CALLER, TOLD, again=False) == "workflow dispatched"
        assert trigger(github, CALLER, TOLD, again=True) == "workflow was dispatched before"
        assert trigger(github, CALLER, TOLD | {"key": "retrain-2"}, again=True) == "workflow dispatched"
        first, _ = target.sent("/repos/o/r/actions/workflows/retrain.yml/dispatches")
        assert first.body == {"ref": "main", "inputs": {"model": "churn", "key": "retrain-1"}}


@pytest.mark.parametrize(("api", "extra"), [("v1", {}), ("v2", {"logical_date": None})])
def test_a_dag_run_bears_the_key_and_a_conflict_is_success(tmp_path: Path, api: str, extra: dict[str, Any]) -> None:
    status = [200, 409, 500]
    with Target(lambda _: (status.pop(0), {})) as target:
        airflow = triggers(tmp_path, airflow={"url": target.url, "dag": "retrain/all", "api": api, **TOKEN})
        assert trigger(airflow, CALLER, TOLD, again=False) == "DAG run started"
        assert trigger(airflow, CALLER, TOLD, again=True) == "DAG run was there before"
        with pytest.raises(CallError, match="answered 500"):
            trigger(airflow, CALLER, TOLD, again=True)
        sent = target.requests[0]
        assert sent.path == f"/api/{api}/dags/retrain%2Fall/dagRuns"
        assert sent.body == {"dag_run_id": "retrain-1", "conf": TOLD} | extra


def test_a_webhook_is_sent_the_request_under_its_key(tmp_path: Path) -> None:
    with Target() as target:
        webhook = triggers(tmp_path, webhook={"url": f"{target.url}/hook", **TOKEN})
        trigger(webhook, CALLER, TOLD, again=False)
        [sent] = target.requests
        assert (sent.path, sent.body, sent.headers["idempotency-key"]) == ("/hook", TOLD, "retrain-1")


def test_a_command_gets_its_words_as_they_are_and_the_request_on_standard_input(tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = f"import sys; open({str(out)!r}, 'w').write(sys.argv[1] + '|' + sys.stdin.read())"
    command = triggers(tmp_path, command={"command": [sys.executable, "-c", script, "{model}"]})
    odd = TOLD | {"model": "$(touch x); {key}"}
    trigger(command, CALLER, odd, again=False)
    model, _, told = out.read_text().partition("|")
    assert model == "$(touch x); {key}"
    assert json.loads(told) == odd


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ([sys.executable, "-c", "raise SystemExit(3)"], "ended with status 3"),
        (["no-such-program"], "cannot be run: No such file"),
        ([sys.executable, "-c", "import time; time.sleep(60)"], "took longer than 1s"),
    ],
)
def test_a_command_that_fails_is_told_how(tmp_path: Path, command: list[str], told: str) -> None:
    section = triggers(tmp_path, command={"command": command, "timeout": "1s"})
    with pytest.raises(CallError, match=told):
        trigger(section, CALLER, TOLD, again=False)


def failing(request: Request) -> tuple[int, Any]:
    return (302, None) if request.path == "/moved" else (401, {"error": TARGET_TOKEN})


def test_failures_name_no_url_header_or_body(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "alerting")
    with Target(failing) as target:
        urls = (f"{target.url}/SECRETPATH", f"{target.url}/moved", "http://127.0.0.1:1/SECRETPATH")
        found = []
        for url in urls:
            webhook = triggers(tmp_path, webhook={"url": url, **TOKEN})
            with pytest.raises(CallError) as caught:
                trigger(webhook, CALLER, TOLD, again=False)
            found.append(str(caught.value))
        assert found == ["answered 401", "answered 302", "ConnectionError"]
        assert len(target.requests) == 2  # the redirect was not followed
    assert "SECRET" not in caplog.text
    assert TARGET_TOKEN not in caplog.text


def test_a_netrc_entry_does_not_take_the_place_of_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with Target() as target:
        trigger(triggers(tmp_path, webhook={"url": target.url, **TOKEN}), CALLER, TOLD, again=False)
        assert target.requests[0].headers["authorization"] == f"Bearer {TARGET_TOKEN}"


def test_an_answer_that_is_no_json_is_an_error() -> None:
    with Target(lambda _: (200, None)) as target:
        assert CALLER.call("GET", Access(url=target.url), "/empty") is None
    with pytest.raises(CallError):
        CALLER.call("GET", Access(url=target.url), "/gone")


def prometheus(answers: dict[str, list[tuple[dict[str, str], float]]]) -> Any:
    """A Prometheus that knows some expressions by a part of them."""

    def answer(request: Request) -> tuple[int, Any]:
        from urllib.parse import parse_qs

        expr = parse_qs(request.body)["query"][0]
        asked.append(expr)
        found = next((series for part, series in answers.items() if part in expr), [])
        result = [{"metric": labels, "value": [0, str(value)]} for labels, value in found]
        return 200, {"status": "success", "data": {"resultType": "vector", "result": result}}

    asked: list[str] = []
    answer.asked = asked  # type: ignore[attr-defined]  # the test reads it
    return answer


def incident_of(folder: Path, **labels: str) -> tuple[Incident, Action, Settings]:
    chosen = settings(folder, report_url="http://exporter:9750/models/{model}?version={version}")
    state = State()
    state = state.after(plan(delivery(alert("PredictionFeatureDriftModerate", **labels)), chosen, state))
    [incident] = state.incidents.values()
    [action] = state.actions.values()
    return incident, action, chosen


def test_a_ticket_holds_the_drifted_features_their_numbers_and_the_links(tmp_path: Path) -> None:
    incident, action, chosen = incident_of(tmp_path, model_name="churn & co")
    answers = {
        "feature_drift_score": [({"feature": "age"}, 0.21), ({"feature": "plan"}, 0.44)],
        "feature_completeness": [({"feature": "age"}, 0.995)],
    }
    answer = prometheus(answers)
    with Target(answer) as target:
        features = Evidence(Access(url=target.url), CALLER).features(incident)
    assert features == [DriftedFeature("plan", 0.44, None), DriftedFeature("age", 0.21, 0.995)]
    assert 'model_name="churn & co",model_version="v2",window="1d",method="psi"' in answer.asked[0]
    written = ticket(action, [incident], features, chosen)
    assert written.title == "PredictionFeatureDriftModerate: churn & co v2"
    assert "| `plan` | 0.440 |  |\n| `age` | 0.210 | 99.50 % |" in written.text
    assert "- Dashboard: http://grafana:3000/d/prediction-model" in written.text
    assert "- Report: http://exporter:9750/models/churn%20%26%20co?version=v2" in written.text
    assert f"- Investigation: http://localhost:9751/#{incident.key}" in written.text
    assert written.text.endswith(written.marker)


def test_names_from_data_neither_mark_up_nor_mention(tmp_path: Path) -> None:
    incident, action, chosen = incident_of(tmp_path, feature="a`|@team\n# big")
    written = ticket(action, [incident], [DriftedFeature("a`|@team\n# big", 1.0, None)], chosen)
    assert "| `a @team # big` | 1.000 |  |" in written.text
    assert "\n#" not in written.text


def test_a_link_that_is_none_is_left_out(tmp_path: Path) -> None:
    incident, action, chosen = incident_of(tmp_path)
    changed = Incident(
        "k", "k", "f", incident.labels, {"dashboard_url": "javascript:alert(1)", "runbook_url": "a b"}, START, START
    )
    told = request(action, changed, chosen, "")
    assert "dashboard_url" not in told
    assert "runbook_url" not in told
    assert notification(action, incident, chosen)["text"] == "PredictionFeatureDriftModerate: age of churn has drifted"


def test_fresh_labels_are_counted_since_the_last_retraining_at_most_a_window_back() -> None:
    answer = prometheus({"labelled_predictions_total": [({}, 1234.5)]})
    with Target(answer) as target:
        evidence = Evidence(Access(url=target.url), CALLER)
        assert evidence.fresh_labels("churn", 3600) == 1234.5
        assert 'labelled_predictions_total{model_name="churn"}[3600s]' in answer.asked[0]
    with Target(prometheus({})) as target:
        assert Evidence(Access(url=target.url), CALLER).fresh_labels("churn", 60) is None
    assert label_seconds("7d", begun=0.0, now=START) == 7 * 86_400
    assert label_seconds("7d", begun=START - 500, now=START) == 500
    assert label_seconds("7d", begun=START, now=START) == 60


def test_what_is_not_a_number_is_no_label_and_what_is_no_answer_is_an_error() -> None:
    with Target(prometheus({"labelled": [({}, float("nan"))]})) as target:
        assert Evidence(Access(url=target.url), CALLER).fresh_labels("churn", 60) is None
    answers: list[Any] = [None, {}, {"data": {"result": [{}]}}]
    answers.append({"data": {"result": [{"metric": {}, "value": [0, "x"]}]}})
    with Target(lambda _: (200, answers[0])) as target:
        while answers:
            with pytest.raises(CallError, match="answered nothing that Prometheus would"):
                Evidence(Access(url=target.url), CALLER).fresh_labels("churn", 60)
            answers.pop(0)


def test_versions_are_compared_by_intervals_that_both_ends_know(tmp_path: Path) -> None:
    lower = [({"model_version": "v1"}, 0.7), ({"model_version": "v2"}, 0.6), ({"model_version": "v3"}, 0.5)]
    upper = [({"model_version": "v1"}, 0.8), ({"model_version": "v2"}, 0.7)]
    with Target(prometheus({"model_auc_lower": lower, "model_auc_upper": upper})) as target:
        rollback = settings(tmp_path).rollback
        assert rollback
        found = Evidence(Access(url=target.url), CALLER).performance("churn", rollback)
    assert found == {"v1": (0.7, 0.8), "v2": (0.6, 0.7)}
