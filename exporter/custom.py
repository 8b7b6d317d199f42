"""Statistics of a user's own: a function of one window, decorated with the family that its numbers appear as.

    from exporter.custom import Window, statistic

    @statistic("feature_mode_share_change", labels=("feature",), help="Change of the share of its fullest bin.")
    def mode_share(window: Window):
        for feature in window.features:
            now, before = window.counts(feature.name), window.reference_counts(feature.name)
            if now.sum() > 0 and before.sum() > 0:
                mode = before.argmax()
                yield now[mode] / now.sum() - before[mode] / before.sum(), feature.name

Saved as `my_measures.py` in a folder on PYTHONPATH and named in the configuration as
`statistics: [my_measures:mode_share]`, it is computed for every model, version and window. The configuration is
trusted: what it names is imported and run, in the exporter's own process. A changed module asks for a restart.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from exporter.baseline import CategoryFeature, NumericFeature
from exporter.config import Task
from exporter.measures import MEASURES, Sample, Scope
from exporter.names import FAMILIES, SCHEDULED, WINDOWED, Family, Row
from exporter.profile.columns import Floats
from exporter.profile.layout import Profile, feature_part
from exporter.stats.result import NotEnoughData, Value

MOST_SERIES = 100  # of one window, unless declared: label guides ask to think again from there on

Made = Value | tuple[Value | str, ...]
Compute = Callable[["Window"], Iterable[Made]]


@dataclass(frozen=True)
class Window:
    """One window of one model and version beside the reference; all counts are weighted, read-only arrays."""

    model: str
    version: str
    name: str
    """As configured: `1d`."""
    _profile: Profile
    _reference: Profile

    @property
    def task(self) -> Task:
        """The model's task."""
        return self._profile.layout.baseline.task

    @property
    def features(self) -> tuple[NumericFeature | CategoryFeature, ...]:
        """The features with their bins (`edges`) or categories (`values`)."""
        return self._profile.layout.features

    @property
    def output_bins(self) -> NumericFeature | None:
        """The bins of a regression's predictions and labels."""
        return self._profile.layout.baseline.output

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of all parts of a profile; `exporter.profile.layout` tells what their cells mean."""
        return tuple(self._profile.layout.shapes)

    def part(self, name: str) -> Floats:
        """The window's counts of a part, in its shape; KeyError for an unknown one."""
        return _read_only(self._profile.part(name))

    def reference_part(self, name: str) -> Floats:
        """The same part of the reference."""
        return _read_only(self._reference.part(name))

    def counts(self, feature: str) -> Floats:
        """A feature's values by cell: below, in and above the bins, or by category and then other, unseen."""
        return self.part(feature_part(feature))[: self._placed(feature)]

    def reference_counts(self, feature: str) -> Floats:
        """The same of the reference."""
        return self.reference_part(feature_part(feature))[: self._placed(feature)]

    def _placed(self, name: str) -> int:
        return next(feature.placed for feature in self.features if feature.name == name)


def _read_only(counts: Floats) -> Floats:
    """A view that cannot spoil what other statistics read."""
    view = counts.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True)
class Statistic:
    """A user's function and the family that its numbers appear as; called as the function itself."""

    family: Family
    compute: Compute
    series: int

    def __call__(self, window: Window) -> Iterable[Made]:
        """What the function makes of `window`."""
        return self.compute(window)

    def measure(self, scope: Scope) -> Iterator[Sample]:
        """Its samples of all windows; ValueError when what it makes cannot be exported."""
        for name, profile in scope.windows.items():
            window = Window(scope.model.name, scope.version, name, profile, scope.reference)
            held: set[tuple[str, ...]] = set()
            for made in self.compute(window):
                value, *labels = made if isinstance(made, tuple) else (made,)
                if not isinstance(value, NotEnoughData):
                    held.add(self._checked(value, tuple(labels), held))
                    yield from scope.gauge(self.family, float(value), name, *map(str, labels))

    def _checked(self, value: object, labels: tuple[object, ...], held: set[tuple[str, ...]]) -> tuple[str, ...]:
        expected = self.family.labels[len(WINDOWED) :]
        if not isinstance(value, int | float | np.number) or not math.isfinite(value):
            raise ValueError(f"{self.family.name}: {value!r} is no finite number; yield nothing where there is none")
        if len(labels) != len(expected) or not all(isinstance(label, str) for label in labels):
            raise ValueError(f"{self.family.name}: {labels!r} are not the labels {expected}; yield value, label, ...")
        texts = tuple(map(str, labels))
        if texts in held:
            raise ValueError(f"{self.family.name}: the labels {labels!r} twice in one window")
        if len(held) >= self.series:
            raise ValueError(f"{self.family.name}: more than {self.series} series in one window; raise `series`")
        return texts


