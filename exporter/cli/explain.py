"""`explain`: the counts, the formula and the result behind the numbers of a model or one of its features."""

import json
import time
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from exporter.cli.common import ConfigPath, Instant, LogPaths, instant, named_model
from exporter.config import load_config, parse_duration
from exporter.errors import ConfigError, DataError

if TYPE_CHECKING:
    from exporter.explain import Explanation
    from exporter.measures import Scope
    from exporter.monitor import Monitor

Metric = Annotated[str | None, typer.Option(help="Only this metric, by its name as scraped.")]
Window = Annotated[str | None, typer.Option(help="One of evaluation.windows; without it, the model's drift window.")]
Version = Annotated[str | None, typer.Option(help="Only this version; without it, every one that was seen.")]


class Form(StrEnum):
    """How explanations are printed."""

    text = "text"
    json = "json"


def explain(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's name in the configuration.")],
    config: ConfigPath,
    log: LogPaths,
    feature: Annotated[str | None, typer.Argument(metavar="[FEATURE]", show_default=False)] = None,
    at: Instant = None,
    metric: Metric = None,
    window: Window = None,
    version: Version = None,
    form: Annotated[Form, typer.Option("--format")] = Form.text,
) -> None:
    """Print the counts, the formula and the result behind each number, so that it can be redone by hand."""
    from exporter.evaluate import evaluate
    from exporter.explain.printed import as_text, as_values
    from exporter.monitor import Monitor

    settings = load_config(config)
    chosen, monitor = named_model(settings, model, str(config)), Monitor.load(settings, str(config))
    window = _known("--window", window or chosen.drift.window, settings.evaluation.windows)
    if feature is not None:
        _known("FEATURE", feature, [of.name for of in monitor.layouts[model].features])
    latest = time.time() + parse_duration(settings.limits.future)
    evaluation = evaluate(monitor, log, instant(at), latest)
    scopes = [scope for scope in evaluation.scopes() if scope.model.name == model]
    if not scopes:
        raise DataError(f"{model}: no predictions up to that instant")
    if version is not None:
        _known("--version", version, [scope.version for scope in scopes])
    scopes = [scope for scope in scopes if version in (None, scope.version)]
    found = list(_explained(monitor, scopes, window, feature, evaluation.at))
    if metric is not None:
        _known("--metric", metric, sorted({of.family.name for of in found}))
    found = [of for of in found if metric in (None, of.family.name)]
    typer.echo(json.dumps([as_values(of) for of in found], indent=1) if form is Form.json else as_text(found).rstrip())


def _explained(
    monitor: "Monitor", scopes: "list[Scope]", window: str, feature: str | None, at: float
) -> "Iterator[Explanation]":
    from exporter.explain import explain_feature, explain_model
    from exporter.snapshot import take_snapshot

    for scope in scopes:
        samples = take_snapshot([scope], at, time.perf_counter, monitor.measures).samples
        if feature is None:
            yield from explain_model(scope, window, samples)
        else:
            yield from explain_feature(scope, window, feature, samples)


def _known(option: str, given: str, known: "list[str] | tuple[str, ...]") -> str:
    if given not in known:
        raise ConfigError(option, [f"no {given!r} here; give one of {', '.join(known)}"])
    return given
