"""Which shortcut a kernel has on data of so many features."""

from __future__ import annotations

from typing import Any

from nc1fast.kernels.classes import Kernel, Linear
from nc1fast.kernels.one_layer import halves, one_layer

SMOOTH = frozenset({"erf", "probit", "gelu", "sin", "cos", "exp", "gaussian"})


class ShortcutUnavailable(ValueError):  # noqa: N818  (a name of the interface)
    """There is no shortcut for this kernel and these rows; the pass over all pairs takes them."""


def shortcut_of(kernel: Any, n_features: int) -> str | None:
    """The shortcut of a kernel: "linear", "sweep", "interpolation", or None.

    Parameters
    ----------
    kernel : Kernel, or anything else that `nc1fast.collapse` takes as one
    n_features : int

    Returns
    -------
    str or None
        "interpolation" still fails for data that spread so far that it would need too many nodes.
    """
    if isinstance(kernel, Linear):
        return "linear"
    if not isinstance(kernel, Kernel) or n_features > 2:
        return None
    if kernel.activation in SMOOTH:  # type: ignore[attr-defined]
        return "interpolation"
    layer = one_layer(kernel, n_features)
    if layer is None or layer.factor is not None or layer.weight == 0:
        return None
    angular = halves(layer.activation) is not None or layer.activation in ("sign", "step")
    angular = angular or (layer.activation == "relu2" and layer.tangent == 0)
    return "sweep" if angular and (n_features == 1 or layer.bias == 0) else None