def statistic(
    name: str,
    *,
    help: str,  # noqa: A002 - the word of the exposition format
    labels: Sequence[str] = (),
    series: int | None = None,
) -> Callable[[Compute], Statistic]:
    """Declare a gauge that a function computes: it yields numbers, with `labels` tuples of number and label values.

    Model, version and window become labels by themselves. `series` is how many a window may have at most: 1 without
    labels, else 100. ValueError when name or labels cannot be used.
    """
    for problem in _problems(name, help, tuple(labels)):
        raise ValueError(problem)
    most = series or (MOST_SERIES if labels else 1)
    family = Family(name, "gauge", (*WINDOWED, *labels), help.rstrip() + SCHEDULED, Row.PERFORMANCE)
    return lambda compute: Statistic(family, compute, most)


_NAME = re.compile(r"[a-z][a-z0-9_]*")
_OTHERS = ("prediction_exporter_", "process_", "python_", "scrape_")
_SUFFIXES = ("_total", "_count", "_sum", "_bucket", "_created", "_info")  # which say that a series is no gauge
_LABELS_OF_OTHERS = {"job", "instance", "le", "quantile", *WINDOWED}


def _problems(name: str, text: str, labels: tuple[str, ...]) -> Iterator[str]:
    if not _NAME.fullmatch(name):
        yield f"{name!r} is no name for a metric; use small letters, digits and underscores"
    if name.startswith(_OTHERS) or name.endswith(_SUFFIXES) or name in {"up", *MEASURES}:
        yield f"the name {name} means something else; choose one without such a beginning or end"
    if any(family.name == name for family in FAMILIES):
        yield f"{name} is a metric of the exporter itself; choose another name"
    if not text.strip():
        yield f"{name} has no help; say what it measures, and its unit"
    if odd := [label for label in labels if not _NAME.fullmatch(label) or label in _LABELS_OF_OTHERS]:
        yield f"{name} cannot have the label {odd[0]!r}; choose another one"
    if len(set(labels)) < len(labels):
        yield f"{name} has a label twice; remove one"


def load_statistics(paths: Sequence[str]) -> tuple[dict[str, Statistic], list[str]]:
    """The statistics at `paths`, each `package.module:name`, by their family's name; and what is wrong with others."""
    found: dict[str, Statistic] = {}
    problems = []
    for place, path in enumerate(paths):
        loaded = _load(path)
        if isinstance(loaded, Statistic) and loaded.family.name in found:
            loaded = f"a metric {loaded.family.name} is there already; remove one, or give it another name"
        if isinstance(loaded, str):
            problems.append(f"statistics[{place}]: {path}: {loaded}")
        else:
            found[loaded.family.name] = loaded
    return found, problems


def _load(path: str) -> Statistic | str:
    """The statistic, or what is wrong."""
    module, _, name = path.partition(":")
    try:
        found = getattr(import_module(module), name, None)
    except ModuleNotFoundError as error:
        return f"no module {error.name}; put the folder that holds it on PYTHONPATH"
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a module does, the person is told which one
        return f"importing it raised {type(error).__name__}: {error}; mend the module"
    if found is None:
        return f"the module has no {name}; name a function that it defines"
    return found if isinstance(found, Statistic) else "no statistic; decorate it with `statistic` of exporter.custom"
