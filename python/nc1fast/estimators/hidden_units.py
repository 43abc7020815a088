"""Random hidden units of one layer: their moments over a range of rows, and the units as features.

    rows, sorted by class  ->  products with the weights of a block of units  ->  phi, phi'  ->
    moments of each class

chunk by chunk. The sizes of chunks and blocks follow from the problem alone, and so do the bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.activations import of_arrays
from nc1fast.core.linear import SCRATCH, matmul
from nc1fast.estimators.class_moments import ClassMoments, add_tangents, add_values, sorted_chunks
from nc1fast.estimators.directions import Directions
from nc1fast.kernels.classes import Kernel
from nc1fast.support.arguments import as_count, as_seed, check_choice, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nc1fast.inputs.labelled import LabelledData
    from nc1fast.kernels.classes import OneLayer

    Array = NDArray[Any]  # float64, or float32 where the caller requests it

_CHUNK_ROWS, _CHUNK_NUMBERS = 2048, 1 << 19  # rows at a time: 4 MiB at most
_COPIES = 7  # of the products of a block, while its activations are evaluated


@dataclass(frozen=True, eq=False)
class HiddenUnits:
    """Hidden units of one layer over rows of data.

    Attributes
    ----------
    layer : OneLayer
    activation : str, LeakyReLU, ShiftedReLU or Activation
        Of the units: that of the layer, or the part of it that is sampled.
    n_features : int
        Length of a row of `layer.rows`.
    dtype : dtype
        Of weights, products and activations; moments are merged in float64.
    """

    layer: OneLayer
    activation: Any
    n_features: int
    dtype: Any

    @property
    def width(self) -> int:
        """Length of a row of `inputs`, and of a vector of hidden weights."""
        return self.n_features + (self.layer.bias > 0)

    def inputs(self, x: Array) -> Array:
        """Rows (sqrt(weight) x, sqrt(bias)) that hidden weights are multiplied by, shape (n,
        width).
        """
        z: Array = math.sqrt(self.layer.weight) * x
        if self.layer.bias == 0:
            return z
        return np.column_stack([z, np.full(len(z), math.sqrt(self.layer.bias))])

    @property
    def coefficients(self) -> list[float]:
        """Coefficients in the kernel of the products of phi, for an NTK of phi' times the row, and
        of phi' where the first biases are trained too.
        """
        layer = self.layer
        of_slopes = [layer.tangent, layer.tangent * layer.theta_bias]
        return [layer.value, *(c for c in of_slopes if c > 0)]

    @staticmethod
    def chunk(n_features: int) -> int:
        """Rows of X that are read at a time, for X of `n_features` columns."""
        return max(1, min(_CHUNK_ROWS, _CHUNK_NUMBERS // n_features))

    def bytes_of_chunk(self, n_rows: int, n_features: int, block: int) -> int:
        """Memory of `moments` beside what it returns, for chunks of (n_rows, n_features) and blocks
        of units.
        """
        item = self.dtype.itemsize
        size: int = n_rows * (32 * (n_features + self.width) + _COPIES * block * item)
        return size + SCRATCH

    def bytes_of_unit(self, n_classes: int) -> int:
        """Memory of the moments and weights of one unit."""
        tangents = 8 * self.n_features + 24 if self.layer.tangent else 0
        weights: int = self.width * self.dtype.itemsize
        return n_classes * (16 + tangents) + weights

    def moments(
        self, data: LabelledData, rows: range, weights: Sequence[Array], *, linear: bool
    ) -> list[ClassMoments]:
        """Moments over consecutive rows.

        Parameters
        ----------
        data : LabelledData
        rows : range
            With step 1.
        weights : sequence of ndarray of shape (m, width)
            One array per block of units.
        linear : bool
            Whether the moments of the rows themselves are requested.

        Returns
        -------
        list of ClassMoments
            For each block and each of the `coefficients`, of m columns of numbers, or of vectors of
            `n_features` numbers; last those of the rows, if requested.
        """
        layer, (phi, slope), C = self.layer, of_arrays(self.activation), len(data.classes)
        shapes: list[tuple[int, ...]] = [(), (self.n_features,), ()][: len(self.coefficients)]
        blocks = [[ClassMoments(C, len(w), *shape) for shape in shapes] for w in weights]
        own = [ClassMoments(C, self.n_features)] if linear else []
        for X, parts in sorted_chunks(data, rows, self.chunk(data.n_features)):
            x = layer.rows(X)
            z = self.inputs(x).astype(self.dtype, copy=False)
            t = math.sqrt(layer.theta_weight) * x.astype(self.dtype) if layer.tangent else x
            for moments in own:
                add_values(moments, x, parts)
            for (values, *derivatives), w in zip(blocks, weights, strict=True):
                U = matmul(z, w.T)
                add_values(values, phi(U), parts)
                if derivatives and slope is not None:
                    A = slope(U)
                    add_tangents(derivatives[0], A, t, parts)
                    for moments in derivatives[1:]:
                        add_values(moments, A, parts)
        return [moments for block in blocks for moments in block] + own


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
            "kernel must be a ConjugateKernel, NNGP or AdaptiveKernel of depth 2 to have hidden "
            f"units as features, got {kernel!r}"
        )
    constant = layer.constant > 0
    m = as_count("n_features", n_features, 1 + constant) - constant
    rank = n_columns if layer.factor is None else layer.factor.shape[1]
    units = HiddenUnits(layer, layer.activation, rank, np.dtype(dtype))
    width = units.width
    drawn = Directions(width, m, np.zeros((0, width)), sampling == "orthogonal", as_seed(seed))
    return UnitMap(units, drawn.draw(0).astype(units.dtype))
