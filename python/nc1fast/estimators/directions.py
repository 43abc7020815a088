"""Random hidden weights w ~ N(0, I), in independent groups that each cover the space more evenly
than chance.

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
Patterson (1976).
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
_BLOCK = (
    256  # vectors made orthogonal together: 2 K d flops for each, for ever less in more dimensions
)
_FEWEST = 8  # groups, at least, to measure their spread
_FLAT = (
    1e-6  # length of the means along a direction, relative to the longest, that is not stratified
)
_GOLDEN = (5**0.5 - 1) / 2


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
