"""Random features of deep kernels of the ReLU family: maps whose inner products are NNGP and NTK kernels, nearly.

With phi(u) = odd u + even |u|, and f_l, g_l features of Sigma^l and Theta^l, the next layer has

    Q features      odd f_l,  even |u|/sqrt(m)                      u = W f_l, m random hidden units
    Theta kdot      odd g_l,  even sign(u_k) (S g_l)_k/sqrt(m)      S a random rotation, of which each unit meets one coordinate

so that what is linear stays exact, and only |u| and sign(u) are sampled. A feature that serves several layers is kept once: f_l and
g_l are the same columns with other coefficients. From the second hidden layer on, expectations over units are those of the kernel of
a random f_l, not of its mean: a bias of O(1/m). (Rows scaled to the norms that they have at infinite width would make the diagonal
exact, and this bias of NC1 several times larger.)

Weights are directed, as those of one layer (`nc1fast.estimators.directions`), along the means of f_l; and S keeps the directions of
the means of g_l to themselves, +-1 in each unit, so that no unit has much of them by chance.
Source: Zandieh et al. (2021), from whom S differs: TensorSRHT with the second factor, a random unit, left as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.estimators.directions import Directions, principal
from nc1fast.estimators.sketches import Sketch, sketch
from nc1fast.kernels.classes import NNGP, NTK, ConjugateKernel
from nc1fast.kernels.one_layer import halves

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[Any]
    Means = Callable[[Array], Array]  # of features (n, m): (k, m), along which weights are directed


@dataclass(frozen=True, eq=False)
class _Columns:
    """Features among the columns there are: squared coefficients, zero for those that are none of it."""

    squares: NDArray[np.float64]

    def of(self, A: Array) -> Array:
        """Shape (n, number of features)."""
        kept = np.flatnonzero(self.squares)
        return np.asarray(A[:, kept] * np.sqrt(self.squares[kept]).astype(A.dtype))


@dataclass(frozen=True, eq=False)
class _Rotation:
    """S g: the directions `basis` (s, d) apart from the rest, then random coordinates of their random rotation."""

    columns: _Columns
    basis: Array
    sketch: Sketch

    def __call__(self, A: Array) -> Array:
        g = self.columns.of(A)
        along = matmul(g, self.basis.T)
        return self.sketch(np.column_stack([along, g - matmul(along, self.basis)]))


@dataclass(frozen=True, eq=False)
class _Layer:
    """Hidden units of one layer over the columns before it."""

    columns: _Columns
    weights: Array  # (m, features)
    tangents: _Rotation | None

    def __call__(self, A: Array) -> list[Array]:
        """Columns (n, m) that it adds: |u|, and sign(u) S g."""
        u = matmul(self.columns.of(A), self.weights.T)
        return [np.abs(u)] + ([] if self.tangents is None else [np.sign(u) * self.tangents(A)])


@dataclass(frozen=True, eq=False)
class DeepMap:
    """One draw of the features of a deep kernel: a function of rows (n, d0), of shape (n, n_features)."""

    layers: list[_Layer]
    columns: _Columns
    dtype: Any

    @property
    def n_features(self) -> int:
        """Length of a row of features."""
        return int(np.count_nonzero(self.columns.squares))

    @property
    def n_linear(self) -> int:
        """Of these, the first, which are not sampled: rows and a one."""
        return int(np.count_nonzero(self.columns.squares[: len(self.layers[0].columns.squares)]))

    def __call__(self, X: Array) -> Array:
        """Features of rows, shape (n, n_features)."""
        A = _inputs(X, self.dtype)
        for layer in self.layers:
            A = np.column_stack([A, *layer(A)])
        return self.columns.of(A)


def check_deep(kernel: Any) -> None:
    """Raise TypeError or ValueError for a kernel that has no such features."""
    if not isinstance(kernel, ConjugateKernel | NNGP | NTK):
        raise TypeError(
            f"kernel must be a ConjugateKernel, NNGP or NTK to have random features, got {kernel!r}"
        )
    if halves(kernel.activation) is None:
        raise ValueError(
            "random features of deep kernels are those of the ReLU family (relu, abs, LeakyReLU), whatever the depth; "
            f"method='pairs' estimates {kernel!r}"
        )


def deep_map(
    kernel: Any,
    probe: Array,
    means: Means,
    width: int,
    sampling: str,
    index: tuple[int, ...],
    dtype: Any,
) -> DeepMap:
    """Draw a map.

    Parameters
    ----------
    kernel : ConjugateKernel, NNGP or NTK
        Of the ReLU family.
    probe : ndarray of shape (n, d0)
        Some rows, whose `means` direct the weights of each layer.
    width : int
        Hidden units of each layer.
    sampling : {"stratified", "orthogonal", "plain"}
    index : tuple of int
        Of the draw: all that it depends on beside the other arguments. The first is the seed.
    dtype : dtype
        Of products and features.
    """
    recursion = _recursion(kernel, probe.shape[1], width)
    A, layers = _inputs(probe, dtype), []
    for level, (f, g) in enumerate(recursion.layers):
        rng = np.random.default_rng([*index, level])
        layers.append(_layer(A, f, g, (means, width, sampling), rng))
        A = np.column_stack([A, *layers[-1](A)])
    return DeepMap(layers, recursion.output, dtype)


class _Recursion(NamedTuple):
    """Which columns are the features f of Sigma and g of Theta that each layer starts from, and those of the kernel."""

    layers: list[tuple[_Columns, _Columns | None]]
    output: _Columns


def _recursion(kernel: Any, d0: int, width: int) -> _Recursion:
    """Columns: the rows, a one, and of each layer |u| and, for an NTK, sign(u) S g."""
    odd, even = (h**2 for h in halves(kernel.activation) or (0.0, 1.0))
    w, b = kernel.weight_variances, kernel.bias_variances
    f, one = np.append(np.full(d0, w[0] / d0), b[0]), np.append(np.zeros(d0), 1.0)
    g = None
    if isinstance(kernel, NTK):
        first, bias, _ = kernel.tangent_coefficients[0]
        weight = 1.0 if kernel.parametrization == "standard" else first / d0
        g = np.append(np.full(d0, weight), bias)
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
    if g is None:
        return _Recursion(layers, _Columns(f if isinstance(kernel, NNGP) else q))
    return _Recursion(layers, _Columns(g))


def widest(kernel: Any, d0: int, n_features: int) -> int:
    """Units of each layer of a map with so many features at most; 0 if there is none."""
    one, two = (np.count_nonzero(_recursion(kernel, d0, m).output.squares) for m in (1, 2))
    return max(0, int((n_features - one) // (two - one)) + 1)


def _layer(
    A: Array,
    f: _Columns,
    g: _Columns | None,
    settings: tuple[Means, int, str],
    rng: np.random.Generator,
) -> _Layer:
    means, width, sampling = settings
    features = f.of(A)
    d, seed = features.shape[1], int(rng.integers(1 << 62))
    basis = principal(means(features)) if sampling == "stratified" else np.zeros((0, d))
    drawn = Directions(d, width, basis, sampling != "plain", seed, even=True).draw(0)
    tangents = None
    if g is not None:
        features = g.of(A)
        d = features.shape[1]
        basis = principal(means(features)) if sampling == "stratified" else np.zeros((0, d))
        rotation = sketch(d + len(basis), width, rng)
        tangents = _Rotation(g, basis.astype(A.dtype), rotation)
    return _Layer(f, drawn.astype(A.dtype), tangents)


def _inputs(X: Array, dtype: Any) -> Array:
    """Rows and a one."""
    return np.column_stack([X, np.ones(len(X))]).astype(dtype)
