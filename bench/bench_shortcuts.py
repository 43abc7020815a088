"""Claim: kernels of one or two features have shortcuts that take seconds for a million rows, and
change no digit.

``nc.collapse(X, y, kernel, method="shortcut", convention="papyan")``, with all statistics and with
the sums alone, for N = 1,000,000 rows of Gaussian classes of standard deviation 0.4, their means on
a line from -2 to 1.5 or on half a circle of radius 2, and for the published data D1 of one feature.
Before anything is timed, the answer for 5,000 rows is compared with the pass over all pairs: every
field relative to its largest entry, those of NC2, which may be 0, to 1. But for nc1_pinv: with ten
classes Sigma_B is singular to ten digits, and no method has more than the rounding of its entries
leaves.
"""

from __future__ import annotations

import functools
import itertools
import time
from typing import TYPE_CHECKING, Any

import numpy as np

import nc1fast as nc
from bench._session import Claim, Result
from bench._timing import repeat

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench._session import Session

ROWS, CHECKED = 1_000_000, 5_000
SECONDS, DISAGREEMENT = 2.0, 1e-11
SPREAD = 0.4
SWEPT = (nc.NNGP("relu"), nc.NTK("relu"), nc.NTK("leaky_relu"), nc.NNGP("abs"))
SMOOTH = (nc.NNGP("erf"), nc.NTK("erf"), nc.NNGP("gelu"), nc.NTK("gelu"))
CASES = (
    *itertools.product((*SWEPT, *SMOOTH), (1, 2), (2, 10)),
    *itertools.product((nc.NNGP("relu2"),), (1, 2), (2, 10)),
    *itertools.product((nc.NTK("relu", bias_variance=0.1), nc.NTK("erf", 4)), (1,), (2, 10)),
)
FIELDS = (
    "nc1",
    "trace_within",
    "trace_between",
    "cdnv",
    "within_by_class",
    "nc1_by_class",
    "class_gram",
)
ABSOLUTE = ("nc2_equinorm", "nc2_equiangle", "nc2_etf")


def run(session: Session) -> Result:
    """Check, then time all cases."""
    result = Result("shortcuts")
    worst = 0.0
    published = [(kernel, 1, 0) for kernel in (*SWEPT[:2], *SMOOTH[:2])]
    for kernel, n_features, n_classes in (*CASES, *published):
        data = functools.partial(_data, n_features, n_classes)
        apart = disagreement(kernel, *data(session.size(CHECKED)))
        worst = max(worst, apart)
        if not apart <= DISAGREEMENT:
            raise AssertionError(f"{kernel!r}, d = {n_features}: a field is off by {apart:.1e}")
        X, y = data(session.size(ROWS))
        name = f"{type(kernel).__name__} {kernel.activation}"
        name += f" depth {kernel.depth}" * (kernel.depth > 2)
        name += " with bias" * any(kernel.bias_variances)
        row: dict[str, Any] = {
            "kernel": name,
            "N": len(X),
            "d": n_features,
            "classes": n_classes or "D1",
            "off": apart,
        }
        for statistics, label in (("all", "seconds"), ("sums", "sums alone")):
            timer = functools.partial(_seconds, session, kernel, X, y, statistics)
            processor = time.process_time()
            samples = repeat(timer, session.rounds(2))
            processor = (time.process_time() - processor) / len(samples.values)
            row |= {label: samples.median, f"{label}, best": min(samples.values)}
            row[f"{label}, processor"] = processor
        result.rows.append(row)
        case = f"{name}, d = {n_features}, classes: {n_classes or 'D1'}"
        result.claims.append(Claim(f"seconds, {case}", row["seconds"], "<=", SECONDS))
    result.claims.append(Claim("largest disagreement of a field", worst, "<=", DISAGREEMENT))
    result.remarks.append(
        "processor: seconds of all threads of a call; half of them is what two idle cores need at "
        "least"
    )
    return result


def _data(
    n_features: int, n_classes: int, n_samples: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Rows and labels in random order; no classes: those of the published data."""
    if n_classes == 0:
        X, y = nc.datasets.paper_d1(n_samples, n_features, seed=0)
        return X, np.asarray(y)
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(n_samples) % n_classes)
    angle = np.pi * np.arange(n_classes) / n_classes  # opposite means are one to abs
    circle = 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    means = circle if n_features == 2 else np.linspace(-2, 1.5, n_classes)[:, None]
    return means[y] + SPREAD * rng.normal(size=(n_samples, n_features)), y


def disagreement(kernel: Any, X: NDArray[np.float64], y: NDArray[np.int64]) -> float:
    """Largest difference of a field from the pass over all pairs."""
    quick, exact = (
        nc.collapse(X, y, kernel, method=method, convention="papyan")
        for method in ("shortcut", "exact")
    )
    worst = 0.0
    for name in (*FIELDS, *ABSOLUTE):
        a, b = (np.asarray(getattr(result, name)) for result in (quick, exact))
        scale = 1.0 if name in ABSOLUTE else float(np.abs(b).max())
        worst = max(worst, float(np.abs(a - b).max()) / scale)
    return worst


def _seconds(
    session: Session, kernel: Any, X: NDArray[np.float64], y: NDArray[np.int64], statistics: str
) -> float:
    start = time.perf_counter()
    nc.collapse(
        X,
        y,
        kernel,
        method="shortcut",
        convention="papyan",
        statistics=statistics,
        n_threads=session.n_threads,
    )
    return time.perf_counter() - start
