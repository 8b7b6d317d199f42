"""Dashboards for those who do not use Grafana's API: trees for file provisioning, ConfigMaps for the sidecar."""

from pathlib import Path
from typing import Any

import yaml

from dashboards.build import compact, dashboard_files, dashboards
from dashboards.provision import FOLDER, source_of
from exporter.config import Config
from exporter.errors import PredictionExporterError

MOUNTED = "/etc/grafana/dashboards"
SIDECAR_LABEL = {"grafana_dashboard": "1"}  # what the sidecar of Grafana's Helm chart looks for by default
LARGEST = 1 << 20  # bytes that Kubernetes lets a ConfigMap hold


def file_tree(config: Config, prometheus_url: str, scrape_interval: str) -> dict[Path, str]:
    """Path -> text of a tree: `provisioning/` for Grafana's folder of that name, `dashboards/` to mount at MOUNTED."""
    provider = {
        "name": "prediction_exporter",
        "folder": FOLDER["title"],
        "folderUid": FOLDER["uid"],
        "type": "file",
        "allowUiUpdates": False,
        "disableDeletion": True,
        "updateIntervalSeconds": 30,
        "options": {"path": MOUNTED},
    }
    source = {**source_of(prometheus_url, scrape_interval), "editable": False}
    return {
        Path("provisioning/dashboards/prediction-exporter.yml"): _yaml({"apiVersion": 1, "providers": [provider]}),
        Path("provisioning/datasources/prediction-exporter.yml"): _yaml({"apiVersion": 1, "datasources": [source]}),
        **{Path("dashboards") / name: text for name, text in dashboard_files(config).items()},
    }


def write_tree(tree: dict[Path, str], out: Path) -> list[Path]:
    """Write the tree under `out`; returns the paths."""
    try:
        for path, text in tree.items():
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise PredictionExporterError(f"{out}: {error.strerror}; choose a folder you may write to") from error
    return [out / path for path in tree]


def config_maps(config: Config, namespace: str) -> str:
    """One ConfigMap for each dashboard, as YAML documents.

    One alone would be too large for the annotation in which `kubectl apply` keeps the last text (256 KiB).
    """
    return "---\n".join(_yaml(_config_map(one, namespace)) for one in dashboards(config))


def _config_map(dashboard: dict[str, Any], namespace: str) -> dict[str, Any]:
    text = compact(dashboard)
    if len(text.encode()) > LARGEST:
        raise PredictionExporterError(f"{dashboard['uid']}: too large for a ConfigMap; use file provisioning")
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": dashboard["uid"],
            "namespace": namespace,
            "labels": SIDECAR_LABEL,
            "annotations": {"grafana_folder": FOLDER["title"]},
        },
        "data": {f"{dashboard['uid']}.json": text},
    }


def _yaml(data: dict[str, Any]) -> str:
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1_000_000)
