"""The methods of `nc1fast.collapse`, which is the only one to call them.

| method | module | source of the sums |
| --- | --- | --- |
| exact | `exact` | all pairs of rows, in this process or shared among workers |
| shortcut | `choice` | `nc1fast.shortcuts` |
| features, pairs | `choice` | `nc1fast.estimators` |
| auto | `choice` | whichever of these is predicted fastest |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nc1fast.inputs.sequences import Sequences
from nc1fast.methods.exact import by_exact, exact_sums
from nc1fast.methods.request import Execution, Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.inputs.labelled import LabelledData
    from nc1fast.metrics.result import Collapse
    from nc1fast.sums.settings import Settings

__all__ = ["Execution", "Request", "collapse_by", "exact_sums"]


def collapse_by(
    request: Request,
    data: LabelledData,
    kernels: Sequence[Any],
    settings: Settings,
    execution: Execution,
) -> list[Collapse]:
    """Collapse of each kernel by the method that the request names.

    Raises
    ------
    ValueError
        For an executor, a journal or a device with any method but "exact", for estimates and
        shortcuts of sequences; and as `nc1fast.collapse`.
    """
    if request.method == "exact" or isinstance(data.rows, Sequences):
        if request.method not in ("exact", "auto"):
            raise ValueError(f"method={request.method!r} takes rows of features, not sequences")
        return by_exact(request, data, kernels, settings, execution)
    if execution.shared or settings.device != "cpu":
        raise ValueError("executor, journal and device belong to method='exact'")
    # The estimators are imported where they are used: `import nc1fast` stays fast.
    from nc1fast.methods.choice import BY_NAME, by_choice

    if request.method == "auto":
        return by_choice(request, data, kernels, settings, execution)
    by_method = BY_NAME[request.method]
    return [by_method(request, data, kernel, settings) for kernel in kernels]
