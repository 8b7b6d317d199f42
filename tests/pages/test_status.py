"""The configuration as the status page shows it: whole, and without what a URL may keep secret."""

import pytest
import yaml

from exporter.config import parse_config
from exporter.pages.status import settings

HIDDEN = "\N{HORIZONTAL ELLIPSIS}"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("s3://key:secret@bucket/logs/", "s3://bucket/logs/"),
        ("s3://bucket/logs/?endpoint_override=x&secret=y", f"s3://bucket/logs/?{HIDDEN}"),
        ("logs/*.ndjson", "logs/*.ndjson"),
        ("https://host/x#token", f"https://host/x#{HIDDEN}"),
        ("gs://a:b@c@host/x", "gs://host/x"),
    ],
)
def test_a_url_loses_its_credentials_and_its_query(given: str, shown: str) -> None:
    config = parse_config(
        yaml.safe_dump({"log": [{"path": given}], "models": [{"name": "m", "task": "binary", "baseline": "m.json"}]})
    )
    [source] = yaml.safe_load(settings(config))["log"]
    assert source["path"] == shown
