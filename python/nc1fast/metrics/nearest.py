"""Nearest class means of many rows: products in float32 with a bound on their errors, and float64
for the rows that these leave undecided.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.core.linear import matmul, matmul_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Single = NDArray[np.float32]
    Indices = NDArray[np.int64]

_UNIT_ROUNDOFF = 2.0**-24  # of float32
_TINY = (
    2.0**-120
)  # more than what numbers below the normal ones of float32 can lose of a product of d terms
_FEW = 8  # class means in doubt whose distances are computed one by one
_BLOCK = 256  # class means whose distances from all others are looked at together
_CLOSE = 1 - 1e-6  # of a distance, for what rounding leaves of it


class NearestMeans:
    """The nearest of the class means z_k to rows x, both about one point: argmax of s_k = <x, z_k>
    - |z_k|^2/2.

    Notes
    -----
    In float32, as one product of (x, 1) and (z_k, -|z_k|^2/2), s_k is known to e = (gamma + 3)
    2^-24 (|x| |z| + |z|^2/2), z the longest: rows whose two largest s differ by more than 2 e are
    decided. Of the others, means within 2 e of the largest are compared by their distances in
    float64; if they are many, all of them by products in float64. Ties go to the lowest.
    """

    def __init__(self, Z: Array) -> None:
        """Take the class means Z, shape (n_classes, n_features)."""
        self.Z, self.half = Z, np.square(Z).sum(axis=1) / 2
        self.longest = math.sqrt(2 * float(self.half.max()))
        _, exponent = math.frexp(self.longest)
        self._exponent = -exponent  # |z| of the longest is then about 1
        C, d = Z.shape
        columns = np.empty((C, d + 1), dtype=np.float32)
        columns[:, :-1] = np.ldexp(Z, self._exponent)
        columns[:, -1] = np.ldexp(-self.half, 2 * self._exponent)
        self._columns = columns.T
        self._unit = 1.01 * (matmul_error(d + 1) + 3) * _UNIT_ROUNDOFF

    @cached_property
    def reach(self) -> Array:
        """No more than half the distance of each mean to the nearest other, shape (n_classes,):
        rows within it are decided.

        Cost: C^2 d multiply-adds in float32.
        """
        best = np.empty(len(self.Z))
        for start in range(0, len(best), _BLOCK):
            s, doubt = self._scores(self.Z[start : start + _BLOCK])
            k = np.arange(len(s))
            s[k, start + k] = -np.inf
            best[start : start + _BLOCK] = s.max(axis=1) + doubt
        squares = 2 * (np.ldexp(self.half, 2 * self._exponent) - best)
        half: Array = np.ldexp(_CLOSE * np.sqrt(np.maximum(squares, 0)) / 2, -self._exponent)
        return half

    def of(self, X: Array) -> Indices:
        """Index of the mean that is nearest to each row of X (n, d), shape (n,)."""
        k = np.arange(len(X))
        with np.errstate(over="ignore", invalid="ignore"):
            s, doubt = self._scores(X)
            nearest: Indices = s.argmax(axis=1)
            first = s[k, nearest].astype(np.float64)
            s[k, nearest] = -np.inf
            open_rows = np.flatnonzero(~(first - s.max(axis=1) > doubt))
        s[k, nearest] = first  # exactly: it came from float32
        if len(open_rows):
            least = (first - doubt)[open_rows]
            nearest[open_rows] = self.settled(X[open_rows], s[open_rows], least)
        return nearest

    def of_members(self, D: Array, own: Indices) -> Indices:
        """The same of rows z_y + D of classes y = `own`; those within reach of their own mean need
        no product.
        """
        distances = np.sqrt(np.square(D).sum(axis=1)) + 2.0**-40 * self.longest
        nearest = own.astype(np.int64)
        rest = np.flatnonzero(~(distances < self.reach[own]))
        if len(rest):
            nearest[rest] = self.of(D[rest] + self.Z[own[rest]])
        return nearest

    def _scores(self, X: Array) -> tuple[Single, Array]:
        """The s of rows X and all means in float32, shape (n, C), in units of the longest mean, and
        2 e of each row.
        """
        n, d = X.shape
        rows = np.empty((n, d + 1), dtype=np.float32)
        np.ldexp(X, self._exponent, out=rows[:, :-1], casting="unsafe")
        rows[:, -1] = 1
        longest = math.ldexp(self.longest, self._exponent)
        lengths = np.ldexp(np.sqrt(np.square(X).sum(axis=1)), self._exponent)
        doubt = 2 * self._unit * (lengths * longest + longest**2 / 2) + _TINY * (1 + lengths)
        return matmul(rows, self._columns), doubt

    def settled(self, X: Array, s: Single, least: Array) -> Indices:
        """The nearest means of rows X, with an s of `least` or more, in float64."""
        near = ~(s < least[:, None])  # NaN is near
        counts = np.count_nonzero(near, axis=1)
        nearest = np.empty(len(X), dtype=np.int64)
        many, few = np.flatnonzero(counts > _FEW), np.flatnonzero(counts <= _FEW)
        if len(many):
            nearest[many] = (matmul(X[many], self.Z.T) - self.half).argmax(axis=1)
        if len(few):
            of, k = np.nonzero(near[few])
            squares = np.square(X[few[of]] - self.Z[k]).sum(axis=1)
            nearest[few] = k[first_best(-squares, counts[few])]
        return nearest


def first_best(values: Array, counts: Indices) -> Indices:
    """Where the largest value of each of consecutive groups lies, the first of equal ones."""
    of = np.repeat(np.arange(len(counts)), counts)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    hits = np.flatnonzero(values == np.maximum.reduceat(values, starts)[of])
    return np.asarray(hits[np.unique(of[hits], return_index=True)[1]])
