"""Which model the records of others are of, by the configuration."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from exporter.baseline import Baseline
from exporter.config import Config, Foreign
from exporter.formats import azureml, sagemaker
from exporter.formats.common import Half, Record, Target, Translated, translate

FORMATS: Mapping[str, Callable[[Any, Target], list[Record] | Half]] = {
    "sagemaker": sagemaker.records,
    "azureml": azureml.records,
}
Translate = Callable[[bytes], Translated]


class Targets:
    """The targets of one configuration."""

    def __init__(self, config: Config, baselines: Mapping[str, Baseline]) -> None:
        self._config, self._baselines = config, baselines
        services = config.intake.services if config.intake else ()
        self._by_service = {model.name: self._of(Foreign(model=model.name)) for model in config.models}
        self._by_service |= {service.name: self._of(service) for service in services}

    def _of(self, foreign: Foreign) -> Target:
        known = frozenset(feature.name for feature in self._baselines[foreign.model].features)
        return Target(self._config.model(foreign.model), foreign.version, foreign.features, known)

    def service(self, name: str) -> Target:
        """The target of a service, which may be called as its model is; KeyError where there is none."""
        return self._by_service[name]

    def translation(self, form: str, service: str, limit: float) -> Translate:
        """How lines of a format, of a service, become ours, up to `limit` bytes; KeyError where there is no such."""
        return _translation(form, self.service(service), limit)

    def of_log(self) -> dict[str, Translate]:
        """How the lines of the log's sources become ours, by path; sources of our own format are left out."""
        return {
            self._config.locate(source): _translation(source.format, self._of(source.foreign))
            for source in self._config.log
            if source.foreign
        }


def _translation(form: str, target: Target, limit: float = math.inf) -> Translate:
    read = FORMATS[form]
    return partial(translate, events=lambda line: read(line, target), limit=limit)
