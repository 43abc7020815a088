"""Estimated class means and variances in feature space, and the interval of nc1 that follows from
their errors.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.estimators.statistics import student_quantile
from nc1fast.metrics import (
    CONVENTIONS,
    DEFAULT_CONVENTION,
    Collapse,
    collapse_from_sums,
    trace_between,
    trace_within,
    weights,
)
from nc1fast.sums.class_sums import ClassSums, SumsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.inputs.labelled import Classes

    Array = NDArray[np.float64]

_NOT_ABOVE_0 = "Tr Sigma_B is not significantly above 0"
_TOO_SMALL = "values of the kernel are so small that their squares are lost"
# Relative half width of the interval of Tr Sigma_B from which nc1 has no interval: where the sample
# itself decides that Tr Sigma_B is above 0, and where a pilot has done so. Fieller's interval is
# unbounded from 1 on.
_VAGUE, _NEARLY_UNBOUNDED = 1 / 3, 0.9
_LEAST_QUANTILE = 2.0  # standard errors that a pilot allows for, however low the confidence
_LEAST_SQUARE = 2.0**-900  # of Tr Sigma_B: below, variances lose digits to the subnormal numbers
_FEWEST = 20.0  # effective number of terms that an interval must rest on


class TraceForms(NamedTuple):
    """Coefficients of the two traces under one convention, P being the matrix `class_weights`.

    Tr Sigma_W = within.V + norms.diag M,
    Tr Sigma_B = spread.diag M + sum_ab mixed_ab (P M P^T)_ab = sum_cc' between_cc' M_cc'.
    """

    within: Array  # (C,)
    norms: Array  # (C,)
    spread: Array  # (C,)
    mixed: Array  # (2, 2)
    between: Array  # (C, C)


def class_weights(sizes: NDArray[np.int64]) -> Array:
    """The two weightings of classes that conventions combine, 1/C and n_c/N: shape (2, C)."""
    return np.array([np.full(len(sizes), 1 / len(sizes)), sizes / sizes.sum()])


def trace_forms(convention: str, sizes: NDArray[np.int64]) -> TraceForms:
    """Coefficients of the traces for classes of `sizes` rows, shape (C,)."""
    w = weights(convention, sizes)
    unit = {"u": np.array([1.0, 0.0]), "p": np.array([0.0, 1.0])}
    _, pooled, mean = (unit[letter] for letter in CONVENTIONS[convention])
    mixed = np.outer(mean, mean)
    norms = np.zeros(len(sizes))
    if convention == "released":
        norms, mixed = w.within - w.between, -mixed
    else:
        cross = np.outer(pooled, mean)
        mixed = mixed - cross - cross.T
    P = class_weights(sizes)
    between = np.diag(w.between) + matmul(matmul(P.T, mixed), P)
    return TraceForms(w.within, norms, w.between, mixed, between)


class RefusedError(ValueError):
    """No estimate is given: no interval could be believed, or the exact value is quicker.

    Attributes
    ----------
    spent : int
        Terms drawn so far.
    """

    def __init__(self, why: str, spent: int = 0) -> None:
        super().__init__(why)
        self.spent = spent


class Uncertainty(Protocol):
    """Errors of the combination Tr Sigma_W - ratio Tr Sigma_B of an estimate, for any ratio and
    convention.
    """

    def variance(self, f: TraceForms, ratio: float) -> tuple[float, float]:
        """Estimated variance by sampling, and its degrees of freedom."""

    def terms(self, f: TraceForms, ratio: float) -> float:
        """Effective number of terms: how many equal terms would have a variance as uncertain as
        that.
        """

    def rounding(self, f: TraceForms, ratio: float) -> float:
        """Bound on the rounding error."""


class RatioInterval(NamedTuple):
    """Confidence interval of nc1.

    Attributes
    ----------
    nc1, error : float
        The estimate and its standard error.
    low, high : float
        Ends of the interval; infinite where there is none.
    doubt : str
        Why there is no interval; empty where there is one.
    short : float
        How many times as large a sample would give an interval, where that is known; else 1.
    """

    nc1: float
    error: float
    low: float
    high: float
    doubt: str = ""
    short: float = 1.0

    @property
    def half(self) -> float:
        """Width of the wider side of the interval; infinite where there is none."""
        return math.inf if self.doubt else max(self.high - self.nc1, self.nc1 - self.low)


_NO_INTERVAL = RatioInterval(math.inf, math.inf, -math.inf, math.inf)


@dataclass(frozen=True, eq=False)
class Estimate:
    """Estimated moments of the classes in feature space, with their errors.

    Attributes
    ----------
    V : ndarray of shape (n_classes,)
        Mean squared distance of each class from its mean.
    M : ndarray of shape (n_classes, n_classes)
        Inner products <mu_c, mu_c'> of the class means.
    classes : Classes
    kernel : Kernel
    uncertainty : Uncertainty
    method : {"features", "pairs"}
    reason : str
        Size of the sample, in words.
    biased : int, default 0
        Number of groups of which V and M are the mean, if each group is biased by its own finite
        size m: the bias of nc1 is then taken to be at most the square of the relative error of one
        group, which is O(1/m) too. The interval is so much wider.
    pilot : Estimate, optional
        Estimate from an independent sample, drawn before, that decides whether Tr Sigma_B differs
        from 0. None: this estimate decides itself.
    """

    V: Array
    M: Array
    classes: Classes
    kernel: Any
    uncertainty: Uncertainty
    method: str
    reason: str
    biased: int = 0
    pilot: Estimate | None = None

    def between(self, convention: str) -> float:
        """Tr Sigma_B, which sampling may make negative."""
        return trace_between(self.M, weights(convention, self.classes.sizes))

    def nc1(self, convention: str) -> float:
        """Tr Sigma_W / Tr Sigma_B; 0 where Tr Sigma_B is not positive."""
        between = self.between(convention)
        if not between > 0:
            return 0.0
        w = weights(convention, self.classes.sizes)
        return trace_within(self.V, self.M, w) / between

    def between_error(self, convention: str) -> float:
        """Standard error of Tr Sigma_B."""
        return math.sqrt(self._quadratic(convention, self.nc1(convention) or 1.0)[2])

    def _quadratic(self, convention: str, ratio: float) -> tuple[float, float, float]:
        """(v, s, b) such that Tr Sigma_W - (ratio + x) Tr Sigma_B has the variance v + 2 s x + b
        x^2.
        """
        f, variance = trace_forms(convention, self.classes.sizes), self.uncertainty.variance
        here, opposite, zero = (variance(f, r)[0] for r in (ratio, -ratio, 0.0))
        if ratio == 0:
            return here, 0.0, 0.0
        b = max((here + opposite) / 2 - zero, 0.0) / ratio**2
        return here, ratio * b + (here - opposite) / (4 * ratio), b

    def interval(self, convention: str, confidence: float) -> RatioInterval:
        """Fieller's interval of the ratio with Student's t, widened by rounding and bias.

        It holds the x with (Tr Sigma_W - x Tr Sigma_B)^2 <= t^2 Var(Tr Sigma_W - x Tr Sigma_B).
        Traces are not negative, except under the convention "released": elsewhere the interval ends
        at 0.

        There is none unless Tr Sigma_B differs significantly from 0. A sample that decides this
        itself is let through more often when its Tr Sigma_B is too large by chance; where most are
        refused, those left hardly cover. So a pilot decides, if there is one, and the sample itself
        is refused only where its interval is nearly unbounded, which no method for ratios avoids.
        With B = Tr Sigma_B over its standard error by the sample, and normal errors, 95 % intervals
        then cover with 92.5 to 97.5 % of those let through for B >= 1.75; below, at most 1 in 100
        is let through.

        Notes
        -----
        Source: Fieller (1954); Gleser & Hwang (1987), ratios have no interval that is always
        bounded; Cox (1975), choices made on one part of the data and inference on another.
        """
        between, nc1 = self.between(convention), self.nc1(convention)
        if not (between > 0 and math.isfinite(between) and math.isfinite(nc1)):
            return _NO_INTERVAL._replace(doubt=_NOT_ABOVE_0)
        if between**2 < _LEAST_SQUARE:
            return _NO_INTERVAL._replace(doubt=_TOO_SMALL)
        f = trace_forms(convention, self.classes.sizes)
        freedom, terms = self.uncertainty.variance(f, nc1)[1], self.uncertainty.terms(f, nc1)
        if terms < _FEWEST:
            return _NO_INTERVAL._replace(
                doubt=f"their spread rests on too few of them, {terms:.2g} in effect",
                short=_FEWEST / terms if terms > 0 else math.inf,
            )
        t = student_quantile(confidence, freedom)
        v, s, b = self._quadratic(convention, nc1)
        if not self._significant(convention, t, math.sqrt(b)):
            return _NO_INTERVAL._replace(doubt=_NOT_ABOVE_0)
        error = math.sqrt(v) / between
        rest = 1 - t**2 * b / between**2
        middle = t**2 * s / between**2
        root = math.sqrt(middle**2 + rest * (t * error) ** 2)
        low, high = nc1 + (middle - root) / rest, nc1 + (middle + root) / rest
        wider = self.uncertainty.rounding(f, nc1) / between
        if self.biased and nc1 > 0:
            wider += self.biased * error**2 / nc1
        low, high = low - wider, high + wider
        if convention != "released":
            low = max(low, 0.0)
        return RatioInterval(nc1, error, low, high)

    def foresees_significance(self, convention: str, quantile: float, error: float) -> bool:
        """Whether an independent sample is expected to find Tr Sigma_B significantly above 0.

        It is if Tr Sigma_B, less `quantile` standard errors of this estimate, exceeds as many of
        the other's.

        Parameters
        ----------
        convention : str
        quantile : float
            At least 2 is taken.
        error : float
            Standard error of Tr Sigma_B by the other sample.
        """
        allowed = max(quantile, _LEAST_QUANTILE) * (self.between_error(convention) + error)
        return self.between(convention) > allowed

    def _significant(self, convention: str, quantile: float, error: float) -> bool:
        """Whether Tr Sigma_B, of the given standard error, differs from 0; see `interval`."""
        half, between = quantile * error, self.between(convention)
        if self.pilot is None:
            return half < _VAGUE * between
        foreseen = self.pilot.foresees_significance(convention, quantile, error)
        return foreseen and half < _NEARLY_UNBOUNDED * between

    def refusal(self, interval: RatioInterval) -> str:
        """Message of the error for an interval with a doubt."""
        return (
            f"method={self.method!r} has no interval of nc1 for these rows after {self.reason}: "
            f"{interval.doubt}; method='exact' has the value"
        )

    def collapse(self, convention: str | None, confidence: float) -> Collapse:
        """Every metric that follows from V and M; `interval` and `standard_error` are those of nc1.

        Raises
        ------
        RefusedError
            If no interval could be believed.
        """
        interval = self.interval(convention or DEFAULT_CONVENTION, confidence)
        if interval.doubt:
            raise RefusedError(self.refusal(interval))
        n = self.classes.sizes.astype(np.float64)
        zero = np.zeros(len(n))
        sums = ClassSums(
            np.outer(n, n) * self.M,
            n * (self.V + np.diag(self.M)),
            n * self.V,
            self.classes.sizes,
            self.classes.labels,
            SumsError(np.outer(zero, zero), zero, zero),
            self.kernel,
        )
        result = collapse_from_sums(sums, convention)
        return dataclasses.replace(
            result,
            error_bound=math.inf,
            method=self.method,
            reason=self.reason,
            standard_error=interval.error,
            interval=(interval.low, interval.high),
            _again=lambda other: self.collapse(other, confidence),
        )
