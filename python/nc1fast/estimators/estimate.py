"""What every estimator ends in: class means and variances in feature space, and how far they may be off."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast import metrics
from nc1fast._linear import matmul
from nc1fast.sums import ClassSums, SumsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class Forms(NamedTuple):
    """The traces as linear forms of V and M, with P from `pooling`.

    Tr Sigma_W = within.V + norms.diag M,
    Tr Sigma_B = spread.diag M + sum_ab mixed_ab (P M P^T)_ab = sum_cc' between_cc' M_cc'.
    """

    within: Array  # (C,)
    norms: Array  # (C,)
    spread: Array  # (C,)
    mixed: Array  # (2, 2)
    between: Array  # (C, C)


def pooling(sizes: NDArray[np.int64]) -> Array:
    """The weights of classes that conventions are made of: 1/C and n_c/N, shape (2, C)."""
    return np.array([np.full(len(sizes), 1 / len(sizes)), sizes / sizes.sum()])


def forms(convention: str, sizes: NDArray[np.int64]) -> Forms:
    """The linear forms of a convention."""
    w = metrics.weights(convention, sizes)
    unit = {"u": np.array([1.0, 0.0]), "p": np.array([0.0, 1.0])}
    _, pooled, mean = (unit[letter] for letter in metrics.CONVENTIONS[convention])
    mixed = np.outer(mean, mean)
    norms = np.zeros(len(sizes))
    if convention == "released":
        norms, mixed = w.within - w.between, -mixed
    else:
        cross = np.outer(pooled, mean)
        mixed = mixed - cross - cross.T
    P = pooling(sizes)
    return Forms(
        w.within, norms, w.between, mixed, np.diag(w.between) + matmul(matmul(P.T, mixed), P)
    )


@dataclass(frozen=True, eq=False)
class Estimate:
    """Estimated V_c and M_cc' = <mu_c, mu_c'>, and the variance of any combination of the two traces.

    `variance(forms, ratio)` is the estimated variance of Tr Sigma_W - ratio Tr Sigma_B, and its degrees of freedom.

    Of the mean of `biased` groups, each of which is biased by its own finite size, the bias of nc1 is taken to be at most
    the square of the relative error of a single group, which is of the same order: 1/m. The interval is so much wider.
    """

    V: Array  # (C,)
    M: Array  # (C, C)
    sizes: NDArray[np.int64]
    labels: NDArray[Any]
    kernel: Any
    variance: Callable[[Forms, float], tuple[float, float]]
    method: str
    reason: str
    biased: int = 0

    def spread(self, convention: str, confidence: float) -> tuple[float, float, float]:
        """(nc1, its standard error, half the width of its interval), by the delta method and Student's t, and for the bias."""
        w = metrics.weights(convention, self.sizes)
        between = metrics.trace_between(self.M, w)
        if not between > 0:
            return math.inf, math.inf, math.inf
        nc1 = metrics.trace_within(self.V, self.M, w) / between
        variance, freedom = self.variance(forms(convention, self.sizes), nc1)
        error = math.sqrt(variance) / between
        half = error * student_quantile(confidence, freedom)
        if self.biased and nc1 > 0:
            half += self.biased * error**2 / nc1
        return nc1, error, half

    def collapse(self, convention: str | None, confidence: float) -> metrics.Collapse:
        """Every metric of the estimated sums; the interval is that of nc1."""
        n = self.sizes.astype(np.float64)
        zero = np.zeros(len(n))
        sums = ClassSums(
            np.outer(n, n) * self.M,
            n * (self.V + np.diag(self.M)),
            n * self.V,
            self.sizes,
            self.labels,
            SumsError(np.outer(zero, zero), zero, zero),
            self.kernel,
        )
        result = metrics.collapse_from_sums(sums, convention)
        nc1, error, half = self.spread(result.convention, confidence)
        return dataclasses.replace(
            result,
            error_bound=math.inf,
            method=self.method,
            reason=self.reason,
            standard_error=error,
            interval=(nc1 - half, nc1 + half),
            _again=lambda other: self.collapse(other, confidence),
        )


def student_quantile(confidence: float, freedom: float) -> float:
    """The t with P(|T| <= t) = confidence for Student's T; degrees of freedom are rounded down, beyond 1,000 it is normal.

    Notes
    -----
    Source: Abramowitz & Stegun (1972), 26.7.3 and 26.7.4, which are finite sums; by bisection.
    """
    if freedom >= 1000:
        return NormalDist().inv_cdf((1 + confidence) / 2)
    low, high = 0.0, math.pi / 2  # of atan(t/sqrt(freedom))
    whole = max(1, int(freedom))
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _central(middle, whole) < confidence else (low, middle)
    return math.sqrt(whole) * math.tan(low)


def _central(angle: float, freedom: int) -> float:
    """P(|T| <= sqrt(freedom) tan(angle))."""
    odd = freedom % 2
    cos2 = math.cos(angle) ** 2
    term = math.sin(angle) * (math.cos(angle) if odd else 1.0)
    total = 0.0
    for k in range(1 + odd, freedom, 2):
        total += term
        term *= cos2 * k / (k + 1)
    return 2 / math.pi * (angle + total) if odd else total
