"""Methods that take one kernel at a time: its shortcut, random hidden units, or sampled pairs of rows."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

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
        Where it has none for these rows; and with method "auto", where it would take longer than the pass over pairs.
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
    """Estimate from random hidden units; `exact` as in `Limits`."""
    return features_within(
        data,
        kernel,
        None,
        "stratified",
        request.tolerance,
        request.confidence,
        request.seed or 0,
        request.convention,
        dtype="float32" if settings.dtype == "float32" else "float64",
        n_threads=settings.n_threads,
        memory_limit=settings.memory_limit,
        exact=exact,
    )


def by_pairs(
    request: Request,
    data: LabelledData,
    kernel: Any,
    settings: Settings,
    exact: float = math.inf,
) -> Collapse:
    """Estimate from sampled pairs of rows; `exact` as in `Limits`."""
    return pairs_within(
        data,
        kernel,
        None,
        request.tolerance,
        request.confidence,
        request.seed or 0,
        request.convention,
        n_threads=settings.n_threads,
        memory_limit=settings.memory_limit,
        exact=exact,
    )


BY_NAME: dict[str, Callable[..., Collapse]] = {
    "shortcut": by_shortcut,
    "features": by_features,
    "pairs": by_pairs,
}
