"""Metrics of pairs of class means, in one sweep over blocks of pairs: no C x C array is stored.

A metric is the mean or the spread of a function of `Pairs`, or the distance of the whole Gram
matrix from an ideal frame.
Sources: Papyan, Han & Donoho (2020) for NC2; Galanti, Gyorgy & Hutter (2022) for CDNV; Zhu et al.
(2021), Tirer & Bruna (2022) for frames; Liu et al. (2023), Wu & Papyan (2024) for generalised NC2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nc1fast.metrics.frames import WHOLE
from nc1fast.support.threads import workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from nc1fast.metrics.frames import Frame, MeanFrame

    Array = NDArray[np.float64]

_SIDE = 256  # classes of a side of a block: 512 KiB
_LARGEST_EXPONENT = 1000


def in_range(squares: Array) -> float:
    """The power of two that brings the largest of these to about 1."""
    _, exponent = math.frexp(float(np.abs(squares).max(initial=0.0)))
    return 2.0 ** -min(max(exponent, -_LARGEST_EXPONENT), _LARGEST_EXPONENT)


class Pairs:
    """Pairs of different classes c < c', of rows and columns of a Gram matrix; each array has an
    entry for each pair.

    Attributes
    ----------
    n_classes : int
    unit : float
        What lengths squared are multiplied with, so that their squares stay in range.
    """

    def __init__(
        self, frame: Frame, V: Array | None, unit: float, rows: slice, columns: slice
    ) -> None:
        self.n_classes, self.unit = len(frame.squares), unit
        self._frame, self._V, self._rows, self._columns = frame, V, rows, columns
        m = len(frame.squares[rows])
        self._upper = ~np.tri(m, dtype=bool) if rows == columns else None

    def _of(self, block: Array) -> Array:
        return block.ravel() if self._upper is None else block[self._upper]

    def _sums(self, a: Array) -> Array:
        return self._of(a[self._rows, None] + a[self._columns])

    @cached_property
    def products(self) -> Array:
        """Products <z_c, z_c'> of centred means."""
        block = self._frame.products(self._rows, self._columns)
        return self._of(np.multiply(block, self.unit, out=block))

    @cached_property
    def cosines(self) -> Array:
        """cos(z_c, z_c'); 0 where one of both is zero."""
        r = np.sqrt(np.maximum(self._frame.squares * self.unit, 0))
        lengths = self._of(r[self._rows, None] * r[self._columns])
        return np.divide(self.products, lengths, out=np.zeros_like(lengths), where=lengths > 0)

    @cached_property
    def gaps(self) -> Array:
        """Distances |z_c/|z_c| - z_c'/|z_c'|| of directions."""
        return np.asarray(np.sqrt(np.maximum(2 - 2 * self.cosines, 0)))

    @cached_property
    def distances(self) -> Array:
        """Squared distances |mu_c - mu_c'|^2 of means."""
        return self._sums(self._frame.squares * self.unit) - 2 * self.products

    @cached_property
    def variances(self) -> Array:
        """Mean variances (V_c + V_c')/2 within classes."""
        assert self._V is not None
        return self._sums(self._V * (self.unit / 2))

    @cached_property
    def uncentred(self) -> Array:
        """Products <mu_c, mu_c'> of means that are not centred."""
        means: Any = self._frame
        about = (means.toward - means.center_square / 2) * self.unit
        return self.products + self._sums(about)


def cosine(pairs: Pairs) -> Array:
    """cos(z_c, z_c'), in [-1, 1]; -1/(C - 1) for a simplex equiangular tight frame."""
    return pairs.cosines


def cosine_offset(pairs: Pairs) -> Array:
    """|cos(z_c, z_c') + 1/(C - 1)|, in [0, C/(C - 1)]: 0 for a simplex frame, 1/(C - 1) for
    orthogonal directions.
    """
    return np.abs(pairs.cosines + 1 / (pairs.n_classes - 1))


