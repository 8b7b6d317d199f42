"""Building a baseline: reference data in, cells chosen and counted, a versioned file out."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from exporter.baseline import (
    Baseline,
    CategoryFeature,
    NumericFeature,
    Provenance,
    SegmentValues,
    UsualRange,
    settings_digest,
)
from exporter.config import Model
from exporter.config.base import FEATURE_NAME
from exporter.config.segment import MAX_LABEL, Segment
from exporter.errors import ConfigError, DataError
from exporter.ingest.parquet import ParquetReader
from exporter.ingest.records import Sorted, sort_records
from exporter.ingest.schema import FeatureSchema
from exporter.measures.anomaly import usual_ranges
from exporter.measures.distribution import GROUPS, equal_groups
from exporter.measures.performance import performance_of
from exporter.names import MISSING, OTHER
from exporter.profile.batch import Predictions
from exporter.profile.binning import Binner, count_cells
from exporter.profile.cells import as_numbers
from exporter.profile.columns import Column, Floats, TextColumn
from exporter.profile.inputs import input_codes
from exporter.profile.kernel import Kernel
from exporter.profile.layout import INPUT_CELLS, Layout, Profile
from exporter.profile.segments import categories_of, segment_column
from exporter.reference_moments import moments_features, with_spreads
from exporter.reference_schema import MAX_CATEGORIES, MAX_RARE, OUTPUTS, Schema, SchemaFeature, listed_feature
from exporter.reference_spreads import spreads_of
from exporter.windows import BUCKET

BINS = 100  # reference quantiles
POINT_MASS = 0.05  # share of the rows from which a value gets a bin of its own
MOST_WINDOWS = 1_000  # a standard deviation over as many is known to 2 %; their profiles take some 50 MB


@dataclass(frozen=True, slots=True)
class ReferenceData:
    """A reference as read: its table, where it comes from and a digest of its bytes."""

    table: pa.Table
    source: str
    digest: str


def read_reference(path: Path) -> ReferenceData:
    """Parquet or CSV in the record format's columns; ConfigError when it cannot be read."""
    readers = {".parquet": pq.read_table, ".csv": _read_csv}
    reader = readers.get(path.suffix)
    if reader is None:
        raise ConfigError(str(path), [f"unknown kind {path.suffix or 'of file'}; give a .parquet or .csv file"])
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return ReferenceData(reader(path), path.name, digest)
    except (OSError, pa.ArrowInvalid) as error:
        raise ConfigError(str(path), [f"cannot be read ({error}); give a Parquet or CSV file"]) from error


def _read_csv(path: Path) -> pa.Table:
    """CSV cannot say null otherwise: an empty text is missing, as an empty number is."""
    return pa_csv.read_csv(path, convert_options=pa_csv.ConvertOptions(strings_can_be_null=True))


def build_baseline(
    model: Model,
    data: ReferenceData,
    created: float,
    categorical: Sequence[str] = (),
    windows: Sequence[int] = (),
    schema: Schema | None = None,
) -> Baseline:
    """The baseline of `model` from reference data; columns named in `categorical` are categories whatever their type.

    A `schema` says it of every feature instead; ConfigError names where it and the data are at odds.
    For each length in `windows`, in seconds, it holds the usual ranges of windows as long, where the data's times span
    two or more. DataError names what the data lacks.
    """
    batch = _predictions(model, data, categorical, schema)
    _check_classes(model, data.source, batch)
    weight = batch.weights
    features = tuple(
        _feature(name, column, weight, _told(schema, name)) for name, column in sorted(batch.features.items())
    )
    empty = Baseline(
        model=model.name,
        task=model.task,
        features=features,
        spreads=spreads_of(model, features, batch),
        segments=_segments(model, data.source, features, batch),
        classes=_classes(model, batch),
        output=_output_bins(model, batch, weight),
        moments=moments_features(features, batch),
        label_offset=_label_offset(batch) if model.task == "regression" else 0.0,
        settings=settings_digest(model),
        counts={},
        performance={},
        provenance=Provenance(
            source=data.source, digest=data.digest, rows=batch.rows, created=created,
            first=float(batch.ts.min()), last=float(batch.ts.max()),
        ),
    )  # fmt: skip
    profile = _count(model, empty, batch)
    counts = {name: tuple(profile.vector[place].tolist()) for name, place in profile.layout.slices.items()}
    measured = {name: value for name, value in performance_of(profile).items() if isinstance(value, float)}
    usual = {length: ranges for length in windows if (ranges := _usual(model, profile, batch, length))}
    moments = None if empty.moments is None else with_spreads(empty.moments, profile, batch)
    found = {"counts": counts, "performance": measured, "usual": usual, "moments": moments}
    return empty.model_copy(update=found)


