"""Bringing Grafana to what the configuration says: data source, folder, dashboards; and never over a person's change.

Each object carries a stamp: the digest of what was written and the version that writing made. An object whose version
is the stamp's was not touched since; any other was, and stays as it is unless it is forced.
"""

import difflib
import hashlib
import json
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from dashboards.build import text_of
from dashboards.grafana import ConflictError, Grafana, GrafanaError, Json

FOLDER = {"uid": "prediction-exporter", "title": "Models"}
SOURCE_UID = "prediction-prometheus"
MESSAGE = "prediction-dashboards provision"
_STAMP = re.compile(r"generated:([0-9a-f]{12}):(\d+)")

State = Literal["absent", "same", "ours", "edited"]


class EditedError(GrafanaError):
    """Objects that a person changed, which were left alone."""


@dataclass(frozen=True)
class Target:
    """One object: what it is to be, what Grafana holds (None: nothing), and how to write it over that version."""

    name: str
    wanted: Json
    found: Json | None
    version: int
    stamp: str
    write: Callable[[str, bool], Json]

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits of what it is to be."""
        return hashlib.sha256(json.dumps(self.wanted, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def state(self) -> State:
        """Whether it is there, as wanted, as it was last written here, or changed since."""
        if self.found is None:
            return "absent"
        if self.found == self.wanted:
            return "same"
        stamp = _STAMP.fullmatch(self.stamp)
        if stamp is None or int(stamp[2]) != self.version:
            return "edited"
        return "same" if stamp[1] == self.digest else "ours"  # Grafana may store it in other words

    @property
    def diff(self) -> str:
        """From what Grafana holds to what it is to be."""
        if self.found is None:
            return ""
        held, wanted = (text_of(side).splitlines() for side in (self.found, self.wanted))
        lines = difflib.unified_diff(held, wanted, f"Grafana, version {self.version}", "generated", n=1, lineterm="")
        return "\n".join(lines)

    def save(self, *, force: bool) -> str:
        """Write it; says as which version."""
        after = self.version + 1
        saved = self.write(f"generated:{self.digest}:{after}", force)
        version = int(saved.get("version", after))
        if version != after:
            return f"saved as version {version} where {after} was expected: the next run will take it for a person's"
        return f"saved as version {version}"


def provision(
    grafana: Grafana,
    dashboards: Sequence[Json],
    source: Json | None,
    *,
    dry_run: bool,
    force: bool,
) -> Iterator[str]:
    """Bring Grafana to `dashboards` and, where given, to the data source; yields what is told, as it happens.

    EditedError at the end names what was left alone.
    """
    version = grafana.check()
    yield f"Grafana {version} at {grafana.url}"
    edited: list[str] = []
    if source is not None:
        edited += yield from _bring(lambda: source_target(grafana, source), dry_run=dry_run, force=force)
    yield from _folder(grafana, dry_run=dry_run)
    for dashboard in dashboards:
        find = _finder(grafana, dashboard)
        edited += yield from _bring(find, dry_run=dry_run, force=force)
    if edited:
        raise EditedError(
            f"{', '.join(edited)}: changed in Grafana by somebody else, and left alone. Take the change over into the "
            "configuration or the code, or overwrite it with --force"
        )


def source_of(url: str, scrape_interval: str) -> Json:
    """The data source of the Prometheus at `url`, as Grafana reaches it."""
    return {
        "name": "Prediction exporter",
        "uid": SOURCE_UID,
        "type": "prometheus",
        "access": "proxy",
        "url": url,
        "jsonData": {"httpMethod": "POST", "timeInterval": scrape_interval},
    }


def _finder(grafana: Grafana, dashboard: Json) -> Callable[[], Target]:
    return lambda: dashboard_target(grafana, dashboard)


def _bring(find: Callable[[], Target], *, dry_run: bool, force: bool) -> Generator[str, None, list[str]]:
    """Tell and do what one object needs; returns its name where it was left alone, else nothing."""
    target = find()
    told = {"absent": "new", "same": "up to date", "ours": "to be updated", "edited": "changed by somebody else"}
    yield f"{target.name}: {told[target.state]}"
    if target.diff and target.state != "same":
        yield target.diff
    if target.state == "same":
        return []
    if target.state == "edited" and not force:
        return [target.name]
    if not dry_run:
        yield f"{target.name}: {_saved(target, find, force=force)}"
    return []


def _saved(target: Target, find: Callable[[], Target], *, force: bool) -> str:
    try:
        return target.save(force=force)
    except ConflictError:
        if find().state == "same":  # it had been saved, and only the answer was lost
            return "saved"
        raise


def dashboard_target(grafana: Grafana, wanted: Json) -> Target:
    """A dashboard as it is and as it is to be; one that a person moved stays in its folder."""
    answer = grafana.get(f"/api/dashboards/uid/{wanted['uid']}")
    name = f"dashboard {wanted['uid']}"
    held: Json = {} if answer is None else answer["dashboard"]
    meta: Json = {} if answer is None else answer["meta"]
    if meta.get("provisioned"):
        raise GrafanaError(f"{name}: Grafana reads it from a file; remove it there, or write it there with `files`")
    version = int(held.get("version", 0))
    stamps = [tag for tag in held.get("tags", ()) if _STAMP.fullmatch(tag)]
    found = {key: value for key, value in held.items() if key not in ("id", "version")}
    found["tags"] = [tag for tag in held.get("tags", ()) if tag not in stamps]

    def write(stamp: str, force: bool) -> Json:  # noqa: FBT001 - told by its name where it is called
        dashboard = {**wanted, "tags": [*wanted["tags"], stamp], "version": version}
        folder = meta.get("folderUid", FOLDER["uid"])
        body = {"dashboard": dashboard, "folderUid": folder, "message": MESSAGE, "overwrite": force}
        return grafana.post("/api/dashboards/db", body)

    return Target(name, wanted, found if answer else None, version, "".join(stamps), write)


def source_target(grafana: Grafana, wanted: Json) -> Target:
    """The data source as it is, in the keys that are told here, and as it is to be."""
    path = f"/api/datasources/uid/{wanted['uid']}"
    held = grafana.get(path)
    name = f"data source {wanted['uid']}"
    if held is not None and held.get("readOnly"):
        raise GrafanaError(f"{name}: Grafana reads it from a file; change it there, or leave --prometheus-url away")
    version = int((held or {}).get("version", 0))
    options: Json = (held or {}).get("jsonData", {})
    found = {key: held.get(key) for key in wanted} if held is not None else None
    if found is not None:
        found["jsonData"] = {key: options.get(key) for key in wanted["jsonData"]}

    def write(stamp: str, _force: bool) -> Json:  # noqa: FBT001 - the version is what is replaced, forced or not
        body = {**wanted, "jsonData": {**options, **wanted["jsonData"], "generated": stamp}}
        if held is None:
            saved = grafana.post("/api/datasources", body)
        else:
            saved = grafana.put(path, {**body, "isDefault": bool(held.get("isDefault")), "version": version})
        return {"version": saved["datasource"].get("version", version + 1)}

    return Target(name, wanted, found, version, str(options.get("generated", "")), write)


def _folder(grafana: Grafana, *, dry_run: bool) -> Iterator[str]:
    """The folder, whose title is the people's once it is there."""
    path, name = f"/api/folders/{FOLDER['uid']}", f"folder {FOLDER['uid']}"
    if grafana.get(path) is not None:
        yield f"{name}: up to date"
        return
    yield f"{name}: new"
    if dry_run:
        return
    try:
        grafana.post("/api/folders", dict(FOLDER))
    except ConflictError:
        if grafana.get(path) is None:  # else somebody was faster
            raise
    yield f"{name}: saved"
