"""`alignment`: how a kernel lies to the labels and to other kernels, as cosines of Gram matrices
that are never stored.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast.core.linear import UNIT_ROUNDOFF
from nc1fast.datasets.paths import reads_files
from nc1fast.prediction.sides import Side, TargetGram, as_sides
from nc1fast.support.arithmetic import ieee
from nc1fast.support.progress import reporting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.kernels.classes import Kernel
    from nc1fast.support.progress import Report

    Array = NDArray[np.float64]

_BLOCK = 512  # rows of a tile


class BlockStatistics(NamedTuple):
    """Mean and variance of the entries of one Gram matrix: on its diagonal, within classes off it,
    and between classes.

    NaN where there are no such entries, as within and between classes for targets that are no
    labels.
    """

    diagonal_mean: float
    diagonal_variance: float
    within_mean: float
    within_variance: float
    between_mean: float
    between_variance: float


@dataclass(frozen=True, eq=False)
class Alignment:
    """Cosines between Gram matrices, in the inner product of Frobenius.

    Attributes
    ----------
    target : ndarray of shape (n_kernels,)
        <K, T>/(|K| |T|) with T = Y Y^T of the targets; of labels T is 1 within classes and -1/(C -
        1) between them, which for two classes is y y^T of y = +-1.
    centred : ndarray of shape (n_kernels, n_kernels)
        The same between H K H and H K' H, H = I - 1 1^T/N: the centred kernel alignment (CKA).
    centred_target : ndarray of shape (n_kernels,)
        The same between H K H and H T H.
    blocks : tuple of BlockStatistics
        Of each kernel.
    norms : ndarray of shape (n_kernels,)
        |K| of each kernel.
    error_bound : float
        On every cosine: what rounding in the entries of a kernel and in the sums can make of it.
    """

    target: Array
    centred: Array
    centred_target: Array
    blocks: tuple[BlockStatistics, ...]
    norms: Array
    error_bound: float


@ieee
@reads_files("X", labels="y")
def alignment(
    X: ArrayLike,
    y: ArrayLike,
    kernels: Kernel | ArrayLike | list[Any],
    *,
    n_threads: int | None = None,
    progress: bool | Callable[[int, int], object] = False,
) -> Alignment:
    """Kernel-target and centred alignment of kernels and explicit features, from two passes over
    tiles.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), or path
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), path, or part of the file X
        Labels: integers, booleans, text; or targets: floats, and any matrix.
    kernels : Kernel, array of shape (n_samples, p), path, or a list of them
        An array, or what lies at a path, stands for the Gram matrix of explicit features, H H^T.
    n_threads : int, optional
        Default: as `collapse`.
    progress : bool or callable(done, total), default False

    Returns
    -------
    Alignment

    Raises
    ------
    TypeError, ValueError, OSError
        As `collapse` for its data; for no kernel, targets of norm 0, and a Gram matrix whose
        centred norm is 0.

    Notes
    -----
    Cost: two passes, of a kernel value of each pair and kernel, and of a multiply-add for each pair
    of kernels; a few tiles of 512 x 512 of every kernel. Sums are NumPy's, in a fixed order; the
    bits depend on no thread.
    Accuracy: `error_bound`; entries are centred before they are multiplied, so that a kernel close
    to a constant keeps its digits.
    Source: Cristianini et al. (2001); Cortes, Mohri & Rostamizadeh (2012); Kornblith et al. (2019);
    Seleznova & Kutyniok (2021) for the statistics of blocks.
    """
    sides = as_sides(X, kernels if isinstance(kernels, list | tuple) else [kernels], n_threads)
    targets = TargetGram.of(y, len(sides[0]))
    with reporting(progress) as report:
        return _PairPasses(sides, targets).result(report)


class _PairPasses:
    """The sums of two passes over the pairs of rows: plain ones, and those of centred entries."""

    def __init__(self, sides: list[Side], targets: TargetGram) -> None:
        self.sides, self.targets, self.n = sides, targets, len(sides[0])
        starts = range(0, self.n, _BLOCK)
        self.spans = [slice(s, min(self.n, s + _BLOCK)) for s in starts]

    def result(self, report: Report | None) -> Alignment:
        """Both passes, and what follows from them."""
        n_kernels, total = len(self.sides), len(self.spans) * (len(self.spans) + 1)
        rows = np.zeros((n_kernels + 1, self.n))
        plain = _Sums(n_kernels)
        for done, (a, b, tiles) in enumerate(self._tiles(), 1):
            plain.add(tiles, self.targets.same(a, b), a == b)
            for sums, tile in zip(rows, tiles, strict=True):
                sums[a] += tile.sum(axis=1)
                if a != b:
                    sums[b] += tile.sum(axis=0)
            if report is not None:
                report(done, total)
        means = rows / self.n
        products = np.zeros((n_kernels + 1, n_kernels + 1))
        for done, (a, b, tiles) in enumerate(self._tiles(), total // 2 + 1):
            times = 1 if a == b else 2
            centred = [
                tile - mean[a, None] - mean[b] + mean.mean()
                for tile, mean in zip(tiles, means, strict=True)
            ]
            for i, j in itertools.combinations_with_replacement(range(n_kernels + 1), 2):
                products[i, j] += times * np.einsum("ij,ij->", centred[i], centred[j])
            if report is not None:
                report(done, total)
        return self._alignment(plain, np.triu(products) + np.triu(products, 1).T)

    def _tiles(self) -> Iterator[tuple[slice, slice, list[Array]]]:
        """Tiles of the upper triangle, of every kernel and, last, of the targets."""
        for a, b in itertools.combinations_with_replacement(self.spans, 2):
            yield a, b, [side.tile(a, b) for side in self.sides] + [self.targets.tile(a, b)]

    def _alignment(self, plain: _Sums, products: Array) -> Alignment:
        squares = plain.squares.sum(axis=1)
        norms, centred = np.sqrt(squares), np.sqrt(np.diag(products))
        if not norms.all() or not (centred > 0).all():
            names = [*(f"kernel {i}" for i in range(len(self.sides))), "the targets"]
            at = int(np.flatnonzero((norms == 0) | (centred == 0))[0])
            raise ValueError(f"{names[at]} has a centred Gram matrix of norm 0: nothing to align")
        with_target = plain.with_target / (norms[:-1] * norms[-1])
        cosines = products / (centred[:, None] * centred)
        moved = np.array([side.error() for side in self.sides] + [0.0])
        # A cosine moves by |dK|/|K| at most for each of its two sides; sums of N^2 terms in runs of
        # a few hundred by their share.
        summed = 4 * (_BLOCK + len(self.spans) ** 2) * UNIT_ROUNDOFF
        relative = (moved + summed * norms) / np.minimum(norms, centred)
        bound = 2 * float(np.sort(relative)[-2:].sum())
        return Alignment(
            target=with_target,
            centred=cosines[:-1, :-1],
            centred_target=cosines[:-1, -1],
            blocks=tuple(plain.statistics(i, self.targets.counts) for i in range(len(self.sides))),
            norms=norms[:-1],
            error_bound=bound,
        )


class _Sums:
    """Sums of entries and of their squares on the diagonal, within and between classes, and of
    products with the targets.
    """

    def __init__(self, n_kernels: int) -> None:
        self.entries = np.zeros((n_kernels + 1, 3))
        self.squares = np.zeros((n_kernels + 1, 3))
        self.with_target = np.zeros(n_kernels)

    def add(self, tiles: list[Array], same: NDArray[np.bool_], on_diagonal: bool) -> None:
        """Add tiles of all kernels and the targets; off the diagonal of tiles each counts twice."""
        times = 1 if on_diagonal else 2
        for index, tile in enumerate(tiles):
            square = np.square(tile)
            for sums, values in ((self.entries, tile), (self.squares, square)):
                whole, within = values.sum(), values.sum(where=same)
                diagonal = np.trace(values) if on_diagonal else 0.0
                sums[index] += times * np.array([diagonal, within - diagonal, whole - within])
        for index, tile in enumerate(tiles[:-1]):
            self.with_target[index] += times * np.einsum("ij,ij->", tile, tiles[-1])

    def statistics(self, index: int, counts: tuple[int, int, int]) -> BlockStatistics:
        """Means and variances of one kernel; `counts` of entries of each kind."""
        found: list[float] = []
        for count, sum_, square in zip(
            counts, self.entries[index], self.squares[index], strict=True
        ):
            mean = sum_ / count if count else math.nan
            found += [float(mean), float(max(0.0, square / count - mean**2) if count else math.nan)]
        return BlockStatistics(*found)
