"""NC1 from random features: hidden units of one random hidden layer, each an unbiased sample of the kernel.

    Q(x, z)  = E_w phi(w.x) phi(w.z),     Theta kdot = E_w <phi'(w.x) t(x), phi'(w.z) t(z)>,    Theta(x, z) = <t(x), t(z)>

so that class means and within-class variances of the units, averaged over w, are those of the kernel. Of the ReLU family,
phi(u) = odd u + even |u|, the odd part is a linear kernel and taken exactly: the units are |w.x|. Variances are sums of
squares of centred values, chunk by chunk (Chan, Golub & LeVeque, 1983): nothing cancels, and X is read once per round.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast._extras import require
from nc1fast._one_layer import halves
from nc1fast.activations import LeakyReLU
from nc1fast.estimators.directions import Directions, directions
from nc1fast.estimators.estimate import Estimate, Forms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from nc1fast._one_layer import OneLayer

    Array = NDArray[Any]  # float64, or float32 where the caller asks for it

_CHUNK_ROWS = 2048  # rows at a time, whatever the caller's memory: part of what fixes the bits
_BLOCK_UNITS = 1024  # units at a time on a chunk: 16 MiB
_STATE = 1 << 24  # numbers of means that are kept at a time: 128 MiB
_PROBE = 1 << 16  # rows from which the class means are taken that direct the weights


def _erf(u: Array) -> Array:
    return np.asarray(require("scipy.special", "adaptive").erf(u))


def _normal(u: Array) -> Array:
    return np.asarray(require("scipy.special", "adaptive").ndtr(u))


def _density(u: Array) -> Array:
    return np.asarray(np.exp(-(u**2) / 2) / math.sqrt(2 * math.pi))


# phi and phi' of arrays
_UNITS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
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


def units(activation: Any) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """Phi and phi' as functions of NumPy arrays; erf, probit and gelu need scipy."""
    if isinstance(activation, LeakyReLU):
        slope = activation.slope
        return lambda u: np.where(u > 0, u, slope * u), lambda u: np.where(u > 0, 1.0, slope)
    return _UNITS[activation]


class _Moments(NamedTuple):
    """Of the units of one class: the mean of each, (m,) or (m, d), and the sum of squared deviations, (m,)."""

    n: int
    mean: Array
    squares: Array

    def joined(self, other: _Moments) -> _Moments:
        """Chan's merge."""
        if not self.n:
            return other
        n = self.n + other.n
        step = other.mean - self.mean
        size = step**2 if step.ndim == 1 else (step**2).sum(axis=1)
        squares = self.squares + other.squares + size * (self.n * (other.n / n))
        return _Moments(n, self.mean + step * (other.n / n), squares)


_NOTHING = _Moments(0, np.zeros(0), np.zeros(0))


def _value_moments(H: Array) -> _Moments:
    """Of the columns of H, (n, m)."""
    mean = H.mean(axis=0)
    deviation = H - mean
    return _Moments(len(H), mean, np.einsum("ij,ij->j", deviation, deviation))


def _tangent_moments(A: Array, t: Array) -> _Moments:
    """Of a_k(i) t_i, with A (n, m) the derivatives and t (n, d): mean (m, d), deviations in all d together.

    With a = mean + alpha and t = r + d, r the mean of t:  a t - mean(a t) = mean d + alpha r + (alpha d - mean(alpha d)), so
    sum |.|^2 = mean^2 q + |r|^2 alpha2 + [sum alpha^2 |d|^2 - n |m|^2] + 2 n mean r.m + 2 mean sum alpha |d|^2
    + 2 sum alpha^2 d.r,   q = sum |d|^2, m = mean(alpha d): sums of products of deviations alone.
    """
    n, r = len(t), t.mean(axis=0)
    d = t - r
    q, p = np.einsum("ij,ij->i", d, d), d @ r
    mean = A.mean(axis=0)
    alpha = A - mean
    first = alpha.T @ np.column_stack([d, q])  # (m, d + 1)
    m, alpha_q = first[:, :-1] / n, first[:, -1]
    np.square(alpha, out=alpha)
    second = alpha.T @ np.column_stack(
        [np.ones(n), q, p]
    )  # sums of alpha^2, alpha^2 |d|^2, alpha^2 d.r
    squares = mean**2 * q.sum() + (r @ r) * second[:, 0] + second[:, 1] - n * (m**2).sum(axis=1)
    squares += 2 * n * mean * (m @ r) + 2 * mean * alpha_q + 2 * second[:, 2]
    return _Moments(n, np.outer(mean, r) + m, np.maximum(squares, 0.0))


