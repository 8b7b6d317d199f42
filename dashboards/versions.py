"""Champion beside challenger, in row 1: the version with most predictions in the window against each other one."""

from dashboards.colors import BAD, GOOD, MUTED, WARN
from dashboards.looks import Column, describe
from dashboards.panels import Panel, table
from dashboards.queries import BY_VERSION, any_of, by, select
from exporter import names
from exporter.names import Family

METRIC = "metric"
HIGHER = (
    names.MODEL_ACCURACY,
    names.MODEL_AUC,
    names.MODEL_PRECISION,
    names.MODEL_RECALL,
    names.MODEL_F1,
    names.MODEL_R2,
)
LOWER = (
    names.MODEL_LOG_LOSS,
    names.MODEL_BRIER_SCORE,
    names.MODEL_CALIBRATION_ERROR,
    names.MODEL_MAE,
    names.MODEL_RMSE,
)
BOUNDED = ((names.MODEL_ACCURACY_LOWER, names.MODEL_AUC_LOWER), (names.MODEL_ACCURACY_UPPER, names.MODEL_AUC_UPPER))
TRAFFIC = by("max", select(names.PREDICTIONS_IN_WINDOW), BY_VERSION)
WORDS = {"-1": ("worse", BAD), "0": ("not told apart", WARN), "1": ("better", GOOD)}


def comparison() -> Panel:
    """A row for each metric and challenger."""
    text = describe(
        "Each challenger against the champion, the chosen version with most predictions in the window. Advantage: the "
        "difference, positive where the challenger is better, also for losses. Told apart: whether the 95 % intervals "
        "of accuracy and AUC do not overlap.",
        good="better, and an advantage in most rows.",
        bad="worse. Not told apart: too few outcomes to choose by this metric.",
        do="better: move traffic to the challenger. worse: end the trial. Else wait for outcomes.",
    )
    both = _metrics((*HIGHER, *LOWER))
    columns = [
        Column("Metric", label=METRIC, width=150),
        Column("Challenger", label=names.MODEL_VERSION),
        Column("Champion", f"0 * {_challengers(both)} + {_beside(both)}", decimals=3),
        Column("Value", _challengers(both), decimals=3),
        Column("Advantage", f"{_lead(HIGHER, 1)} or {_lead(LOWER, -1)}", decimals=3),
        Column("Told apart", _verdict(), words=WORDS, width=130),
        Column("Of traffic", _share(), unit="percentunit", decimals=1, shape="bar", color=MUTED),
    ]
    nothing = "One version in this window: nothing to compare"
    return table("Champion and challengers", text, columns, size=(24, 7), empty=nothing, sort="Metric")


def _metrics(families: tuple[Family, ...], strip: str = "model_(.*)") -> str:
    return any_of(families, strip=strip, label=METRIC)


def _challengers(expr: str) -> str:
    return f"({expr} unless on ({names.MODEL_VERSION}) topk(1, {TRAFFIC}))"


def _beside(expr: str) -> str:
    """The champion's value, to be joined to each challenger's."""
    champion = by("max", f"{expr} and on ({names.MODEL_VERSION}) topk(1, {TRAFFIC})", (METRIC,))
    return f"on ({METRIC}) group_left () {champion}"


def _lead(families: tuple[Family, ...], sign: int) -> str:
    metrics = _metrics(families)
    return f"{sign} * ({_challengers(metrics)} - {_beside(metrics)})"


def _verdict() -> str:
    lower, upper = (
        _metrics(families, f"model_(.*)_{end}") for families, end in zip(BOUNDED, ("lower", "upper"), strict=True)
    )
    better = f"({_challengers(lower)} > bool {_beside(upper)})"
    return f"{better} - ({_challengers(upper)} < bool {_beside(lower)})"


def _share() -> str:
    """A challenger's share of the traffic, in each of its rows."""
    share = f"{TRAFFIC} / on () group_left () sum({TRAFFIC})"
    return f"0 * {_challengers(_metrics((*HIGHER, *LOWER)))} + on ({names.MODEL_VERSION}) group_left () ({share})"
