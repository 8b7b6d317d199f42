"""What a person says of the reference's features: their kinds, ranges and categories, as a YAML file.

`baseline schema` proposes one from data, a person edits it, and `baseline build --schema` obeys it to the letter or
names every problem: nothing is inferred where a schema is given.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self

import pyarrow as pa
from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from exporter.baseline import CategoryFeature
from exporter.config.base import FeatureName, Label, Section
from exporter.config.load import parse_section, read_text
from exporter.errors import ConfigError
from exporter.ingest.parquet import unnested
from exporter.ingest.schema import FeatureSchema
from exporter.profile.columns import absent, combined, numeric_column, text_column

MAX_CATEGORIES = 100  # values with a cell of their own
MAX_RARE = 10_000  # further values that are known by name
OUTPUTS = frozenset({"label", "prediction", "probabilities", "score"})  # record fields: what a model says or is to tell
_PREFIX = "features."

LARGEST = 1e308  # an edge is the next number above an end, which must be one too


def _bound(value: float) -> float:
    if not abs(value) <= LARGEST:
        raise ValueError(f"expected a number from {-LARGEST:g} to {LARGEST:g}")
    return value


Bound = Annotated[float, AfterValidator(_bound)]


class SchemaFeature(Section):
    """One feature: what it is, and what lies in its range or its list; without these, what the data hold does."""

    kind: Literal["numeric", "category", "ignore"]
    range: tuple[Bound, Bound] | None = Field(None, description="Numbers below or above count as out of range.")
    categories: tuple[Label, ...] | None = Field(
        None,
        min_length=1,
        max_length=MAX_CATEGORIES + MAX_RARE,
        description=f"Others count as unseen; the first {MAX_CATEGORIES} have cells of their own, the rest share one.",
    )

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.range is not None and self.kind != "numeric":
            raise ValueError("range belongs to kind numeric; remove it or change the kind")
        if self.categories is not None and self.kind != "category":
            raise ValueError("categories belong to kind category; remove them or change the kind")
        if self.range is not None and self.range[0] > self.range[1]:
            raise ValueError("range must not fall; give the lower end first")
        if twice := [text for text, count in Counter(self.categories).items() if count > 1]:
            raise ValueError(f"categories: {twice[0]!r} stands twice (1, true and '1' are one); remove one")
        return self


class Schema(Section):
    """All features of a reference; what stands in the data must stand here too."""

    features: dict[FeatureName, SchemaFeature] = Field(min_length=1)
    _source: str = PrivateAttr(default="schema")

    @model_validator(mode="after")
    def _something_is_left(self) -> Self:
        if all(feature.kind == "ignore" for feature in self.features.values()):
            raise ValueError("features: all are ignored; give one another kind")
        return self

    def check(self, table: pa.Table, data: str) -> None:
        """Hold it against the reference `table` of the file `data`; ConfigError names every problem at once."""
        if problems := list(self._problems(feature_arrays(table), data)):
            raise ConfigError(self._source, problems)

    def _problems(self, arrays: dict[str, pa.Array], data: str) -> Iterator[str]:
        for name in sorted(self.features.keys() | arrays.keys()):
            path = f"features.{name}"
            if name not in arrays:
                yield f"{path}: not in {data}, which has {', '.join(sorted(arrays))}; correct the name or remove it"
            elif name not in self.features:
                yield f"{path}: missing here, but in {data}; add it, with kind: ignore if it is not to be watched"
            elif self.features[name].kind != "ignore":
                yield from (f"{path}.kind: {problem}" for problem in _misfits(name, self.features[name], arrays[name]))

    def apply(self, read: FeatureSchema) -> FeatureSchema:
        """The way to read the features, in the kinds that stand here."""
        kinds = {kind: frozenset(name for name, of in self.features.items() if of.kind == kind)
                 for kind in ("numeric", "category")}  # fmt: skip
        return replace(read, **kinds)


def _misfits(name: str, feature: SchemaFeature, array: pa.Array) -> Iterator[str]:
    if name in OUTPUTS:
        yield "a model's own output or label is no feature; set kind: ignore"
    elif array.null_count == len(array):
        return
    elif feature.kind == "category" and absent(text_column(array)).all():
        yield "category, but the values are lists or objects; set kind: ignore"
    elif feature.kind == "numeric" and absent(numeric_column(array)).all():
        yield f"numeric, but no value is a number ({_example(array)}); set kind: category or ignore"


def _example(array: pa.Array) -> str:
    texts = [text for text in text_column(array).texts if text is not None]
    return f"such as {texts[0]!r}" if texts else "lists or objects"


def load_schema(path: Path) -> Schema:
    """Read and check the schema at `path`; ConfigError names every problem with its path in the file."""
    schema = parse_section(Schema, read_text(path), str(path), "the key features")
    schema._source = str(path)  # noqa: SLF001 - set once, by the one maker of schemas
    return schema


def feature_arrays(table: pa.Table) -> dict[str, pa.Array]:
    """The reference's features by name, from columns `features.NAME` or a struct `features`."""
    found = {name: combined(table.column(name)) for name in table.column_names if name.startswith(_PREFIX)}
    if "features" in table.column_names:
        found |= unnested("features", combined(table.column("features")))
    return {name.removeprefix(_PREFIX): array for name, array in found.items()}


def listed_feature(name: str, categories: tuple[str, ...]) -> CategoryFeature:
    """A category with just these values."""
    return CategoryFeature(
        name=name,
        values=tuple(sorted(categories[:MAX_CATEGORIES])),
        rare=tuple(sorted(categories[MAX_CATEGORIES:])),
    )
