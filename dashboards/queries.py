"""PromQL from the vocabulary: selectors carry the dashboard's variables, so no panel spells a label or a name.

`select` is the only place where a family becomes text; the rest combine what it returns.
"""

from exporter import names
from exporter.names import Family

VARIABLES = {
    names.MODEL_NAME: f'{names.MODEL_NAME}="$model"',
    names.MODEL_VERSION: f'{names.MODEL_VERSION}=~"$version"',
    names.WINDOW: f'{names.WINDOW}="$window"',
}
OF_FEATURE = f'{names.FEATURE}="$feature"'
BY_MODEL = (names.MODEL_NAME,)
BY_VERSION = (names.MODEL_VERSION,)
BY_FEATURE = (names.FEATURE, names.MODEL_VERSION)
MODEL_LEGEND = f"{{{{{names.MODEL_NAME}}}}}"
VERSION_LEGEND = f"{{{{{names.MODEL_VERSION}}}}}"
FEATURE_LEGEND = f"{{{{{names.FEATURE}}}}} ({{{{{names.MODEL_VERSION}}}}})"


def select(family: Family, *more: str, suffix: str = "") -> str:
    """The family's series for the chosen model, versions and window; `more` are further matchers."""
    matchers = [matcher for label, matcher in VARIABLES.items() if label in family.labels]
    return f"{family.name}{suffix}{{{','.join([*matchers, *more])}}}"


def unwindowed(family: Family, *more: str) -> str:
    """The family's series for the chosen model and versions, in every window."""
    return f"{family.name}{{{','.join([VARIABLES[names.MODEL_NAME], VARIABLES[names.MODEL_VERSION], *more])}}}"


def everywhere(family: Family, *more: str) -> str:
    """The family's series of all models and versions, for the chosen window."""
    chosen = [VARIABLES[names.WINDOW]] if names.WINDOW in family.labels else []
    return f"{family.name}{{{','.join([*chosen, *more])}}}"


def method(name: str) -> str:
    """The matcher of one drift method."""
    return f'{names.METHOD}="{name}"'


def by(how: str, expr: str, labels: tuple[str, ...] = ()) -> str:
    """`how` (max, min, sum, ...) over all but `labels`; also folds the replicas of an exporter into one series."""
    return f"{how} by ({', '.join(labels)}) ({expr})" if labels else f"{how}({expr})"


def per_second(family: Family, labels: tuple[str, ...] = (), *, suffix: str = "") -> str:
    """A counter's growth a second, summed."""
    return by("sum", f"rate({select(family, suffix=suffix)}[$__rate_interval])", labels)


def select_recorded(name: str, *more: str) -> str:
    """A recorded series of the chosen model and versions; the alerts compare the very same one."""
    return f"{name}{{{','.join([VARIABLES[names.MODEL_NAME], VARIABLES[names.MODEL_VERSION], *more])}}}"


def zero_where(expr: str, counted: Family, labels: tuple[str, ...] = ()) -> str:
    """`expr`, and 0 where `counted` grows and `expr` has nothing: what was never counted has no series yet."""
    return f"{expr} or 0 * ({per_second(counted, labels)} > 0)"


def per_second_by(family: Family, label: str) -> str:
    """A counter's growth a second by `label`, without values of it that never grew in the time range."""
    grown = by("sum", f"increase({select(family)}[$__range] @ end())", (label,))
    return f"{per_second(family, (label,))} and on ({label}) ({grown} > 0)"


def any_of(families: tuple[Family, ...], *, strip: str, label: str) -> str:
    """Several windowed families as one, told apart by `label`: what the pattern `strip` captures of the name."""
    matchers = ",".join([f'__name__=~"{"|".join(family.name for family in families)}"', *VARIABLES.values()])
    named = f'label_replace({{{matchers}}}, "{label}", "$1", "__name__", "{strip}")'
    return by("max", named, (label, *BY_VERSION))


def leading(
    series: str, ranking: str, count: int, *, lowest: bool = False, labels: tuple[str, ...] = BY_FEATURE
) -> str:
    """What ranks first among the features (or other `labels`) of `series`, by the extreme of the selector `ranking`.

    The extreme is that of the whole time range: ranked at every step, they would come and go, and each would leave a
    broken line.
    """
    choose, extreme = ("bottomk", "min") if lowest else ("topk", "max")
    ranked = by(extreme, f"{extreme}_over_time({ranking}[$__range] @ end())", labels)
    return f"{by(extreme, series, labels)} and on ({', '.join(labels)}) {choose}({count}, {ranked})"


def foremost(series: str, ranking: str, count: int, labels: tuple[str, ...] = BY_FEATURE) -> str:
    """As `leading`, by the expression `ranking` at the same instant: for tables of the present, which read no range."""
    return f"{by('max', series, labels)} and on ({', '.join(labels)}) topk({count}, {ranking})"
