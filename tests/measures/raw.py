"""Reference and window as raw rows, and what pandas alone says of them."""

import numpy as np
import pandas as pd

from exporter.baseline import Baseline, NumericFeature
from tests.strategies import Row, binary_rows, built, model_of

ROWS = 3_000


def weighted(rows: list[Row], seed: int) -> list[Row]:
    """The rows with weights from 0.5 to 20."""
    weights = np.random.default_rng(seed).choice([0.5, 1.0, 3.0, 20.0], len(rows)).tolist()
    return [{**row, "weight": weight} for row, weight in zip(rows, weights, strict=True)]


def frame(rows: list[Row]) -> pd.DataFrame:
    table = pd.DataFrame(rows)
    table["weight"] = table["weight"].astype(float) if "weight" in table else 1.0
    features = pd.DataFrame(list(table["features"]))
    return pd.concat([table.drop(columns="features"), features], axis=1)


MODEL = model_of()
REFERENCE = binary_rows(11, ROWS)
BINARY = {"plain": binary_rows(12, ROWS, shift=0.3), "weighted": weighted(binary_rows(12, ROWS, shift=0.3), 13)}
BASELINES = {"plain": built(MODEL, REFERENCE), "weighted": built(MODEL, weighted(REFERENCE, 14))}


def shares_of(rows: pd.DataFrame, feature: str, baseline: Baseline, *, merged: bool) -> np.ndarray:
    """Weighted shares of the reference's cells, by pandas alone."""
    shape = next(item for item in baseline.features if item.name == feature)
    if isinstance(shape, NumericFeature):
        edges = [-np.inf, *shape.edges, np.inf]
        cell = np.asarray(pd.cut(rows["x"], edges, right=False, labels=False))
        cells = len(edges) - 1
        if merged:
            cell, cells = np.searchsorted(shape.groups, cell, side="right") - 1, len(shape.groups)
    else:
        listed = {text: place for place, text in enumerate(shape.values)}
        cells = len(listed) + 2
        cell = np.array([listed.get(text, cells - 1) for text in rows[feature]])
    total = rows["weight"].groupby(cell).sum().reindex(range(cells), fill_value=0.0)
    return (total / total.sum()).to_numpy()


def effective(rows: pd.DataFrame) -> float:
    return float(rows["weight"].sum() ** 2 / (rows["weight"] ** 2).sum())
