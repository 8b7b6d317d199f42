"""The working behind one number: what it is made of, how, and what comes out, or why nothing does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from exporter.names import Family
from exporter.stats.result import Value

Cell = str | float


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts and numbers under their heads."""

    heads: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]

    def column(self, head: str) -> list[Cell]:
        """The cells under `head`."""
        place = self.heads.index(head)
        return [row[place] for row in self.rows]


@dataclass(frozen=True, slots=True)
class Working:
    """How a number comes about: `given` numbers and the table go into the formula, `steps` lie between.

    `value` is the number, or NotEnoughData that says why there is none.
    """

    formula: str
    value: Value
    given: Mapping[str, float] = field(default_factory=dict)
    table: Table | None = None
    steps: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """The working of one series: its family and label values in the family's order."""

    family: Family
    labels: tuple[str, ...]
    working: Working

    @property
    def value(self) -> Value:
        """The number, or why there is none."""
        return self.working.value

    def label(self, name: str) -> str | None:
        """The value of the label `name`; None if the family has none."""
        return dict(zip(self.family.labels, self.labels, strict=True)).get(name)
