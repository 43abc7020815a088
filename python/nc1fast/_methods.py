"""How the sums of a kernel are had: the pass over all pairs, a shortcut, or an estimate; and which is cheapest."""

from __future__ import annotations

import dataclasses
import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nc1fast._arguments import as_number, as_seed, check_choice
from nc1fast._backend import thread_count
from nc1fast._inputs import as_labels, as_rows, two_classes
from nc1fast._one_layer import one_layer
from nc1fast._warnings import AccuracyWarning
from nc1fast.kernels import Kernel
from nc1fast.metrics import Collapse, collapse_from_sums
from nc1fast.shortcuts import shortcut_of, shortcut_sums

if TYPE_CHECKING:
    from collections.abc import Callable

METHODS = ("exact", "shortcut", "features", "pairs", "auto")
_TRUSTED = 1e-10  # relative error bound up to which `auto` takes a shortcut for the exact value

# Seconds on one core, measured where the README's table comes from; only their ratios matter.
_PAIR, _PAIR_FEATURE = (
    1.7e-9,
    3.9e-11,
)  # exact pass: a pair of rows and hidden layer; a feature more
_SWEEP = 2.5e-7  # of a row and class
_LINE, _PLANE = (1e-7, 2.5e-3, 1e-5), (3e-7, 3e-2, 1.4e-2)  # interpolation: row; class; two classes
_DRAWN, _DRAWN_FEATURE = 4e-7, 8e-9  # estimate: a pair of rows and hidden layer; a feature more
_UNIT, _UNIT_FEATURE = 4e-9, 4e-11  # a row and random hidden unit; a feature more
# Pairs, or units, for an interval of half width h relative: (this / h)^2. Twice what the published data need.
_PAIRS_WANTED, _UNITS_WANTED = 0.6, 0.8


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
        if request.method == "auto" and (choice := _choice(request, X, y, one))[0] == "exact":
            shared[k] = choice[1]
        else:
            results[k] = _one(request, X, y, one, exact)
    if shared:
        together = exact([kernel[k] for k in shared])
        for (k, reason), result in zip(shared.items(), together, strict=True):
            results[k] = dataclasses.replace(result, reason=reason)
    return [result for result in results if result is not None]


def _one(request: Request, X: Any, y: Any, kernel: Any, exact: Callable[[Any], Any]) -> Collapse:
    from nc1fast import estimators

    if request.method == "auto":
        method, reason = _choice(request, X, y, kernel)
    else:
        method, reason = request.method, ""
    estimate: dict[str, Any] = {
        "tolerance": request.tolerance,
        "confidence": request.confidence,
        "seed": request.seed,
        "convention": request.convention,
        "n_threads": request.n_threads,
        "memory_limit": request.memory_limit,
    }
    if method == "exact":
        result: Collapse = exact(kernel)
    elif method == "shortcut":
        if request.method == "shortcut":
            return _by_shortcut(request, X, y, kernel)
        return _trusted(request, X, y, kernel, exact, reason)
    elif method == "features":
        dtype = "float32" if request.dtype == "float32" else "float64"
        result = estimators.features(X, y, kernel, dtype=dtype, **estimate)
    else:
        result = estimators.pairs(X, y, kernel, **estimate)
    return dataclasses.replace(result, reason="; ".join(filter(None, (result.reason, reason))))


def _by_shortcut(request: Request, X: Any, y: Any, kernel: Any) -> Collapse:
    rows = as_rows(X, "X")
    classes, labels = as_labels(y, len(rows))
    two_classes(labels)
    whole = request.statistics == "all"
    sums = shortcut_sums(
        *(rows, classes, labels, kernel),
        row_sums=whole,
        n_threads=request.n_threads,
        only_if_quicker=request.method == "auto",
    )
    result = collapse_from_sums(sums, request.convention, keep_rows=request.keep_rows)
    name = shortcut_of(kernel, rows.shape[1])
    return dataclasses.replace(result, method="shortcut", reason=str(name))


def _trusted(
    request: Request, X: Any, y: Any, kernel: Any, exact: Callable[[Any], Any], reason: str
) -> Collapse:
    """The shortcut, or the pass over pairs where the shortcut does not apply to these rows or is not sure of its digits."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AccuracyWarning)  # then the exact pass warns
            result = _by_shortcut(request, X, y, kernel)
    except ValueError as error:
        if "shortcut" not in str(error) and "zero rows" not in str(error):
            raise
        why = str(error)
    else:
        trusted = max(_TRUSTED, (request.tolerance or 0) / 10)
        if result.error_bound <= trusted * abs(result.nc1) or result.error_bound == 0:
            return dataclasses.replace(result, reason=f"{result.reason}; {reason}")
        why = f"the error bound of the shortcut is {result.error_bound:.1e}"
    whole: Collapse = exact(kernel)
    return dataclasses.replace(whole, reason=why)


def _choice(request: Request, X: Any, y: Any, kernel: Any) -> tuple[str, str]:
    """The method that is expected to be the fastest of those that will do, and why."""
    if not isinstance(kernel, Kernel):
        return "exact", "the only method for what is no kernel object"
    rows = as_rows(X, "X")
    _, labels = as_labels(y, len(rows))
    seconds = expected_seconds(
        kernel,
        len(rows),
        rows.shape[1],
        len(labels),
        half_width=request.tolerance,
        confidence=request.confidence,
        single=request.dtype == "float32",
        n_threads=thread_count(request.n_threads),
    )
    method = min(seconds, key=lambda name: seconds[name])
    others = ", ".join(f"{s:.2g} s by {name}" for name, s in seconds.items() if name != method)
    return method, f"{seconds[method]:.2g} s expected" + (f", {others}" if others else "")


def expected_seconds(
    kernel: Kernel,
    n: int,
    n_features: int,
    n_classes: int,
    *,
    half_width: float | None,
    confidence: float,
    single: bool,
    n_threads: int,
) -> dict[str, float]:
    """Seconds that each method would take, of those that apply; estimates where an interval is wanted."""
    from nc1fast.estimators.estimate import student_quantile

    layers = max(1, int(kernel.depth) - 1)  # type: ignore[attr-defined]
    out = {"exact": n**2 / 2 * (_PAIR * layers + _PAIR_FEATURE * n_features) / n_threads}
    out["exact"] *= 0.5 if single else 1.0
    shortcut = shortcut_of(kernel, n_features)
    if shortcut == "linear":
        out["shortcut"] = n * n_features * n_classes * 1e-9
    elif shortcut == "sweep":
        out["shortcut"] = n * (n_classes + 1) * _SWEEP
    elif shortcut == "interpolation":
        row, one, two = _LINE if n_features == 1 else _PLANE
        out["shortcut"] = n * (n_classes + 1) * row + n_classes * (one + n_classes * two * layers)
    if half_width is None:
        return out
    t = student_quantile(confidence, math.inf)
    n_pairs = max((t * _PAIRS_WANTED / half_width) ** 2, 64 * n_classes * (n_classes + 1) / 2)
    out["pairs"] = n_pairs * (_DRAWN * layers + _DRAWN_FEATURE * n_features) + n * n_features * 1e-9
    if one_layer(kernel, n_features) is not None:
        n_units = max((t * _UNITS_WANTED / half_width) ** 2, 512)
        out["features"] = n * n_units * (_UNIT + _UNIT_FEATURE * n_features)
    return out
