"""NC1 from random features: hidden units of one random hidden layer, each an unbiased sample of the kernel.

    Q(x, z)  = E_w phi(w.x) phi(w.z),     Theta kdot = E_w <phi'(w.x) t(x), phi'(w.z) t(z)>,    Theta(x, z) = <t(x), t(z)>

so that class means and within-class variances of the units, averaged over w, are those of the kernel. Of the ReLU family,
phi(u) = odd u + even |u|, the odd part is a linear kernel and taken exactly: the units are |w.x|. X is read once per round, in
chunks of consecutive rows:

    rows, sorted by class  ->  products with the weights of a block of units   the threads of NumPy's matrix product
                           ->  phi, moments of each class                      our own threads, a block each
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast._extras import require
from nc1fast._inputs import rows_at
from nc1fast._memory import check_memory
from nc1fast._one_layer import halves
from nc1fast.activations import LeakyReLU
from nc1fast.estimators.directions import Directions, directions
from nc1fast.estimators.estimate import Estimate, Forms, pooling
from nc1fast.estimators.moments import Moments, Segments, add_tangents, add_values, segments

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nc1fast._one_layer import OneLayer

    Array = NDArray[Any]  # float64, or float32 where the caller asks for it
    Function = Callable[[Array], Array]

# What fixes the bits: none of it depends on the caller's memory or threads.
_CHUNK_ROWS, _CHUNK_NUMBERS = 2048, 1 << 18  # rows at a time: 2 MiB at most
_BLOCK_UNITS, _BLOCK_BYTES = 256, 1 << 25  # units of a block, and its moments
_PROBE = 1 << 13  # rows from which the class means are taken that direct the weights

_STATE_BYTES = 1 << 27  # moments that are kept at a time, without a memory limit
_PANEL = 4  # blocks whose products are there at a time: 16 MiB
_COPIES = 6  # of the products of a block, while its activations are evaluated


def _erf(u: Array) -> Array:
    return np.asarray(require("scipy.special", "adaptive").erf(u))


def _normal(u: Array) -> Array:
    return np.asarray(require("scipy.special", "adaptive").ndtr(u))


def _density(u: Array) -> Array:
    return np.asarray(np.exp(-(u**2) / 2) / math.sqrt(2 * math.pi))


# phi and phi' of arrays
_UNITS: dict[str, tuple[Function, Function]] = {
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


def units(activation: Any) -> tuple[Function, Function]:
    """Phi and phi' as functions of NumPy arrays; erf, probit and gelu need scipy."""
    if isinstance(activation, LeakyReLU):
        slope = activation.slope
        return lambda u: np.where(u > 0, u, slope * u), lambda u: np.where(u > 0, 1.0, slope)
    return _UNITS[activation]


class _Block:
    """Some groups of hidden units, and the moments of each class so far."""

    def __init__(
        self,
        weights: Array,
        phi: tuple[Function, Function],
        layer: OneLayer,
        shape: tuple[int, int],
    ) -> None:
        n_classes, n_features = shape
        m = len(weights)
        self.weights = weights  # (m, length of a row)
        self.phi, self.slope = phi
        self.values = Moments(n_classes, m)
        self.tangents = Moments(n_classes, m, n_features) if layer.tangent else None
        self.slopes = Moments(n_classes, m) if layer.tangent * layer.theta_bias else None

    def add(self, U: Array, t: Array | None, parts: Segments) -> None:
        """Units of the products U (n, m), and of derivatives times t (n, d), of rows sorted by class."""
        add_values(self.values, self.phi(U), parts)
        if self.tangents is None or t is None:
            return
        A = self.slope(U)
        add_tangents(self.tangents, A, t, parts)
        if self.slopes is not None:
            add_values(self.slopes, A, parts)


