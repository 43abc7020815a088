"""Estimates by random features and by pairs of rows: the public functions, and what they and the
choice of a method call.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nc1fast.datasets.paths import labelled
from nc1fast.estimators import deep_sample, shallow
from nc1fast.estimators.accuracy import Accuracy, Sampling, SizeLimits, within_tolerance
from nc1fast.estimators.pair_sample import PairSample
from nc1fast.estimators.statistics import student_quantile
from nc1fast.inputs.files import guards_files
from nc1fast.inputs.labelled import LabelledData
from nc1fast.kernels.classes import Kernel
from nc1fast.sums.settings import Settings
from nc1fast.support.arguments import as_count, check_choice, seed_of, shown
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

    from nc1fast.metrics import Collapse

MOST_UNITS, MOST_PAIRS = 1 << 16, 100_000_000  # of a sample that grows until it meets a tolerance
PILOT_UNITS = 512  # of the sample of one layer that the first of those is planned from
N_PAIRS, FIRST_PAIRS = 200_000, 20_000  # without a tolerance; of the first planned sample


@ieee
@guards_files
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
    rng: int | np.random.Generator | None = None,
) -> Collapse:
    """Estimate NC1 of a kernel from random hidden units.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), or path
        As `nc1fast.collapse`.
    y : array-like of shape (n_samples,), or path
        Labels, of two classes at least.
    kernel : ConjugateKernel, NNGP, NTK or AdaptiveKernel
        Of depth 2 and any activation, where the estimate is unbiased; or deeper, of the ReLU
        family.
    n_units : int, optional
        Hidden units, all layers together, rounded to whole groups; default 1,024 at depth 2 and
        8,192 beyond. With a tolerance: the largest number, default 65,536.
    sampling : {"stratified", "orthogonal", "plain"}, default "stratified"
        How hidden weights are drawn; see `nc1fast.estimators.directions`.
    tolerance : float, optional
        Half the width of the interval, relative to nc1. Samples are drawn, each afresh and larger
        than the one before, until one meets it. Default: one sample.
    confidence : float, default 0.95
        Probability with which the interval covers the exact nc1.
    seed : int, default 0
        >= 0.
    convention : {"papyan", "probe", "class", "sample", "released"}, optional
        As `nc1fast.collapse`.
    dtype : {"float64", "float32"}, default "float64"
        Of weights and activations; moments are merged in float64.
    n_threads : int, optional
        As `nc1fast.collapse`.
    memory_limit : int, optional
        Bytes beyond X and y; default: no limit. The bits depend neither on it nor on the threads.
    rng : None, int or numpy.random.Generator, optional
        What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a Generator
        its next integer.

    Returns
    -------
    Collapse
        With standard_error and interval (Fieller's, by Student's t over groups), error_bound
        infinite, and no row statistics.

    Raises
    ------
    ValueError
        For a deeper kernel of another activation, an argument out of range, a memory limit that is
        too low, and as `nc1fast.collapse`; and where no interval can be believed, because Tr
        Sigma_B is not significantly above 0 or Tr Sigma_W comes from fewer than 20 units in effect.
    TypeError
        For another kernel, an argument of the wrong kind, and as `nc1fast.collapse`.
    ImportError
        For erf, probit and gelu without scipy (extra "adaptive").

    Warns
    -----
    AccuracyWarning
        If the tolerance is not met.

    Notes
    -----
    Cost: 2 N m d0 flops for m units (NTK: 4); about 50 MiB and 16 C m bytes (NTK: 8 C m d0). For L
    - 1 layers of m units each in 8 groups, 8 N m (L - 1) (2 d0 + L m) flops. X is read once per
    sample, or several times where `memory_limit` has no room for the moments of all units at once.
    Accuracy: coverage of the intervals in bench/bench_coverage.py. At depth 2, V_c and M_cc' are
    unbiased. Beyond, units follow a random layer before them and not its mean, so that each group
    of m units is biased by O(1/m), which more groups do not lower. The bias is taken to be at most
    the square of the relative error of a single group, by which the interval is wider on both
    sides; `standard_error` measures the spread alone. For the NTK of the ReLU family in collapsed
    classes, distances within a class come from the few units that change sign there: where the
    angles between rows predict fewer than 20 of them, there is no interval. `pairs` has no such
    limit.
    Source: Neal (1996); Rahimi & Recht (2007); Zandieh et al. (2021) for deep kernels.
    """
    check_choice("dtype", dtype, ("float64", "float32"))
    n_units = None if n_units is None else as_count("n_units", n_units)
    accuracy = Accuracy(tolerance, confidence, convention)
    drawn = Sampling(seed_of(rng, seed), n_units, sampling)
    settings = Settings(dtype=dtype, n_threads=n_threads, memory_limit=memory_limit)
    data = LabelledData.of(*labelled(X, y), unread=True)
    return features_within(data, kernel, settings, accuracy, drawn)


@ieee
@guards_files
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
    rng: int | np.random.Generator | None = None,
) -> Collapse:
    """Estimate NC1 of any kernel object from sampled pairs of rows.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), or path
        As `nc1fast.collapse`.
    y : array-like of shape (n_samples,), or path
        Labels, of two classes at least.
    kernel : Kernel
        Of any depth; no sum or product of kernels, and no activation that is given by a series.
    n_pairs : int, optional
        Number of pairs, default 200,000. With a tolerance: the largest number, default 10^8.
    tolerance : float, optional
        Half the width of the interval, relative to nc1. Samples are drawn, each afresh and larger
        than the one before, until one meets it. Default: one sample.
    confidence : float, default 0.95
        Probability with which the interval covers the exact nc1.
    seed : int, default 0
        >= 0.
    convention : {"papyan", "probe", "class", "sample", "released"}, optional
        As `nc1fast.collapse`.
    n_threads : int, optional
        As `nc1fast.collapse`.
    memory_limit : int, optional
        Bytes beyond X and y; default: no limit. The bits depend neither on it nor on the threads.
    rng : None, int or numpy.random.Generator, optional
        What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a Generator
        its next integer.

    Returns
    -------
    Collapse
        With standard_error and interval (Fieller's, by Student's t over strata), error_bound
        infinite, and no row statistics.

    Raises
    ------
    TypeError, ValueError
        For anything but a kernel object, an argument out of range, a memory limit that is too low,
        and as `nc1fast.collapse`; and where no interval can be believed, because Tr Sigma_B is not
        significantly above 0, which the sample before the last decides, or the spread rests on
        fewer than 20 pairs in effect.

    Warns
    -----
    AccuracyWarning
        If the tolerance is not met.

    Notes
    -----
    Cost: 10 d0 + 60 depth flops a pair and as many a row, and N diagonal values; 64 N bytes. Each
    two of the C classes get 64 pairs of rows at least, in a first sample from which the next is
    planned. Where Tr Sigma_B is not significantly above 0 by it, a second one of n_pairs/2 pairs
    comes between (with a tolerance, of 10,000 at most). A file is read once for the distances from
    the centres, and then row by row, about a microsecond each.
    Accuracy: coverage of the intervals in bench/bench_coverage.py; see
    `nc1fast.estimators.centred_rows` for what is exact.
    Source: Hoeffding (1948); Neyman (1934); Hansen & Hurwitz (1943); Fieller (1954).
    """
    n_pairs = None if n_pairs is None else as_count("n_pairs", n_pairs)
    accuracy = Accuracy(tolerance, confidence, convention)
    settings = Settings(n_threads=n_threads, memory_limit=memory_limit)
    data = LabelledData.of(*labelled(X, y), unread=True)
    drawn = Sampling(seed_of(rng, seed), n_pairs)
    return pairs_within(data, kernel, settings, accuracy, drawn)


def features_within(
    data: LabelledData, kernel: Any, settings: Settings, accuracy: Accuracy, sampling: Sampling
) -> Collapse:
    """Estimate nc1 from random hidden units.

    Parameters
    ----------
    data : LabelledData
        Rows of a file need not have been searched for NaN and Inf.
    kernel : Kernel
    settings : Settings
        Of which dtype, n_threads and memory_limit count.
    accuracy : Accuracy
    sampling : Sampling
        n_terms are hidden units: 1,024 by default at depth 2, 8,192 beyond, up to 65,536 with a
        tolerance.

    Raises
    ------
    RefusedError
        If no interval could be believed, or the exact value is quicker.
    TypeError, ValueError
        As `nc1fast.estimators.features`.
    """
    layer = kernel.one_layer(data.n_features) if isinstance(kernel, Kernel) else None
    sample: shallow.ShallowSample | deep_sample.DeepSample
    if layer is None:
        first = pilot = sampling.n_terms or deep_sample.DEFAULT_UNITS
        sample = deep_sample.DeepSample(data, kernel, sampling, settings)
    else:
        first = sampling.n_terms or shallow.DEFAULT_UNITS
        pilot = min(sampling.n_terms or PILOT_UNITS, PILOT_UNITS)
        sample = shallow.ShallowSample(data, kernel, layer, sampling, settings)
    if accuracy.tolerance is not None:
        sample.draw(pilot)
    limits = SizeLimits(first, sampling.n_terms or MOST_UNITS, sampling.exact_terms)
    return within_tolerance(sample, accuracy, limits)


def pairs_within(
    data: LabelledData, kernel: Any, settings: Settings, accuracy: Accuracy, sampling: Sampling
) -> Collapse:
    """Estimate nc1 from sampled pairs of rows.

    Parameters
    ----------
    data, settings, accuracy
        As `features_within`, but the dtype is always float64.
    kernel : Kernel
    sampling : Sampling
        n_terms are pairs: 200,000 by default, up to 10^8 with a tolerance.

    Raises
    ------
    RefusedError
        If no interval could be believed, or the exact value is quicker.
    TypeError, ValueError
        As `nc1fast.estimators.pairs`.
    """
    if not isinstance(kernel, Kernel):
        raise TypeError(f"kernel must be a kernel object, got {shown(kernel)}")
    sample = PairSample(data, kernel, sampling.seed, settings)
    sample.draw(sample.pilot())
    most = sampling.n_terms or (N_PAIRS if accuracy.tolerance is None else MOST_PAIRS)
    first = most if accuracy.tolerance is None else min(FIRST_PAIRS, most)
    limits = SizeLimits(first, most, sampling.exact_terms)
    _draw_larger_pilot(sample, accuracy, limits)
    return within_tolerance(sample, accuracy, limits)


def _draw_larger_pilot(sample: PairSample, accuracy: Accuracy, limits: SizeLimits) -> None:
    """Draw another pilot, half as large as the sample to come, where by the first one Tr Sigma_B is
    not expected to be significantly above 0.

    The first one goes to all strata alike and may be much smaller than the sample: it would refuse
    much that the sample resolves. The second is planned, and by its size alone has 1.4 times the
    error of the sample.
    """
    pilot, name = sample.estimate(), accuracy.name
    quantile = student_quantile(accuracy.confidence, math.inf)
    if pilot.foresees_significance(name, quantile, pilot.between_error(name)):
        return
    plan = sample.plan(limits.first // 2, name)
    if limits.allow(sample.spent, sample.cost(plan), final=False):
        sample.draw(plan)
