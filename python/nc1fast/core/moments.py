"""Rows added to the moments of their classes, in place, by the compiled core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from nc1fast import _core

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FOLD = 64  # rows of a class between two foldings of low into high: cpp/moments.hpp
_INLINE = 1 << 22  # numbers below which threads cost more than they save


class RawMoments(NamedTuple):
    """Sums about a shift, each as high + low, contiguous.

    Attributes
    ----------
    sizes, longest : ndarray of shape (n_classes,) and (1,)
        Rows of each class; most of one class whose deviations were added to low before it was
        folded.
    squares : ndarray of shape (2, n_classes)
        Sum of |h - shift|^2: high and low.
    shift : ndarray of float32 or float64 of shape (n_classes, n_features)
        The first row of each class. float32 takes float32 rows alone.
    high, low : ndarray of shape (n_classes, n_features)
        Sum of h - shift.
    """

    sizes: Array
    longest: Array
    squares: Array
    shift: NDArray[Any]
    high: Array
    low: Array


def add_rows(
    rows: NDArray[Any], classes: NDArray[np.int64], sums: RawMoments, n_threads: int
) -> None:
    """Add rows (n, n_features) of float32 or float64, numbers of a row side by side, to the moments
    of their classes.

    Notes
    -----
    Memory decides: the rows are read once, the sums of the classes that are there once and written
    once.
    Accuracy: a sum of deviations is off by longest + 2 unit roundoffs of that of their magnitudes,
    whatever the number of rows. The bits depend on no thread.
    """
    few = rows.size < _INLINE or n_threads == 1
    _core.add_rows(rows, classes, sums, 0 if few else n_threads)
