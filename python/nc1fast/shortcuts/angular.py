"""Kernels of one hidden layer with a piecewise polynomial activation, as combinations of kernels of
the angle.

The points are z = (x, sqrt(bias/weight)), Sigma = weight <z, z'>. phi is `Homogeneous`; of degree
    1, phi(u) = odd u + even |u|, as the
mixed terms are odd in w and vanish:   kappa = odd^2 Sigma + even^2 weight kappa_abs(z, z'),   kdot
    = odd^2 + even^2 kappa_sign(z, z').
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.activations import traits
from nc1fast.shortcuts.catalogue import ShortcutUnavailable
from nc1fast.shortcuts.sweep import Line, Plane

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from nc1fast.activations import Homogeneous
    from nc1fast.kernels.classes import OneLayer
    from nc1fast.shortcuts.partial import PartialSums
    from nc1fast.shortcuts.sweep import Form

    Array = NDArray[np.float64]
    Forms = list[tuple[float, Form]]


def angular_sums(
    layer: OneLayer, X: Array, sizes: NDArray[np.int64], pool: Executor, *, row_sums: bool
) -> PartialSums:
    """Sums of a kernel of the angle, by a sweep.

    Parameters
    ----------
    layer : OneLayer
        Without input biases for two features.
    X : ndarray of shape (n_samples, 1 or 2)
        Sorted by class.
    sizes : ndarray of shape (n_classes,)
    pool : Executor
        The bits do not depend on it.
    row_sums : bool
        Whether the row-class sums are kept.

    Raises
    ------
    ShortcutUnavailable
        For zero rows where the activation, or a derivative that the kernel needs, has no single
        value.
    """
    x = np.ascontiguousarray(X.T)
    second = np.full(len(X), math.sqrt(layer.bias / layer.weight)) if len(x) == 1 else x[1]
    points = np.array([x[0], second])
    form = traits(layer.activation).homogeneous
    assert form is not None
    directed = form.degree == 0 or layer.tangent * layer.theta_bias > 0
    if directed and not points.any(axis=0).all():
        raise ShortcutUnavailable(
            "X has zero rows, where the activation or its derivative has no one value"
        )
    line = len(x) == 1 and layer.bias == 0 and form.degree < 2
    plane = Line(x, sizes, pool) if line else Plane(points, sizes, pool)
    base, forms = _forms(layer, form, plane, x)
    if base > 0 or not forms:
        forms.append((base, plane.linear(np.ones((1, len(X))))))
    return plane.sums(forms, rows=row_sums)


def _forms(layer: OneLayer, form: Homogeneous, plane: Plane, x: Array) -> tuple[float, Forms]:
    """The constant and the forms, with their coefficients, that add up to the kernel."""
    base, ones = layer.constant, np.ones((1, x.shape[1]))
    odd, even = form.odd**2, form.even**2
    if form.degree == 2:  # odd u|u| + even u^2
        coefficient = 2 * layer.value * layer.weight**2
        return base, [
            (even * coefficient, plane.squares(odd=False)),
            (odd * coefficient, plane.squares(odd=True)),
        ]
    if form.degree == 0:  # odd sign(u) + even
        return base + even * layer.value, [(odd * layer.value, plane.sign(ones))]
    base += odd * (layer.value * layer.bias + layer.tangent * layer.theta_bias)
    linear = odd * (layer.value * layer.weight + layer.tangent * layer.theta_weight)
    forms: Forms = []
    if (coefficient := even * layer.value * layer.weight) > 0:
        forms.append((coefficient, plane.absolute()))
    if (coefficient := even * layer.tangent * layer.theta_weight) > 0:
        forms.append((coefficient, plane.sign(x)))
    if (coefficient := even * layer.tangent * layer.theta_bias) > 0:
        forms.append((coefficient, plane.sign(ones)))
    if linear > 0:
        forms.append((linear, plane.linear(x)))
    return base, forms
