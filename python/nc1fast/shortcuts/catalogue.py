"""Which shortcut a kernel has on data of so many features."""

from __future__ import annotations

from typing import Any

from nc1fast.activations import traits
from nc1fast.kernels.algebra import Composite
from nc1fast.kernels.classes import Kernel


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
    if not isinstance(kernel, Kernel) or isinstance(kernel, Composite):
        return None
    if kernel.is_linear:
        return "linear"
    if n_features > 2:
        return None
    if traits(kernel.input_layer(n_features).activation).smooth:
        return "interpolation"
    layer = kernel.one_layer(n_features)
    if layer is None or layer.factor is not None or layer.weight == 0:
        return None
    form = traits(layer.activation).homogeneous
    angular = form is not None and (form.degree < 2 or layer.tangent == 0)
    return "sweep" if angular and (n_features == 1 or layer.bias == 0) else None
