"""Estimates by random features and by pairs of rows: what the public functions and the choice of a
method call.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nc1fast.estimators import deep_sample, shallow
from nc1fast.estimators.pair_sample import PairSample
from nc1fast.estimators.student import student_quantile
from nc1fast.estimators.tolerance import SizeLimits, of_size, within_tolerance
from nc1fast.kernels.classes import Kernel
from nc1fast.support.arguments import shown

if TYPE_CHECKING:
    from nc1fast.estimators.accuracy import Accuracy, Sampling
    from nc1fast.inputs.labelled import LabelledData
    from nc1fast.metrics import Collapse
    from nc1fast.sums.settings import Settings

MOST_UNITS, MOST_PAIRS = 1 << 16, 100_000_000  # of a sample that grows until it meets a tolerance
PILOT_UNITS = 512  # of the sample of one layer that the first of those is planned from
N_PAIRS, FIRST_PAIRS = 200_000, 20_000  # without a tolerance; of the first planned sample


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
    if accuracy.tolerance is None:
        return of_size(sample, first, accuracy)
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
    if accuracy.tolerance is None:
        first = most = sampling.n_terms or N_PAIRS
    else:
        most = sampling.n_terms or MOST_PAIRS
        first = min(FIRST_PAIRS, most)
    limits = SizeLimits(first, most, sampling.exact_terms)
    _draw_larger_pilot(sample, accuracy, limits)
    if accuracy.tolerance is None:
        return of_size(sample, first, accuracy)
    return within_tolerance(sample, accuracy, limits)


def _draw_larger_pilot(sample: PairSample, accuracy: Accuracy, limits: SizeLimits) -> None:
    """Draw another pilot, half as large as the sample to come, where the first does not foresee a
    Tr Sigma_B above 0.

    The first one goes to all strata alike and may be much smaller than the sample: it would refuse
    much that the sample tells. The second is planned, and by its size alone has 1.4 times the error
    of the sample.
    """
    pilot, name = sample.estimate(), accuracy.name
    quantile = student_quantile(accuracy.confidence, math.inf)
    if pilot.foresees(name, quantile, pilot.between_error(name)):
        return
    plan = sample.plan(limits.first // 2, name)
    if limits.allow(sample.spent, sample.cost(plan), sure=False):
        sample.draw(plan)
