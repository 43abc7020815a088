"""Rows of each class by their distance, in feature space, from a centre of the class.

With a_i = phi(x_i) - m_c, r_i = |a_i| and rho = |m_c - m_e|, m_c and m_e the centres of the classes of i and j:

    D2(i, j) = rho^2 + r_i^2 + r_j^2 + 2 y_ij,     y_ij = <m_c - m_e, a_i - a_j> - <a_i, a_j>,
    |y_ij| <= b_ij = rho r_i + rho r_j + r_i r_j.

The squares are summed over all rows, exactly; y alone is left to sampling, and by pairs drawn in proportion to b its terms y/b lie
between -1 and 1, however heavy the tails of the rows are. Any centre does; a near one makes b small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.inputs.arrays import rows_at
from nc1fast.kernels.pairwise import squared_distances, stable
from nc1fast.sums.rounding import UNIT_ROUNDOFF
from nc1fast.support.threads import workers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.kernels.classes import Kernel

    Array = NDArray[np.float64]
    Positions = NDArray[np.intp]

_CANDIDATES = 8  # rows of a class of which its centre is the one nearest to all others
_CHUNK = 1 << 18  # numbers of rows gathered at a time
_COPIES = 16  # of them, while their distances are computed


class CentredRows:
    """Rows class by class, the farthest from its centre first; a position counts in this order.

    Parameters
    ----------
    X : ndarray or FileRows of shape (n_samples, n_features)
        Read once, and a file searched for NaN and Inf on the way.
    classes : ndarray of shape (n_samples,)
    n_classes : int
    kernel : Kernel
    seed : int
        Of the rows that are tried as centres.
    n_threads : int, default 1

    Attributes
    ----------
    sizes, starts : ndarray of shape (n_classes,)
        Rows of each class, and the position of its first one.
    norms, squares : ndarray of shape (n_classes,)
        Means of k(x, x), and of r^2.
    distances, tails : ndarray of shape (n_samples,)
        r by position, and its sum over the row and all behind it in its class.
    batch : int
        Rows of X that are gathered at a time.

    Notes
    -----
    Cost: N values of the diagonal and N squared distances, a sort; 48 N bytes.
    """

    def __init__(
        self,
        X: Any,
        classes: NDArray[np.int32],
        n_classes: int,
        kernel: Kernel,
        seed: int,
        n_threads: int = 1,
    ) -> None:
        self._X, self._kernel, self._threads = X, kernel, n_threads
        self.batch = batch_of(X.shape[1])
        self.sizes = np.bincount(classes, minlength=n_classes).astype(np.int64)
        self.starts = np.cumsum(self.sizes) - self.sizes
        self._order = np.argsort(classes, kind="stable")
        self._centres = self._nearest_to_all(seed)
        diagonal, squares = self._about(classes)
        self.norms = diagonal / self.sizes
        self.squares = np.empty(n_classes)
        self.distances, self.tails = squares[self._order], np.empty(len(classes))
        del squares
        self._shares = np.empty(len(classes))  # c + share of the rows of class c before this one
        for c in range(n_classes):
            self._sort(c)

    def _nearest_to_all(self, seed: int) -> NDArray[np.intp]:
        """Of each class, the one of some random rows with the least sum of distances from the others."""
        rng = np.random.default_rng([seed, 0])
        drawn = (rng.random((len(self.sizes), _CANDIDATES)) * self.sizes[:, None]).astype(np.intp)
        rows = self._order[self.starts[:, None] + drawn]  # (C, s)
        total = np.zeros(rows.shape)
        for a in range(_CANDIDATES):
            for b in range(a):
                apart = np.sqrt(np.maximum(self._distances_of(rows[:, a], rows[:, b]), 0.0))
                total[:, a] += apart
                total[:, b] += apart
        return np.asarray(rows[np.arange(len(rows)), total.argmin(axis=1)])

    def _distances_of(self, rows: Positions, others: Positions) -> Array:
        """D2 of rows by their numbers in X, a batch at a time."""
        out = np.empty(len(rows))
        for start in range(0, len(rows), self.batch):
            part = slice(start, start + self.batch)
            x, z = rows_at(self._X, rows[part]), rows_at(self._X, others[part])
            out[part] = squared_distances(self._kernel, x, z)
        return out

    def _about(self, classes: NDArray[np.int32]) -> tuple[Array, Array]:
        """Sums of k(x, x) over each class (C,), and r^2 of each row (N,)."""
        centres = rows_at(self._X, self._centres)
        own = self._kernel.diag(centres)
        total, out = np.zeros(len(self.sizes)), np.empty(len(classes))
        exact = stable(self._kernel)

        def of(start: int) -> tuple[int, Array, Array]:
            part = slice(start, start + self.batch)
            x, of_row = rows_at(self._X, part), classes[part]
            diagonal = self._kernel.diag(x)
            squares = squared_distances(self._kernel, x, centres[of_row])
            if not exact:  # D2 is a difference of numbers of the size of k, and may be below zero
                squares = np.maximum(squares, 0.0) + 8 * UNIT_ROUNDOFF * (diagonal + own[of_row])
            sums = np.bincount(of_row, weights=diagonal, minlength=len(total)).astype(np.float64)
            return start, sums, squares

        with workers(self._threads) as in_order:
            for start, diagonal, squares in in_order(of, range(0, len(classes), self.batch)):
                total += diagonal
                out[start : start + len(squares)] = squares
        return total, out

    def _sort(self, c: int) -> None:
        """Put the rows of a class in order, squares being in `distances` so far."""
        own = slice(int(self.starts[c]), int(self.starts[c] + self.sizes[c]))
        squares = self.distances[own]
        self.squares[c] = squares.mean()
        order = np.argsort(-squares, kind="stable")
        r = np.sqrt(squares[order])
        tails = np.cumsum(r[::-1])[::-1]
        self._order[own] = self._order[own][order]
        self.distances[own], self.tails[own] = r, tails
        self._shares[own] = c + (1 - tails / tails[0] if tails[0] > 0 else 0.0)

    def gaps(self, first: Positions, second: Positions) -> Array:
        """Distances rho between the centres of classes."""
        D2 = self._distances_of(self._centres[first], self._centres[second])
        return np.sqrt(np.maximum(D2, 0.0))

    def by_distance(self, c: Positions, left_out: Positions, u: Array) -> Positions:
        """Positions of rows of classes c drawn in proportion to r, without the first ones, from uniform numbers u."""
        first = self.starts[c] + left_out
        low = self._shares[first]
        found = np.searchsorted(self._shares, low + u * (c + 1 - low), side="right") - 1
        return np.asarray(np.clip(found, first, self.starts[c] + self.sizes[c] - 1))

    def uniform(self, c: Positions, left_out: Positions, u: Array) -> Positions:
        """The same, each row as likely as any other."""
        rest = self.sizes[c] - left_out
        return np.asarray(
            self.starts[c] + left_out + np.minimum((u * rest).astype(np.intp), rest - 1)
        )

    def remainders(self, i: Positions, j: Positions, gap: Any) -> tuple[Array, Array]:
        """Remainders y of pairs of positions, and their bounds b."""
        x, z = rows_at(self._X, self._order[i]), rows_at(self._X, self._order[j])
        D2 = squared_distances(self._kernel, x, z)
        r, q = self.distances[i], self.distances[j]
        return (D2 - gap**2 - r**2 - q**2) / 2, gap * (r + q) + r * q


def batch_of(n_features: int) -> int:
    """Rows gathered at a time."""
    return max(1, _CHUNK // n_features)


def bytes_of(n_rows: int, n_features: int, n_classes: int, n_threads: int) -> dict[str, int]:
    """Memory of `CentredRows` and of what draws from it, beside X and y, by what for."""
    return {
        "the labels, their order and distances": 64 * n_rows,
        "rows": (n_threads + 1) * _COPIES * 8 * max(_CHUNK, n_features),
        "centres": 16 * n_classes * (n_features + 16),
    }
