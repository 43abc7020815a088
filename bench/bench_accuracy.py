"""Claim: the digits are right where features are collapsed, at the speed of the same table row.

Relative error of NC1 against a reference in extended precision, for within-class standard
deviations 1e-1 ... 1e-5; the rows are the same float32 numbers for all. Seconds are of a larger
problem with the largest deviation.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bench._problem import Problem
from bench._session import Claim, Result
from bench._timing import repeat
from bench._worker import Worker
from bench.competitors import UnavailableError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench._problem import Floats
    from bench._session import Session

SPREADS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
KERNELS = ("nngp-relu", "ntk-relu")
SMALL: dict[str, Any] = {"n_samples": 512, "n_features": 32, "n_classes": 4, "seed": 3}
LARGE = 4096  # N of the seconds

# name -> (contestant, precision of the rows, options)
CONTESTANTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "nc1fast float64": ("nc1fast", "float64", {"dtype": "float64"}),
    "nc1fast mixed": ("nc1fast", "float64", {"dtype": "mixed"}),
    "nc1fast float32": ("nc1fast", "float32", {"dtype": "float32"}),
    "torch-tiled float64": ("torch-tiled", "float64", {}),
    "torch-tiled float32": ("torch-tiled", "float32", {}),
    "released (float32)": ("released", "float32", {}),
}
# Largest relative error of NC1, and the NC1 down to which it is promised.
TARGETS = {
    "nc1fast float64": (1e-12, 0.0),
    "nc1fast mixed": (1e-6, 0.0),
    "nc1fast float32": (1e-3, 1e-9),
}


def run(session: Session) -> Result:
    """Measure every contestant on every spread."""
    result = Result("accuracy")
    problems = [Problem(**SMALL, dtype="float64", spread=spread) for spread in SPREADS]
    for kernel in KERNELS:
        exact = [reference_nc1(*problem.data(), kernel) for problem in problems]
        for name, (contestant, dtype, options) in CONTESTANTS.items():
            with Worker(session.n_threads, competitor=contestant != "nc1fast") as worker:
                kernel_option: dict[str, Any] = (
                    {"kernels": [kernel]} if contestant == "nc1fast" else {"kernel": kernel}
                )
                fixed = {"tile": 256} if contestant == "torch-tiled" else {}
                try:
                    errors = []
                    for k, spread in enumerate(SPREADS):
                        problem = Problem(**SMALL, dtype=dtype, spread=spread)
                        worker.prepare(
                            f"{k}", contestant, problem, **kernel_option, **options, **fixed
                        )
                        nc1 = worker.run(f"{k}")[1].nc1
                        errors.append(abs(nc1 / exact[k] - 1))
                    large = Problem(session.size(LARGE), 128, dtype=dtype, spread=SPREADS[0])
                    searched = fixed if session.quick else {}
                    worker.prepare(
                        "large", contestant, large, **kernel_option, **options, **searched
                    )
                except UnavailableError as reason:
                    result.remarks.append(f"{name} skipped: {reason}")
                    continue
                worker.run("large")
                rounds = session.rounds(5 if contestant != "released" else 1)
                seconds = repeat(worker.timer("large"), rounds)
            row: dict[str, Any] = {
                "kernel": kernel,
                "program": name,
                f"s, N = {large.n_samples}": seconds.median,
            }
            for spread, value, error in zip(SPREADS, exact, errors, strict=True):
                row[f"sd {spread:.0e}"] = f"{error:.0e}"
                result.details.setdefault(f"{kernel} nc1", {})[f"{spread:g}"] = value
            result.rows.append(row)
            if name in TARGETS:
                target, floor = TARGETS[name]
                worst = max(e for e, value in zip(errors, exact, strict=True) if value >= floor)
                result.claims.append(
                    Claim(f"relative error of nc1, {kernel}, {name}", worst, "<=", target)
                )
    values = result.details.get("nngp-relu nc1", {}).values()
    result.remarks.append("nc1 of nngp-relu: " + ", ".join(f"{value:.1e}" for value in values))
    return result


def reference_nc1(X: Floats, y: NDArray[np.int64], kernel: str) -> float:
    """NC1 (papyan) of a two-layer ReLU kernel from pairwise differences, in extended precision.

    Parameters
    ----------
    X : ndarray, shape (N, d)
    y : ndarray, shape (N,)
    kernel : {"nngp-relu", "ntk-relu"}

    Notes
    -----
    D2_ij = k_ii + k_jj - 2 k_ij without cancellation: with dn = <x-y, x+y>/(|x|+|y|), P = |x||y|/d
        and
    theta = 2 atan2(|x^ - y^|, |x^ + y^|),  D2 = dn^2/(2 d) + P [(pi - theta) 2 sin^2(theta/2) +
        theta - sin theta]/pi,
    and for the NTK  + |x - y|^2/(2 d) + P theta cos(theta)/pi.   V_c = mean D2/2 over i, j in c.
    """
    rows = X.astype(np.longdouble)
    n_features = rows.shape[1]
    norms = np.sqrt(np.sum(rows * rows, axis=1))
    units = rows / norms[:, None]
    labels = np.unique(y)
    pi = np.arctan2(np.longdouble(0), np.longdouble(-1))
    factor = 2 if kernel == "ntk-relu" else 1
    sums = np.zeros((len(labels), len(labels)), np.longdouble)
    within = np.zeros(len(labels), np.longdouble)
    for i in range(len(rows)):
        minus, plus = units - units[i], units + units[i]
        theta = 2 * np.arctan2(np.sqrt(np.sum(minus**2, axis=1)), np.sqrt(np.sum(plus**2, axis=1)))
        product = norms * norms[i] / n_features
        values = product * (np.sin(theta) + factor * (pi - theta) * np.cos(theta)) / (2 * pi)
        a = int(np.searchsorted(labels, y[i]))
        for b, label in enumerate(labels):
            sums[a, b] += values[y == label].sum()
        same = y == y[i]
        theta, product, difference = theta[same], product[same], rows[same] - rows[i]
        dn = np.sum(difference * (rows[same] + rows[i]), axis=1) / (norms[same] + norms[i])
        angular = (pi - theta) * 2 * np.sin(theta / 2) ** 2 + _minus_sine(theta)
        distance = dn**2 / (2 * n_features) + product * angular / pi
        if kernel == "ntk-relu":
            distance += np.sum(difference**2, axis=1) / (2 * n_features)
            distance += product * theta * np.cos(theta) / pi
        within[a] += distance.sum() / 2
    sizes = np.bincount(np.searchsorted(labels, y)).astype(np.longdouble)
    means = sums / np.outer(sizes, sizes)
    trace_within = np.sum(within / sizes) / len(rows)  # sum p_c V_c, V_c = within_c / n_c^2
    trace_between = np.mean(np.diag(means)) - means.mean()
    return float(trace_within / trace_between)


def _minus_sine(theta: Floats) -> Floats:
    """Evaluate theta - sin(theta) without cancellation: its series below 1, 12 terms, error 1e-25
    relative.
    """
    series = np.zeros_like(theta)
    for k in range(12, 0, -1):
        term = np.longdouble((-1) ** (k + 1)) / math.factorial(2 * k + 1)
        series = series * theta**2 + term
    small: Floats = np.where(theta < 1, series * theta**3, theta - np.sin(theta))
    return small