def _told(schema: Schema | None, name: str) -> SchemaFeature | None:
    return None if schema is None else schema.features[name]


def _predictions(
    model: Model, data: ReferenceData, categorical: Sequence[str], told: Schema | None = None
) -> Predictions:
    schema = _schema(data.table.schema, categorical, [segment.name for segment in model.segments])
    if told is not None:
        told.check(data.table, data.source)
        schema = told.apply(schema)
    if unknown := sorted(set(categorical) - set(schema.names)):
        raise DataError(
            f"{data.source}: no feature {unknown[0]!r} to make categorical; it has {', '.join(schema.names)}"
        )
    table = data.table if "ts" in data.table.column_names else data.table.append_column("ts", _zeros(data.table))
    records = ParquetReader(schema, model.name).records(table)
    sorted_records = sort_records(records, [model], np.inf)
    batches = sorted_records.predictions.get(model.name, [])
    if not batches:
        raise DataError(f"{data.source}: no usable row for model {model.name!r}{_refusals(sorted_records)}")
    return batches[0]


def _check_classes(model: Model, source: str, batch: Predictions) -> None:
    """A binary model's labels are the positive one and one other, else all would silently read as negative."""
    seen = set(_classes_in(batch.prediction, batch.label)) if model.task == "binary" else set()
    if len(seen) > 2:
        raise DataError(
            f"{source}: {len(seen)} classes ({', '.join(sorted(seen)[:5])}) for a binary model; "
            "put classes, not scores, into prediction and label, or set task: multiclass"
        )
    if len(seen) == 2 and model.positive_label not in seen:
        raise DataError(
            f"{source}: positive_label {model.positive_label!r} is not among the classes {', '.join(sorted(seen))}; "
            "set positive_label to one of them"
        )


def _classes_in(*columns: Column | None) -> list[str]:
    texts = [_present_texts(column) for column in columns if isinstance(column, TextColumn)]
    return sorted(set().union(*texts))


def _present_texts(column: TextColumn) -> set[str]:
    """The texts that rows hold; the column may know more of them, of rows left out."""
    return {text for code in np.unique(column.codes) if code >= 0 and (text := column.texts[code]) is not None}


def _refusals(result: Sorted) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(result.rejected.items()))
    return f"; refused: {reasons}" if reasons else ""


def _zeros(table: pa.Table) -> pa.Array:
    return pa.Array.from_buffers(pa.float64(), table.num_rows, [None, pa.py_buffer(np.zeros(table.num_rows))])


def _schema(schema: pa.Schema, categorical: Sequence[str], segments: Sequence[str]) -> FeatureSchema:
    fields = {name.removeprefix("features."): schema.field(name).type
              for name in schema.names if name.startswith("features.")}  # fmt: skip
    if "features" in schema.names:
        fields |= {field.name: field.type for field in schema.field("features").type}
    fields = {name: kind for name, kind in fields.items() if name not in OUTPUTS}  # of no model may they be inputs
    if not fields:
        raise DataError("no features: reference data has columns `features.NAME` or a struct `features`")
    if odd := [name for name in fields if not re.fullmatch(FEATURE_NAME, name)]:
        raise DataError(f"feature {odd[0]!r}: a name is not empty and has no quote, backslash or control character")
    numeric = {name for name, kind in fields.items() if name not in categorical and _is_numeric(kind)}
    return FeatureSchema(frozenset(numeric), frozenset(set(fields) - numeric), frozenset(segments))


def _is_numeric(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean, pa.types.is_null)
    return any(test(kind) for test in tests)


def _feature(name: str, column: Column, weight: Floats, told: SchemaFeature | None) -> NumericFeature | CategoryFeature:
    if isinstance(column, TextColumn):
        if told is not None and told.categories is not None:
            return listed_feature(name, told.categories)
        return category_feature(name, column, weight)
    values = column.or_nan()
    finite = np.isfinite(values)
    return numeric_feature(name, values[finite], weight[finite], None if told is None else told.range)


