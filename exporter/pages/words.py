"""Numbers, shares and times as pages say them."""

import time

MISSING = "\u2013"  # a dash, which no number reads as


def number(value: float | None, digits: int = 3) -> str:
    r"""A number with so many significant digits, thousands apart; a dash for none.

    >>> number(26952.0), number(0.123456), number(None)
    ('26,952', '0.123', '\u2013')
    """
    if value is None:
        return MISSING
    if abs(value) >= 10**digits and value == value and abs(value) < 1e15:  # noqa: PLR0124 - NaN is not itself
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def percent(value: float | None) -> str:
    """A share in per cent; a dash for none, and never 0 or 100 for what only comes near.

    >>> percent(0.5), percent(1.0), percent(0.99999), percent(0.00001)
    ('50 %', '100 %', '99.999 %', '0.001 %')
    """
    if value is None:
        return MISSING
    shown = f"{100 * value:.3g}"
    if float(shown) in (0.0, 100.0) and value not in (0.0, 1.0):
        shown = f"{100 * value:.5g}"
    return f"{shown} %"


def pvalue(value: float | None) -> str:
    """A probability, the tiniest by their bound."""
    return MISSING if value is None else "< 0.0001" if value < 1e-4 else f"{value:.2g}"


def moment(ts: float | None) -> str:
    """Unix seconds as date and time in UTC."""
    return MISSING if ts is None else time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(ts))


def duration(seconds: float) -> str:
    """A stretch of time in its largest whole units.

    >>> duration(42), duration(7_200), duration(200_000)
    ('42 s', '2 h', '2 d')
    """
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def between(lower: float | None, upper: float | None) -> str:
    """An interval; a dash where there is none."""
    return MISSING if lower is None or upper is None else f"{number(lower)} to {number(upper)}"


def said(metric: str) -> str:
    """A metric's name as people write it.

    >>> said("auc"), said("log_loss")
    ('AUC', 'log loss')
    """
    if metric in ("auc", "mae", "rmse", "r2", "f1"):
        return metric.upper()
    return metric.replace("_", " ").replace("brier", "Brier")
