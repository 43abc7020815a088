"""What the public functions of the estimators and the choice of a method run, under limits that the choice sets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nc1fast.core.backend import thread_count
from nc1fast.estimators.deep_sample import DeepSample
from nc1fast.estimators.growth import Limits, once, until
from nc1fast.estimators.pairs import PairSample
from nc1fast.estimators.shallow import FeatureSample
from nc1fast.kernels.classes import Kernel
from nc1fast.kernels.one_layer import one_layer
from nc1fast.support.arguments import shown

if TYPE_CHECKING:
    from nc1fast.inputs.labelled import LabelledData
    from nc1fast.metrics.result import Collapse

N_UNITS, N_DEEP_UNITS, MOST_UNITS = 1024, 8192, 1 << 16
N_PAIRS, MOST_PAIRS = 200_000, 100_000_000
PILOT_UNITS, FIRST_PAIRS = 512, 20_000  # of a run that grows until it meets a tolerance


def features_within(
    data: LabelledData,
    kernel: Any,
    n_units: int | None,
    sampling: str,
    tolerance: float | None,
    confidence: float,
    seed: int,
    convention: str | None,
    *,
    dtype: str,
    n_threads: int | None,
    memory_limit: int | None,
    exact: float = math.inf,
) -> Collapse:
    """`nc1fast.estimators.shallow`, with `exact` as in `Limits`."""
    rows, classes, labels = data.rows, data.classes.of_row, data.classes.labels
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
        first = pilot = n_units or N_DEEP_UNITS
        sample = DeepSample(rows, classes, labels, kernel, n_units=first, **settings)
    else:
        first, pilot = n_units or N_UNITS, min(n_units or PILOT_UNITS, PILOT_UNITS)
        sample = FeatureSample(rows, classes, labels, kernel, layer, n_units=first, **settings)
    if tolerance is None:
        return once(sample, first, confidence, convention)
    sample.draw(pilot)
    limits = Limits(first, n_units or MOST_UNITS, exact)
    return until(sample, tolerance, confidence, convention, limits)


def pairs_within(
    data: LabelledData,
    kernel: Any,
    n_pairs: int | None,
    tolerance: float | None,
    confidence: float,
    seed: int,
    convention: str | None,
    *,
    n_threads: int | None,
    memory_limit: int | None,
    exact: float = math.inf,
) -> Collapse:
    """`nc1fast.estimators.pairs`, with `exact` as in `Limits`."""
    rows, classes, labels = data.rows, data.classes.of_row, data.classes.labels
    if not isinstance(kernel, Kernel):
        raise TypeError(f"kernel must be a kernel object, got {shown(kernel)}")
    sample = PairSample(
        *(rows, classes, labels, kernel, seed),
        n_threads=thread_count(n_threads),
        memory_limit=memory_limit,
    )
    sample.draw(sample.pilot())
    if tolerance is None:
        return once(sample, n_pairs or N_PAIRS, confidence, convention)
    most = n_pairs or MOST_PAIRS
    limits = Limits(min(FIRST_PAIRS, most), most, exact)
    return until(sample, tolerance, confidence, convention, limits)
