"""Class labels: one spelling for each, whatever kind the writer used."""

import math
import re

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)  # as JSON writes them
_WORDS = {
    "true": "1",
    "false": "0",
    "nan": "NaN",
    "inf": "Infinity",
    "infinity": "Infinity",
    "-inf": "-Infinity",
    "-infinity": "-Infinity",
}


def canonical_label(value: object) -> str:
    """The label's one spelling: 1, 1.0, true, "1" and "true" are all `1`; other text stays as it is.

    Writers disagree about kinds (a prediction as 1, its outcome as true), and a label that never matches would
    read as accuracy 0. Only kinds are unified, never meanings: "yes" stays "yes", and a code such as "007", which
    no JSON number is written like, stays "007".

    >>> [canonical_label(value) for value in (1, 1.0, True, "1.0", "true", 0.5, "yes", "007")]
    ['1', '1', '1', '1', '1', '0.5', 'yes', '007']
    """
    if isinstance(value, bool):
        return str(int(value))
    text = str(value).strip()
    if word := _WORDS.get(text.lower()):
        return word
    return _spelled(text) if _NUMBER.fullmatch(text) else text


def _spelled(digits: str) -> str:
    number = float(digits)
    if math.isinf(number):
        return _WORDS[repr(number)]
    if number == int(number) and abs(number) < 2**53:
        return str(int(number))
    return digits if digits.lstrip("-").isdigit() else repr(number)