def numeric_feature(
    name: str, values: Floats, weight: Floats, bounds: tuple[float, float] | None = None
) -> NumericFeature:
    """Bins of a reference's finite values: quantiles, and a bin of its own for a value with much of the mass.

    They end at `bounds`, if given, both included, else at the outermost values. A feature without any value and bounds
    gets one bin from 0 to 1, in which nothing was seen.
    """
    if bounds is not None:
        edges = _bounded_edges(values, weight, *bounds)
    else:
        edges = _edges(values, weight) if len(values) else np.array([0.0, 1.0])
    codes = Binner(edges).codes(values)
    counts = np.bincount(codes, weights=weight, minlength=len(edges) + 1).astype(np.float64)
    return NumericFeature(name=name, edges=tuple(edges.tolist()), groups=tuple(_groups(edges, counts)))


def _edges(values: Floats, weight: Floats) -> Floats:
    """Edges are values that occur, or the next number above one, so that the value before it ends its bin."""
    distinct, place = np.unique(values, return_inverse=True)
    mass = np.bincount(place, weights=weight) / weight.sum()
    heavy = mass >= POINT_MASS
    points, light = distinct[heavy], distinct[~heavy]
    cuts = light[equal_groups(mass[~heavy], _parts(BINS, mass[~heavy].sum()))] if len(light) else light
    edges = np.concatenate([cuts, points, _above(points), distinct[:1], _above(distinct[-1:])])
    edges = np.unique(edges[np.isfinite(edges)])
    return edges if len(edges) > 1 else np.append(np.nextafter(edges, -np.inf), edges)  # above the largest is none


def _bounded_edges(values: Floats, weight: Floats, low: float, high: float) -> Floats:
    within = (values >= low) & (values <= high)
    edges = _edges(values[within], weight[within]) if within.any() else np.array([])
    return np.unique(np.concatenate([edges, [low], _above(np.array([high]))]))


def _above(values: Floats) -> Floats:
    with np.errstate(over="ignore"):  # above the largest number lies infinity, which is no edge
        above: Floats = np.nextafter(values, np.inf)
    return above


def _parts(whole: int, share: float) -> int:
    """How many of `whole` equal parts a share of the mass is worth."""
    return max(round(whole * share), 1)


def _groups(edges: Floats, counts: Floats) -> list[int]:
    """First cells of about ten groups of equal mass; a value with a bin of its own keeps it.

    An open end joins its neighbour, unless that holds a single value: there, any other value is news. Nor does an end
    join that holds much of the mass, as it may where a schema's range is narrower than the data's.
    """
    last = len(counts) - 1
    if counts.sum() == 0:
        return list(range(len(counts)))
    single = np.concatenate(([False], _above(edges[:-1]) == edges[1:], [False]))
    light, heavy = np.where(single, 0.0, counts), counts >= POINT_MASS * counts.sum()
    starts = set(equal_groups(light, _parts(GROUPS, light.sum() / counts.sum()))) if light.any() else {0}
    starts |= {int(start) for cell in np.flatnonzero(single) for start in (cell, cell + 1)}
    for end, neighbour, start in ((0, 1, 1), (last, last - 1, last)):
        if heavy[end]:
            starts.add(start)
        elif not single[neighbour]:
            starts.discard(start)
    return sorted(starts | {0})


def category_feature(name: str, column: TextColumn, weight: Floats) -> CategoryFeature:
    """The reference's values by weight: the heaviest get cells of their own, the others are known as rare."""
    ranked = _ranked(column, weight)
    listed, rest = ranked[:MAX_CATEGORIES], ranked[MAX_CATEGORIES:]
    return CategoryFeature(
        name=name, values=tuple(sorted(listed)), rare=tuple(sorted(rest[:MAX_RARE])), complete=len(rest) <= MAX_RARE
    )


def _ranked(column: TextColumn, weight: Floats) -> list[str]:
    """The texts that rows hold, the heaviest first."""
    counts = np.bincount(
        column.codes[column.codes >= 0], weights=weight[column.codes >= 0], minlength=len(column.texts)
    )
    by_text: dict[str, float] = {}
    for text, count in zip(column.texts, counts, strict=True):
        if text is not None and count > 0:
            by_text[text] = by_text.get(text, 0.0) + float(count)
    return sorted(by_text, key=lambda text: (-by_text[text], text))


