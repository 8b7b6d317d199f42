"""Where links lead: between pages by relative addresses, which a prefix does no harm; in a report by its anchors."""

import hashlib
from collections.abc import Callable
from urllib.parse import quote, urlencode

from exporter.pages.document import Target

Links = Callable[[Target], str | None]
"""The address of a target, None where there is nothing to link to."""


def path(target: Target) -> str:
    """The target's address from the server's root, without the slash before it."""
    query = {name: value for name, value in (("window", target.window), ("version", target.version)) if value}
    asked = f"?{urlencode(query)}" if query else ""
    model, feature = quote(target.model, safe=""), quote(target.feature, safe="")
    match target.page:
        case "landing":
            return ""
        case "status":
            return "status"
        case "file":
            return target.model
        case "model":
            return f"models/{model}{asked}"
        case "quality":
            return f"models/{model}/quality{asked}"
        case "feature":
            return f"models/{model}/features/{feature}{asked}"


def relative(here: Target) -> Links:
    """Links from the page `here`."""
    up = "../" * path(here).partition("?")[0].count("/")
    return lambda target: f"{up}{path(target)}" or "./"


def anchor(target: Target) -> str:
    """An identifier of the target within a report; names may hold anything, identifiers may not."""
    return f"{target.page}-{hashlib.sha256(path(target).encode()).hexdigest()[:12]}"


def within(held: frozenset[Target]) -> Links:
    """Links to the targets that a report holds."""
    return lambda target: f"#{anchor(target)}" if target in held else None
