"""Methods that take one kernel at a time: its shortcut, random hidden units, or sampled pairs of
rows.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from nc1fast.estimators.accuracy import Accuracy, Sampling
from nc1fast.estimators.runs import features_within, pairs_within
from nc1fast.metrics.result import collapse_from_sums
from nc1fast.shortcuts import shortcut_of, shortcut_sums

if TYPE_CHECKING:
    from collections.abc import Callable

    from nc1fast.inputs.labelled import LabelledData
    from nc1fast.methods.request import Request
    from nc1fast.metrics.result import Collapse
    from nc1fast.sums.settings import Settings


def by_shortcut(request: Request, data: LabelledData, kernel: Any, settings: Settings) -> Collapse:
    """Collapse from the shortcut of the kernel.

    Raises
    ------
    ShortcutUnavailable
        Where it has none for these rows; and with method "auto", where it would take longer than
        the pass over pairs.
    """
    sums = shortcut_sums(data, kernel, settings, only_if_quicker=request.method == "auto")
    result = collapse_from_sums(sums, request.convention, keep_rows=request.keep_rows)
    name = shortcut_of(kernel, data.n_features)
    return dataclasses.replace(result, method="shortcut", reason=str(name))


def by_features(
    request: Request,
    data: LabelledData,
    kernel: Any,
    settings: Settings,
    exact: float = math.inf,
) -> Collapse:
    """Estimate from random hidden units; `exact` as `exact_terms` of `Sampling`."""
    dtype = "float32" if settings.dtype == "float32" else "float64"
    settings = dataclasses.replace(settings, dtype=dtype)
    return features_within(data, kernel, settings, _accuracy(request), _sampling(request, exact))


def by_pairs(
    request: Request,
    data: LabelledData,
    kernel: Any,
    settings: Settings,
    exact: float = math.inf,
) -> Collapse:
    """Estimate from sampled pairs of rows; `exact` as `exact_terms` of `Sampling`."""
    return pairs_within(data, kernel, settings, _accuracy(request), _sampling(request, exact))


def _accuracy(request: Request) -> Accuracy:
    return Accuracy(request.tolerance, request.confidence, request.convention)


def _sampling(request: Request, exact: float) -> Sampling:
    return Sampling(request.seed or 0, exact_terms=exact)


BY_NAME: dict[str, Callable[..., Collapse]] = {
    "shortcut": by_shortcut,
    "features": by_features,
    "pairs": by_pairs,
}