def _segments(
    model: Model, source: str, features: Sequence[NumericFeature | CategoryFeature], batch: Predictions
) -> tuple[SegmentValues, ...]:
    """The values of each configured segment: those listed, else the most frequent ones that can be label values."""
    categories, found = categories_of(features), []
    for segment in model.segments:
        column = segment_column(batch, segment.name, categories)
        ranked = _ranked(column, batch.weights) if column is not None else []
        usable = [text for text in ranked if text not in (OTHER, MISSING) and 0 < len(text) <= MAX_LABEL]
        if not (segment.values or usable):
            raise DataError(
                f"{source}: nothing to take segment {segment.name!r} from; add a column "
                f"segments.{segment.name} or a categorical feature of that name, or list its values under segments"
            )
        values = segment.values or tuple(sorted(usable[: segment.max_values]))
        found.append(SegmentValues(name=segment.name, values=values, features=_told_by(segment, source, features)))
    return tuple(found)


def _told_by(segment: Segment, source: str, features: Sequence[NumericFeature | CategoryFeature]) -> tuple[str, ...]:
    """The features that the segment names, all of which the data holds."""
    known = [feature.name for feature in features]
    if unknown := sorted(set(segment.features) - set(known)):
        raise DataError(
            f"{source}: no feature {unknown[0]!r} to tell by segment {segment.name!r}; it has {', '.join(known)}"
        )
    return segment.features


def _classes(model: Model, batch: Predictions) -> tuple[str, ...]:
    return tuple(_classes_in(batch.prediction, batch.label)) if model.task == "multiclass" else ()


def _output_bins(model: Model, batch: Predictions, weight: Floats) -> NumericFeature | None:
    if model.task != "regression":
        return None
    return _numeric_of("output", [column for column in (batch.prediction, batch.label) if column is not None], weight)


def _numeric_of(name: str, columns: Sequence[Column], weight: Floats) -> NumericFeature:
    values = np.concatenate([as_numbers(column).or_nan() for column in columns])
    weights = np.tile(weight, len(columns))
    finite = np.isfinite(values)
    return numeric_feature(name, values[finite], weights[finite])


def _label_offset(batch: Predictions) -> float:
    """The labels' mean: sums about it keep their digits."""
    values = np.array([]) if batch.label is None else as_numbers(batch.label).or_nan()
    known = np.isfinite(values)
    return float(np.average(values[known], weights=batch.weights[known])) if known.any() else 0.0


def _count(model: Model, baseline: Baseline, batch: Predictions) -> Profile:
    layout = Layout(baseline)
    kernel = Kernel(model, layout)
    scored = kernel.scored(batch)
    matrix: Any = kernel.predictions(batch, scored, None, 1)
    if batch.label is not None:
        matrix = matrix + kernel.labelled(batch, scored, None, 1)
    return Profile(layout, matrix[0])


def _usual(model: Model, reference: Profile, batch: Predictions, length: int) -> dict[str, UsualRange]:
    """Usual ranges over disjoint windows from the first row's bucket on; of more than MOST_WINDOWS, evenly chosen ones.

    A window without a row counts as one without volume. The last, incomplete one is left out.
    """
    start = float(batch.ts.min()) // BUCKET * BUCKET
    complete = int((float(batch.ts.max()) // BUCKET * BUCKET + BUCKET - start) // length)
    chosen = np.unique(np.linspace(0, complete - 1, min(complete, MOST_WINDOWS)).astype(np.intp))
    if len(chosen) < 2:
        return {}
    window = ((batch.ts - start) // length).astype(np.intp)
    is_chosen = np.isin(window, chosen)
    baseline = reference.layout.baseline
    layout = Layout(baseline.model_copy(update={"features": (), "segments": ()}))  # outputs alone
    kept, places = batch.take(is_chosen), np.searchsorted(chosen, window[is_chosen])
    kernel = Kernel(model, layout)
    matrix = kernel.predictions(kept, kernel.scored(kept), places, len(chosen))
    inputs = input_codes(kept, baseline.features)  # but at whether they repeat
    matrix[:, layout.slices["inputs"]] = count_cells(inputs, INPUT_CELLS, places, len(chosen), kept.weight)
    return usual_ranges((Profile(layout, vector) for vector in matrix), reference)
