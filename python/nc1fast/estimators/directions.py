"""Random hidden weights w ~ N(0, I), in independent groups that each cover the space more evenly
than chance; and random rotations of features.

Along the class means (an orthonormal basis of their span) the coordinates of a group of K weights
are stratified: one in each of K slices of equal probability, in a random order for each basis
vector (a Latin hypercube). In the rest of the space the weights are blocks of orthogonal vectors
with the lengths of Gaussian ones. Each w is Gaussian all the same, so that means over w stay
unbiased; and groups are independent, so that their spread measures the error.

Where w and -w give the same, one of each pair suffices: the first coordinate is drawn from its
upper half, in slices half as wide. The second then advances from slice to slice by the golden ratio
(a Kronecker sequence with a random start), so that the kinks of the units, which are lines through
the origin of the plane of the two, are spread evenly over all angles.
Sources: McKay, Beckman & Conover (1979); Yu et al. (2016) for orthogonal random features; Cranley &
Patterson (1976). For the subsampled randomized Hadamard transforms (SRHT) of `Sketch`, some
coordinates of a random rotation: Ailon & Chazelle (2006); Tropp (2011).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.core import linear
from nc1fast.core.linear import matmul, orthonormal
from nc1fast.support.arguments import check_choice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SAMPLINGS = ("stratified", "orthogonal", "plain")
_STRATIFIED = 8  # stratified directions, at most
_SMALLEST, _LARGEST = 32, 128  # weights of a group
# Vectors made orthogonal together: 2 K d flops for each, for ever less in more dimensions.
_BLOCK = 256
_FEWEST = 8  # groups, at least, to measure their spread
# Length of the means along a direction, relative to the longest, that is not stratified.
_FLAT = 1e-6
_GOLDEN = (5**0.5 - 1) / 2
_OCTET = 8


@dataclass(frozen=True, eq=False)
class Directions:
    """Distribution of the hidden weights of a group.

    Attributes
    ----------
    n_features : int
        Length d of a weight vector.
    group : int
        Number K of weights in a group.
    basis : ndarray of shape (s, n_features)
        Orthonormal rows along which weights are stratified.
    orthogonal : bool
        Whether the rest of the weights is orthogonal; otherwise all are independent.
    seed : int
    even : bool, default False
        Whether w and -w give the same.
    """

    n_features: int
    group: int
    basis: Array
    orthogonal: bool
    seed: int
    even: bool = False

    def draw(self, *index: int) -> Array:
        """Weights of one group, shape (group, n_features); they follow from the seed and the index
        alone.
        """
        rng = np.random.default_rng([self.seed, *index])
        K, d, s = self.group, self.n_features, len(self.basis)
        if not self.orthogonal:
            return rng.normal(size=(K, d))
        rest = np.concatenate([np.zeros((0, d)), *self._blocks(rng, d - s)])[:K]
        rest -= matmul(matmul(rest, self.basis.T), self.basis)
        inverse = NormalDist().inv_cdf
        along = np.empty((K, s))
        for a, u in enumerate(self._slices(rng)):
            along[:, a] = [inverse(min(max(p, 1e-300), 1 - 2.0**-53)) for p in u]
        return rest + matmul(along, self.basis)

    def _slices(self, rng: np.random.Generator) -> list[Array]:
        """Stratified uniform numbers (K,) for each direction of the basis; their normal quantiles
        are the coordinates.
        """
        K, s = self.group, len(self.basis)
        first: list[Array] = []
        if self.even and s > 0:
            first = [(1 + (np.arange(K) + rng.uniform(size=K)) / K) / 2]
        if self.even and s > 1:
            first.append(np.asarray((np.arange(K) * _GOLDEN + rng.uniform()) % 1, np.float64))
        others = range(len(first), s)
        return first + [(rng.permutation(K) + rng.uniform(size=K)) / K for _ in others]

    def _blocks(self, rng: np.random.Generator, free: int) -> list[Array]:
        """Blocks of orthogonal vectors with Gaussian lengths in the complement of the basis; K
        vectors at least.
        """
        K, d = self.group, self.n_features
        if free == 0:
            return [np.zeros((K, d))]
        out = []
        block = min(K, free, _BLOCK)
        for _ in range(-(-K // block)):
            raw = rng.normal(size=(d, block)).T
            raw = raw - matmul(matmul(raw, self.basis.T), self.basis)
            rows = orthonormal(raw)
            out.append(rows * np.sqrt(rng.chisquare(free, size=len(rows)))[:, None])
        return out


def principal(means: Array) -> Array:
    """Orthonormal rows (s, d), s <= 8, along which the means (n, d) are longest: the directions
    worth stratifying.
    """
    return linear.principal(means, _STRATIFIED, _FLAT)


def check_sampling(sampling: str) -> None:
    """Raise ValueError unless `sampling` is the name of a way to draw weights."""
    check_choice("sampling", sampling, SAMPLINGS)


def directions(
    n_features: int, means: Array, n_weights: int, sampling: str, seed: int, *, even: bool = False
) -> Directions:
    """Distribution of hidden weights, in groups of a size that suits samples of about `n_weights`.

    Parameters
    ----------
    n_features : int
    means : ndarray of shape (n_classes, n_features)
        Class means, or approximations to them: results are unbiased whatever they are.
    n_weights : int
    sampling : {"stratified", "orthogonal", "plain"}
        Stratified along the means and orthogonal elsewhere; orthogonal; or independent.
    seed : int
    even : bool, default False
        Whether w and -w give the same.

    Raises
    ------
    ValueError
        For an unknown sampling.
    """
    check_sampling(sampling)
    if sampling == "plain":
        return Directions(n_features, 1, np.zeros((0, n_features)), False, seed)
    basis = np.zeros((0, n_features))
    if sampling == "stratified":
        basis = principal(means)
    free = n_features - len(basis)
    group = max(1, min(free, _LARGEST, n_weights // _FEWEST)) if free else _SMALLEST
    group *= -(-_SMALLEST // group)
    return Directions(n_features, group, basis, True, seed, even)


def hadamard(n: int) -> Array:
    """Sylvester's matrix of +-1, shape (n, n), with H H^T = n I; n is a power of two."""
    H = np.ones((1, 1))
    while len(H) < n:
        H = np.block([[H, H], [H, -H]])
    return H


