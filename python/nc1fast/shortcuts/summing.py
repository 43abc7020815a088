"""`shortcut_sums`: the class sums of a kernel by its shortcut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.machine import thread_count
from nc1fast.inputs.arrays import rows_at
from nc1fast.shortcuts.angular import angular_sums
from nc1fast.shortcuts.catalogue import ShortcutUnavailable, shortcut_of
from nc1fast.shortcuts.interpolation import interpolated_sums
from nc1fast.shortcuts.partial import combined, constant, of_sums
from nc1fast.sums.given import feature_sums

if TYPE_CHECKING:
    from nc1fast.inputs.labelled import LabelledData
    from nc1fast.kernels.fully_connected import Linear
    from nc1fast.shortcuts.partial import PartialSums
    from nc1fast.sums.class_sums import ClassSums
    from nc1fast.sums.settings import Settings


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
            f"there is no shortcut for {kernel!r} of {data.n_features} features; see nc1fast.shortcuts for those there are"
        )
    classes, row_sums = data.classes, settings.row_sums
    if kind == "linear":
        parts = _linear(data, kernel, row_sums=row_sums)
        return combined(parts, classes, kernel)
    from concurrent.futures import ThreadPoolExecutor

    rows = rows_at(data.rows, classes.order).astype(np.float64, copy=False)
    with ThreadPoolExecutor(thread_count(settings.n_threads)) as pool:
        if kind == "interpolation":
            sums = interpolated_sums(
                kernel, rows, classes.sizes, pool, rows=row_sums, only_if_quicker=only_if_quicker
            )
        else:
            layer = kernel.one_layer(data.n_features)
            assert layer is not None
            sums = angular_sums(layer, rows, classes.sizes, pool, row_sums=row_sums)
    return combined([(1.0, sums)], classes, kernel)


def _linear(
    data: LabelledData, kernel: Linear, *, row_sums: bool
) -> list[tuple[float, PartialSums]]:
    """The parts weight <x, z> and bias of a linear kernel that are not zero; the first if both are."""
    explicit = of_sums(feature_sums(data, rows=row_sums))
    one = constant(data.classes.sizes, data.n_samples if row_sums else None)
    parts = [(kernel.weight_variance / data.n_features, explicit), (kernel.bias_variance, one)]
    return [part for part in parts if part[0] > 0] or parts[:1]
