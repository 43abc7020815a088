"""Claim: intervals of estimates cover the exact value as often as they say.

Fraction of seeds whose 95 % interval holds the exact NC1 of the same rows, for all estimators, on small data sets: two Gaussian
classes, balanced and 10:1. Nothing is timed. With 2,000 seeds one standard deviation of a fraction is 0.5 %, with 300 of
deep features (depth 3, biased) 1.3 %.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

import nc1fast as nc
from bench._session import Claim, Result

if TYPE_CHECKING:
    from bench._session import Session

SEEDS, SEEDS_DEEP = 2000, 300
SIZES = ((110, 110), (200, 20))
FEATURES = (2, 8, 128)
KERNELS: tuple[nc.NNGP | nc.NTK, ...] = (
    nc.NNGP("relu"),
    nc.NTK("relu"),
    nc.NNGP("erf"),
    nc.NTK("erf"),
)
FEATURES_DEEP = (8, 128)
KERNELS_DEEP: tuple[nc.NNGP | nc.NTK, ...] = (nc.NNGP("relu", 3), nc.NTK("relu", 3))
UNITS = {"features": 1024, "deep features": 4096}
CELLS = {  # method: kernels, numbers of features, seeds, least and largest coverage
    "features": (KERNELS, FEATURES, SEEDS, 0.93, 0.97),
    "pairs": (KERNELS, FEATURES, SEEDS, 0.93, 0.97),
    "deep features": (KERNELS_DEEP, FEATURES_DEEP, SEEDS_DEEP, 0.90, 0.99),
}


def run(session: Session) -> Result:
    """Count the intervals that cover, cell by cell."""
    result = Result("coverage")
    for method, (kernels, features, seeds, low, high) in CELLS.items():
        fractions = []
        for kernel, n_features, sizes in itertools.product(kernels, features, SIZES):
            fraction, width = coverage(
                method, kernel, n_features, sizes, range(20 if session.quick else seeds)
            )
            fractions.append(fraction)
            result.rows.append(
                {
                    "method": method,
                    "kernel": f"{type(kernel).__name__} {kernel.activation}",
                    "d": n_features,
                    "sizes": ":".join(map(str, sizes)),
                    "covered": fraction,
                    "half width, relative": width,
                }
            )
        result.claims += [
            Claim(f"least coverage, {method}", min(fractions), ">=", low),
            Claim(f"largest coverage, {method}", max(fractions), "<=", high),
        ]
    return result


def coverage(
    method: str, kernel: nc.NNGP | nc.NTK, n_features: int, sizes: tuple[int, ...], seeds: range
) -> tuple[float, float]:
    """Fraction of the intervals that hold the exact value, and their mean half width relative to it."""
    X, y = nc.datasets.gaussian_mixture(
        means=(-2, 2), stds=0.5, sizes=sizes, n_features=n_features, seed=0
    )
    exact = nc.collapse(X, y, kernel, convention="papyan").nc1
    hits, widths = 0, []
    for seed in seeds:
        if "features" in method:
            estimate = nc.estimators.features(
                X,
                y,
                kernel,
                n_units=UNITS[method],
                seed=seed,
                convention="papyan",
            )
        else:
            estimate = nc.estimators.pairs(
                X, y, kernel, n_pairs=1500, seed=seed, convention="papyan"
            )
        assert estimate.interval is not None
        low, high = estimate.interval
        hits += low <= exact <= high
        widths.append((high - low) / 2 / exact)
    return hits / len(seeds), float(np.mean(widths))
