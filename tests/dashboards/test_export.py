"""What is written for file provisioning and for Kubernetes: the same dashboards, where each looks for them."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.build import dashboards
from dashboards.cli import main
from dashboards.export import config_maps, file_tree

from .configs import GENERATED, PRODUCTION, ROOT, UIDS, configs

KUBECTL = 256 * 1024  # bytes of an annotation, in which `kubectl apply` keeps the object


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["prediction-dashboards", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0


def test_a_tree_holds_source_provider_and_the_very_dashboards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    command(monkeypatch, "files", "--config", PRODUCTION, "--out", tmp_path, "--prometheus-url", "http://p:9090")
    for uid in UIDS:
        assert (tmp_path / f"dashboards/{uid}.json").read_bytes() == (GENERATED / f"{uid}.json").read_bytes()
    source = yaml.safe_load((tmp_path / "provisioning/datasources/prediction-exporter.yml").read_text())
    assert source["apiVersion"] == 1
    assert source["datasources"][0]["url"] == "http://p:9090"


def test_the_provider_has_the_keys_of_the_one_that_is_shipped() -> None:
    tree = file_tree(configs()["production"], "http://p:9090", "15s")
    [ours] = yaml.safe_load(tree[Path("provisioning/dashboards/prediction-exporter.yml")])["providers"]
    shipped = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/dashboards.yml").read_text())
    assert shipped["providers"][0] == {key: ours[key] for key in shipped["providers"][0]}


def test_every_dashboard_is_a_config_map_that_the_sidecar_finds_and_kubectl_can_apply(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command(monkeypatch, "configmap", "--config", PRODUCTION, "--namespace", "watch")
    text = capsys.readouterr().out
    maps: list[dict[str, Any]] = list(yaml.safe_load_all(text))
    assert text == config_maps(configs()["production"], "watch")
    assert [one["metadata"]["name"] for one in maps] == list(UIDS)
    for one, dashboard in zip(maps, dashboards(configs()["production"]), strict=True):
        assert one["metadata"]["namespace"] == "watch"
        assert one["metadata"]["labels"] == {"grafana_dashboard": "1"}
        [held] = one["data"].values()
        assert json.loads(held) == dashboard
        assert len(json.dumps(one).encode()) < KUBECTL
