"""Random hidden units of one layer, and their moments over a range of rows.

    rows, sorted by class  ->  products with the weights of a block of units  ->  phi, phi'  ->
    moments of each class

chunk by chunk. The sizes of chunks and blocks follow from the problem alone, and so do the bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.activations import of_arrays
from nc1fast.core.linear import SCRATCH, matmul
from nc1fast.estimators.class_moments import ClassMoments, add_tangents, add_values, segments
from nc1fast.inputs.arrays import rows_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nc1fast.activations import ArrayFunction
    from nc1fast.estimators.class_moments import Segments
    from nc1fast.inputs.labelled import LabelledData
    from nc1fast.kernels.one_layer import OneLayer

    Array = NDArray[Any]  # float64, or float32 where the caller asks for it

_CHUNK_ROWS, _CHUNK_NUMBERS = 2048, 1 << 19  # rows at a time: 4 MiB at most
_COPIES = 7  # of the products of a block, while its activations are evaluated


class BlockMoments:
    """Class moments of a block of m units.

    Attributes
    ----------
    values : ClassMoments of m columns
        Of phi.
    tangents : ClassMoments of m columns of d numbers, or None
        Of phi' times the row; for an NTK.
    slopes : ClassMoments of m columns, or None
        Of phi'; for an NTK whose first biases are trained.
    """

    def __init__(self, layer: OneLayer, n_classes: int, n_units: int, n_features: int) -> None:
        self.values = ClassMoments(n_classes, n_units)
        self.tangents = ClassMoments(n_classes, n_units, n_features) if layer.tangent else None
        biased = layer.tangent * layer.theta_bias > 0
        self.slopes = ClassMoments(n_classes, n_units) if biased else None

    def add(
        self,
        functions: tuple[ArrayFunction, ArrayFunction | None],
        U: Array,
        t: Array | None,
        parts: Segments,
    ) -> None:
        """Add rows sorted by class: their products U (n, m) with the weights, and for an NTK the
        rows t (n, d).
        """
        phi, slope = functions
        add_values(self.values, phi(U), parts)
        if self.tangents is None or t is None or slope is None:
            return
        A = slope(U)
        add_tangents(self.tangents, A, t, parts)
        if self.slopes is not None:
            add_values(self.slopes, A, parts)

    def present(self) -> list[ClassMoments]:
        """The moments that are not None, in order."""
        return [m for m in (self.values, self.tangents, self.slopes) if m is not None]


@dataclass(eq=False)
class UnitMoments:
    """Class moments over some rows.

    Attributes
    ----------
    blocks : list of BlockMoments
    rows : ClassMoments of d columns, or None
        Of the rows themselves, where the kernel has a linear part.
    """

    blocks: list[BlockMoments]
    rows: ClassMoments | None

    def merge(self, other: UnitMoments) -> None:
        """Add the moments of the same units over other rows."""
        mine = [m for block in self.blocks for m in block.present()]
        theirs = [m for block in other.blocks for m in block.present()]
        for a, b in zip(mine, theirs, strict=True):
            a.merge(b)
        if self.rows is not None and other.rows is not None:
            self.rows.merge(other.rows)


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
    ) -> UnitMoments:
        """Moments over consecutive rows.

        Parameters
        ----------
        data : LabelledData
        rows : range
            With step 1.
        weights : sequence of ndarray of shape (m, width)
            One array per block of units.
        linear : bool
            Whether the moments of the rows themselves are asked for.
        """
        layer, phi, d = self.layer, of_arrays(self.activation), self.n_features
        n_classes = len(data.classes)
        blocks = [BlockMoments(layer, n_classes, len(w), d) for w in weights]
        own = ClassMoments(n_classes, d) if linear else None
        step = self.chunk(data.n_features)
        for start in range(rows.start, rows.stop, step):
            chunk = slice(start, min(start + step, rows.stop))
            order, parts = segments(data.classes.of_row[chunk])
            x = layer.rows(rows_at(data.rows, chunk))[order]
            z = self.inputs(x).astype(self.dtype, copy=False)
            t = math.sqrt(layer.theta_weight) * x.astype(self.dtype) if layer.tangent else None
            if own is not None:
                add_values(own, x, parts)
            for block, w in zip(blocks, weights, strict=True):
                block.add(phi, matmul(z, w.T), t, parts)
        return UnitMoments(blocks, own)
