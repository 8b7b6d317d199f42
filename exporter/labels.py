"""Class labels: one spelling for each, whatever kind the writer used."""

import math


def canonical_label(value: object) -> str:
    """The label's one spelling: 1, 1.0, true, "1" and "true" are all `1`; other text stays as it is.

    Writers disagree about kinds (a prediction as 1, its outcome as true), and a label that never matches would
    read as accuracy 0. Only kinds are unified, never meanings: "yes" stays "yes".

    >>> [canonical_label(value) for value in (1, 1.0, True, "1.0", "true", 0.5, "yes")]
    ['1', '1', '1', '1', '1', '0.5', 'yes']
    """
    if isinstance(value, bool):
        return str(int(value))
    text = str(value).strip()
    if text.lower() in ("true", "false"):
        return str(int(text.lower() == "true"))
    try:
        number = float(text)
    except ValueError:
        return text
    if math.isfinite(number) and number == int(number) and abs(number) < 2**53:
        return str(int(number))
    return repr(number) if math.isfinite(number) and not text.lstrip("+-").isdigit() else text
