"""The table of segments in row 1: how the model fares on each value that is told apart."""

from dashboards.limits import classifiers
from dashboards.looks import Column, describe
from dashboards.panels import Panel, table
from dashboards.queries import by, method, select
from exporter import names
from exporter.config import Config
from exporter.names import MODEL_VERSION, SEGMENT, VALUE, Family

_ROWS = (SEGMENT, VALUE, MODEL_VERSION)


def segments(config: Config) -> list[Panel]:
    """The table, where some model of the configuration has segments."""
    if not any(model.segments for model in config.models):
        return []
    text = describe(
        "The model on each value of the configured segments: how many predictions, how right with the 95 % interval, "
        "how sure, and how far the output left its reference.",
        good="Values alike, their intervals around the accuracy of the whole.",
        bad="One value far below, its interval apart from the whole: the average hides it.",
        do="Look whether its inputs broke or its output drifted; retrain with more of its data.",
    )
    columns = [
        Column("Segment", label=SEGMENT),
        Column("Value", label=VALUE),
        Column("Version", label=MODEL_VERSION),
        _column("Predictions", names.SEGMENT_PREDICTIONS_IN_WINDOW, "short"),
        *(_OF_CLASSES if classifiers(config) else ()),
        *(_OF_NUMBERS if len(classifiers(config)) < len(config.models) else ()),
        _column("Coverage", names.SEGMENT_OUTCOME_COVERAGE_RATIO, "percentunit"),
        Column("Low confidence", _of(names.SEGMENT_LOW_CONFIDENCE_RATIO), unit="percentunit", decimals=1, width=125),
        _column("Drift (PSI)", names.SEGMENT_PREDICTION_DRIFT_SCORE, "none", 3, method("psi")),
    ]
    return [table("Segments", text, columns, size=(24, 8), empty="No records in this window", sort="Segment")]


def _column(title: str, family: Family, unit: str, decimals: int = 1, *more: str) -> Column:
    return Column(title, _of(family, *more), unit=unit, decimals=decimals)


def _of(family: Family, *more: str) -> str:
    return by("max", select(family, *more), _ROWS)


_OF_CLASSES = (
    _column("Accuracy", names.SEGMENT_ACCURACY, "percentunit"),
    _column("95 % from", names.SEGMENT_ACCURACY_LOWER, "percentunit"),
    _column("to", names.SEGMENT_ACCURACY_UPPER, "percentunit"),
    _column("AUC", names.SEGMENT_AUC, "none", 3),
)
_OF_NUMBERS = (_column("MAE", names.SEGMENT_MAE, "short", 3),)
