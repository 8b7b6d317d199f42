"""Provisioning against a stub that keeps state and refuses what Grafana's description does not allow."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboards.build import dashboards
from dashboards.cli import main
from dashboards.grafana import ConflictError, Grafana, GrafanaError, read_token
from dashboards.provision import EditedError, provision, source_of
from exporter.errors import ConfigError

from .configs import PRODUCTION, UIDS, Json, configs
from .stub import TOKEN, Stub, descriptions

WANTED = [
    {**one, "panels": one["panels"][:2]} for one in dashboards(configs()["production"])
]  # two tell as much as forty
SOURCE = source_of("http://prometheus:9090", "15s")


@pytest.fixture(params=descriptions(), ids=lambda path: path.name)
def stub(request: pytest.FixtureRequest) -> Iterator[Stub]:
    with Stub(request.param) as running:
        yield running


def run(stub: Stub, wanted: list[Json] = WANTED, source: Json | None = SOURCE, **options: Any) -> str:
    """What is told; `options`: dry_run, force."""
    grafana = Grafana(stub.url, TOKEN, backoff=0.001)
    return "\n".join(provision(grafana, wanted, source, **{"dry_run": False, "force": False, **options}))


def retitled(title: str) -> list[Json]:
    return [{**WANTED[0], "title": title}, *WANTED[1:]]


def edit(stub: Stub, uid: str = UIDS[0]) -> None:
    """What a person does who saves a dashboard under another title."""
    held = stub.dashboards[uid]
    stub.dashboards[uid] = {**held, "title": "Mine", "version": held["version"] + 1}


def test_an_empty_grafana_gets_everything(stub: Stub) -> None:
    told = run(stub)
    assert set(stub.dashboards) == set(UIDS)
    assert {one["folderUid"] for one in stub.meta.values()} == set(stub.folders) == {"prediction-exporter"}
    assert stub.sources["prediction-prometheus"]["url"] == "http://prometheus:9090"
    assert "dashboard prediction-fleet: new\ndashboard prediction-fleet: saved as version 1" in told


def test_a_second_run_writes_nothing(stub: Stub) -> None:
    run(stub)
    stub.writes.clear()
    told = run(stub)
    assert stub.writes == []
    assert told.count("up to date") == 5


def test_what_grafana_adds_of_its_own_is_nobody_s_change(stub: Stub) -> None:
    stub.adds = {"liveNow": False}
    run(stub)
    stub.writes.clear()
    run(stub)
    assert stub.writes == []


def test_a_new_configuration_updates_what_was_written_here_and_shows_the_difference_first(stub: Stub) -> None:
    run(stub)
    told = run(stub, retitled("All models"))
    assert stub.dashboards[UIDS[0]]["title"] == "All models"
    assert stub.dashboards[UIDS[0]]["version"] == 2
    assert told.index('-  "title": "Model fleet"') < told.index('+  "title": "All models"') < told.index("version 2")
    assert stub.writes[-1][1]["overwrite"] is False


def test_a_dry_run_shows_the_difference_and_writes_nothing(stub: Stub) -> None:
    told = run(stub, dry_run=True)
    assert (stub.writes, stub.dashboards, stub.folders) == ([], {}, {})
    assert told.count(": new") == 5
    run(stub)
    stub.writes.clear()
    assert '+  "title": "All models"' in run(stub, retitled("All models"), dry_run=True)
    assert stub.writes == []


@pytest.mark.parametrize("wanted", [WANTED, retitled("All models")], ids=["same", "changed"])
def test_a_person_s_change_is_left_alone_and_told_while_the_rest_is_brought(stub: Stub, wanted: list[Json]) -> None:
    run(stub)
    edit(stub)
    del stub.dashboards[UIDS[2]]
    with pytest.raises(EditedError, match=r"dashboard prediction-fleet: changed in Grafana .* --force"):
        run(stub, wanted)
    assert stub.dashboards[UIDS[0]]["title"] == "Mine"
    assert UIDS[2] in stub.dashboards


def test_force_overwrites_a_person_s_change_and_then_all_is_ours_again(stub: Stub) -> None:
    run(stub)
    edit(stub)
    assert '-  "title": "Mine"' in run(stub, force=True)
    assert stub.dashboards[UIDS[0]]["title"] == "Model fleet"
    assert run(stub).count("up to date") == 5


def test_a_dashboard_that_somebody_else_made_is_a_person_s(stub: Stub) -> None:
    run(stub)
    stub.dashboards[UIDS[0]] = {**WANTED[0], "title": "Mine", "version": 1}
    with pytest.raises(EditedError, match="prediction-fleet"):
        run(stub)


def test_a_change_between_look_and_save_is_not_overwritten(stub: Stub) -> None:
    run(stub)
    stub.before_save = lambda: edit(stub)
    with pytest.raises(
        ConflictError, match="412 The dashboard has been changed by someone else; run the command again"
    ):
        run(stub, retitled("All models"))
    assert stub.dashboards[UIDS[0]]["title"] == "Mine"


def test_a_dashboard_that_a_person_moved_stays_where_it_is(stub: Stub) -> None:
    run(stub)
    stub.folders["theirs"] = {"uid": "theirs", "title": "Theirs"}
    stub.meta[UIDS[0]]["folderUid"] = "theirs"
    run(stub, retitled("All models"))
    assert stub.meta[UIDS[0]]["folderUid"] == "theirs"


def test_a_person_s_data_source_is_left_alone_and_keeps_its_other_options_when_forced(stub: Stub) -> None:
    run(stub)
    held = stub.sources["prediction-prometheus"]
    held |= {"url": "http://other", "version": 2, "isDefault": True}
    held["jsonData"]["customQueryParameters"] = "a=b"
    with pytest.raises(EditedError, match="data source prediction-prometheus"):
        run(stub)
    assert stub.sources["prediction-prometheus"]["url"] == "http://other"
    run(stub, force=True)
    held = stub.sources["prediction-prometheus"]
    assert (held["url"], held["isDefault"]) == ("http://prometheus:9090", True)
    assert held["jsonData"]["customQueryParameters"] == "a=b"


def test_without_prometheus_url_no_data_source_is_touched(stub: Stub) -> None:
    run(stub, source=None)
    assert not any("datasources" in one for one in stub.asked)


def test_passing_failures_are_tried_again(stub: Stub) -> None:
    stub.failures = [503, 502, 429, 504]
    run(stub)
    assert set(stub.dashboards) == set(UIDS)


def test_a_save_whose_answer_was_lost_counts_as_done(stub: Stub) -> None:
    stub.lost = 99
    told = run(stub)
    assert "dashboard prediction-fleet: saved" in told
    stub.lost = 0
    assert run(stub).count("up to date") == 5


def test_lasting_failures_end_after_some_attempts(stub: Stub) -> None:
    stub.failures = [503] * 20
    with pytest.raises(GrafanaError, match="503 as the test has it; tried 5 times"):
        run(stub)
    assert len(stub.asked) == 5


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "the token is not valid"),
        (403, "the token's account may not do this; give it the role Editor"),
        (500, "look into Grafana's log"),
        (400, "this is an error in the dashboards"),
        (302, "it sends elsewhere, to https://elsewhere.example/login; give the final URL"),
    ],
)
def test_a_refusal_names_the_place_and_the_remedy(stub: Stub, status: int, message: str) -> None:
    stub.failures = [status]
    with pytest.raises(GrafanaError, match=f"{stub.url}/api/health: {status} .*{message}"):
        run(stub)


def test_a_wrong_token_is_refused_and_never_shown(stub: Stub) -> None:
    with pytest.raises(GrafanaError) as refused:
        list(provision(Grafana(stub.url, "glsa_other"), WANTED, None, dry_run=False, force=False))
    assert "401 Invalid API key" in str(refused.value)
    assert "glsa_other" not in str(refused.value) + repr(Grafana(stub.url, "glsa_other"))


def test_an_old_grafana_is_told_so(stub: Stub) -> None:
    stub.version = "10.4.1"
    with pytest.raises(GrafanaError, match=r"Grafana 10.4.1 is too old for these dashboards; take 11 or newer"):
        run(stub)


def test_something_else_than_grafana_is_told_so(stub: Stub) -> None:
    stub.version = "up"
    with pytest.raises(GrafanaError, match="not as Grafana does"):
        run(stub)


def test_nobody_there_is_told_so() -> None:
    with Stub() as stub:
        pass
    with pytest.raises(GrafanaError, match=r"cannot be reached .*is Grafana running there"):
        run(stub)


def test_a_dashboard_from_a_file_is_not_written_over_the_api(stub: Stub) -> None:
    run(stub)
    stub.meta[UIDS[0]]["provisioned"] = True
    with pytest.raises(GrafanaError, match="reads it from a file"):
        run(stub, retitled("All models"))
    stub.sources["prediction-prometheus"]["readOnly"] = True
    with pytest.raises(GrafanaError, match="leave --prometheus-url away"):
        run(stub)


@pytest.mark.parametrize(
    "change", [{"overwrite": "yes"}, {"dashboard": {"title": "x"}}, {"folderId": 3}], ids=["kind", "missing", "unknown"]
)
def test_the_stub_refuses_a_body_that_the_description_does_not_allow(stub: Stub, change: Json) -> None:
    body = {"dashboard": {**WANTED[0], "version": 0}, "folderUid": "f", "message": "m", "overwrite": False}
    with pytest.raises(GrafanaError, match="422"):
        Grafana(stub.url, TOKEN).post("/api/dashboards/db", {**body, **change})
    assert stub.writes == []


@pytest.mark.parametrize("url", ["grafana:3000", "ftp://grafana", "http://user:secret@grafana", "http://"])
def test_a_url_must_be_one(url: str) -> None:
    with pytest.raises(ConfigError, match="not Grafana's URL"):
        Grafana(url, TOKEN)


def test_the_token_comes_from_a_file_or_the_environment(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    assert read_token(tmp_path / "token", {"GRAFANA_TOKEN": "other"}) == "from-file"
    assert read_token(None, {"GRAFANA_TOKEN": "from-environment"}) == "from-environment"
    (tmp_path / "token").write_text("two words")
    for file, message in ((None, "no token"), (tmp_path / "token", "not a token"), (tmp_path / "none", "No such file")):
        with pytest.raises(ConfigError, match=message) as refused:
            read_token(file, {})
        assert "Service accounts" in str(refused.value)
        assert "two words" not in str(refused.value)


def command(monkeypatch: pytest.MonkeyPatch, stub: Stub, *options: str) -> int:
    monkeypatch.setenv("GRAFANA_TOKEN", TOKEN)
    monkeypatch.setattr(
        sys, "argv", ["prediction-dashboards", "provision", "--config", str(PRODUCTION), "--url", stub.url, *options]
    )
    with pytest.raises(SystemExit) as left:
        main()
    assert isinstance(left.value.code, int)
    return left.value.code


def test_the_command_brings_everything_and_ends_with_1_where_a_person_was_first(
    monkeypatch: pytest.MonkeyPatch, stub: Stub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, stub, "--prometheus-url", "http://prometheus:9090") == 0
    edit(stub)
    assert command(monkeypatch, stub) == 1
    out, err = capsys.readouterr()
    assert '-  "title": "Mine"' in out
    assert "prediction-fleet: changed in Grafana by somebody else" in err
    assert TOKEN not in out + err
    assert command(monkeypatch, stub, "--force") == 0
