"""Random hidden units of one layer as an array: features of covariance kernels of any activation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.activations import of_arrays
from nc1fast.core.linear import matmul
from nc1fast.estimators.directions import Directions
from nc1fast.estimators.hidden_units import HiddenUnits
from nc1fast.kernels.classes import Kernel
from nc1fast.support.arguments import as_count, as_seed, check_choice, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class UnitMap:
    """One draw of hidden units: a function from rows (n, d0) to features (n, n_features).

    Attributes
    ----------
    units : HiddenUnits
    weights : ndarray of shape (m, units.width)
    """

    units: HiddenUnits
    weights: Array

    @property
    def dtype(self) -> Any:
        """The type of weights and features."""
        return self.units.dtype

    @property
    def n_features(self) -> int:
        """One for each unit, and the constant where the kernel has one."""
        return len(self.weights) + (self.units.layer.constant > 0)

    def __call__(self, X: Array) -> Array:
        """Columns sqrt(value/m) phi(w_k . row), and sqrt(constant)."""
        layer = self.units.layer
        phi, _ = of_arrays(self.units.activation)
        inputs = self.units.inputs(layer.rows(X)).astype(self.dtype, copy=False)
        H: Array = phi(matmul(inputs, self.weights.T))
        H *= math.sqrt(layer.value / len(self.weights))
        if not layer.constant:
            return H
        return np.column_stack([H, np.full(len(H), math.sqrt(layer.constant), self.dtype)])


def draw_units(
    kernel: Any, n_columns: int, n_features: int, seed: int, *, sampling: str, dtype: str
) -> UnitMap:
    """Random hidden units whose features H have E H H^T = K, exactly.

    Parameters
    ----------
    kernel : ConjugateKernel, NNGP or AdaptiveKernel
        Of one hidden layer, with any activation.
    n_columns : int
        Features d0 of a row.
    n_features : int
        Features of the map: the units, and one for the bias of the last layer.
    seed : int
        >= 0; the same seed gives the same bits.
    sampling : {"orthogonal", "plain"}
        Hidden weights in orthogonal blocks, or independent.
    dtype : {"float64", "float32"}

    Raises
    ------
    TypeError, ValueError
        For another kernel, and an argument out of range.

    Notes
    -----
    Source: Rahimi & Recht (2008); Yu et al. (2016) for orthogonal weights.
    """
    if not isinstance(kernel, Kernel):
        raise TypeError(f"kernel must be a kernel object, got {shown(kernel)}")
    check_choice("sampling", sampling, ("orthogonal", "plain"))
    check_choice("dtype", dtype, ("float64", "float32"))
    layer = None if kernel.is_tangent else kernel.one_layer(n_columns)
    if layer is None:
        raise ValueError(
            f"kernel must be a ConjugateKernel, NNGP or AdaptiveKernel of depth 2 to have hidden units as features, got {kernel!r}"
        )
    constant = layer.constant > 0
    m = as_count("n_features", n_features, 1 + constant) - constant
    rank = n_columns if layer.factor is None else layer.factor.shape[1]
    units = HiddenUnits(layer, layer.activation, rank, np.dtype(dtype))
    width = units.width
    drawn = Directions(width, m, np.zeros((0, width)), sampling == "orthogonal", as_seed(seed))
    return UnitMap(units, drawn.draw(0).astype(units.dtype))
