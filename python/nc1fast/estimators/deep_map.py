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

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.activations import traits
from nc1fast.core.linear import matmul
from nc1fast.estimators.directions import Directions, Sketch, principal, sketch
from nc1fast.kernels.fully_connected import DeepKernel

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[Any]
    # From features (n, m) to the means (k, m) along which weights are stratified.
    Means = Callable[[Array], Array]
    # Features as scaled columns: squared coefficients (n_columns,), zero for the columns that are
    # no part of them.
    Squares = NDArray[np.float64]


_PROJECTION = 1 << 20  # distinguishes the draw of a projection from those of the layers


@dataclass(frozen=True, eq=False)
class _Rotation:
    """S g: coordinates along `basis`, then the rest of g, then random coordinates of a random
    rotation of both.
    """

    squares: Squares
    basis: Array  # (s, d)
    sketch: Sketch

    def __call__(self, A: Array) -> Array:
        g = _scaled(A, self.squares)
        along = matmul(g, self.basis.T)
        return self.sketch(np.column_stack([along, g - matmul(along, self.basis)]))


@dataclass(frozen=True, eq=False)
class _Layer:
    """Hidden units of one layer, functions of the columns before it."""

    squares: Squares
    weights: Array  # (m, n_features)
    tangents: _Rotation | None  # of an NTK

    def __call__(self, A: Array) -> list[Array]:
        """New columns, (n, m) each: |u| and, for an NTK, sign(u) S g."""
        u = matmul(_scaled(A, self.squares), self.weights.T)
        return [np.abs(u)] + ([] if self.tangents is None else [np.sign(u) * self.tangents(A)])


@dataclass(frozen=True, eq=False)
class DeepMap:
    """One draw of the features of a deep kernel: a function from rows (n, d0) to features (n,
    n_features).
    """

    layers: list[_Layer]
    squares: Squares
    dtype: Any

    @property
    def n_features(self) -> int:
        """Number of features of a row."""
        return int(np.count_nonzero(self.squares))

    @property
    def n_linear(self) -> int:
        """Number of features that are not sampled, the first: the row itself and a constant."""
        return int(np.count_nonzero(self.squares[: len(self.layers[0].squares)]))

    def __call__(self, X: Array) -> Array:
        """Features of rows X (n, d0), shape (n, n_features)."""
        A = _inputs(X, self.dtype)
        for layer in self.layers:
            A = np.column_stack([A, *layer(A)])
        return _scaled(A, self.squares)


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
            "random features of deep kernels are those of the ReLU family (relu, abs, LeakyReLU), "
            f"whatever the depth; method='pairs' estimates {kernel!r}"
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
    squares, output = _recursion(kernel, probe.shape[1], design.width)
    A, layers = _inputs(probe, design.dtype), []
    for level, (f, g) in enumerate(squares):
        rng = np.random.default_rng([*index, level])
        layers.append(_layer(A, (f, g), means, design, rng))
        A = np.column_stack([A, *layers[-1](A)])
    return DeepMap(layers, output, design.dtype)


def _recursion(
    kernel: Any, d0: int, width: int
) -> tuple[list[tuple[Squares, Squares | None]], Squares]:
    """The kernel recursion in terms of columns, which are the row, a one, and for each layer |u|
    and, for an NTK, sign(u) S g: features f of Sigma and g of Theta before each layer, and those of
    the kernel.
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
        layers.append((f, g))
        kinds = [none] if g is None else [none, none]
        q = np.concatenate([odd * f, sampled, *kinds[1:]])
        one = np.concatenate([one, *kinds])
        if g is not None:
            of_q, of_one, of_theta = kernel.tangent_coefficients[level]
            theta = np.concatenate([odd * g, none, sampled])
            g = of_q * q + of_one * one + of_theta * theta
        f = w[level] * q + b[level] * one
    scale, constant = kernel.readout
    return layers, scale * q + constant * one if g is None else g


def widest(kernel: Any, d0: int, n_features: int) -> int:
    """Largest width of layers for which a map has at most `n_features` features; 0 if one unit a
    layer has more.
    """
    one, two = (np.count_nonzero(_recursion(kernel, d0, m)[1]) for m in (1, 2))
    return max(0, int((n_features - one) // (two - one)) + 1)


def _layer(
    A: Array,
    squares: tuple[Squares, Squares | None],
    means: Means,
    design: Design,
    rng: np.random.Generator,
) -> _Layer:
    """Draw the units of a layer; A holds the columns of the probe."""
    f, g = squares
    features, seed = _scaled(A, f), int(rng.integers(1 << 62))
    basis = _basis(features, means, design)
    orthogonal, width = design.scheme != "plain", design.width
    drawn = Directions(features.shape[1], width, basis, orthogonal, seed, even=True).draw(0)
    tangents = None
    if g is not None:
        features = _scaled(A, g)
        basis = _basis(features, means, design)
        rotation = sketch(features.shape[1] + len(basis), width, rng)
        tangents = _Rotation(g, basis.astype(A.dtype), rotation)
    return _Layer(f, drawn.astype(A.dtype), tangents)


def _basis(features: Array, means: Means, design: Design) -> Array:
    """Orthonormal rows (s, d) along which the weights over features (n, d) are stratified."""
    if design.scheme != "stratified":
        return np.zeros((0, features.shape[1]))
    return principal(means(features))


def _scaled(A: Array, squares: Squares) -> Array:
    """Features (n, n_features) of rows whose columns are A (n, n_columns)."""
    kept = np.flatnonzero(squares)
    return np.asarray(A[:, kept] * np.sqrt(squares[kept]).astype(A.dtype))


def _inputs(X: Array, dtype: Any) -> Array:
    """First columns: the row and a one, shape (n, d0 + 1)."""
    return np.column_stack([X, np.ones(len(X))]).astype(dtype)


@dataclass(frozen=True, eq=False)
class ProjectedMap:
    """A map from rows (n, d0) to random projections (n, n_features) of the features of another.

    Attributes
    ----------
    inner : DeepMap
    sketch : Sketch
    """

    inner: DeepMap
    sketch: Sketch

    @property
    def dtype(self) -> Any:
        """The type of the features."""
        return self.inner.dtype

    @property
    def n_features(self) -> int:
        """Number of features of a row."""
        return len(self.sketch.coordinates)

    def __call__(self, X: Array) -> Array:
        """Features of rows X (n, d0), shape (n, n_features)."""
        projected = self.sketch(self.inner(X)) / math.sqrt(self.n_features)
        return projected.astype(self.dtype, copy=False)


def projected_map(
    kernel: Any, probe: Array, n_features: int, seed: int, *, sampling: str, dtype: str
) -> ProjectedMap:
    """A random projection of the map whose layers have `n_features` units each: features in fewer
    columns than the rows have.

    Parameters
    ----------
    kernel, probe, n_features, seed, sampling, dtype
        As of `nc1fast.estimators.ntk_features.draw_map`, checked.

    Notes
    -----
    Accuracy: the projection S has E S S^T = I, so that inner products stay unbiased, with errors of
    O(1/sqrt(n_features)).
    Source: Ailon & Chazelle (2006).
    """
    design = Design(n_features, sampling, np.dtype(dtype))
    inner = deep_map(kernel, probe, np.asarray, design, (seed,))
    rng = np.random.default_rng([seed, _PROJECTION])
    return ProjectedMap(inner, sketch(inner.n_features, n_features, rng))
