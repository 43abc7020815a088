"""Estimates of NC1 with honest intervals, where the exact value is not worth N^2.

`collapse(..., method="features" | "pairs" | "auto", tolerance=, confidence=, seed=)` is the way in; the functions here take what is
theirs alone. Intervals are those of the exact value for the given rows, not of a population they come from; where none can be believed,
a ValueError says why. Draws follow from the seed: the same seed gives the same bits (on one machine and build of NumPy's matrix
product), in chunks of any size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nc1fast.estimators.ntk_features import ntk_features
from nc1fast.estimators.runs import features_within, pairs_within
from nc1fast.inputs.files import steady
from nc1fast.inputs.labelled import LabelledData
from nc1fast.metrics.result import CONVENTIONS
from nc1fast.sums.memory import as_limit
from nc1fast.support.arguments import as_count, as_number, as_seed, check_choice
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from nc1fast.metrics.result import Collapse

__all__ = ["features", "ntk_features", "pairs"]


@ieee
@steady
def features(
    X: ArrayLike,
    y: ArrayLike,
    kernel: Any,
    *,
    n_units: int | None = None,
    sampling: str = "stratified",
    tolerance: float | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    convention: str | None = None,
    dtype: str = "float64",
    n_threads: int | None = None,
    memory_limit: int | None = None,
) -> Collapse:
    """Estimate NC1 of a kernel from random hidden units.

    Parameters
    ----------
    X, y
        As `nc1fast.collapse`.
    kernel : ConjugateKernel, NNGP, NTK or AdaptiveKernel
        Of depth 2, where the estimate is unbiased, and any activation; or deeper, of the ReLU family.
    n_units : int, optional
        Hidden units of all layers, rounded to whole groups; default 1,024, of deeper kernels 8,192. With a tolerance: at
        most so many, default 65,536.
    sampling : {"stratified", "orthogonal", "plain"}, default "stratified"
        How hidden weights are drawn; see `nc1fast.estimators.directions`.
    tolerance : float, optional
        Half the width of the interval, relative to nc1: samples are drawn afresh, each larger than the one before, until it is met.
    confidence : float, default 0.95
    seed : int, default 0
    convention : str, optional
    dtype : {"float64", "float32"}, default "float64"
    n_threads : int, optional
        As `nc1fast.collapse`.
    memory_limit : int, optional
        Bytes beyond X and y. The bits depend on neither.

    Returns
    -------
    Collapse
        With standard_error and interval (Fieller's, by Student's t over groups), error_bound infinite, and no row statistics.

    Raises
    ------
    ValueError
        For a deeper kernel of another activation, an unknown dtype, a setting that is none, a limit that is too low, and as
        `nc1fast.collapse`; and where no interval can be believed: Tr Sigma_B is not told from 0, or fewer than 20 units in effect
        make up Tr Sigma_W.
    ImportError
        For erf, probit and gelu without scipy (extra "adaptive").

    Warns
    -----
    AccuracyWarning
        If the tolerance is not met.

    Notes
    -----
    Cost: 2 N m d0 flops for m units (NTK: 4); about 50 MiB and 16 C m bytes (NTK: 8 C m d0). X is read once per round, or
    several times where `memory_limit` has no room for the moments of all units at once. Deeper kernels: `DeepSample`.
    Accuracy: coverage of the intervals in bench/bench_coverage.py. At depth 2, V_c and M_cc' are unbiased. Beyond, units
    follow a random layer before them and not its mean, so that each group of m units is biased by O(1/m), and more groups do
    not lower that. The bias is taken to be at most the square of the relative error of a single group, by which the interval is
    wider on both sides; `standard_error` is that of the spread alone.
    Of the NTK of the ReLU family in collapsed classes, distances within a class come from the few units that change sign there:
    where the angles of the rows say that there are less than 20, there is no interval. "pairs" has no such limit.
    Source: Neal (1996); Rahimi & Recht (2007); Zandieh et al. (2021) for deep kernels.
    """
    check_choice("dtype", dtype, ("float64", "float32"))
    n_units = None if n_units is None else as_count("n_units", n_units)
    tolerance, confidence = _checked(tolerance, confidence, convention)
    return features_within(
        *(
            LabelledData.of(X, y, unread=True),
            kernel,
            n_units,
            sampling,
            tolerance,
            confidence,
            as_seed(seed),
            convention,
        ),
        dtype=dtype,
        n_threads=n_threads,
        memory_limit=as_limit(memory_limit),
    )


@ieee
@steady
def pairs(
    X: ArrayLike,
    y: ArrayLike,
    kernel: Any,
    *,
    n_pairs: int | None = None,
    tolerance: float | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    convention: str | None = None,
    n_threads: int | None = None,
    memory_limit: int | None = None,
) -> Collapse:
    """Estimate NC1 of any kernel object from sampled pairs of rows.

    Parameters
    ----------
    X, y
        As `nc1fast.collapse`.
    kernel : Kernel
        Of any depth.
    n_pairs : int, optional
        Pairs in all; default 200,000. With a tolerance: at most so many, default 10^8.
    tolerance : float, optional
        Half the width of the interval, relative to nc1: samples are drawn afresh, each larger than the one before, until it is met.
    confidence : float, default 0.95
    seed : int, default 0
    convention : str, optional
    n_threads : int, optional
        As `nc1fast.collapse`.
    memory_limit : int, optional
        Bytes beyond X and y; a ValueError says what is needed. The bits depend on neither.

    Returns
    -------
    Collapse
        With standard_error and interval (Fieller's, by Student's t over strata), error_bound infinite, and no row statistics.

    Raises
    ------
    TypeError, ValueError
        For what is no kernel object, a setting that is none, a limit that is too low, and as `nc1fast.collapse`; and where no
        interval can be believed: Tr Sigma_B is not told from 0, or the spread rests on fewer than 20 pairs in effect.

    Warns
    -----
    AccuracyWarning
        If the tolerance is not met.

    Notes
    -----
    Cost: 10 d0 + 60 depth flops a pair and as many a row, and N diagonal values; 64 N bytes. Pairs of classes, C (C + 1)/2, get
    64 pairs of rows at least, in a first sample by which the next is planned. A file is read once for the distances from the centres,
    and then row by row, about a microsecond each.
    Accuracy: coverage of the intervals in bench/bench_coverage.py; see `nc1fast.estimators.centred` for what is exact.
    Source: Hoeffding (1948); Neyman (1934); Hansen & Hurwitz (1943); Fieller (1954).
    """
    n_pairs = None if n_pairs is None else as_count("n_pairs", n_pairs)
    tolerance, confidence = _checked(tolerance, confidence, convention)
    return pairs_within(
        *(
            LabelledData.of(X, y, unread=True),
            kernel,
            n_pairs,
            tolerance,
            confidence,
            as_seed(seed),
            convention,
        ),
        n_threads=n_threads,
        memory_limit=as_limit(memory_limit),
    )


def _checked(tolerance: Any, confidence: Any, convention: str | None) -> tuple[float | None, float]:
    """Tolerance and confidence."""
    if convention is not None:
        check_choice("convention", convention, CONVENTIONS)
    tolerance = None if tolerance is None else as_number("tolerance", tolerance, above=0)
    return tolerance, as_number("confidence", confidence, above=0, below=1)
