"""Methods other than the exact one, each for one kernel at a time: its shortcut, random hidden
units, or sampled pairs of rows; and "auto", the choice among them.

"auto" tries others in the order of their predicted cost, and gives them up while they have cost
little: whatever is given up, for all kernels of a call together, takes a small part of the time of
the exact pass, which is the last resort. Of the costs, measured once, only ratios matter.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

from nc1fast.core.activations import traits
from nc1fast.core.machine import thread_count
from nc1fast.estimators.accuracy import WASTE, Accuracy, Sampling
from nc1fast.estimators.estimate import RefusedError
from nc1fast.estimators.runs import PILOT_UNITS, features_within, pairs_within
from nc1fast.estimators.strata import PILOT_PAIRS
from nc1fast.kernels.algebra import Composite
from nc1fast.kernels.classes import Kernel
from nc1fast.methods.exact import by_exact
from nc1fast.metrics.result import collapse_from_sums
from nc1fast.shortcuts import ShortcutUnavailable, shortcut_of, shortcut_sums
from nc1fast.support.warnings import AccuracyWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nc1fast.inputs.labelled import LabelledData
    from nc1fast.methods.request import Execution, Request
    from nc1fast.metrics.result import Collapse
    from nc1fast.sums.settings import Settings

# Seconds on one core, of the machine behind the table in the README.
_PAIR, _PAIR_FEATURE = 1.7e-9, 3.9e-11  # exact: per pair of rows and hidden layer; per feature
_SWEEP = 2.5e-7  # per row and class
_LINE, _PLANE = (1e-7, 2.5e-3, 1e-5), (3e-7, 3e-2, 1.4e-2)  # per row; class; pair of classes
_DRAWN, _DRAWN_FEATURE = 7e-7, 1.6e-8  # per sampled pair of rows and hidden layer; per feature
_STRATUM = 5e-5  # per pair of classes, in each sample of pairs
_UNIT, _UNIT_FEATURE = 6e-9, 6e-11  # per row and hidden unit; per feature; an NTK four times both
_UNIT_DRAWN = 1e-5


class Price(NamedTuple):
    """Predicted seconds of a method.

    Attributes
    ----------
    begun : float
        Of what is certain to run: all of an exact method; of an estimate the first reading of the
        rows and the pilot.
    term : float
        Of each further term of a sample.
    """

    begun: float
    term: float = 0.0

    def seconds(self, terms: int) -> float:
        """Seconds of a sample that was given up after so many terms."""
        return max(self.begun, terms * self.term)


def prices(
    kernel: Kernel, n: int, n_features: int, n_classes: int, *, single: bool, n_threads: int
) -> dict[str, Price]:
    """Price of each method that applies to a kernel, by name.

    Parameters
    ----------
    kernel : Kernel
    n, n_features, n_classes : int
        Rows, their columns, and classes.
    single : bool
        Whether tiles are in single precision.
    n_threads : int
    """
    layers = max(1, kernel.depth - 1)
    exact = n**2 / 2 * (_PAIR * layers + _PAIR_FEATURE * n_features) / n_threads
    out = {"exact": Price(exact * (0.5 if single else 1.0))}
    if isinstance(kernel, Composite):
        return out
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
    if traits(kernel.input_layer(n_features).activation).series is None:
        out["pairs"] = Price((n + 28 * n_classes) * term + pilot, term)
    if (layer := kernel.one_layer(n_features)) is not None:
        unit = n * (_UNIT + _UNIT_FEATURE * n_features) * (4 if layer.tangent else 1) + _UNIT_DRAWN
        out["features"] = Price(PILOT_UNITS * unit, unit)
    return out


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


_TRUSTED = 1e-10  # relative error bound up to which a shortcut stands for the exact value


def by_choice(
    request: Request,
    data: LabelledData,
    kernels: Sequence[Any],
    settings: Settings,
    execution: Execution,
) -> list[Collapse]:
    """Collapse of each kernel by the method predicted fastest; one exact pass takes all kernels
    that none is quicker for.
    """
    share = 1 / len(kernels)
    found = [_quicker(request, data, kernel, settings, share) for kernel in kernels]
    left = {k: reason for k, reason in enumerate(found) if isinstance(reason, str)}
    results = {k: result for k, result in enumerate(found) if not isinstance(result, str)}
    if left:
        exact = by_exact(request, data, [kernels[k] for k in left], settings, execution)
        for (k, reason), result in zip(left.items(), exact, strict=True):
            results[k] = dataclasses.replace(result, reason=reason)
    return [results[k] for k in range(len(kernels))]


def _quicker(
    request: Request, data: LabelledData, kernel: Any, settings: Settings, share: float
) -> Collapse | str:
    """Collapse by the cheapest method that succeeds, or the reason why the exact pass is left.

    Parameters
    ----------
    share : float
        Part of the time of the exact pass, which takes all kernels of a call, that falls to this
        one.
    """
    if not isinstance(kernel, Kernel):
        return "the only method for what is no kernel object"
    price = prices(
        kernel,
        data.n_samples,
        data.n_features,
        len(data.classes),
        single=settings.dtype == "float32",
        n_threads=thread_count(settings.n_threads),
    )
    exact = price.pop("exact").begun
    if request.tolerance is None:
        price = {name: own for name, own in price.items() if name == "shortcut"}
    why, lost = [f"{exact:.2g} s expected"], 0.0
    # The shortcut first: it is exact.
    for name, own in sorted(price.items(), key=lambda item: (item[0] != "shortcut", item[1].begun)):
        if lost + own.begun > WASTE * exact * share:
            why.append(f"{own.begun:.2g} s by {name} to begin with")
            continue
        try:
            if name == "shortcut":
                result = _trusted_shortcut(request, data, kernel, settings)
                reason = f"{own.begun:.2g} s expected, {exact:.2g} s by exact"
            else:
                left = (exact * share - lost) / own.term
                result = BY_NAME[name](request, data, kernel, settings, left)
                reason = f"{exact:.2g} s expected by exact"
            return dataclasses.replace(result, reason=f"{result.reason}; {reason}")
        except RefusedError as error:
            why.append(str(error))
            lost += own.seconds(error.spent)
        except ShortcutUnavailable as error:
            why.append(str(error))
            lost += own.begun
    return "; ".join(why)


def _trusted_shortcut(
    request: Request, data: LabelledData, kernel: Kernel, settings: Settings
) -> Collapse:
    """Collapse by the shortcut, with nearly all digits certain.

    Raises
    ------
    ShortcutUnavailable
        If it does not apply to these rows, or its error bound exceeds a tenth of the tolerance and
        1e-10 of nc1.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)  # the exact pass warns in its turn
        result = by_shortcut(request, data, kernel, settings)
    trusted = max(_TRUSTED, (request.tolerance or 0) / 10)
    if result.error_bound <= trusted * abs(result.nc1) or result.error_bound == 0:
        return result
    raise ShortcutUnavailable(f"the error bound of the shortcut is {result.error_bound:.1e}")
