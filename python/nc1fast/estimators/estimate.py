"""What every estimator ends in: class means and variances in feature space, and how far they may be off."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast import metrics
from nc1fast.core.linear import matmul
from nc1fast.sums.class_sums import ClassSums, SumsError

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


_NOT_TOLD = "Tr Sigma_B is not told from 0"
_TOO_SMALL = "values of the kernel are so small that their squares are lost"
_VAGUE = (
    1 / 3
)  # half the width of the interval of Tr Sigma_B, relative, from which there is none of nc1
_FEWEST = 20.0  # terms that an interval rests on, in effect


class RefusedError(ValueError):
    """There is no interval that could be believed, or it is not worth its time; `spent`: terms drawn so far."""

    def __init__(self, why: str, spent: int = 0) -> None:
        super().__init__(why)
        self.spent = spent


class Spread(NamedTuple):
    """nc1, its standard error, and its interval; or why there is none, in `doubt`.

    `short`: how many times as large a sample would do, where that is known.
    """

    nc1: float
    error: float
    low: float
    high: float
    doubt: str = ""
    short: float = 1.0

    @property
    def half(self) -> float:
        """The wider side of the interval; infinite where there is none."""
        return math.inf if self.doubt else max(self.high - self.nc1, self.nc1 - self.low)


@dataclass(frozen=True, eq=False)
class Estimate:
    """Estimated V_c and M_cc' = <mu_c, mu_c'>, and the variance of any combination of the two traces.

    `variance(forms, ratio)` is the estimated variance of Tr Sigma_W - ratio Tr Sigma_B, and its degrees of freedom;
    `terms` a number of equal terms that would have a variance as uncertain as that, `rounding` how far it may be off by rounding.

    Of the mean of `biased` groups, each of which is biased by its own finite size, the bias of nc1 is taken to be at most
    the square of the relative error of a single group, which is of the same order: 1/m. The interval is so much wider.
    """

    V: Array  # (C,)
    M: Array  # (C, C)
    sizes: NDArray[np.int64]
    labels: NDArray[Any]
    kernel: Any
    variance: Callable[[Forms, float], tuple[float, float]]
    terms: Callable[[Forms, float], float]
    rounding: Callable[[Forms, float], float]
    method: str
    reason: str
    biased: int = 0

    def between(self, convention: str) -> float:
        """Tr Sigma_B."""
        return metrics.trace_between(self.M, metrics.weights(convention, self.sizes))

    def nc1(self, convention: str) -> float:
        """Tr Sigma_W / Tr Sigma_B; 0 where that is not positive."""
        between = self.between(convention)
        if not between > 0:
            return 0.0
        w = metrics.weights(convention, self.sizes)
        return metrics.trace_within(self.V, self.M, w) / between

    def between_error(self, convention: str) -> float:
        """Standard error of Tr Sigma_B."""
        return math.sqrt(self._quadratic(convention, self.nc1(convention) or 1.0)[2])

    def _quadratic(self, convention: str, ratio: float) -> tuple[float, float, float]:
        """(v, s, b): the variance of Tr Sigma_W - (ratio + x) Tr Sigma_B is v + 2 s x + b x^2."""
        f = forms(convention, self.sizes)
        here, opposite, zero = (self.variance(f, r)[0] for r in (ratio, -ratio, 0.0))
        if ratio == 0:
            return here, 0.0, 0.0
        b = max((here + opposite) / 2 - zero, 0.0) / ratio**2
        return here, ratio * b + (here - opposite) / (4 * ratio), b

    def spread(self, convention: str, confidence: float) -> Spread:
        """The interval by Fieller's theorem and Student's t, wider by rounding and bias.

        The values x that (Tr Sigma_W - x Tr Sigma_B)^2 <= t^2 Var(Tr Sigma_W - x Tr Sigma_B) leaves. Traces are not negative,
        except for the convention "released".
        """
        between, nc1 = self.between(convention), self.nc1(convention)
        none = Spread(math.inf, math.inf, -math.inf, math.inf)
        if not (between > 0 and math.isfinite(between) and math.isfinite(nc1)):
            return none._replace(doubt=_NOT_TOLD)
        if between**2 < 2.0**-900:
            return none._replace(doubt=_TOO_SMALL)
        f = forms(convention, self.sizes)
        freedom, terms = self.variance(f, nc1)[1], self.terms(f, nc1)
        if terms < _FEWEST:
            return none._replace(
                doubt=f"their spread rests on too few of them, {terms:.2g} in effect",
                short=_FEWEST / terms if terms > 0 else math.inf,
            )
        t = student_quantile(confidence, freedom)
        v, s, b = self._quadratic(convention, nc1)
        error = math.sqrt(v) / between
        rest = 1 - t**2 * b / between**2
        if not rest > 1 - _VAGUE**2:
            return none._replace(doubt=_NOT_TOLD)
        middle = t**2 * s / between**2
        root = math.sqrt(middle**2 + rest * (t * error) ** 2)
        low, high = nc1 + (middle - root) / rest, nc1 + (middle + root) / rest
        wider = self.rounding(f, nc1) / between
        if self.biased and nc1 > 0:
            wider += self.biased * error**2 / nc1
        low, high = low - wider, high + wider
        if convention != "released":
            low = max(low, 0.0)
        return Spread(nc1, error, low, high)

    def refusal(self, spread: Spread) -> str:
        """What is said where there is no interval."""
        return (
            f"method={self.method!r} has no interval of nc1 for these rows after {self.reason}: {spread.doubt}; "
            "method='exact' has the value"
        )

    def collapse(self, convention: str | None, confidence: float) -> metrics.Collapse:
        """Every metric of the estimated sums; the interval is that of nc1.

        Raises
        ------
        RefusedError
            If there is no interval that could be believed.
        """
        spread = self.spread(convention or "papyan", confidence)
        if spread.doubt:
            raise RefusedError(self.refusal(spread))
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
        return dataclasses.replace(
            result,
            error_bound=math.inf,
            method=self.method,
            reason=self.reason,
            standard_error=spread.error,
            interval=(spread.low, spread.high),
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
