"""The choice among the pass over all pairs, a shortcut and estimates: what each would take, and what it does when it is tried."""

from __future__ import annotations

import dataclasses
import math
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

from nc1fast.core.backend import thread_count
from nc1fast.estimators.accuracy import Accuracy, Sampling
from nc1fast.estimators.estimate import RefusedError
from nc1fast.estimators.runs import PILOT_UNITS, features_within, pairs_within
from nc1fast.estimators.strata import PILOT_PAIRS
from nc1fast.estimators.tolerance import WASTE
from nc1fast.inputs.arrays import as_labels, as_rows
from nc1fast.inputs.labelled import LabelledData
from nc1fast.kernels.classes import Kernel
from nc1fast.kernels.one_layer import one_layer
from nc1fast.methods import by_shortcut
from nc1fast.shortcuts import ShortcutUnavailable, shortcut_of
from nc1fast.sums.settings import Settings
from nc1fast.support.warnings import AccuracyWarning

if TYPE_CHECKING:
    from nc1fast.methods import Request
    from nc1fast.metrics.result import Collapse

_TRUSTED = 1e-10  # relative error bound up to which `auto` takes a shortcut for the exact value

# Seconds on one core, measured where the README's table comes from; only their ratios matter.
_PAIR, _PAIR_FEATURE = 1.7e-9, 3.9e-11  # exact: a pair of rows and hidden layer; a feature more
_SWEEP = 2.5e-7  # of a row and class
_LINE, _PLANE = (1e-7, 2.5e-3, 1e-5), (3e-7, 3e-2, 1.4e-2)  # interpolation: row; class; two classes
_DRAWN, _DRAWN_FEATURE = 7e-7, 1.6e-8  # estimate: a pair of rows and hidden layer; a feature more
_STRATUM = 5e-5  # two classes, in each sample of pairs
_UNIT, _UNIT_FEATURE = 6e-9, 6e-11  # a row and random hidden unit; a feature more; an NTK times 4
_UNIT_DRAWN = 1e-5


def estimate(
    request: Request, X: Any, y: Any, kernel: Any, method: str, exact: float = math.inf
) -> Collapse:
    """By random features or pairs; `exact` as `exact_terms` of `Sampling`."""
    data = LabelledData.of(X, y, unread=True)
    accuracy = Accuracy(request.tolerance, request.confidence, request.convention)
    sampling = Sampling(request.seed, exact_terms=exact)
    settings = Settings(
        dtype=request.dtype, n_threads=request.n_threads, memory_limit=request.memory_limit
    )
    estimated = pairs_within if method == "pairs" else features_within
    return estimated(data, kernel, settings, accuracy, sampling)


def quicker(request: Request, X: Any, y: Any, kernel: Any, of: int) -> Collapse | str:
    """By the quickest method that does and takes less time than the pass over pairs; or why there is none.

    What has to be given up along the way, for all `of` kernels of a call together, costs a small part of the time of that pass.
    """
    if not isinstance(kernel, Kernel):
        return "the only method for what is no kernel object"
    rows = as_rows(X, "X")
    _, labels = as_labels(y, len(rows))
    price = prices(
        kernel,
        *(len(rows), rows.shape[1], len(labels)),
        single=request.dtype == "float32",
        n_threads=thread_count(request.n_threads),
    )
    exact = price["exact"].begun
    expected = f"{exact:.2g} s expected"
    if request.tolerance is None:
        price = {name: price[name] for name in ("exact", "shortcut") if name in price}
    why, lost = [], 0.0
    for name in sorted(
        price.keys() - {"exact"}, key=lambda name: (name != "shortcut", price[name].begun)
    ):
        own = price[name]
        if lost + own.begun > WASTE * exact / of:
            why.append(f"{own.begun:.2g} s by {name} to begin with")
            continue
        try:
            if name == "shortcut":
                result = _trusted(request, X, y, kernel)
                reason = f"{own.begun:.2g} s expected, {exact:.2g} s by exact"
            else:
                left = (exact / of - lost) / own.term
                result = estimate(request, X, y, kernel, name, left)
                reason = f"{exact:.2g} s expected by exact"
            return dataclasses.replace(result, reason=f"{result.reason}; {reason}")
        except RefusedError as error:
            why.append(str(error))
            lost += own.seconds(error.spent)
    return "; ".join([expected, *why])


def _trusted(request: Request, X: Any, y: Any, kernel: Any) -> Collapse:
    """The shortcut; `RefusedError` where it does not apply to these rows or is not sure of its digits."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AccuracyWarning)  # then the exact pass warns
            result = by_shortcut(request, X, y, kernel)
    except ShortcutUnavailable as error:
        raise RefusedError(str(error)) from None
    trusted = max(_TRUSTED, (request.tolerance or 0) / 10)
    if result.error_bound <= trusted * abs(result.nc1) or result.error_bound == 0:
        return result
    raise RefusedError(f"the error bound of the shortcut is {result.error_bound:.1e}")


class Price(NamedTuple):
    """Seconds: of all that is certain to be run, and of a term more of a sample."""

    begun: float
    term: float = 0.0

    def seconds(self, terms: int) -> float:
        """Of a sample that was given up after so many terms."""
        return max(self.begun, terms * self.term)


def prices(
    kernel: Kernel, n: int, n_features: int, n_classes: int, *, single: bool, n_threads: int
) -> dict[str, Price]:
    """What each method that applies would take; of estimates, the pass over the rows and the pilot."""
    layers = max(1, int(kernel.depth) - 1)  # type: ignore[attr-defined]
    exact = n**2 / 2 * (_PAIR * layers + _PAIR_FEATURE * n_features) / n_threads
    out = {"exact": Price(exact * (0.5 if single else 1.0))}
    shortcut = shortcut_of(kernel, n_features)
    if shortcut == "linear":
        out["shortcut"] = Price(n * n_features * n_classes * 1e-9)
    elif shortcut == "sweep":
        out["shortcut"] = Price(n * (n_classes + 1) * _SWEEP)
    elif shortcut == "interpolation":
        row, one, two = _LINE if n_features == 1 else _PLANE
        classes = n_classes * (one + n_classes * two * layers)
        out["shortcut"] = Price(n * (n_classes + 1) * row + classes)
    strata = n_classes * (n_classes + 1) / 2
    term = _DRAWN * layers + _DRAWN_FEATURE * n_features
    pilot = (PILOT_PAIRS * term + 2 * _STRATUM) * strata
    out["pairs"] = Price((n + 28 * n_classes) * term + pilot, term)
    if (layer := one_layer(kernel, n_features)) is not None:
        unit = n * (_UNIT + _UNIT_FEATURE * n_features) * (4 if layer.tangent else 1) + _UNIT_DRAWN
        out["features"] = Price(PILOT_UNITS * unit, unit)
    return out
