"""Which numeric features of a reference keep second moments, on which scale, and how these vary by chance."""

from collections.abc import Iterable

import numpy as np

from exporter.baseline import Baseline, CategoryFeature, MomentFeature, Moments, NumericFeature
from exporter.measures.multivariate import moments_of
from exporter.profile.batch import Predictions
from exporter.profile.cells import as_numbers
from exporter.profile.columns import Floats
from exporter.profile.layout import Profile
from exporter.profile.moments import STEPS, MomentSums, products
from exporter.stats import multivariate
from exporter.stats.performance import LOST_VARIANCE

MOST = 50  # features: 1,325 numbers in each bucket, as many as 13 features' bins; and see PIECE in profile/moments.py
_OUTER = 0.01  # share of the reference beyond either end, where numbers are cut off


def moments_features(features: Iterable[NumericFeature | CategoryFeature], batch: Predictions) -> Moments | None:
    """The first MOST numeric features that vary in the reference; None with fewer than two."""
    found = [
        scored
        for feature in features
        if isinstance(feature, NumericFeature) and (scored := _scored(feature.name, batch)) is not None
    ]
    if len(found) < 2:
        return None
    left_out = tuple(feature.name for feature in found[MOST:])
    return Moments(features=tuple(found[:MOST]), left_out=left_out)


def told(baseline: Baseline) -> str | None:
    """A line for a person on the features that are left out; None when none is."""
    moments = baseline.moments
    if moments is None or not moments.left_out:
        return None
    kept, all_of = len(moments.features), len(moments.features) + len(moments.left_out)
    first, last = moments.left_out[0], moments.left_out[-1]
    return (
        f"{baseline.model}: multivariate drift and changes of correlation look at {kept} of {all_of} numeric features; "
        f"{first} to {last} are left out"
    )


def _scored(name: str, batch: Predictions) -> MomentFeature | None:
    """The scale of a feature, from its middle 98 %, or from all of it where these are one value; None where it is."""
    values = as_numbers(batch.features[name]).or_nan()
    known = np.isfinite(values)
    kept, weight = values[known], None if batch.weight is None else batch.weight[known]
    if not kept.size:
        return None
    middle = np.quantile(kept, (_OUTER, 1 - _OUTER), weights=weight, method="inverted_cdf")
    for low, high in (middle.tolist(), (float(kept.min()), float(kept.max()))):
        with np.errstate(over="ignore", divide="ignore"):
            step = (np.float64(high) - low) / STEPS
            usable = 0 < step < np.inf and np.isfinite(1 / step)
        if usable:
            centre = float(np.clip(np.average(np.clip(kept, low, high), weights=weight), low, high))
            return MomentFeature(name=name, low=low, high=high, centre=centre, step=float(step))
    return None


def with_spreads(moments: Moments, profile: Profile, batch: Predictions) -> Moments:
    """`moments` with how correlations and reconstruction errors vary in the reference `batch`, counted in `profile`."""
    reference = moments_of(profile)
    usual = multivariate.standard_moments(reference, reference)
    usual = np.where(np.isfinite(usual), usual, 0.0)
    lost = np.eye(len(usual)) - _projection(usual)
    fourth, third, errors = np.zeros_like(usual), np.zeros_like(usual), np.zeros(3)
    for z, weight in _standardised(moments, reference, batch):
        square_of = z**2
        fourth += products(square_of * weight, square_of)
        third += products(square_of * z * weight, z)
        error = ((lost @ z) ** 2).sum(axis=0)
        errors += [weight.sum(), (weight * error).sum(), (weight * error**2).sum()]
    held = np.where(reference.pairs > 0, reference.pairs, np.inf)
    r = np.where(np.isfinite(known := multivariate.correlation(reference)), known, 0.0)
    spread = multivariate.correlation_spread(r, fourth / held, third / held)
    rounded = [float(f"{value:.4g}") for value in spread[np.triu_indices(len(spread))].tolist()]
    return moments.model_copy(
        update={"spread": tuple(rounded), "error_variance": _relative_variance(errors, len(usual))}
    )


def _projection(usual: Floats) -> Floats:
    components = multivariate.principal_components(usual)
    result: Floats = components @ components.T
    return result


def _standardised(
    moments: Moments, reference: multivariate.Moments, batch: Predictions
) -> Iterable[tuple[Floats, Floats]]:
    """Scores over the reference's deviations, 0 for what is missing or does not vary, and weights; block by block."""
    mean, deviation = reference.places
    varies = np.isfinite(deviation)
    unit = np.where(varies, deviation, 1.0)[:, None]
    middle = np.where(varies, mean, 0.0)[:, None]
    for rows, block in MomentSums(moments.features).blocks(batch):
        z = np.where(varies[:, None], (block.scores - middle) / unit, 0.0)
        yield z if block.gaps is None else np.where(block.gaps > 0, 0.0, z), batch.weights[rows]


def _relative_variance(errors: Floats, features: int) -> float | None:
    """Of sums of weight, errors and their squares, variance over squared mean.

    None where errors are but rounding, as rows have `features` for squared length.
    """
    weight, total, squares = errors.tolist()
    return max(0.0, squares * weight / total**2 - 1) if total > LOST_VARIANCE * weight * features else None
