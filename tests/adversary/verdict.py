"""What the library says of a problem, beside the truth."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from flint import arb, ctx
from tests import ball_sums, balls

import nc1fast as nc
from nc1fast.kernels import Composite
from nc1fast.metrics import ratio, weights, within_by_class
from nc1fast.metrics.frames import MeanFrame

if TYPE_CHECKING:
    import numpy as np
    from tests.adversary.problems import Problem

# What a refusal may say, by its reason.
REFUSALS = {
    "range": "out of range",
    "zero rows": "zero rows",
    "0/0": "trace_within and trace_between are both zero",
    "too many nodes": "needs too many nodes",
}
SINGLE = ("float32", "mixed")
FAILURES = ("violation", "unfounded", "crash")


@dataclass
class Verdict:
    """One problem, in a form that goes into a table.

    Attributes
    ----------
    status : str
        "ok"; "infinite", of a bound; "refused", with a reason that holds; "undecided", by the
        judge; or one of `FAILURES`: an error above its bound, a refusal whose reason does not hold,
        another exception.
    what : str
        The reason of a refusal, the fields of a violation, the message of a crash.
    within_ratio, between_ratio, sums_ratio : float
        Error over bound of the traces, and the largest of the class sums.
    gram_ratio : float
        Largest error of kernel(X) over (d0 + 20) u sqrt(k_ii k_jj), its documented accuracy.
    contrast : float
        True trace_between over the largest k_ii: what is lost where a bound is infinite.
    bits : int
        Of the judge.
    """

    status: str
    what: str = ""
    nc1: float = math.nan
    truth: float = math.nan
    error: float = math.nan
    bound: float = math.nan
    ratio: float = math.nan
    within_ratio: float = math.nan
    between_ratio: float = math.nan
    sums_ratio: float = math.nan
    gram_ratio: float = math.nan
    contrast: float = math.nan
    bits: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def worst(self) -> float:
        """The largest error over bound of nc1, its traces and the class sums."""
        known = (self.ratio, self.within_ratio, self.between_ratio, self.sums_ratio)
        return max((ratio for ratio in known if not math.isnan(ratio)), default=math.inf)

    def __str__(self) -> str:
        if self.status != "violation":
            return f"{self.status} ({self.what})"
        return (
            f"{self.status} ({self.what}): nc1 {self.nc1!r} +- {self.bound:.3g}, truth "
            f"{self.truth!r}; error over bound {self.ratio:.3g}, of trace_within "
            f"{self.within_ratio:.3g}, of trace_between {self.between_ratio:.3g}, of class sums "
            f"{self.sums_ratio:.3g}"
        )


def judge(problem: Problem, *, gram: bool = False, device: str = "cpu") -> Verdict:
    """The verdict on one problem; with `gram` kernel(X) is looked at as well."""
    X, y = problem.data()
    kernel = problem.kernel_object()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", nc.AccuracyWarning)
            result = nc.collapse(
                *(X, y, kernel),
                convention=problem.convention,
                dtype=problem.dtype,
                method=problem.method,
                statistics="sums",
                n_threads=1,
                device=device,
            )
    except ValueError as error:
        return _refusal(problem, kernel, X, y, str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is one
        return Verdict("crash", f"{type(error).__name__}: {error}")
    truth = ball_sums.judge(kernel, X, y, problem.convention)
    before, ctx.prec = ctx.prec, truth.bits + 64
    try:
        verdict = compare(result, truth)
        if gram and isinstance(kernel, nc.kernels.Kernel):
            verdict.gram_ratio = _gram_ratio(problem.dtype, kernel, X, truth)
        return verdict
    finally:
        ctx.prec = before


def _refusal(problem: Problem, kernel: Any, X: np.ndarray, y: np.ndarray, message: str) -> Verdict:
    """Whether the reason holds."""
    reason = next((name for name, pattern in REFUSALS.items() if pattern in message), "")
    if not reason:
        return Verdict("crash", message)
    if reason == "range":
        holds = _beyond_range(kernel, X, problem.dtype)
    elif reason == "zero rows":
        holds = not X.any(axis=1).all()
    elif reason == "0/0":
        holds = _lost_in_rounding(problem, kernel, X, y, message)
    else:
        holds = problem.method == "shortcut"
    return Verdict("refused" if holds else "unfounded", reason)


def _lost_in_rounding(
    problem: Problem, kernel: Any, X: np.ndarray, y: np.ndarray, message: str
) -> bool:
    """Whether both traces are zero within the bounds that the message states, where what was
    computed is within them of both.
    """
    truth = ball_sums.judge(kernel, X, y, problem.convention)
    bounds = [float(bound) for bound in re.findall(r"\+-([^ )]+)", message)]
    traces = truth.trace_within, truth.trace_between
    return len(bounds) == 2 and all(
        not abs(v) > 2.02 * b for v, b in zip(traces, bounds, strict=True)
    )


def _beyond_range(kernel: Any, X: np.ndarray, dtype: str) -> bool:
    """Whether k_ii, the variance of a layer or |x|^2 leaves the range that the tiles have."""
    if isinstance(kernel, Composite):
        if any(_beyond_range(part, X, dtype) for part in kernel.parts):
            return True
        K = balls.features(kernel, X).gram
        return any(not _inside(K[i][i], 1e20 if dtype in SINGLE else 1e100) for i in range(len(K)))
    k, variances, squares = balls.diagonals(kernel, X)
    reach, largest = (1e20, 2.0**124) if dtype in SINGLE else (1e100, 2.0**998)
    if not all(_inside(v, reach) for v in k):
        return True
    # What tiles multiply, row by row: variances, and E phi^2, which is of their size but for these
    # two.
    activation = getattr(kernel, "activation", "")
    grown = [v * v for v in variances] if activation == "relu2" else []
    grown += [(2 * v).exp() for v in variances] if activation == "exp" else []
    if getattr(kernel, "parametrization", "") == "standard":
        grown += [X.shape[1] * v for v in squares]  # Theta^0 = |x|^2 + 1
    if not all(_inside(v, largest) for v in [*variances, *grown]):
        return True
    if any(not v < 1e300 for v in squares):
        return True
    weight, bias = (1, 0) if isinstance(kernel, nc.AdaptiveKernel) else _first(kernel)
    return bias == 0 and any(not (v.is_zero() or v * min(1, weight) > 1e-290) for v in squares)


def _inside(value: arb, reach: float) -> bool:
    """Whether a number is zero or between 1/reach and reach."""
    return bool(value.is_zero() or (value < reach and value * reach > 1))


def _first(kernel: Any) -> tuple[float, float]:
    return kernel.weight_variances[0], kernel.bias_variances[0]


def quotient(error: float, bound: float) -> float:
    """Error over bound, 0 where either says that nothing is claimed or wrong."""
    if math.isnan(error) or math.isnan(bound):
        return math.inf
    if error == 0 or bound == math.inf:
        return 0.0
    return error / bound if bound > 0 else math.inf


def _error(value: float, truth: arb) -> float:
    """|value - truth|, or as much of it as is certain."""
    if not math.isfinite(value):
        return math.nan if math.isnan(value) else math.inf
    return float((arb(value) - truth).abs_lower())


def trace_bounds(result: Any) -> tuple[float, float]:
    """Absolute bounds on the errors of trace_within and trace_between."""
    sums = result.sums
    means = MeanFrame.of(sums, weights(result.convention, sums.sizes))
    return ratio.trace_bounds(sums, within_by_class(sums), means)


def compare(result: Any, truth: ball_sums.Truth) -> Verdict:
    out = Verdict("ok", nc1=result.nc1, bound=result.error_bound, bits=truth.bits)
    if not truth.decided:
        out.status = "undecided"
        return out
    if truth.nc1 is None:
        out.truth = out.error = math.inf
    else:
        out.truth, out.error = float(truth.nc1.mid()), _error(result.nc1, truth.nc1)
    d_within, d_between = trace_bounds(result)
    ratios = {
        "nc1": quotient(out.error, result.error_bound),
        "trace_within": quotient(_error(result.trace_within, truth.trace_within), d_within),
        "trace_between": quotient(_error(result.trace_between, truth.trace_between), d_between),
    }
    out.ratio, out.within_ratio, out.between_ratio = ratios.values()
    out.sums_ratio = sums_ratio(result.sums, truth.sums)
    largest = max(float(row[i]) for i, row in enumerate(truth.features.gram))
    out.contrast = float(truth.trace_between) / largest if largest > 0 else 0.0
    ratios["class sums"] = out.sums_ratio
    broken = [name for name, ratio in ratios.items() if not ratio <= 1]
    if broken:
        out.status, out.what = "violation", ", ".join(broken)
    elif out.bound == math.inf:
        out.status = "infinite"
    return out


def sums_ratio(sums: Any, truth: ball_sums.Sums) -> float:
    """The largest error over bound among block sums, traces and within."""
    worst = 0.0
    for name in ("traces", "within", "block_sums"):
        exact: Any = getattr(truth, name)
        if name == "block_sums":
            exact = [value for row in exact for value in row]
        found, bounds = getattr(sums, name).ravel(), getattr(sums.error, name).ravel()
        for value, bound, ball in zip(found, bounds, exact, strict=True):
            worst = max(worst, quotient(_error(float(value), ball), float(bound)))
    return worst


def _gram_ratio(dtype: str, kernel: Any, X: np.ndarray, truth: ball_sums.Truth) -> float:
    single = dtype == "float32"
    K = kernel(X, dtype="float32" if single else "float64", n_threads=1)
    promise = (X.shape[1] + 20) * 2.0 ** (-24 if single else -53)
    exact, worst = truth.features.gram, 0.0
    for i in range(len(X)):
        for j in range(i, len(X)):
            scale = float((exact[i][i] * exact[j][j]).sqrt())
            worst = max(worst, quotient(_error(float(K[i, j]), exact[i][j]), promise * scale))
    return worst
