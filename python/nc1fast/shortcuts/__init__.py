"""Exact class sums in less than N^2 steps, where the kernel and the number of features allow it.

| kernel | features | how | steps |
| --- | --- | --- | --- |
| Linear | any | explicit features | N d0 C |
| depth 2 of a rectifier (1) | 2, or 1 with biases | sweep over angles | N log N + N C |
| smooth (2) | 1 or 2 | interpolation nodes | N p^d0, p about 10 to 64 |

(1) relu, leaky_relu, abs, sign, step; NNGP of relu2. (2) Any depth of a smooth activation, and
AdaptiveKernel. All fields of the class sums are computed, row-class sums included, with bounds on
their errors.

    sweep          kernels as combinations of kernels of the angle, and their sums by a sweep
    spread         the spread within a class under kernels of the angle
    interpolation  the sums of smooth kernels through interpolation nodes
    quadrature     a class as a quadrature rule, on Chebyshev grids
    partial        kernels that are combinations of parts
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.activations import traits
from nc1fast.core.machine import thread_count
from nc1fast.inputs.arrays import rows_at
from nc1fast.kernels.algebra import Composite
from nc1fast.kernels.classes import Kernel
from nc1fast.shortcuts.interpolation import interpolated_sums
from nc1fast.shortcuts.partial import ShortcutUnavailable, combined, constant, of_sums
from nc1fast.shortcuts.sweep import angular_sums
from nc1fast.sums.given import feature_sums

if TYPE_CHECKING:
    from nc1fast.inputs.labelled import LabelledData
    from nc1fast.kernels.fully_connected import Linear
    from nc1fast.shortcuts.partial import PartialSums
    from nc1fast.sums.class_sums import ClassSums
    from nc1fast.sums.settings import Settings

__all__ = ["ShortcutUnavailable", "shortcut_of", "shortcut_sums"]


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


def shortcut_sums(
    data: LabelledData, kernel: Any, settings: Settings, *, only_if_quicker: bool = False
) -> ClassSums:
    """Class sums of a kernel by its shortcut.

    Parameters
    ----------
    data : LabelledData
    kernel : Kernel
    settings : Settings
        Only the statistics and the number of threads count; the bits do not depend on the threads.
    only_if_quicker : bool, default False
        Whether to refuse rows that spread so far that the pass over pairs costs less.

    Returns
    -------
    ClassSums

    Raises
    ------
    ShortcutUnavailable
        If the kernel has no shortcut, if X spreads too far for it, and for zero rows where the
        kernel needs a value or a derivative that the activation does not have there.

    Notes
    -----
    Cost: see the table of `nc1fast.shortcuts`. Memory: N (d0 + 30) float64, and N C for the row
    sums.
    Accuracy: see `error_bound`. About 1e-13 of nc1, however collapsed, for Linear, relu,
    leaky_relu, abs, relu2, and for erf with one hidden layer; elsewhere what a difference k_ii +
    k_jj - 2 k_ij leaves, as in the pass over pairs.
    """
    kind = shortcut_of(kernel, data.n_features)
    if kind is None:
        raise ShortcutUnavailable(
            f"there is no shortcut for {kernel!r} of {data.n_features} features; "
            "see nc1fast.shortcuts for those there are"
        )
    classes, row_sums = data.classes, settings.row_sums
    if kind == "linear":
        return combined(_linear(data, kernel, row_sums=row_sums), classes, kernel)
    from concurrent.futures import ThreadPoolExecutor

    X, sizes = rows_at(data.rows, classes.order).astype(np.float64, copy=False), classes.sizes
    with ThreadPoolExecutor(thread_count(settings.n_threads)) as pool:
        if kind == "sweep":
            layer = kernel.one_layer(data.n_features)
            sums = angular_sums(layer, X, sizes, pool, row_sums=row_sums)
        else:
            quick = only_if_quicker
            sums = interpolated_sums(kernel, X, sizes, pool, rows=row_sums, only_if_quicker=quick)
    return combined([(1.0, sums)], classes, kernel)


def _linear(
    data: LabelledData, kernel: Linear, *, row_sums: bool
) -> list[tuple[float, PartialSums]]:
    """The parts weight <x, z> and bias of a linear kernel that are not zero, or else the first."""
    explicit = of_sums(feature_sums(data, rows=row_sums))
    one = constant(data.classes.sizes, data.n_samples if row_sums else None)
    parts = [(kernel.weight_variance / data.n_features, explicit), (kernel.bias_variance, one)]
    return [part for part in parts if part[0] > 0] or parts[:1]
