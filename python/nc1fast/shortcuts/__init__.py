"""Exact class sums in less than N^2 steps, where the kernel and the number of features allow it.

| kernel | features | how | steps |
| --- | --- | --- | --- |
| Linear | any | explicit features | N d0 C |
| depth 2 of relu, leaky_relu, abs, sign, step; NNGP of relu2 | 2 without input bias, or 1 | sweep over angles (`sweep`) | N log N + N C |
| any depth of a smooth activation, AdaptiveKernel | 1 or 2 | interpolation nodes (`interpolation`) | N p^d0, p about 10 to 64 |

All fields of the class sums are there, row-class sums included, with bounds on their errors.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.backend import thread_count
from nc1fast.inputs.arrays import rows_at
from nc1fast.kernels.classes import Kernel, Linear
from nc1fast.kernels.one_layer import OneLayer, halves, one_layer
from nc1fast.shortcuts.interpolation import interpolated_sums
from nc1fast.shortcuts.partial import PartialSums, combined, constant, of_sums
from nc1fast.shortcuts.sweep import Line, Plane
from nc1fast.sums.features import feature_sums

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from nc1fast.inputs.labelled import LabelledData
    from nc1fast.sums.class_sums import ClassSums
    from nc1fast.sums.settings import Settings

    Array = NDArray[np.float64]

__all__ = ["ShortcutUnavailable", "shortcut_of", "shortcut_sums"]


class ShortcutUnavailable(ValueError):  # noqa: N818  (a name of the interface)
    """No shortcut for this kernel and these rows: the pass over all pairs takes them."""


SMOOTH = frozenset({"erf", "probit", "gelu", "sin", "cos", "exp", "gaussian"})


def shortcut_of(kernel: Any, n_features: int) -> str | None:
    """Which shortcut a kernel has: "linear", "sweep", "interpolation", or None.

    Parameters
    ----------
    kernel : Kernel
    n_features : int

    Returns
    -------
    str or None
        "interpolation" may still turn out to need more nodes than it has for data that spread far.
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


def shortcut_sums(
    data: LabelledData,
    kernel: Any,
    settings: Settings,
    *,
    only_if_quicker: bool = False,
) -> ClassSums:
    """Class sums of a kernel by its shortcut.

    Parameters
    ----------
    data : LabelledData
    kernel : Kernel
    settings : Settings
        Of which the statistics and the number of threads count; the bits do not depend on the threads.
    only_if_quicker : bool
        Refuse rows that spread so far that the pass over pairs costs less.

    Returns
    -------
    ClassSums

    Raises
    ------
    ShortcutUnavailable
        Where there is no shortcut, or X spreads too far for it; for zero rows where the kernel has no value or no one derivative there.

    Notes
    -----
    Cost: as the table above; memory N (d0 + 30) float64, and N C for the row sums.
    Accuracy: `error_bound` says; about 1e-13 of nc1, however collapsed, for Linear, relu, leaky_relu, abs, relu2, and for erf
    with one hidden layer; elsewhere what a difference k_ii + k_jj - 2 k_ij leaves, as in the pass over pairs.
    """
    X, classes, row_sums = data.rows, data.classes, settings.row_sums
    kind = shortcut_of(kernel, data.n_features)
    if kind is None:
        raise ShortcutUnavailable(
            f"there is no shortcut for {kernel!r} of {data.n_features} features; see nc1fast.shortcuts for those there are"
        )
    from concurrent.futures import ThreadPoolExecutor

    sizes = classes.sizes
    rows = rows_at(X, classes.order).astype(np.float64, copy=False)
    with ThreadPoolExecutor(thread_count(settings.n_threads)) as pool:
        if kind == "interpolation":
            sums = interpolated_sums(
                kernel, rows, sizes, pool, rows=row_sums, only_if_quicker=only_if_quicker
            )
            if sums is None:
                raise ShortcutUnavailable(
                    f"the shortcut for {kernel!r} needs too many nodes: X spreads too far for this activation"
                )
            parts = [(1.0, sums)]
        elif kind == "linear":
            weight, bias = kernel.weight_variance / data.n_features, kernel.bias_variance
            explicit = feature_sums(data, rows=row_sums)
            parts = _present([(weight, of_sums(explicit)), (bias, _constant(sizes, row_sums))])
        else:
            layer = one_layer(kernel, data.n_features)
            assert layer is not None
            parts = [(1.0, _swept(layer, rows, sizes, pool, row_sums=row_sums))]
    return combined(parts, sizes, classes.labels, kernel, classes.order)


def _constant(sizes: NDArray[np.int64], row_sums: bool) -> PartialSums:
    return constant(sizes, int(sizes.sum()) if row_sums else None)


def _present(parts: list[tuple[float, PartialSums]]) -> list[tuple[float, PartialSums]]:
    """Those with a coefficient; the first if none has."""
    return [part for part in parts if part[0] > 0] or parts[:1]


def _swept(
    layer: OneLayer,
    X: Array,
    sizes: NDArray[np.int64],
    pool: Executor,
    *,
    row_sums: bool,
) -> PartialSums:
    """Explicit vectors and angles whose combination is the kernel.

    The points are z = (x, sqrt(bias/weight)), Sigma = weight <z, z'>. With phi(u) = odd u + even |u|, as the mixed terms are odd
    in w and vanish:   kappa = odd^2 Sigma + even^2 weight kappa_abs(z, z'),   kdot = odd^2 + even^2 kappa_sign(z, z').
    """
    x = np.ascontiguousarray(X.T)
    second = np.full(len(X), math.sqrt(layer.bias / layer.weight)) if len(x) == 1 else x[1]
    points = np.array([x[0], second])
    ones = np.ones((1, len(X)))
    pair = halves(layer.activation)
    directed = layer.activation in ("sign", "step")
    if (directed or layer.tangent * layer.theta_bias > 0) and not points.any(axis=0).all():
        raise ShortcutUnavailable(
            "X has zero rows, where the activation or its derivative has no one value"
        )
    line = len(x) == 1 and layer.bias == 0 and layer.activation != "relu2"
    plane = Line(x, sizes, pool) if line else Plane(points, sizes, pool)
    base = layer.constant
    if layer.activation == "relu2":  # (u^2 + u|u|)/2
        coefficient = layer.value * layer.weight**2 / 2
        forms = [(coefficient, plane.squares(odd=odd)) for odd in (False, True)]
    elif pair is None:  # step = 1/2 + sign/2
        step = layer.activation == "step"
        base += layer.value / 4 if step else 0.0
        forms = [(layer.value * (0.25 if step else 1.0), plane.sign(ones))]
    else:
        odd, even = (v**2 for v in pair)
        base += odd * (layer.value * layer.bias + layer.tangent * layer.theta_bias)
        linear = odd * (layer.value * layer.weight + layer.tangent * layer.theta_weight)
        forms = []
        if (coefficient := even * layer.value * layer.weight) > 0:
            forms.append((coefficient, plane.absolute()))
        if (coefficient := even * layer.tangent * layer.theta_weight) > 0:
            forms.append((coefficient, plane.sign(x)))
        if (coefficient := even * layer.tangent * layer.theta_bias) > 0:
            forms.append((coefficient, plane.sign(ones)))
        if linear > 0:
            forms.append((linear, plane.linear(x)))
    if base > 0 or not forms:
        forms.append((base, plane.linear(ones)))
    return plane.sums(forms, rows=row_sums)
