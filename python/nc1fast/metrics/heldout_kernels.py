"""Rows that were not seen, about the class means of a kernel: products of K(test, training) with
the columns of classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.core.products import KernelMap, ProductSettings
from nc1fast.inputs.arrays import as_matrix, as_rows, host_array
from nc1fast.inputs.sequences import Sequences
from nc1fast.kernels.classes import Kernel
from nc1fast.metrics.heldout import AboutMeans

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nc1fast.sums.class_sums import ClassSums

    Array = NDArray[np.float64]

_COLUMNS = 256  # classes at a time: those of one pass over the pairs
_ROWS = 256  # of a tile of a callable
_SAME = 1e-6  # relative difference of traces from which rows are not those of the sums


class KernelRows(NamedTuple):
    """Test rows as a kernel sees them.

    Attributes
    ----------
    own : ndarray of shape (n_test,)
        k(x, x) of the test rows.
    of_training : ndarray of shape (n_training,) or None
        k(x, x) of the training rows.
    product : callable
        From V (n_training, k) to K(test, training) V.
    """

    own: Array
    of_training: Array | None
    product: Callable[[Array], Array]

    @classmethod
    def of(
        cls, kernel: Any, X_test: Any, X: Any, diagonal: Any, n_threads: int | None
    ) -> KernelRows:
        """Test rows of a kernel object, a callable or stored values.

        Raises
        ------
        TypeError, ValueError
            For training rows or a diagonal that are missing or not wanted, and as the kernel does.
        """
        stored = isinstance(kernel, str)
        name, wanted = ("diagonal", diagonal) if stored else ("X", X)
        if wanted is None:
            what = "k(x, x) of the test rows" if stored else "the training rows, in their order"
            raise ValueError(f"evaluate of {kernel!r} needs {name}=, {what}")
        if (X if stored else diagonal) is not None:
            raise ValueError(f"evaluate of {kernel!r} takes {name}= alone")
        if stored:
            return cls._stored(X_test, diagonal)
        if not isinstance(kernel, Kernel):
            return cls._called(kernel, X_test, X)
        if kernel.of_sequences:
            rows, tests = Sequences.of(X), Sequences.of(X_test)
            return cls(
                kernel.diag(tests),  # type: ignore[arg-type]
                kernel.diag(rows),  # type: ignore[arg-type]
                lambda V: kernel.matvec(rows, V, tests, n_threads=n_threads),  # type: ignore[arg-type]
            )
        made = KernelMap.of(kernel, X, X_test, ProductSettings(n_threads=n_threads))
        return cls(made.result_diagonal, made.diagonal, made)

    @classmethod
    def _stored(cls, K: Any, diagonal: Any) -> KernelRows:
        values = as_matrix(K, "H_test").astype(np.float64)
        own = as_matrix(host_array(diagonal, "diagonal").reshape(-1, 1), "diagonal")[:, 0]
        if len(own) != len(values):
            raise ValueError(f"diagonal must have shape ({len(values)},), got {own.shape}")
        return cls(own.astype(np.float64), None, lambda V: matmul(values, V))

    @classmethod
    def _called(cls, f: Callable[..., Any], X_test: Any, X: Any) -> KernelRows:
        tests, rows = as_rows(X_test, "H_test"), as_rows(X, "X")

        def values(A: Any, B: Any) -> Array:
            found = np.asarray(host_array(f(A, B), "kernel"), dtype=np.float64)
            if found.shape != (len(A), len(B)) or not np.isfinite(found).all():
                raise ValueError(
                    f"kernel must return finite numbers of shape {(len(A), len(B))} here"
                )
            return found

        def diagonal(A: Any) -> Array:
            parts = (A[k : k + _ROWS] for k in range(0, len(A), _ROWS))
            return np.concatenate([values(part, part).diagonal() for part in parts])

        def product(V: Array) -> Array:
            parts = (tests[k : k + _ROWS] for k in range(0, len(tests), _ROWS))
            return np.concatenate([matmul(values(part, rows), V) for part in parts])

        return cls(diagonal(tests), diagonal(rows), product)


def kernel_about_means(rows: KernelRows, of_row: NDArray[np.int64], sums: ClassSums) -> AboutMeans:
    """Test rows of these classes about the class means of a kernel.

    Notes
    -----
    |phi(x) - mu_c|^2 = k(x, x) - 2 <mu_c, phi(x)> + |mu_c|^2, <mu_c, phi(x)> the product of K(test, training) with the column
    1/n_c of class c.
    Cost: the kernel values of every test row with every training row, once for each 256 classes,
    and 2 n N C flops.
    Accuracy: absolute, that of the entries of K: unlike those of the training rows, distances of
    rows that lie close to their means lose digits.
    """
    n, classes = sums.sizes, _training_classes(rows, sums)
    norms = sums.block_sums.diagonal() / n.astype(np.float64) ** 2
    squares, best = np.empty(len(of_row)), np.full(len(of_row), np.inf)
    nearest = np.zeros(len(of_row), dtype=np.int64)
    for start in range(0, len(n), _COLUMNS):
        some = np.arange(start, min(start + _COLUMNS, len(n)))
        columns = (classes[:, None] == some) / n[some]
        apart = rows.own[:, None] - 2 * rows.product(columns) + norms[some]  # (n, k)
        own = np.flatnonzero((of_row >= some[0]) & (of_row <= some[-1]))
        squares[own] = apart[own, of_row[own] - start]
        closest = apart.argmin(axis=1)
        least = apart[np.arange(len(apart)), closest]
        nearer = least < best
        best[nearer], nearest[nearer] = least[nearer], closest[nearer] + start
    return AboutMeans(np.maximum(squares, 0), nearest)


def _training_classes(rows: KernelRows, sums: ClassSums) -> NDArray[np.int64]:
    """Class of each training row, in the caller's order.

    Raises
    ------
    ValueError
        If the sums do not know that order, or the training rows are not those of the sums.
    """
    order = sums.order
    if order is None:
        raise ValueError(
            "evaluate of a kernel needs exact class sums: those of this result know no row"
        )
    classes = np.empty(len(order), dtype=np.int64)
    classes[order] = np.repeat(np.arange(len(sums.sizes)), sums.sizes)
    k = rows.of_training
    if k is not None:
        same = len(k) == len(classes)
        traces = np.bincount(classes, k, len(sums.sizes)) if same else sums.traces
        if not same or (np.abs(traces - sums.traces) > _SAME * sums.traces.max()).any():
            raise ValueError("X must be the training rows of this result, in their order")
    return classes
