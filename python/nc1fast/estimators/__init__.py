"""Estimates of NC1 with honest intervals, where the exact value is not worth N^2.

`collapse(..., method="features" | "pairs" | "auto", tolerance=, confidence=, seed=)` is the way in; the functions here take what is
theirs alone. Intervals are those of the exact value for the given rows, not of a population they come from. Draws follow from
the seed: the same seed gives the same bits (on one machine and build of NumPy's matrix product), in chunks of any size.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nc1fast._arguments import as_count, as_number, as_seed, check_choice, shown
from nc1fast._backend import thread_count
from nc1fast._files import as_source, read_labels
from nc1fast._inputs import as_labels, as_rows, two_classes
from nc1fast._memory import as_limit
from nc1fast._one_layer import one_layer
from nc1fast._warnings import AccuracyWarning, warn
from nc1fast.estimators.estimate import Estimate, forms
from nc1fast.estimators.explicit import ntk_features
from nc1fast.estimators.features import FeatureSample
from nc1fast.estimators.pairs import PairSample
from nc1fast.estimators.replicates import DeepSample
from nc1fast.kernels import Kernel
from nc1fast.metrics import CONVENTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from nc1fast.metrics import Collapse

__all__ = ["features", "ntk_features", "pairs"]

N_UNITS, N_DEEP_UNITS, MOST_UNITS = 1024, 8192, 1 << 16
N_PAIRS, MOST_PAIRS = 200_000, 100_000_000
_FIRST_UNITS, _FIRST_PAIRS = 512, 20_000  # of a run that grows until it meets a tolerance


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
        Half the width of the interval, relative to nc1: units are doubled until it is met.
    confidence : float, default 0.95
    seed : int, default 0
    convention : str, optional
    dtype : {"float64", "float32"}, default "float64"
    n_threads : int, optional
        As `nc1fast.collapse`. Without threadpoolctl, matrix products have those that NumPy's library is set to instead.
    memory_limit : int, optional
        Bytes beyond X and y. The bits depend on neither.

    Returns
    -------
    Collapse
        With standard_error and interval (Student's t over groups), error_bound infinite, and no row statistics.

    Raises
    ------
    ValueError
        For a deeper kernel of another activation, an unknown dtype, a limit that is too low, and as `nc1fast.collapse`.
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
    intervals are honest as long as there are some tens of them. "pairs" has no such limit.
    Source: Neal (1996); Rahimi & Recht (2007); Zandieh et al. (2021) for deep kernels.
    """
    check_choice("dtype", dtype, ("float64", "float32"))
    n_units = None if n_units is None else as_count("n_units", n_units)
    tolerance, confidence = _checked(tolerance, confidence, convention)
    seed, memory_limit = as_seed(seed), as_limit(memory_limit)
    rows, classes, labels = _data(X, y)
    layer = one_layer(kernel, rows.shape[1]) if isinstance(kernel, Kernel) else None
    settings: dict[str, Any] = {
        "seed": seed,
        "sampling": sampling,
        "dtype": dtype,
        "n_threads": thread_count(n_threads),
        "memory_limit": memory_limit,
    }
    sample: FeatureSample | DeepSample
    if layer is None:
        first = n_units or N_DEEP_UNITS
        sample = DeepSample(rows, classes, labels, kernel, n_units=first, **settings)
    else:
        first = _FIRST_UNITS if tolerance is not None else n_units or N_UNITS
        group_of = max(first, N_UNITS) if n_units is None else n_units
        sample = FeatureSample(rows, classes, labels, kernel, layer, n_units=group_of, **settings)
    most = n_units or MOST_UNITS
    return _refined(
        lambda: sample.grow(max(first, sample.n_units)),
        sample.estimate,
        lambda: 2 * sample.n_units > most,
        (tolerance, confidence, convention),
    )


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
        Half the width of the interval, relative to nc1: pairs are doubled until it is met.
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
        With standard_error and interval (Student's t, strata independent), error_bound infinite, and no row statistics.

    Raises
    ------
    TypeError, ValueError
        For what is no kernel object, a limit that is too low, and as `nc1fast.collapse`.

    Warns
    -----
    AccuracyWarning
        If the tolerance is not met.

    Notes
    -----
    Cost: 10 d0 + 60 depth flops a pair, and N diagonal values; 24 N bytes. Pairs of classes, C (C + 1)/2, get 64 pairs of
    rows at least. A file is read once for the diagonal, and then row by row, about a microsecond each.
    Accuracy: coverage of the intervals in bench/bench_coverage.py.
    Source: Hoeffding (1948); Neyman (1934).
    """
    n_pairs = None if n_pairs is None else as_count("n_pairs", n_pairs)
    tolerance, confidence = _checked(tolerance, confidence, convention)
    seed, memory_limit = as_seed(seed), as_limit(memory_limit)
    rows, classes, labels = _data(X, y)
    if not isinstance(kernel, Kernel):
        raise TypeError(f"kernel must be a kernel object, got {shown(kernel)}")
    sample = PairSample(
        *(rows, classes, labels, kernel, seed),
        n_threads=thread_count(n_threads),
        memory_limit=memory_limit,
    )
    wanted = forms(convention or "papyan", sample.estimate().sizes)
    sample.grow(0, wanted)  # the pilot
    first = _FIRST_PAIRS if tolerance is not None else n_pairs or N_PAIRS
    most = n_pairs or MOST_PAIRS
    return _refined(
        lambda: sample.grow(max(first - sample.n_pairs, sample.n_pairs), wanted),
        sample.estimate,
        lambda: 2 * sample.n_pairs > most or sample.exhausted,
        (tolerance, confidence, convention),
    )


def _checked(tolerance: Any, confidence: Any, convention: str | None) -> tuple[float | None, float]:
    """Tolerance and confidence."""
    if convention is not None:
        check_choice("convention", convention, CONVENTIONS)
    tolerance = None if tolerance is None else as_number("tolerance", tolerance, above=0)
    return tolerance, as_number("confidence", confidence, above=0, below=1)


def _data(X: ArrayLike, y: ArrayLike) -> tuple[NDArray[Any], NDArray[np.int32], NDArray[Any]]:
    """Rows, those of a file not looked at yet, and classes."""
    rows = as_rows(as_source(X), "X", unread=True)
    classes, labels = as_labels(read_labels(y), len(rows))
    two_classes(labels)
    return rows, classes, labels


def _refined(
    grow: Callable[[], None],
    estimate: Callable[[], Estimate],
    full: Callable[[], bool],
    settings: tuple[float | None, float, str | None],
) -> Collapse:
    """Grow once, or until the tolerance is met or the sample is as large as it may be."""
    tolerance, confidence, convention = settings
    while True:
        grow()
        now = estimate()
        nc1, _, half = now.spread(convention or "papyan", confidence)
        met = tolerance is None or (math.isfinite(half) and half <= tolerance * abs(nc1))
        if met or full():
            break
    if not met:
        warn(
            f"the interval of nc1 is {nc1:.3g} +- {half:.1g}, wider than the tolerance of {tolerance:.1%}, "
            f"after {now.reason}",
            AccuracyWarning,
        )
    return now.collapse(convention, confidence)
