"""The reference page of the responder's configuration, printed: `python3 -m alerting.responder.reference`."""

from alerting.responder.settings import REVIEW_DAYS, Settings, settings_schema
from exporter.config.page import reference

_KEPT = Settings.model_fields["retention"].default
_HEAD = f"""# The responder

Generated from `alerting/responder/` by `make generate`; do not edit.

`prediction-alerting respond --config FILE` reads one YAML file. Unknown keys are errors, `--check` names every problem
with its path, and `--schema` prints this reference as a JSON Schema, with which editors complete the keys. Paths are
seen from the file's folder. A duration is a whole number and a unit: `30s`, `5m`, `1h`, `7d`, `2w`.

## What it keeps, and for how long

All of it stands in the SQLite database `state`.

| what | how long |
|---|---|
| audit log: every decision, its reason and its time | for ever; the database refuses to change or delete a line |
| open alerts, and actions still to be carried out | until they have ended or are settled, and then as below |
| ended alerts, their texts and their actions | `retention` ({_KEPT}) after the last of an investigation ended |
| response time and verdict of each alert | for ever: two values without a name, so that counters never fall |
| each model's newest retraining | for ever: cooldown, fresh labels and schedule go by it |
| Alertmanager's deliveries | until they are planned, within seconds |
| people's sessions | nowhere: the cookie is signed, and ends by itself after 12 hours |

`retention` may not be shorter than `stale_after`, nor than the {REVIEW_DAYS} days in which people judge what has ended.

## What happens when it is killed

Each action has a key, which stands on disk before its target is called. A call that a crash, a lost connection or a
lost answer cut off is made again under the same key, and it rests with the target that this is harmless:

| target | by what it knows the repetition |
|---|---|
| webhook (messages, tickets, retraining, rollback) | `Idempotency-Key` header and `key` in the body: it must heed one |
| GitHub issue | the key stands in the body; the newest 100 issues with the label are searched before one is opened |
| Jira issue | the key is a label, searched for before one is opened; Jira's index may lag by seconds |
| GitHub workflow | a run whose `run-name` holds the key is found; give the workflow one, or it may run twice |
| Airflow | the key is the run's id, of which Airflow takes one |
| command | the key stands in its standard input, and as `{{key}}` in its arguments: it must heed it |
"""


def responder() -> str:
    """The page's Markdown."""
    return reference(_HEAD, settings_schema())


if __name__ == "__main__":
    print(responder(), end="")  # noqa: T201 - the page goes to standard output
