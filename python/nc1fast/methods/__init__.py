"""How the sums of a kernel are had: the pass over all pairs, a shortcut, or an estimate."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nc1fast.inputs.labelled import LabelledData
from nc1fast.metrics.result import Collapse, collapse_from_sums
from nc1fast.shortcuts import shortcut_of, shortcut_sums
from nc1fast.sums.settings import Settings
from nc1fast.support.arguments import as_number, as_seed, check_choice

if TYPE_CHECKING:
    from collections.abc import Callable

METHODS = ("exact", "shortcut", "features", "pairs", "auto")


@dataclass(frozen=True)
class Request:
    """What a call of `collapse` asks of a method, beside data and kernel."""

    method: str
    convention: str | None
    statistics: str
    dtype: str
    tolerance: float | None
    confidence: float
    seed: int
    n_threads: int | None
    keep_rows: bool
    memory_limit: int | None


def checked_method(method: Any, tolerance: Any, seed: Any) -> tuple[float | None, int | None]:
    """Tolerance and seed; ValueError or TypeError for an unknown method, and for settings that it does not have."""
    check_choice("method", method, METHODS)
    tolerance = None if tolerance is None else as_number("tolerance", tolerance, above=0)
    seed = None if seed is None else as_seed(seed)
    if method in ("exact", "shortcut"):
        for name, value in (("tolerance", tolerance), ("seed", seed)):
            if value is not None:
                raise ValueError(
                    f"{name} belongs to method='auto', 'features' or 'pairs', not to {method!r}"
                )
    return tolerance, seed


def collapse_by(
    request: Request, X: Any, y: Any, kernel: Any, exact: Callable[[Any], Any]
) -> Collapse | list[Collapse]:
    """Collapse by the method asked for; `exact(kernel)` is the pass over all pairs, for a kernel or a list."""
    if not isinstance(kernel, list | tuple):
        return _one(request, X, y, kernel, exact)
    if not kernel:
        raise ValueError("kernel must not be an empty list")
    results: list[Collapse | None] = [None] * len(kernel)
    shared = {}  # position -> why, of those that the pass over pairs takes together
    for k, one in enumerate(kernel):
        if request.method != "auto":
            results[k] = _named(request, X, y, one, exact)
            continue
        found = _quicker(request, X, y, one, len(kernel))
        if isinstance(found, str):
            shared[k] = found
        else:
            results[k] = found
    if shared:
        together = exact([kernel[k] for k in shared])
        for (k, reason), result in zip(shared.items(), together, strict=True):
            results[k] = dataclasses.replace(result, reason=reason)
    return [result for result in results if result is not None]


def _one(request: Request, X: Any, y: Any, kernel: Any, exact: Callable[[Any], Any]) -> Collapse:
    if request.method != "auto":
        return _named(request, X, y, kernel, exact)
    found = _quicker(request, X, y, kernel, 1)
    if not isinstance(found, str):
        return found
    whole: Collapse = exact(kernel)
    return dataclasses.replace(whole, reason=found)


def _quicker(request: Request, X: Any, y: Any, kernel: Any, of: int) -> Collapse | str:
    from nc1fast.methods.choice import quicker

    return quicker(request, X, y, kernel, of)


def _named(request: Request, X: Any, y: Any, kernel: Any, exact: Callable[[Any], Any]) -> Collapse:
    """By the method that is asked for."""
    if request.method == "exact":
        whole: Collapse = exact(kernel)
        return whole
    if request.method == "shortcut":
        return by_shortcut(request, X, y, kernel)
    from nc1fast.methods.choice import estimate

    return estimate(request, X, y, kernel, request.method)


def by_shortcut(request: Request, X: Any, y: Any, kernel: Any) -> Collapse:
    """By the shortcut of the kernel."""
    data = LabelledData.of(X, y)
    settings = Settings(request.statistics, n_threads=request.n_threads)
    sums = shortcut_sums(data, kernel, settings, only_if_quicker=request.method == "auto")
    result = collapse_from_sums(sums, request.convention, keep_rows=request.keep_rows)
    name = shortcut_of(kernel, data.n_features)
    return dataclasses.replace(result, method="shortcut", reason=str(name))
