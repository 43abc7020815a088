"""Random hidden units on rows: activations of NumPy arrays, and their moments over a stretch of rows.

    rows, sorted by class  ->  products with the weights of a block of units  ->  phi, phi'  ->  moments of each class

chunk by chunk: sizes of chunks and blocks follow from the problem alone, and so do the bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.activations import LeakyReLU
from nc1fast.core.linear import SCRATCH, matmul
from nc1fast.estimators.moments import Moments, add_tangents, add_values, segments
from nc1fast.inputs.arrays import rows_at
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from nc1fast.estimators.moments import Segments
    from nc1fast.kernels.one_layer import OneLayer

    Array = NDArray[Any]  # float64, or float32 where the caller asks for it
    Function = Callable[[Array], Array]

_CHUNK_ROWS, _CHUNK_NUMBERS = 2048, 1 << 19  # rows at a time: 4 MiB at most
_COPIES = 7  # of the products of a block, while its activations are evaluated


def _erf(u: Array) -> Array:
    return np.asarray(require("scipy.special", "adaptive").erf(u))


def _normal(u: Array) -> Array:
    return np.asarray(require("scipy.special", "adaptive").ndtr(u))


def _density(u: Array) -> Array:
    return np.asarray(np.exp(-(u**2) / 2) / math.sqrt(2 * math.pi))


# phi and phi' of arrays
_ACTIVATIONS: dict[str, tuple[Function, Function]] = {
    "relu": (lambda u: np.maximum(u, 0), lambda u: (u > 0).astype(u.dtype)),
    "abs": (np.abs, np.sign),
    "step": (lambda u: (u > 0).astype(u.dtype), np.zeros_like),
    "sign": (np.sign, np.zeros_like),
    "relu2": (lambda u: np.maximum(u, 0) ** 2, lambda u: 2 * np.maximum(u, 0)),
    "erf": (_erf, lambda u: 2 / math.sqrt(math.pi) * np.exp(-(u**2))),
    "probit": (_normal, _density),
    "gelu": (lambda u: u * _normal(u), lambda u: _normal(u) + u * _density(u)),
    "sin": (np.sin, np.cos),
    "cos": (np.cos, lambda u: -np.sin(u)),
    "exp": (np.exp, np.exp),
    "gaussian": (lambda u: np.exp(-(u**2)), lambda u: -2 * u * np.exp(-(u**2))),
}


# Even or odd, so that products of two units, or of two derivatives, are even.
PARITY = frozenset({"abs", "sign", "erf", "sin", "cos", "gaussian"})


def activation_of(activation: Any) -> tuple[Function, Function]:
    """Phi and phi' as functions of NumPy arrays; erf, probit and gelu need scipy."""
    if isinstance(activation, LeakyReLU):
        slope = activation.slope
        return lambda u: np.where(u > 0, u, slope * u), lambda u: np.where(u > 0, 1.0, slope)
    return _ACTIVATIONS[activation]


class BlockMoments:
    """Of a block of units: of phi, of phi' times the rows, and of phi'."""

    def __init__(self, layer: OneLayer, n_classes: int, n_units: int, n_features: int) -> None:
        self.values = Moments(n_classes, n_units)
        self.tangents = Moments(n_classes, n_units, n_features) if layer.tangent else None
        biased = layer.tangent * layer.theta_bias > 0
        self.slopes = Moments(n_classes, n_units) if biased else None

    def add(
        self, phi: tuple[Function, Function], U: Array, t: Array | None, parts: Segments
    ) -> None:
        """Add products U (n, m) and rows t (n, d), sorted by class."""
        add_values(self.values, phi[0](U), parts)
        if self.tangents is None or t is None:
            return
        A = phi[1](U)
        add_tangents(self.tangents, A, t, parts)
        if self.slopes is not None:
            add_values(self.slopes, A, parts)

    def parts(self) -> list[Moments]:
        """What there is of it."""
        return [m for m in (self.values, self.tangents, self.slopes) if m is not None]


@dataclass(eq=False)
class UnitMoments:
    """Of some blocks of units, and of the rows themselves where their kernel has a linear part, over some rows."""

    blocks: list[BlockMoments]
    rows: Moments | None

    def join(self, other: UnitMoments) -> None:
        """Merge those of the same units over other rows."""
        mine = [m for block in self.blocks for m in block.parts()]
        theirs = [m for block in other.blocks for m in block.parts()]
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
    activation : str or LeakyReLU
        Of the units: that of the layer, or the part of it that is sampled.
    n_features : int
        Of `layer.rows`.
    dtype : dtype
        Of weights, products and activations; moments are merged in float64.
    """

    layer: OneLayer
    activation: Any
    n_features: int
    dtype: Any

    @property
    def width(self) -> int:
        """Length of a row of `inputs`."""
        return self.n_features + (self.layer.bias > 0)

    def inputs(self, x: Array) -> Array:
        """Rows (sqrt(weight) x, sqrt(bias)) that hidden weights meet."""
        z: Array = math.sqrt(self.layer.weight) * x
        if self.layer.bias == 0:
            return z
        return np.column_stack([z, np.full(len(z), math.sqrt(self.layer.bias))])

    @staticmethod
    def chunk(n_features: int) -> int:
        """Rows of X at a time."""
        return max(1, min(_CHUNK_ROWS, _CHUNK_NUMBERS // n_features))

    def bytes_of_chunk(self, n_rows: int, n_features: int, block: int) -> int:
        """Memory that `moments` takes beside what it returns, for rows of X of `n_features`."""
        item = self.dtype.itemsize
        size: int = n_rows * (32 * (n_features + self.width) + _COPIES * block * item)
        return size + SCRATCH

    def bytes_of_unit(self, n_classes: int) -> int:
        """Moments and weights of a unit."""
        tangents = 8 * self.n_features + 24 if self.layer.tangent else 0
        weights: int = self.width * self.dtype.itemsize
        return n_classes * (16 + tangents) + weights

    def moments(
        self,
        X: Any,
        classes: NDArray[np.int32],
        n_classes: int,
        weights: Sequence[Array],
        rows: range,
        *,
        linear: bool,
    ) -> UnitMoments:
        """Moments over consecutive rows.

        Parameters
        ----------
        X : ndarray or FileRows of shape (n_samples, n_features)
        weights : sequence of ndarray of shape (m, width)
            A block each.
        linear : bool
            Whether those of the rows themselves are asked for.
        """
        layer, phi, d = self.layer, activation_of(self.activation), self.n_features
        blocks = [BlockMoments(layer, n_classes, len(w), d) for w in weights]
        own = Moments(n_classes, d) if linear else None
        step = self.chunk(X.shape[1])
        for start in range(rows.start, rows.stop, step):
            chunk = slice(start, min(start + step, rows.stop))
            order, parts = segments(classes[chunk])
            x = layer.rows(rows_at(X, chunk))[order]
            z = self.inputs(x).astype(self.dtype, copy=False)
            t = math.sqrt(layer.theta_weight) * x.astype(self.dtype) if layer.tangent else None
            if own is not None:
                add_values(own, x, parts)
            for block, w in zip(blocks, weights, strict=True):
                block.add(phi, matmul(z, w.T), t, parts)
        return UnitMoments(blocks, own)