class _Block(NamedTuple):
    """Some groups of hidden units, and the moments of each class so far."""

    weights: Array  # (m, length of a row)
    values: list[_Moments]
    tangents: list[_Moments]
    slopes: list[_Moments]


class FeatureSample:
    """Random hidden units, added in rounds of independent groups.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Read in chunks of consecutive rows.
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
        Of the products and the units.

    Notes
    -----
    Cost: 2 N m d0 flops and N m values of phi; an NTK twice as much. O(C m) memory, an NTK C m d0 for some m at a time.
    Accuracy: the interval says; relative error of nc1 on the published data about 1.5/sqrt(m) plain, ten times less
    stratified (tests/test_estimators.py).
    Source: Rahimi & Recht (2007); Neal (1996) for the kernel as an expectation over hidden units.
    """

    def __init__(
        self,
        X: NDArray[Any],
        classes: NDArray[np.int32],
        labels: NDArray[Any],
        kernel: Any,
        layer: OneLayer,
        *,
        n_units: int,
        seed: int,
        sampling: str = "stratified",
        dtype: str = "float64",
    ) -> None:
        self._X, self._classes, self._labels, self._kernel = X, classes, labels, kernel
        self._layer = layer
        self._dtype = np.float32 if dtype == "float32" else np.float64
        self._sizes = np.bincount(classes, minlength=len(labels)).astype(np.int64)
        pair = halves(layer.activation)
        odd, even = (0.0, 1.0) if pair is None else (pair[0] ** 2, pair[1] ** 2)
        self._phi, self._slope = units(layer.activation if pair is None else "abs")
        self._sampled = even
        self._linear = odd * (layer.value * layer.weight + layer.tangent * layer.theta_weight)
        self._constant = odd * (layer.value * layer.bias + layer.tangent * layer.theta_bias)
        self._constant += layer.constant
        self._rows_moments = [_NOTHING] * len(labels)  # of the rows, for the linear part
        self._directions = self._directed(n_units, sampling, seed)
        self._V = np.zeros((0, len(labels)))  # of each group
        self._M = np.zeros((0, len(labels), len(labels)))

    def _rows(self, part: slice) -> Array:
        """Rows (sqrt(weight) x, sqrt(bias)) that hidden weights meet."""
        x = self._layer.rows(self._X[part])
        z: Array = math.sqrt(self._layer.weight) * x
        if self._layer.bias == 0:
            return z
        return np.column_stack([z, np.full(len(z), math.sqrt(self._layer.bias))])

    def _directed(self, n_units: int, sampling: str, seed: int) -> Directions:
        step = max(1, len(self._X) // _PROBE)
        z, classes = self._rows(slice(None, None, step)), self._classes[::step]
        present = np.unique(classes)
        means = np.array([z[classes == c].mean(axis=0) for c in present])
        return directions(z.shape[1], means, n_units, sampling, seed)

    @property
    def n_units(self) -> int:
        """Hidden units so far."""
        return len(self._V) * self._directions.group

    def grow(self, n_units: int) -> None:
        """Add at least two groups, about `n_units` units."""
        first, group = len(self._V), self._directions.group
        count = max(2, round(n_units / group))
        width = self._X.shape[1] if self._layer.tangent else 1
        at_once = max(1, _STATE // (len(self._labels) * width * group))
        for start in range(first, first + count, at_once):
            self._add(range(start, min(start + at_once, first + count)))

    def _chunks(self) -> Iterator[tuple[slice, list[tuple[int, NDArray[np.intp]]]]]:
        """Consecutive rows, and the positions of each class among them."""
        for start in range(0, len(self._X), _CHUNK_ROWS):
            part = slice(start, start + _CHUNK_ROWS)
            classes = self._classes[part]
            order = np.argsort(classes, kind="stable")
            found, cuts = np.unique(classes[order], return_index=True)
            yield part, list(zip(found.tolist(), np.split(order, cuts[1:]), strict=True))

    def _add(self, groups: range) -> None:
        """One pass over X for these groups, a block of them at a time on each chunk of rows."""
        layer, C = self._layer, len(self._labels)
        step = max(1, _BLOCK_UNITS // self._directions.group)
        starts = range(groups.start, groups.stop, step)
        blocks = [
            _Block(
                np.concatenate(
                    [self._directions.draw(i) for i in range(s, min(s + step, groups.stop))]
                ).astype(self._dtype),
                [_NOTHING] * C,
                [_NOTHING] * C,
                [_NOTHING] * C,
            )
            for s in starts
        ]
        root = math.sqrt(layer.theta_weight)
        first = self._linear > 0 and groups.start == 0
        for part, members in self._chunks():
            z = self._rows(part).astype(self._dtype)
            for c, index in members if first else ():
                moments = _value_moments(layer.rows(self._X[part])[index])
                self._rows_moments[c] = self._rows_moments[c].joined(moments)
            x = root * layer.rows(self._X[part]).astype(self._dtype) if layer.tangent else None
            for block in blocks:
                U = z @ block.weights.T
                H = self._phi(U)
                A = self._slope(U) if x is not None else None
                for c, index in members:
                    block.values[c] = block.values[c].joined(_value_moments(H[index]))
                    if A is None or x is None:
                        continue
                    own = A[index]
                    block.tangents[c] = block.tangents[c].joined(_tangent_moments(own, x[index]))
                    if layer.theta_bias:
                        block.slopes[c] = block.slopes[c].joined(_value_moments(own))
        for block in blocks:
            self._finish(block)

    def _finish(self, block: _Block) -> None:
        """V and M of each group of a block."""
        layer, group = self._layer, self._directions.group
        n_groups = len(block.weights) // group
        parts = [(layer.value, block.values)]
        if layer.tangent:
            parts.append((layer.tangent, block.tangents))
            if layer.theta_bias:
                parts.append((layer.tangent * layer.theta_bias, block.slopes))
        C = len(self._labels)
        V, M = np.zeros((n_groups, C)), np.full((n_groups, C, C), self._constant)
        if self._linear > 0:
            V += (
                self._linear * np.array([m.squares.sum() for m in self._rows_moments]) / self._sizes
            )
            centres = np.array([m.mean for m in self._rows_moments])
            M += self._linear * (centres @ centres.T)
        for coefficient, moments in parts:
            factor = self._sampled * coefficient
            squares = np.array([m.squares.reshape(n_groups, -1).mean(axis=1) for m in moments])
            V += factor * (squares / self._sizes[:, None]).T
            means = np.array([m.mean.reshape(n_groups, -1) for m in moments], dtype=np.float64)
            means = means.transpose(1, 0, 2)  # (groups, C, units of a group, times features)
            M += factor / group * (means @ means.transpose(0, 2, 1))
        self._V, self._M = np.concatenate([self._V, V]), np.concatenate([self._M, M])

    def estimate(self) -> Estimate:
        """The estimate of the units so far."""
        V, M = self._V, self._M
        groups = len(V)

        def variance(f: Forms, ratio: float) -> tuple[float, float]:
            """Of the mean over independent groups."""
            traces = V @ f.within + np.einsum("gcc,c->g", M, f.norms)
            rest = traces - ratio * np.einsum("gce,ce->g", M, f.between)
            return float(rest.var(ddof=1)) / groups, groups - 1

        reason = f"{self.n_units:,} random hidden units in {groups} groups"
        return Estimate(
            V.mean(axis=0),
            M.mean(axis=0),
            self._sizes,
            self._labels,
            self._kernel,
            variance,
            "features",
            reason,
        )
