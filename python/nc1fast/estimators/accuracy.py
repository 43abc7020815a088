"""The accuracy of nc1 that a caller asks of an estimate, and how its random terms are drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nc1fast.estimators.directions import check_sampling
from nc1fast.metrics import CONVENTIONS, DEFAULT_CONVENTION
from nc1fast.support.arguments import as_count, as_number, as_seed, check_choice


@dataclass(frozen=True)
class Accuracy:
    """The confidence interval of nc1 that is asked for, checked when it is made.

    Attributes
    ----------
    tolerance : float, optional
        Half the width of the interval, relative to nc1. None: one sample of a fixed size.
    confidence : float, default 0.95
        Probability with which the interval covers the exact nc1 of the given rows.
    convention : str, optional
        As `nc1fast.collapse`.

    Raises
    ------
    TypeError, ValueError
        For a tolerance that is not positive, a confidence outside (0, 1), or an unknown convention.
    """

    tolerance: float | None = None
    confidence: float = 0.95
    convention: str | None = None

    def __post_init__(self) -> None:
        if self.convention is not None:
            check_choice("convention", self.convention, CONVENTIONS)
        if self.tolerance is not None:
            tolerance = as_number("tolerance", self.tolerance, above=0)
            object.__setattr__(self, "tolerance", tolerance)
        confidence = as_number("confidence", self.confidence, above=0, below=1)
        object.__setattr__(self, "confidence", confidence)

    @property
    def half_width(self) -> float:
        """The tolerance; infinite where there is none."""
        return math.inf if self.tolerance is None else self.tolerance

    @property
    def name(self) -> str:
        """Name of the convention, the default one filled in."""
        return self.convention or DEFAULT_CONVENTION


@dataclass(frozen=True)
class Sampling:
    """How many random terms are drawn, and how: a term is a hidden unit or a pair of rows.

    Attributes
    ----------
    seed : int, default 0
    n_terms : int, optional
        Size of the sample; with a tolerance, the largest size it may grow to. None: the default of
        the estimator.
    scheme : {"stratified", "orthogonal", "plain"}, default "stratified"
        Distribution of hidden weights, see `nc1fast.estimators.directions`. Pairs do not use it.
    exact_terms : float, default inf
        Number of terms that take as long to draw as the exact value to compute. Infinite: the exact
        value is no alternative.

    Raises
    ------
    TypeError, ValueError
        For a negative seed, n_terms < 1, or an unknown sampling.
    """

    seed: int = 0
    n_terms: int | None = None
    scheme: str = "stratified"
    exact_terms: float = math.inf

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", as_seed(self.seed))
        check_sampling(self.scheme)
        if self.n_terms is not None:
            object.__setattr__(self, "n_terms", as_count("n_terms", self.n_terms))
