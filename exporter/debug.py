"""The counts behind a scope's numbers, as text: for `/debug`."""

from collections.abc import Iterator

from exporter.measures import Scope


def described(scope: Scope) -> Iterator[str]:
    """Line by line: the version, its windows and periods, and every feature's cells."""
    yield f"model {scope.model.name} version {scope.version} baseline {scope.totals.layout.baseline.fingerprint}"
    for period, past in scope.periods.items():
        missing = "" if past.complete else "; no records before it, so nothing is held against it"
        yield f"  period {period} of {scope.model.drift.window}: records {past.profile.records:g}{missing}"
    for window, profile in scope.windows.items():
        records, weight, squared = profile.part("rows")
        begun = "" if window in scope.complete else "; history begins within it"
        yield f"  window {window}: records {records:g}, weight {weight:g}, squared weight {squared:g}{begun}"
        for feature in scope.totals.layout.features:
            counts = profile.part(f"feature:{feature.name}")
            yield f"    {feature.name}: {' '.join(f'{count:g}' for count in counts)}"