class FeatureSample:
    """Random hidden units, added in rounds of independent groups.

    Parameters
    ----------
    X : ndarray or FileRows of shape (n_samples, n_features)
        As `as_rows` gives it; read in chunks of consecutive rows, and a file searched for NaN and Inf on the way.
    classes, labels
        As `as_labels` gives them.
    kernel : Kernel
    layer : OneLayer
        Of the kernel.
    n_units : int
        Of the first round, about.
    seed : int
    sampling : {"stratified", "orthogonal", "plain"}
    dtype : {"float64", "float32"}
        Of weights, products and activations; moments are merged in float64.
    n_threads : int, default 1
    memory_limit : float, optional
        Bytes beside X, y and what is about to be returned: where the moments of all units are more, X is read several
        times a round. The bits depend neither on it nor on the threads.

    Raises
    ------
    ValueError
        If the limit is below what one block of units needs.

    Notes
    -----
    Cost: 2 N m d0 flops for m units (NTK: 4), C m numbers (NTK: C m d0).
    Accuracy: V_c and M_cc' are unbiased; 1/sqrt(m) of what the stratification leaves. float32 costs 1e-6 relative.
    Source: Neal (1996); Rahimi & Recht (2007).
    """

    def __init__(
        self,
        X: Any,
        classes: NDArray[np.int32],
        labels: NDArray[Any],
        kernel: Any,
        layer: OneLayer,
        *,
        n_units: int,
        seed: int,
        sampling: str = "stratified",
        dtype: str = "float64",
        n_threads: int = 1,
        memory_limit: float | None = None,
    ) -> None:
        self._X, self._classes, self._labels, self._kernel = X, classes, labels, kernel
        self._layer = layer
        self._n_features = int((X if layer.factor is None else layer.factor).shape[1])
        self._dtype = np.float32 if dtype == "float32" else np.float64
        self._sizes = np.bincount(classes, minlength=len(labels)).astype(np.int64)
        self._chunk = max(1, min(_CHUNK_ROWS, _CHUNK_NUMBERS // X.shape[1], len(X)))
        self._threads = n_threads if len(X) > self._chunk else 1
        pair = halves(layer.activation)
        odd, even = (0.0, 1.0) if pair is None else (pair[0] ** 2, pair[1] ** 2)
        self._phi = units(layer.activation if pair is None else "abs")
        self._sampled = even
        self._linear = odd * (layer.value * layer.weight + layer.tangent * layer.theta_weight)
        self._constant = odd * (layer.value * layer.bias + layer.tangent * layer.theta_bias)
        self._constant += layer.constant
        self._rows_moments: Moments | None = None  # of the rows, for the linear part
        self._directions = self._directed(n_units, sampling, seed)
        self._step, self._at_once = self._plan(memory_limit)
        n_classes = len(labels)
        self._V = np.zeros((0, n_classes))  # of each group
        self._norms = np.zeros((0, n_classes))  # diagonals of M of each group
        self._pooled = np.zeros((0, 2, 2))  # P M P^T of each group, P the weights of a convention
        self._M = np.zeros((n_classes, n_classes))  # sum over groups

    def _directed(self, n_units: int, sampling: str, seed: int) -> Directions:
        probe = np.arange(0, len(self._X), max(1, len(self._X) // _PROBE))
        means = Moments(len(self._labels), self._width)
        for start in range(0, len(probe), self._chunk):
            index = probe[start : start + self._chunk]
            order, parts = segments(self._classes[index])
            add_values(means, self._inputs(self._layer.rows(rows_at(self._X, index))[order]), parts)
        return directions(self._width, means.mean[means.n > 0], n_units, sampling, seed)

    @property
    def _width(self) -> int:
        """Length of a row of `_inputs`."""
        return self._n_features + (self._layer.bias > 0)

    def _inputs(self, x: Array) -> Array:
        """Rows (sqrt(weight) x, sqrt(bias)) that hidden weights meet."""
        z: Array = math.sqrt(self._layer.weight) * x
        if self._layer.bias == 0:
            return z
        return np.column_stack([z, np.full(len(z), math.sqrt(self._layer.bias))])

    def _plan(self, limit: float | None) -> tuple[int, int]:
        """Groups of a block, and blocks of a pass over X: as many as the memory has room for."""
        C, d, group = len(self._labels), self._n_features, self._directions.group
        item = np.dtype(self._dtype).itemsize
        own = 16 + 16 * (self._layer.theta_bias > 0) + (8 * d + 8) * (self._layer.tangent > 0)
        unit = C * own + self._width * item
        step = max(1, min(_BLOCK_UNITS, _BLOCK_BYTES // unit) // group)
        block, panel = step * group, max(_PANEL, self._threads)
        fixed = {
            "the labels": 4 * len(self._classes),
            "chunks of rows": 32 * self._chunk * (self._X.shape[1] + self._width),
            "units": (panel + _COPIES * self._threads) * self._chunk * block * item,
            "drawing weights": 32 * group * self._width,
            "class pairs": 192 * C * C,
        }
        # While a block is merged into its classes, some of it is there again.
        least = {**fixed, "moments": unit * block * (1 + self._threads)}
        check_memory(limit, least)
        room = _STATE_BYTES if limit is None else limit - sum(least.values())
        return step, 1 + max(0, int(room // (unit * block)))

    @property
    def n_units(self) -> int:
        """Hidden units so far."""
        return len(self._V) * self._directions.group

    def grow(self, n_units: int) -> None:
        """Add at least two groups, about `n_units` units."""
        first, count = len(self._V), max(2, round(n_units / self._directions.group))
        pass_groups = self._step * self._at_once
        for start in range(first, first + count, pass_groups):
            self._add(range(start, min(start + pass_groups, first + count)))

    def _add(self, groups: range) -> None:
        """One pass over X for these groups."""
        layer, shape = self._layer, (len(self._labels), self._n_features)
        blocks = []
        for start in range(groups.start, groups.stop, self._step):
            drawn = range(start, min(start + self._step, groups.stop))
            weights = np.concatenate([self._directions.draw(i) for i in drawn])
            blocks.append(_Block(weights.astype(self._dtype), self._phi, layer, shape))
        linear = Moments(*shape) if self._linear > 0 and self._rows_moments is None else None
        panel = max(_PANEL, self._threads)
        with ThreadPoolExecutor(self._threads) if self._threads > 1 else nullcontext() as pool:
            each: Any = map if pool is None else pool.map
            for start in range(0, len(self._X), self._chunk):
                chunk = slice(start, start + self._chunk)
                order, parts = segments(self._classes[chunk])
                x = layer.rows(rows_at(self._X, chunk))[order]
                z = self._inputs(x).astype(self._dtype, copy=False)
                t = math.sqrt(layer.theta_weight) * x.astype(self._dtype) if layer.tangent else None
                if linear is not None:
                    add_values(linear, x, parts)
                for first in range(0, len(blocks), panel):
                    some = blocks[first : first + panel]
                    products = [z @ block.weights.T for block in some]
                    list(each(_Block.add, some, products, repeat(t), repeat(parts)))
        self._rows_moments = self._rows_moments or linear
        for block in blocks:
            self._finish(block)

    def _finish(self, block: _Block) -> None:
        """V, and of M what any convention asks for, of each group of a block."""
        layer, group, n_classes = self._layer, self._directions.group, len(self._labels)
        n_groups = len(block.weights) // group
        parts = [(layer.value, block.values)]
        if block.tangents is not None:
            parts.append((layer.tangent, block.tangents))
        if block.slopes is not None:
            parts.append((layer.tangent * layer.theta_bias, block.slopes))
        V = np.zeros((n_groups, n_classes))
        for coefficient, moments in parts:
            squares = moments.squares.reshape(n_classes, n_groups, group).mean(axis=2)
            V += self._sampled * coefficient * (squares / self._sizes[:, None]).T
        M = np.full((n_classes, n_classes), self._constant)
        if self._rows_moments is not None:
            V += self._linear * self._rows_moments.squares.sum(axis=1) / self._sizes
            M += self._linear * (self._rows_moments.mean @ self._rows_moments.mean.T)
        P = pooling(self._sizes)
        norms, pooled = np.empty((n_groups, n_classes)), np.empty((n_groups, 2, 2))
        for g in range(n_groups):
            own = M.copy()
            for coefficient, moments in parts:
                means = moments.mean[:, g * group : (g + 1) * group].reshape(n_classes, -1)
                own += self._sampled * coefficient / group * (means @ means.T)
            norms[g], pooled[g] = np.diag(own), P @ own @ P.T
            self._M += own
        self._V = np.concatenate([self._V, V])
        self._norms = np.concatenate([self._norms, norms])
        self._pooled = np.concatenate([self._pooled, pooled])

    def estimate(self) -> Estimate:
        """The estimate of the units so far."""
        V, norms, pooled = self._V, self._norms, self._pooled
        groups = len(V)

        def variance(f: Forms, ratio: float) -> tuple[float, float]:
            """Of the mean over independent groups."""
            between = norms @ f.spread + np.einsum("gab,ab->g", pooled, f.mixed)
            rest = V @ f.within + norms @ f.norms - ratio * between
            return float(rest.var(ddof=1)) / groups, groups - 1

        reason = f"{self.n_units:,} random hidden units in {groups} groups"
        return Estimate(
            V.mean(axis=0),
            self._M / groups,
            self._sizes,
            self._labels,
            self._kernel,
            variance,
            "features",
            reason,
        )
