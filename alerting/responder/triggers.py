"""What starts a retraining or a rollback: a webhook, a GitHub workflow, an Airflow DAG or a command.

Each is given the action's key. Where the target can tell by it that the action was carried out, it is not repeated:
Airflow refuses a second run of one id, a GitHub run that names the key is found, a webhook gets an Idempotency-Key.
"""

import json
import subprocess
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from alerting.responder.calls import Caller, CallError
from alerting.responder.settings import Airflow, Command, GitHubWorkflow, Trigger
from alerting.responder.tickets import PAGE, github_access
from alerting.responder.words import fill
from exporter.config import parse_duration

CONFLICT = 409


def trigger(settings: Trigger, caller: Caller, told: Mapping[str, str], *, again: bool) -> str:
    """Start the job; a word on how. `again` says that it may have been started before. CallError when it failed."""
    if settings.webhook:
        caller.post(settings.webhook, dict(told), told["key"])
        return "webhook called"
    if settings.github:
        return _dispatch(settings.github, caller, told, again=again)
    if settings.airflow:
        return _run_dag(settings.airflow, caller, told)
    assert settings.command
    return _run(settings.command, told)


def _dispatch(workflow: GitHubWorkflow, caller: Caller, told: Mapping[str, str], *, again: bool) -> str:
    access = github_access(workflow)
    path = f"/actions/workflows/{quote(workflow.workflow, safe='')}"
    if again and _dispatched(caller.call("GET", access, f"{path}/runs", query={"per_page": PAGE}), told["key"]):
        return "workflow was dispatched before"
    inputs = {name: fill(text, told) for name, text in workflow.inputs.items()}
    caller.call("POST", access, f"{path}/dispatches", json={"ref": workflow.ref, "inputs": inputs})
    return "workflow dispatched"


def _dispatched(answer: Any, key: str) -> bool:
    return any(key in (run.get("display_title") or "") for run in answer["workflow_runs"])


def _run_dag(airflow: Airflow, caller: Caller, told: Mapping[str, str]) -> str:
    body: dict[str, Any] = {"dag_run_id": told["key"], "conf": dict(told)}
    if airflow.api == "v2":
        body["logical_date"] = None  # Airflow 3 wants it said that the run is of no date
    try:
        caller.call("POST", airflow, f"/api/{airflow.api}/dags/{quote(airflow.dag, safe='')}/dagRuns", json=body)
    except CallError as error:
        if error.status == CONFLICT:
            return "DAG run was there before"
        raise
    return "DAG run started"


def _run(command: Command, told: Mapping[str, str]) -> str:
    arguments = [fill(part, told) for part in command.command]
    try:
        subprocess.run(
            arguments,
            input=json.dumps(dict(told)).encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=parse_duration(command.timeout),
            check=True,
        )
    except subprocess.CalledProcessError as error:
        raise CallError(f"the command ended with status {error.returncode}") from None
    except subprocess.TimeoutExpired:
        raise CallError(f"the command took longer than {command.timeout}") from None
    except OSError as error:
        raise CallError(f"the command cannot be run: {error.strerror}") from None
    return "command ran"