def log_energy(pairs: Pairs) -> Array:
    """log(1/|u_c - u_c'|), u the directions of the centred class means; at least -log 2.

    Generalised NC2, which exists for C > d + 1 too. Least, -log(2 C/(C - 1))/2, for a simplex
    equiangular tight frame; infinite when two directions coincide.
    """
    gaps = pairs.gaps
    return -np.log(gaps, out=np.full_like(gaps, -np.inf), where=gaps > 0)


def riesz_energy(pairs: Pairs) -> Array:
    """1/|u_c - u_c'|, the Riesz energy of exponent 1; at least 1/2, and sqrt((C - 1)/(2 C)) for a
    simplex frame.
    """
    return np.divide(1, pairs.gaps, out=np.full_like(pairs.gaps, np.inf), where=pairs.gaps > 0)


def dispersion(pairs: Pairs) -> Array:
    """CDNV, (V_c + V_c')/(2 |mu_c - mu_c'|^2): 0 when collapsed, infinite where two class means
    coincide.
    """
    distances = pairs.distances
    infinite = np.full_like(distances, np.inf)
    return np.divide(pairs.variances, distances, out=infinite, where=distances > 0)


@dataclass(frozen=True)
class MeanOverPairs:
    """The mean of a function of pairs over all pairs of different classes."""

    values: Callable[[Pairs], Array]

    def begin(self, frame: Frame, unit: float) -> Any:
        """None: blocks need no quantity of the whole frame."""
        return None

    def of_block(self, pairs: Pairs, known: Any) -> Any:
        """Sum of the values of a block."""
        return float(self.values(pairs).sum())

    def of_blocks(self, found: list[Any], frame: Frame, known: Any, unit: float) -> float:
        """Its value from all blocks."""
        C = len(frame.squares)
        return math.fsum(found) / (C * (C - 1) / 2)


class SpreadOverPairs(MeanOverPairs):
    """The standard deviation of a function of pairs."""

    def of_block(self, pairs: Pairs, known: Any) -> Any:
        """Number, mean and squared deviations of the values of a block."""
        values = self.values(pairs)
        if not values.size:
            return 0, 0.0, 0.0
        mean = values.mean()
        return values.size, float(mean), float(np.square(values - mean).sum())

    def of_blocks(self, found: list[Any], frame: Frame, known: Any, unit: float) -> float:
        """The spread of all, by the merge of Chan, Golub & LeVeque (1983)."""
        n, mean, squares = 0, 0.0, 0.0
        for m, other, more in found:
            step = other - mean
            squares += more + (step * step * n * (m / (n + m)) if m else 0.0)
            mean += step * (m / (n + m)) if m else 0.0
            n += m
        return math.sqrt(squares / n)


@dataclass(frozen=True)
class FrameDistance:
    """Frobenius distance of G/|G|, G the Gram matrix, from that of an ideal frame, of unit norm; in
    [0, 2], 1 where G is zero.

    "simplex": (I - 11^T/C)/sqrt(C - 1) of the simplex equiangular tight frame, G = Mc.
    "orthogonal": I/sqrt(C), G = M, to which non-negative features collapse; sqrt(2 - 2/sqrt(C))
    when all means coincide.

    Notes
    -----
    With p = <G, S> and R = G - p S the distance squared is 2 |R|^2/(|G| (|G| + p)), without
    cancellation.
    """

    ideal: Literal["simplex", "orthogonal"]

    def frame_of(self, means: Any) -> Frame:
        """The vectors that are compared."""
        return means.origin if self.ideal == "orthogonal" else means  # type: ignore[no-any-return]

    def begin(self, frame: Any, unit: float) -> tuple[float, float, float]:
        """Entries of S on the diagonal and off it, and p."""
        of = self.frame_of(frame)
        trace = float((of.squares * unit).sum())
        on, off = ideal_entries(self.ideal, len(of.squares))
        return on, off, on * trace + off * (of.total * unit - trace)

    def of_block(self, pairs: Pairs, known: Any) -> float:
        """|R|^2 of the pairs of a block."""
        _, off, p = known
        entries = pairs.uncentred if self.ideal == "orthogonal" else pairs.products
        return float(np.square(entries - p * off).sum())

    def of_blocks(self, found: list[float], frame: Any, known: Any, unit: float) -> float:
        """The distance, from the rests of all blocks."""
        on, _, p = known
        diagonal = self.frame_of(frame).squares * unit - p * on
        return distance_from_ideal(p, 2 * math.fsum(found) + float(np.square(diagonal).sum()))


