"""How far packed rows, mapped rows and kernel values may be off, in unit roundoffs. Derivation:
docs/accuracy.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nc1fast import _core
from nc1fast.core.backend import in_range, mapped_rows
from nc1fast.core.expressions import kernel_dict
from nc1fast.core.linear import UNIT_ROUNDOFF, matmul

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.core.expressions import SupportsExpression

    Array = NDArray[np.float64]

_LARGEST = 1e100  # k_ii for which bounds on errors hold, as in a pass


class PackedRounding(NamedTuple):
    """Errors of packed rows: what `Rounding` of cpp/packing.hpp says.

    Attributes
    ----------
    noise : float
        Error of a product of two rows u, v, relative to (|u|^2 + |v|^2)/2.
    displacement : float
        Error of a row, relative to its length, per distance from the reference row of its class.
    least : float
        What vanishes in a product, over `noise`.
    """

    noise: float
    displacement: float
    least: float


def packed_rounding(*, single: bool, n_features: int, depth: int) -> PackedRounding:
    """Errors of rows of `n_features`, packed to `depth` numbers (one more with a bias)."""
    return PackedRounding(*_core.packed_rounding(single, n_features, depth))


class RowErrors(NamedTuple):
    """Bounds on the errors of the values of a kernel, (n_rows,) each, with u = 2^-53.

    Attributes
    ----------
    k : ndarray
        k_ii.
    entry, diagonal : ndarray
        |dk_ij| <= u sqrt(entry_i entry_j), and |dk_ii| <= u diagonal_i.
    moved : ndarray
        A D2 without cancellation is that of rows displaced by at most u sqrt(moved_i) in feature
        space.
    """

    k: Array
    entry: Array
    diagonal: Array
    moved: Array


def row_errors(
    kernel: SupportsExpression,
    X: Array,
    coordinates: float = 0.0,
    about: Array | None = None,
) -> RowErrors:
    """How far float64 values of a kernel may be off, one row at a time.

    Parameters
    ----------
    kernel : Kernel
    X : ndarray of shape (n_rows, n_features)
    coordinates : float, default 0.0
        Error of the rows themselves, in unit roundoffs: relative, and of their differences from
        `about`.
    about : ndarray of shape (n_features,), optional

    Raises
    ------
    ValueError
        Where values on the diagonal go beyond 1e100.
    """
    expression = kernel.expression(X.shape[1]).on_common_rows()
    chain = expression.leaves[0]
    rows = mapped_rows(X, chain)
    with in_range(kernel):
        k, diagonal, slope, noise = _core.growth(rows, kernel_dict(expression))
        if k.max(initial=0.0) > _LARGEST:
            raise OverflowError(f"values on the diagonal go beyond {_LARGEST:g}")
    mapped = 0.0 if chain.factor is None else _mapping_errors(X, rows, chain.factor)
    n_features, depth = rows.shape[1], rows.shape[1] + (chain.input_layer[1] > 0)
    product = packed_rounding(single=False, n_features=n_features, depth=depth).noise
    along = (coordinates + mapped) * (slope + k)
    moved = np.zeros(len(X))
    if about is not None:  # beside the length of the row, the bias included
        weight = chain.weights[0] / n_features
        offset = X - about
        mapped_offset = mapped_rows(offset, chain)
        length = np.sqrt(chain.biases[0] + weight * np.square(rows).sum(axis=1))
        distance = np.sqrt(weight * np.square(mapped_offset).sum(axis=1)) / np.where(
            length > 0, length, np.inf
        )
        # A difference that the factor shortens loses more digits than the rows do.
        error = (
            0.0 if chain.factor is None else _mapping_errors(offset, mapped_offset, chain.factor)
        )
        moved = ((error + coordinates) * distance) ** 2 * slope
    entry = product / UNIT_ROUNDOFF * slope + noise + along
    return RowErrors(k, entry, diagonal + along, moved)


def mapping_errors(X: NDArray[np.generic], factor: Array) -> Array:
    """Relative errors of the rows X L of an adaptive kernel, (n_rows,), in units of 2^-53, L =
    `factor` (n_features, r).

    |fl(x L) - x L| <= (d0 + 2) u |x| |L|, once for norm and angle each, and a row enters k twice.
    L itself, whose entries are rounded once (`cholesky`), adds u |x| |L|.
    """
    rows = X.astype(np.float64, copy=False)
    return _mapping_errors(rows, matmul(rows, factor), factor)


def _mapping_errors(X: Array, mapped: Array, factor: Array) -> Array:
    """The same, of rows X whose product with the factor is known."""
    lengths = np.linalg.norm(mapped, axis=1)
    sizes = np.linalg.norm(matmul(np.abs(X), np.abs(factor)), axis=1)
    return np.asarray(8.0 * (X.shape[1] + 2) * sizes / np.where(lengths > 0, lengths, np.inf))
