"""The kernel alone: values to bin codes and counts, against numpy's own way, over numbers of bins and of buckets.

usage: python bench/kernel.py [MILLIONS]
"""

import sys

import numpy as np
from pairs import pairs

from exporter.profile.binning import Binner, count_cells


def main(millions: int) -> None:
    """Print ours beside `searchsorted` and `bincount`."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=1_000_000)
    heavy = rng.lognormal(0, 3, size=1_000_000)
    print(f"{millions} million values{'ours':>34} {'numpy':>10}")
    for bins in (10, 20, 50, 100, 1_000):
        _compare(f"normal, {bins} bins", values, bins, millions)
    _compare("lognormal (heavy tail), 100 bins", heavy, 100, millions)
    codes = Binner(_edges(values, 100)).codes(values)
    for buckets in (1, 168, 10_080):
        group = np.sort(rng.integers(0, buckets, len(values)))
        groups = group if buckets > 1 else None

        def ours(groups: object = groups, buckets: int = buckets) -> None:
            for _ in range(millions):
                count_cells(codes, 102, groups, buckets, None)  # type: ignore[arg-type]  # None or codes

        def floor() -> None:
            for _ in range(millions):
                np.bincount(codes, minlength=102)

        pairs(f"counting into {buckets} buckets, against one", ours, floor, 3)


def _edges(values: np.ndarray, bins: int) -> np.ndarray:
    return np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)))


def _compare(name: str, values: np.ndarray, bins: int, millions: int) -> None:
    edges = _edges(values, bins)
    binner = Binner(edges)

    def ours() -> None:
        for _ in range(millions):
            binner.codes(values)

    def plain() -> None:
        for _ in range(millions):
            np.searchsorted(edges, values, side="right")

    pairs(name, ours, plain, 3)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