def walsh_hadamard(A: Array) -> Array:
    """Product A H of rows A (n, d), d a power of two, with Hadamard's matrix: shape (n, d).

    H is a Kronecker product, so that each row is laid out as a matrix and multiplied from both
    sides: 4 n d^1.5 flops, all in matrix products.
    """
    n, d = A.shape
    right = 1 << (d.bit_length() // 2)
    left = d // right
    H_left, H_right = (hadamard(k).astype(A.dtype) for k in (left, right))
    A = matmul(A.reshape(n * left, right), H_right).reshape(n, left, right).swapaxes(1, 2)
    A = matmul(A.reshape(n * right, left), H_left).reshape(n, right, left).swapaxes(1, 2)
    return A.reshape(n, d)


@dataclass(frozen=True, eq=False)
class Sketch:
    """Coordinates g of H D v, D = diag(signs): each has E g(v) g(v') = <v, v'>, and the mean over
    all of them equals it.

    Attributes
    ----------
    signs : ndarray of shape (d,)
    coordinates : ndarray of int of shape (k,)
        Below the power of two to which d is padded.
    """

    signs: Array
    coordinates: NDArray[np.intp]

    def __call__(self, V: Array) -> Array:
        """Coordinates (n, k) of rows V (n, d)."""
        d = V.shape[1]
        return walsh_hadamard(np.pad(V * self.signs, ((0, 0), (0, _padded(d) - d))))[
            :, self.coordinates
        ]


def sketch(n_features: int, n_coordinates: int, rng: np.random.Generator) -> Sketch:
    """Draw random signs, and coordinates that repeat only when all have been taken.

    Coordinates come in octets of consecutive ones. Within an octet, any two of the first eight
    features have the same sign four times and opposite signs four times, so that their products add
    up to zero.
    """
    octets = max(1, _padded(n_features) // _OCTET)
    rounds = [rng.permutation(octets) for _ in range(-(-n_coordinates // (octets * _OCTET)))]
    coordinates = (_OCTET * np.concatenate(rounds)[:, None] + np.arange(_OCTET)).ravel()
    return Sketch(
        rng.choice([-1.0, 1.0], size=n_features), coordinates[:n_coordinates] % _padded(n_features)
    )


def _padded(n_features: int) -> int:
    return 1 << (n_features - 1).bit_length()
