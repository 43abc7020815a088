"""Random features of deep kernels of the ReLU family: maps whose inner products approximate NNGP
and NTK kernels.

With phi(u) = odd u + even |u|, and f_l, g_l features of Sigma^l and Theta^l, the next layer has

    features of Q            odd f_l,  even |u|/sqrt(m)                      u = W f_l, m random
        hidden units
    features of Theta kdot   odd g_l,  even sign(u_k) (S g_l)_k/sqrt(m)      S a random rotation,
        one coordinate for each unit

so that what is linear stays exact, and only |u| and sign(u) are sampled. f_l and g_l are the same
columns with other coefficients: a feature that serves several layers is computed once. From the
second hidden layer on, the mean over units is that of the kernel of a random f_l and not of the
mean of f_l: a bias of O(1/m). (Scaling the rows to the norms that they have at infinite width would
make the diagonal exact, but the bias of NC1 several times larger.)

As for one layer (`nc1fast.estimators.directions`), weights are stratified along the class means of
f_l. S maps the directions of the means of g_l to coordinates of their own, +-1 in each unit, so
that no unit has much of them by chance.
Source: Zandieh et al. (2021), whose TensorSRHT sketches both factors; here the random unit is left
as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast.activations import traits
from nc1fast.core.linear import matmul
from nc1fast.estimators.directions import Directions, principal
from nc1fast.estimators.hadamard import Sketch, sketch
from nc1fast.kernels.classes import DeepKernel

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[Any]
    Means = Callable[
        [Array], Array
    ]  # features (n, m) -> (k, m), along which weights are stratified


@dataclass(frozen=True, eq=False)
class _Columns:
    """Features as scaled columns: squared coefficients, zero for the columns that are no part of
    them.
    """

    squares: NDArray[np.float64]  # (n_columns,)

    def of(self, A: Array) -> Array:
        """Features of rows whose columns are A (n, n_columns); shape (n, n_features)."""
        kept = np.flatnonzero(self.squares)
        return np.asarray(A[:, kept] * np.sqrt(self.squares[kept]).astype(A.dtype))


@dataclass(frozen=True, eq=False)
class _Rotation:
    """S g: coordinates along `basis`, apart from the rest of g, then random coordinates of a random
    rotation of both.
    """

    columns: _Columns
    basis: Array  # (s, d)
    sketch: Sketch

    def __call__(self, A: Array) -> Array:
        g = self.columns.of(A)
        along = matmul(g, self.basis.T)
        return self.sketch(np.column_stack([along, g - matmul(along, self.basis)]))


@dataclass(frozen=True, eq=False)
class _Layer:
    """Hidden units of one layer, functions of the columns before it."""

    columns: _Columns
    weights: Array  # (m, n_features)
    tangents: _Rotation | None  # of an NTK

    def __call__(self, A: Array) -> list[Array]:
        """New columns, (n, m) each: |u| and, for an NTK, sign(u) S g."""
        u = matmul(self.columns.of(A), self.weights.T)
        return [np.abs(u)] + ([] if self.tangents is None else [np.sign(u) * self.tangents(A)])


@dataclass(frozen=True, eq=False)
class DeepMap:
    """One draw of the features of a deep kernel: a function from rows (n, d0) to features (n,
    n_features).
    """

    layers: list[_Layer]
    columns: _Columns
    dtype: Any

    @property
    def n_features(self) -> int:
        """Number of features of a row."""
        return int(np.count_nonzero(self.columns.squares))

    @property
    def n_linear(self) -> int:
        """Number of features that are not sampled, the first ones: the row itself and a constant."""
        return int(np.count_nonzero(self.columns.squares[: len(self.layers[0].columns.squares)]))

    def __call__(self, X: Array) -> Array:
        """Features of rows X (n, d0), shape (n, n_features)."""
        A = _inputs(X, self.dtype)
        for layer in self.layers:
            A = np.column_stack([A, *layer(A)])
        return self.columns.of(A)


def check_deep(kernel: Any) -> None:
    """Raise unless a kernel has random features at any depth.

    Raises
    ------
    TypeError
        For anything but a ConjugateKernel, NNGP or NTK.
    ValueError
        For an activation outside the ReLU family.
    """
    if not isinstance(kernel, DeepKernel):
        raise TypeError(
            f"kernel must be a ConjugateKernel, NNGP or NTK to have random features, got {kernel!r}"
        )
    if traits(kernel.activation).halves is None:
        raise ValueError(
            "random features of deep kernels are those of the ReLU family (relu, abs, LeakyReLU), whatever the depth; "
            f"method='pairs' estimates {kernel!r}"
        )


@dataclass(frozen=True)
class Design:
    """How the hidden units of a map are drawn.

    Attributes
    ----------
    width : int
        Hidden units of each layer.
    scheme : {"stratified", "orthogonal", "plain"}
        Distribution of hidden weights, see `nc1fast.estimators.directions`.
    dtype : dtype
        Of products and features.
    """

    width: int
    scheme: str
    dtype: Any


def deep_map(
    kernel: Any, probe: Array, means: Means, design: Design, index: tuple[int, ...]
) -> DeepMap:
    """Draw a map.

    Parameters
    ----------
    kernel : ConjugateKernel, NNGP or NTK
        Of the ReLU family.
    probe : ndarray of shape (n, d0)
        Some rows, whose `means` give the directions along which the weights of each layer are
        stratified.
    means : callable
        From features of the probe, (n, m), to their class means, (k, m).
    design : Design
    index : tuple of int
        Seed, and number of the draw: all that the draw depends on beside the other arguments.

    Notes
    -----
    Cost: for layers of m units, about 2 n m (d0 + L m) flops a layer on the probe, and as many on
    rows that the map is applied to.
    """
    recursion = _recursion(kernel, probe.shape[1], design.width)
    A, layers = _inputs(probe, design.dtype), []
    for level, columns in enumerate(recursion.layers):
        rng = np.random.default_rng([*index, level])
        layers.append(_layer(A, columns, means, design, rng))
        A = np.column_stack([A, *layers[-1](A)])
    return DeepMap(layers, recursion.output, design.dtype)


class _Recursion(NamedTuple):
    """The kernel recursion in terms of columns."""

    layers: list[
        tuple[_Columns, _Columns | None]
    ]  # features f of Sigma, and g of Theta, before each layer
    output: _Columns  # features of the kernel


def _recursion(kernel: Any, d0: int, width: int) -> _Recursion:
    """Coefficients of the columns, which are the row, a one, and for each layer |u| and, for an
    NTK, sign(u) S g.
    """
    odd, even = (h**2 for h in traits(kernel.activation).halves or (0.0, 1.0))
    w, b = kernel.weight_variances, kernel.bias_variances
    f, one = np.append(np.full(d0, w[0] / d0), b[0]), np.append(np.zeros(d0), 1.0)
    g = None
    if kernel.is_tangent:
        first = kernel.input_layer(d0)
        g = np.append(np.full(d0, first.theta_weight), first.theta_bias)
    layers, q = [], f
    sampled, none = np.full(width, even / width), np.zeros(width)
    for level in range(1, kernel.depth):
        layers.append((_Columns(f), None if g is None else _Columns(g)))
        kinds = [none] if g is None else [none, none]
        q = np.concatenate([odd * f, sampled, *kinds[1:]])
        one = np.concatenate([one, *kinds])
        if g is not None:
            of_q, of_one, of_theta = kernel.tangent_coefficients[level]
            theta = np.concatenate([odd * g, none, sampled])
            g = of_q * q + of_one * one + of_theta * theta
        f = w[level] * q + b[level] * one
    scale, constant = kernel.readout
    return _Recursion(layers, _Columns(scale * q + constant * one if g is None else g))


def widest(kernel: Any, d0: int, n_features: int) -> int:
    """Largest width of layers for which a map has at most `n_features` features; 0 if one unit a
    layer has more.
    """
    one, two = (np.count_nonzero(_recursion(kernel, d0, m).output.squares) for m in (1, 2))
    return max(0, int((n_features - one) // (two - one)) + 1)


def _layer(
    A: Array,
    columns: tuple[_Columns, _Columns | None],
    means: Means,
    design: Design,
    rng: np.random.Generator,
) -> _Layer:
    """Draw the units of a layer; A holds the columns of the probe."""
    f, g = columns
    features = f.of(A)
    d, seed = features.shape[1], int(rng.integers(1 << 62))
    basis = _basis(features, means, design)
    orthogonal = design.scheme != "plain"
    drawn = Directions(d, design.width, basis, orthogonal, seed, even=True).draw(0)
    tangents = None
    if g is not None:
        features = g.of(A)
        basis = _basis(features, means, design)
        rotation = sketch(features.shape[1] + len(basis), design.width, rng)
        tangents = _Rotation(g, basis.astype(A.dtype), rotation)
    return _Layer(f, drawn.astype(A.dtype), tangents)


def _basis(features: Array, means: Means, design: Design) -> Array:
    """Orthonormal rows (s, d) along which the weights over features (n, d) are stratified."""
    if design.scheme != "stratified":
        return np.zeros((0, features.shape[1]))
    return principal(means(features))


def _inputs(X: Array, dtype: Any) -> Array:
    """First columns: the row and a one, shape (n, d0 + 1)."""
    return np.column_stack([X, np.ones(len(X))]).astype(dtype)
