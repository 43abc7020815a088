"""The method "auto": others are tried in the order of their predicted cost, and given up while they
have cost little.

Whatever is given up, for all kernels of a call together, takes a small part of the time of the
exact pass, which is the last resort.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING, Any

from nc1fast.core.machine import thread_count
from nc1fast.estimators.accuracy import WASTE
from nc1fast.estimators.estimate import RefusedError
from nc1fast.kernels.classes import Kernel
from nc1fast.methods.exact import by_exact
from nc1fast.methods.prices import prices
from nc1fast.methods.single import BY_NAME, by_shortcut
from nc1fast.shortcuts import ShortcutUnavailable
from nc1fast.support.warnings import AccuracyWarning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.inputs.labelled import LabelledData
    from nc1fast.methods.request import Execution, Request
    from nc1fast.metrics.result import Collapse
    from nc1fast.sums.settings import Settings

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
