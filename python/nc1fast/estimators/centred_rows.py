"""Rows of each class by their distance, in feature space, from a centre of the class.

With m_c and m_e the centres of the classes of i and j, a_i = phi(x_i) - m_c, r_i = |a_i| and rho =
|m_c - m_e|:

    D2(i, j) = rho^2 + r_i^2 + r_j^2 + 2 y_ij,     y_ij = <m_c - m_e, a_i - a_j> - <a_i, a_j>,
    |y_ij| <= b_ij = rho r_i + rho r_j + r_i r_j.

The squares are summed over all rows, exactly. Only the remainders y are sampled: of pairs drawn in
proportion to b, the terms y/b lie between -1 and 1, however heavy the tails of the rows are. Any
centre will do; b is small where the centre is near its rows.
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

    from nc1fast.inputs.labelled import LabelledData
    from nc1fast.kernels.classes import Kernel

    Array = NDArray[np.float64]
    Positions = NDArray[np.intp]

_CANDIDATES = 8  # rows of a class from which its centre is chosen
_CHUNK = 1 << 18  # numbers of rows gathered at a time
_COPIES = 16  # of them, while their distances are computed


class CentredRows:
    """Rows class by class, in each class the farthest from its centre first; a position is a place
    in this order.

    Parameters
    ----------
    data : LabelledData
        Rows are read once in order, and those of a file are searched for NaN and Inf on the way;
        later by position.
    kernel : Kernel
    seed : int
        For the choice of the candidates for centres.
    n_threads : int

    Attributes
    ----------
    sizes, starts : ndarray of shape (n_classes,)
        Rows of each class, and the position of its first one.
    norms, squares : ndarray of shape (n_classes,)
        Class means of k(x, x), and of r^2.
    distances, tails : ndarray of shape (n_samples,)
        r by position, and its sum over that row and all behind it in its class.
    batch : int
        Rows of X that are gathered at a time.

    Notes
    -----
    Cost: N values of the diagonal and N squared distances, a sort of each class; 56 N bytes.
    """

    def __init__(self, data: LabelledData, kernel: Kernel, seed: int, n_threads: int) -> None:
        self._X, self._kernel, self._threads = data.rows, kernel, n_threads
        self.exact = stable(kernel, data.n_features)  # D2 does not cancel
        self.batch = batch_of(data.n_features)
        self.sizes, self.starts = data.classes.sizes, data.classes.starts[:-1]
        self._order = data.classes.order.copy()  # row of X at each position
        self._centres = self._nearest_to_all(seed)
        diagonal, squares = self._about(data.classes.of_row)
        self.norms = diagonal / self.sizes
        self.squares = np.empty(len(self.sizes))
        self.distances, self.tails = squares[self._order], np.empty(data.n_samples)
        del squares
        # c + share of r in the rows of class c before this one
        self._shares = np.empty(data.n_samples)
        for c in range(len(self.sizes)):
            self._sort(c)

    def _nearest_to_all(self, seed: int) -> NDArray[np.intp]:
        """Rows of X that are the centres of the classes, (C,).

        Of a few random rows of a class, the centre is the one with the least sum of distances from
        the others.
        """
        rng = np.random.default_rng([seed, 0])
        drawn = (rng.random((len(self.sizes), _CANDIDATES)) * self.sizes[:, None]).astype(np.intp)
        rows = self._order[self.starts[:, None] + drawn]  # (C, s)
        total = np.zeros(rows.shape)
        for a in range(_CANDIDATES):
            for b in range(a):
                distance = np.sqrt(np.maximum(self._distances_of(rows[:, a], rows[:, b]), 0.0))
                total[:, a] += distance
                total[:, b] += distance
        return np.asarray(rows[np.arange(len(rows)), total.argmin(axis=1)])

    def _distances_of(self, rows: Positions, others: Positions) -> Array:
        """D2 (n,) between rows of X and others, both by their number in X, a batch at a time."""
        out = np.empty(len(rows))
        for start in range(0, len(rows), self.batch):
            part = slice(start, start + self.batch)
            x, z = rows_at(self._X, rows[part]), rows_at(self._X, others[part])
            out[part] = squared_distances(self._kernel, x, z)
        return out

    def _about(self, classes: NDArray[np.int32]) -> tuple[Array, Array]:
        """Sums of k(x, x) over each class, (C,), and r^2 of each row of X, (N,)."""
        centres = rows_at(self._X, self._centres)
        own = self._kernel.diag(centres)
        total, out = np.zeros(len(self.sizes)), np.empty(len(classes))

        def of(start: int) -> tuple[int, Array, Array]:
            part = slice(start, start + self.batch)
            x, of_row = rows_at(self._X, part), classes[part]
            diagonal = self._kernel.diag(x)
            squares = squared_distances(self._kernel, x, centres[of_row])
            if not self.exact:  # D2 is a difference of numbers of the size of k: it may be negative
                squares = np.maximum(squares, 0.0) + 8 * UNIT_ROUNDOFF * (diagonal + own[of_row])
            sums = np.bincount(of_row, weights=diagonal, minlength=len(total)).astype(np.float64)
            return start, sums, squares

        with workers(self._threads) as in_order:
            for start, diagonal, squares in in_order(of, range(0, len(classes), self.batch)):
                total += diagonal
                out[start : start + len(squares)] = squares
        return total, out

    def _sort(self, c: int) -> None:
        """Sort the rows of a class by r; until then `distances` holds r^2."""
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
        """Distances rho (n,) between the centres of the classes `first` and `second`, (n,) each."""
        D2 = self._distances_of(self._centres[first], self._centres[second])
        return np.sqrt(np.maximum(D2, 0.0))

    def by_distance(self, c: Positions, left_out: Positions, u: Array) -> Positions:
        """Positions (n,) of rows drawn in proportion to r.

        Parameters
        ----------
        c, left_out : ndarray of int of shape (n,)
            Class of each row that is drawn, and the number of rows at its head that are not.
        u : ndarray of shape (n,)
            Uniform random numbers in [0, 1).
        """
        first = self.starts[c] + left_out
        low = self._shares[first]
        found = np.searchsorted(self._shares, low + u * (c + 1 - low), side="right") - 1
        return np.asarray(np.clip(found, first, self.starts[c] + self.sizes[c] - 1))

    def uniform(self, c: Positions, left_out: Positions, u: Array) -> Positions:
        """Positions (n,) as `by_distance`, but of rows that are all equally likely."""
        rest = self.sizes[c] - left_out
        return np.asarray(
            self.starts[c] + left_out + np.minimum((u * rest).astype(np.intp), rest - 1)
        )

    def remainders(self, i: Positions, j: Positions, gap: Any) -> tuple[Array, Array]:
        """Remainders y (n,) of pairs of positions, and their bounds b (n,); `gap` is rho, one for
        all or of each.
        """
        x, z = rows_at(self._X, self._order[i]), rows_at(self._X, self._order[j])
        D2 = squared_distances(self._kernel, x, z)
        r, q = self.distances[i], self.distances[j]
        return (D2 - gap**2 - r**2 - q**2) / 2, gap * (r + q) + r * q


def batch_of(n_features: int) -> int:
    """Rows of `n_features` numbers that are gathered at a time."""
    return max(1, _CHUNK // n_features)


def bytes_of(n_rows: int, n_features: int, n_classes: int, n_threads: int) -> dict[str, int]:
    """Memory of `CentredRows` and of drawing pairs from it, beside X and y: bytes by purpose."""
    return {
        "the labels, their order and distances": 64 * n_rows,
        "rows": (n_threads + 1) * _COPIES * 8 * max(_CHUNK, n_features),
        "centres": 16 * n_classes * (n_features + 16),
    }
