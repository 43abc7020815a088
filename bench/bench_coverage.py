"""Claim: intervals of estimates cover the exact value as often as they say, or are refused; and
`auto` is never much later than exact.

Fraction of seeds whose 95 % interval holds the exact NC1 of the same rows, for all estimators.

1. Small data sets of two Gaussian classes, balanced and 10:1: with 2,000 seeds one standard
   deviation of a fraction is 0.5 %, with 300 of deep features (depth 3, biased) 1.3 %.
2. Rows of which a few hold most of NC1 (`bench._tails`), 300 seeds, within the tolerance 0.1 and
   from samples of a size.
3. `auto` with the tolerance 0.05 on such rows: seconds over those of the exact pass, interleaved;
   larger data sets.
"""

from __future__ import annotations

import itertools
import statistics
import time
from typing import TYPE_CHECKING, Any

import nc1fast as nc
from bench._session import Claim, Result
from bench._tails import FAMILIES

if TYPE_CHECKING:
    from bench._session import Session
    from nc1fast.metrics import Collapse

SEEDS, SEEDS_FEW = 2000, 300
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
CELLS: dict[str, tuple[Any, ...]] = {  # kernels, features, seeds, least and largest coverage, size
    "features": (KERNELS, FEATURES, SEEDS, 0.93, 0.97, {"n_units": 1024}),
    "pairs": (KERNELS, FEATURES, SEEDS, 0.93, 0.97, {"n_pairs": 1500}),
    "deep features": (KERNELS_DEEP, FEATURES_DEEP, SEEDS_FEW, 0.90, 0.99, {"n_units": 4096}),
}
LOW, HIGH = 0.92, 0.98  # of the second part
TAILS: tuple[tuple[str, nc.NNGP | nc.NTK, int, dict[str, Any]], ...] = (
    ("pairs", nc.NTK("relu"), 2000, {"n_pairs": 6000}),
    ("pairs", nc.NTK("relu"), 2000, {"tolerance": 0.1}),
    ("pairs", nc.NNGP("erf"), 2000, {"n_pairs": 6000}),
    ("features", nc.NNGP("relu"), 500, {"n_units": 1024}),
    ("features", nc.NTK("relu"), 500, {"tolerance": 0.1}),
)
AUTO, LATER, ROUNDS = (5_000, 40_000), 1.2, 3


def run(session: Session) -> Result:
    """Count the intervals that cover, cell by cell, and time `auto`."""
    result = Result("coverage")
    for method, (kernels, features, seeds, low, high, size) in CELLS.items():
        fractions = []
        for kernel, n_features, sizes in itertools.product(kernels, features, SIZES):
            X, y = nc.datasets.gaussian_mixture(
                means=(-2, 2), stds=0.5, sizes=sizes, n_features=n_features, seed=0
            )
            named = f"Gaussian, d = {n_features}, {':'.join(map(str, sizes))}"
            some = range(20 if session.quick else seeds)
            row = coverage(named, (X, y), kernel, method.split()[-1], some, size)
            result.rows.append(row | {"method": method})
            fractions.append(row["covered"] / (row["seeds"] - row["refused"]))
        result.claims += [
            Claim(f"least coverage, {method}", min(fractions), ">=", low),
            Claim(f"largest coverage, {method}", max(fractions), "<=", high),
        ]
    for (family, make), (method, kernel, n, settings) in itertools.product(FAMILIES.items(), TAILS):
        seeds = range(20 if session.quick else SEEDS_FEW)
        X, y = make(n)
        row = coverage(family, (X, y), kernel, method, seeds, settings)
        result.rows.append(row)
        if row["refused"] < row["seeds"]:
            covered = row["covered"] / (row["seeds"] - row["refused"])
            case = f"{family}, {method}, {_name(kernel)}, {row['by']}"
            result.claims += [
                Claim(f"coverage, {case}", covered, ">=", LOW),
                Claim(f"coverage, {case}", covered, "<=", HIGH),
            ]
    result.claims.append(Claim("auto over exact, seconds", _auto(session, result), "<=", LATER))
    return result


def _name(kernel: nc.NNGP | nc.NTK) -> str:
    return f"{type(kernel).__name__} {kernel.activation}"


def coverage(
    family: str,
    data: tuple[Any, Any],
    kernel: nc.NNGP | nc.NTK,
    method: str,
    seeds: range,
    settings: dict[str, Any],
) -> dict[str, Any]:
    """A row: the intervals that cover the exact value, those refused, and the median relative half
    width.
    """
    X, y = data
    exact = nc.collapse(X, y, kernel, convention="papyan")
    estimate = getattr(nc.estimators, method)
    hits, refused, widths = 0, 0, []
    for seed in seeds:
        try:
            found: Collapse = estimate(X, y, kernel, seed=seed, convention="papyan", **settings)
        except ValueError as error:
            if "no interval" not in str(error):
                raise
            refused += 1
            continue
        assert found.interval is not None
        low, high = found.interval
        slack = exact.error_bound
        hits += low - slack <= exact.nc1 <= high + slack
        widths.append((high - low) / 2 / exact.nc1)
    return {
        "family": family,
        "N": len(y),
        "method": method,
        "kernel": _name(kernel),
        "by": ", ".join(f"{name} {value:,}" for name, value in settings.items()),
        "covered": hits,
        "seeds": len(seeds),
        "refused": refused,
        "half width, relative": statistics.median(widths) if widths else None,
        "seconds over exact": None,
    }


def _auto(session: Session, result: Result) -> float:
    """Largest median of the seconds of `auto` over those of the exact method."""
    slowest = 0.0
    kernel = nc.NTK("relu")
    for (family, make), n in itertools.product(FAMILIES.items(), AUTO):
        X, y = make(session.size(n))
        settings: dict[str, Any] = {"convention": "papyan", "n_threads": session.n_threads}
        ratios = []
        for seed in range(session.rounds(ROUNDS)):
            exact, base = _timed(X, y, kernel, **settings)
            auto, took = _timed(X, y, kernel, method="auto", tolerance=0.05, seed=seed, **settings)
            ratios.append(took / base)
        low, high = auto.interval or (auto.nc1, auto.nc1)
        slack = exact.error_bound
        result.rows.append(
            {
                "family": family,
                "N": len(y),
                "method": f"auto: {auto.method}",
                "kernel": _name(kernel),
                "by": "tolerance 0.05",
                "covered": int(low - slack <= exact.nc1 <= high + slack),
                "seeds": 1,
                "refused": 0,
                "half width, relative": (high - low) / 2 / exact.nc1,
                "seconds over exact": statistics.median(ratios),
            }
        )
        slowest = max(slowest, statistics.median(ratios))
    return slowest


def _timed(*arguments: Any, **settings: Any) -> tuple[Collapse, float]:
    start = time.perf_counter()
    found: Collapse = nc.collapse(*arguments, **settings)
    return found, time.perf_counter() - start