def ideal_entries(ideal: str, C: int) -> tuple[float, float]:
    """Entries on and off the diagonal of the Gram matrix of an ideal frame of C vectors, of
    Frobenius norm 1.
    """
    if ideal == "orthogonal":
        return 1 / math.sqrt(C), 0.0
    return (1 - 1 / C) / math.sqrt(C - 1), -1 / (C * math.sqrt(C - 1))


def distance_from_ideal(p: float, rest: float) -> float:
    """|G/|G| - S| of G = p S + R with |R|^2 = rest, R orthogonal to S and |S| = 1."""
    size = math.sqrt(p * p + rest)
    if size == 0:
        return 1.0
    return math.sqrt(2 * rest / (size * (size + p)) if p > 0 else 2 - 2 * p / size)


Reduction = MeanOverPairs | SpreadOverPairs | FrameDistance


def sweep(
    frame: Frame, V: Array | None, reductions: Iterable[Reduction], n_threads: int = 1
) -> dict[Reduction, float]:
    """The values of reductions over all pairs of different vectors of a frame.

    Parameters
    ----------
    frame : Frame
        A `MeanFrame` for the orthogonal frame.
    V : ndarray of shape (n_classes,) or None
        Variances within classes, for `dispersion`.
    reductions : iterable of Reduction
    n_threads : int
        The bits do not depend on it.

    Notes
    -----
    Cost: C^2 d/2 multiply-adds of vectors that are held, and some 30 operations a pair; some 10 MiB
    a thread.
    """
    requested = list(reductions)
    squares = frame.squares
    origin = getattr(frame, "origin", frame)
    unit = in_range(origin.squares if origin.squares.max() > squares.max() else squares)
    known = [one.begin(frame, unit) for one in requested]
    parts = [slice(k, min(k + _SIDE, len(squares))) for k in range(0, len(squares), _SIDE)]

    def task(block: tuple[slice, slice]) -> list[Any]:
        pairs = Pairs(frame, V, unit, *block)
        return [one.of_block(pairs, knows) for one, knows in zip(requested, known, strict=True)]

    blocks = [(rows, columns) for k, rows in enumerate(parts) for columns in parts[k:]]
    with workers(min(n_threads, len(blocks))) as in_order:
        found = list(in_order(task, blocks))
    return {
        one: one.of_blocks([row[k] for row in found], frame, known[k], unit)
        for k, one in enumerate(requested)
    }


def cosine_table(means: MeanFrame) -> Array:
    """Cosines between the centred class means, shape (C, C); one of zero norm counts as orthogonal
    to all.
    """
    r = np.sqrt(np.maximum(means.squares, 0))
    norms, products = np.outer(r, r), means.products(WHOLE, WHOLE)
    table: Array = np.divide(products, norms, out=np.zeros_like(norms), where=norms > 0)
    return table


def dispersion_table(means: MeanFrame, V: Array) -> Array:
    """CDNV of each pair of classes, shape (C, C), 0 on the diagonal."""
    squares = means.squares
    distances = squares[:, None] + squares - 2 * means.products(WHOLE, WHOLE)
    within = (V[:, None] + V) / 2
    table: Array = np.divide(
        within, distances, out=np.full_like(within, np.inf), where=distances > 0
    )
    np.fill_diagonal(table, 0)
    return table
