"""What the library says of a problem, beside the truth."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from flint import arb, ctx

import nc1fast as nc
from nc1fast._errors import trace_errors
from nc1fast.metrics import centred, class_gram, weights, within_by_class
from tests import balls

if TYPE_CHECKING:
    from tests.adversary.problems import Problem

REFUSALS = {  # what a ValueError may say, and what it is about
    "range": r"out of range",
    "zero rows": r"zero rows",
    "no spread": r"trace_within and trace_between are both zero|identical|coincide|both",
    "spreads too far": r"spreads too far|too many nodes",
    "no shortcut": r"no shortcut",
}


@dataclass
class Verdict:
    """One problem: what was found, in a form that goes into a table."""

    status: str  # ok, violation, infinite, refused, undecided, crash
    what: str = ""  # of a violation the field, of a refusal the reason
    nc1: float = math.nan
    truth: float = math.nan
    error: float = math.nan
    bound: float = math.nan
    within_ratio: float = math.nan  # error over bound of trace_within
    between_ratio: float = math.nan
    sums_ratio: float = math.nan  # the largest of class sums
    gram_ratio: float = math.nan  # of kernel(X), over what the docstring promises
    bits: int = 0

    @property
    def ratio(self) -> float:
        """Error over bound; 0 where there is no error."""
        return _quotient(self.error, self.bound)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio}


def _quotient(error: float, bound: float) -> float:
    if math.isnan(error) or math.isnan(bound):
        return math.inf
    if error == 0 or bound == math.inf:
        return 0.0
    return error / bound if bound > 0 else math.inf


def _error(value: float, truth: arb) -> float:
    """Upper bound on |value - truth|, rounded to a float."""
    if not math.isfinite(value):
        return math.inf
    return float(abs(arb(value) - truth).upper())


def collapse(problem: Problem, X: np.ndarray, y: np.ndarray) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nc.AccuracyWarning)
        return nc.collapse(
            *(X, y, problem.kernel_object()),
            convention=problem.convention,
            dtype=problem.dtype,
            method=problem.method,
            statistics="sums",
            n_threads=1,
        )


def trace_bounds(result: Any) -> tuple[float, float]:
    """Absolute bounds on the errors of trace_within and trace_between."""
    sums = result.sums
    w, M = weights(result.convention, sums.sizes), class_gram(sums)
    return trace_errors(sums, within_by_class(sums), M, centred(M, w.mean), w)


def _refusal(problem: Problem, error: Exception, X: np.ndarray, y: np.ndarray) -> Verdict:
    if not isinstance(error, ValueError):
        return Verdict("crash", f"{type(error).__name__}: {error}")
    reasons = [name for name, pattern in REFUSALS.items() if re.search(pattern, str(error))]
    if not reasons:
        return Verdict("crash", str(error))
    return Verdict("refused", reasons[0])


def judge(problem: Problem, *, gram: bool = False) -> Verdict:
    """The verdict on one problem.

    Parameters
    ----------
    gram : bool
        Whether kernel(X) is looked at as well.
    """
    X, y = problem.data()
    try:
        result = collapse(problem, X, y)
    except Exception as error:  # noqa: BLE001
        return _refusal(problem, error, X, y)
    kernel = problem.kernel_object()
    truth = balls.judge(kernel, X, y, problem.convention)
    before, ctx.prec = ctx.prec, truth.bits + 64
    try:
        verdict = _compare(result, truth)
        if gram and isinstance(kernel, nc.kernels.Kernel):
            verdict.gram_ratio = _gram_ratio(problem, kernel, X, truth)
        return verdict
    finally:
        ctx.prec = before


def _compare(result: Any, truth: balls.Truth) -> Verdict:
    out = Verdict("ok", nc1=result.nc1, bound=result.error_bound, bits=truth.bits)
    if math.isnan(result.nc1) or math.isnan(result.error_bound):
        out.status, out.what = "violation", "nan"
        return out
    if not truth.decided:
        out.status = "undecided"
        return out
    d_within, d_between = trace_bounds(result)
    out.within_ratio = _quotient(_error(result.trace_within, truth.trace_within), d_within)
    out.between_ratio = _quotient(_error(result.trace_between, truth.trace_between), d_between)
    out.sums_ratio = _sums_ratio(result.sums, truth.sums)
    if truth.nc1 is None:
        out.truth, out.error = math.inf, math.inf if math.isfinite(result.error_bound) else 0.0
    else:
        out.truth, out.error = float(truth.nc1.mid()), _error(result.nc1, truth.nc1)
    ratios = {
        "nc1": out.ratio,
        "trace_within": out.within_ratio,
        "trace_between": out.between_ratio,
    }
    broken = [name for name, ratio in ratios.items() if not ratio <= 1]
    if broken:
        out.status, out.what = "violation", ", ".join(broken)
    elif out.bound == math.inf:
        out.status = "infinite"
    return out


def _sums_ratio(sums: Any, truth: balls.Sums) -> float:
    """The largest error over bound among block sums, traces and within."""
    worst = 0.0
    for name in ("traces", "within", "block_sums"):
        found, bounds = getattr(sums, name).ravel(), getattr(sums.error, name).ravel()
        exact = getattr(truth, name)
        flat = [v for row in exact for v in row] if name == "block_sums" else exact
        for value, bound, true in zip(found, bounds, flat, strict=True):
            worst = max(worst, _quotient(_error(float(value), true), float(bound)))
    return worst


def _gram_ratio(problem: Problem, kernel: Any, X: np.ndarray, truth: balls.Truth) -> float:
    """Largest error of kernel(X) over (d0 + 20) u sqrt(k_ii k_jj), as its docstring promises."""
    dtype = "float32" if problem.dtype == "float32" else "float64"
    u = 2.0**-24 if dtype == "float32" else 2.0**-53
    K, exact = kernel(X, dtype=dtype, n_threads=1), truth.features.gram
    worst = 0.0
    for i in range(len(X)):
        for j in range(i, len(X)):
            scale = float((exact[i][i] * exact[j][j]).sqrt())
            error = _error(float(K[i, j]), exact[i][j])
            worst = max(worst, _quotient(error, (X.shape[1] + 20) * u * scale))
    return worst
