"""What is asked of Prometheus: the drifted features with their numbers, fresh labels, and performance by version."""

import json
import math
from dataclasses import dataclass

from alerting.responder.calls import Caller, CallError
from alerting.responder.settings import Access, Rollback, Settings
from alerting.responder.state import Incident
from exporter import names
from exporter.config import parse_duration

TOP = 10  # features in a ticket: what fits a screen


@dataclass(frozen=True, slots=True)
class DriftedFeature:
    """A feature with its PSI and completeness (None where Prometheus has none) in the alert's window."""

    name: str
    psi: float
    completeness: float | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Questions to one Prometheus."""

    prometheus: Access
    caller: Caller

    def features(self, incident: Incident) -> list[DriftedFeature]:
        """The most drifted features of the incident's model, version and window, the most drifted first."""
        matchers = {label: incident.labels[label] for label in names.WINDOWED if label in incident.labels}
        score = _selector(names.FEATURE_DRIFT_SCORE.name, matchers | {names.METHOD: "psi"})
        psi = self._by(f"topk({TOP}, max by ({names.FEATURE}) ({score}))", names.FEATURE)
        whole = _selector(names.FEATURE_COMPLETENESS.name, matchers)
        completeness = self._by(f"min by ({names.FEATURE}) ({whole})", names.FEATURE)
        ranked = sorted(psi.items(), key=lambda item: (-item[1], item[0]))
        return [DriftedFeature(name, value, completeness.get(name)) for name, value in ranked]

    def fresh_labels(self, model: str, seconds: int) -> float | None:
        """Labels of the model's predictions that arrived in the last `seconds`; None without a series."""
        # The most of any replica: several exporters of one log count the same labels.
        counter = _selector(names.LABELLED_PREDICTIONS_TOTAL.name, {names.MODEL_NAME: model})
        by = f"{names.MODEL_NAME}, {names.MODEL_VERSION}"
        found = self._by(f"sum(max by ({by}) (increase({counter}[{seconds}s])))", names.MODEL_NAME)
        return next(iter(found.values()), None)

    def performance(self, model: str, rollback: Rollback) -> dict[str, tuple[float, float]]:
        """The 95 % interval of the metric, by version."""
        families = {
            "accuracy": (names.MODEL_ACCURACY_LOWER, names.MODEL_ACCURACY_UPPER),
            "auc": (names.MODEL_AUC_LOWER, names.MODEL_AUC_UPPER),
        }[rollback.metric]
        matchers = {names.MODEL_NAME: model, names.WINDOW: rollback.window}
        lower, upper = (
            self._by(f"max by ({names.MODEL_VERSION}) ({_selector(family.name, matchers)})", names.MODEL_VERSION)
            for family in families
        )
        return {version: (lower[version], upper[version]) for version in lower.keys() & upper.keys()}

    def _by(self, expr: str, label: str) -> dict[str, float]:
        """The finite values of an instant query by one label; NaN says as little as no series."""
        answer = self.caller.call("POST", self.prometheus, "/api/v1/query", form={"query": expr})
        try:
            found = {one["metric"].get(label, ""): float(one["value"][1]) for one in answer["data"]["result"]}
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise CallError("answered nothing that Prometheus would") from error
        return {name: value for name, value in found.items() if math.isfinite(value)}


def evidence_of(settings: Settings, caller: Caller) -> Evidence | None:
    """The Prometheus of the settings, if there is one."""
    return Evidence(settings.prometheus, caller) if settings.prometheus else None


def label_seconds(window: str, begun: float, now: float) -> int:
    """How far back labels are fresh: to the last retraining, at most `window`, at least a minute."""
    return max(60, int(min(parse_duration(window), now - begun)))


def _selector(name: str, matchers: dict[str, str]) -> str:
    quoted = ",".join(f"{label}={json.dumps(value, ensure_ascii=False)}" for label, value in matchers.items())
    return f"{name}{{{quoted}}}"
