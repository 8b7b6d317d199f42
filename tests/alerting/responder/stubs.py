"""Services that keep what they are sent, for `Target`: as much of their interfaces as the responder uses."""

from typing import Any

from .world import Request


class GitHub:
    """Issues and workflow runs of a repository."""

    def __init__(self) -> None:
        self.issues: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []

    def __call__(self, request: Request) -> tuple[int, Any]:  # noqa: PLR0911 - one for each path
        match request.method, request.path.partition("?")[0].removeprefix("/repos/o/r").split("/")[1:]:
            case "GET", ["issues"]:
                return 200, self.issues
            case "POST", ["issues"]:
                self.issues.insert(0, request.body | {"number": len(self.issues) + 1, "state": "open"})
                return 201, self.issues[0]
            case "GET", ["issues", number]:
                return 200, self.issues[-int(number)]
            case "PATCH", ["issues", number]:
                self.issues[-int(number)] |= request.body
                return 200, self.issues[-int(number)]
            case "POST", ["issues", _, "comments"]:
                return 201, {}
            case "GET", ["actions", "workflows", "retrain.yml", "runs"]:
                return 200, {"workflow_runs": self.runs}
            case "POST", ["actions", "workflows", "retrain.yml", "dispatches"]:
                self.runs.append({"display_title": f"Retrain {request.body['inputs']['key']}"})
                return 204, None
        return 404, None


class Jira:
    """A project with one issue at most."""

    def __init__(self, *transitions: str, status: str = "done") -> None:
        self.found: list[dict[str, str]] = []
        self.transitions = [{"id": str(31 + place), "name": name} for place, name in enumerate(transitions)]
        self.status = {"fields": {"status": {"statusCategory": {"key": status}}}}

    def __call__(self, request: Request) -> tuple[int, Any]:
        path = request.path.partition("?")[0].removeprefix("/rest/api/2")
        if (request.method, path) == ("POST", "/issue"):
            self.found.append({"key": "ML-7"})
        if (request.method, path) == ("POST", "/issue/ML-7/transitions"):
            self.transitions.clear()
        answers = {
            "/search": {"issues": self.found},
            "/search/jql": {"issues": self.found},
            "/issue": {"key": "ML-7"},
            "/issue/ML-7": self.status,
            "/issue/ML-7/comment": {},
            "/issue/ML-7/transitions": {"transitions": self.transitions},
        }
        return (200, answers[path]) if path in answers else (404, None)


class Airflow:
    """A DAG, which takes one run of an id."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    def __call__(self, request: Request) -> tuple[int, Any]:
        if request.body["dag_run_id"] in self.runs:
            return 409, {}
        self.runs.append(request.body["dag_run_id"])
        return 200, {}
