"""The kernel of proximal features in the limit of many units: <y_T(x), y_T(x')> for m -> infinity.

By the symmetry of D, what T steps leave of x lies along x, and a unit with input g = <w, x>, w ~
N(0, I), is a function of g alone:

    f_0 = 0, a_0 = 1,   f_(t+1)(g) = h(f_t(g) + a_t g),   a_(t+1) = 1 - E[g f_(t+1)(g)]/|x|^2

with h at the threshold of the units itself, and K_T = E[f_T(g; |x|) f_T(g'; |x'|)]: an NNGP whose
activation depends on the length of the row. That of ReLU does not, f_T = (2 - 2^(1 - T)) relu.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.datasets.paths import reads_files
from nc1fast.estimators.proximal_map import check_prox, proximal
from nc1fast.inputs.arrays import as_rows, rows_at
from nc1fast.inputs.files import as_source
from nc1fast.support.arguments import as_count, as_number
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

_REACH, _POINTS = 12.0, 4801  # of the trapezoidal rule for standard normal numbers
_TERMS = 400  # of Hermite series


@ieee
@reads_files("X")
def wide_gram(
    X: ArrayLike, *, steps: int = 1, prox: str = "relu", threshold: float = 1.0
) -> NDArray[np.float64]:
    """Gram matrix to which H H^T of `nc1fast.estimators.proximal_features` tends with more and more
    features.

    Parameters
    ----------
    X : array-like of shape (n_samples, d0), or path
        As `nc1fast.collapse`.
    steps, prox, threshold
        As of `nc1fast.estimators.proximal_features`.

    Returns
    -------
    ndarray of shape (n_samples, n_samples)

    Raises
    ------
    TypeError, ValueError
        As `nc1fast.estimators.proximal_features`.

    Notes
    -----
    Cost: N (4,801 (T + 400) + 400 N) multiply-adds, and 100 kB a row.
    Accuracy: about 5e-5 of sqrt(k_ii k_jj) for ReLU and the soft threshold; for the hard one, whose
    jumps make the series end late, some percent where rows are almost parallel.
    Source: ours.
    """
    check_prox(prox)
    steps, threshold = as_count("steps", steps), as_number("threshold", threshold, least=0.0)
    rows = as_rows(as_source(X), "X", unread=True)
    x = np.asarray(rows_at(rows, slice(0, len(rows))), np.float64) / math.sqrt(rows.shape[1])
    length = np.sqrt(np.einsum("ij,ij->i", x, x))[:, None]
    directions = x / np.where(length > 0, length, 1.0)
    z = np.linspace(-_REACH, _REACH, _POINTS)
    root = np.exp(-(z**2) / 4) * math.sqrt((z[1] - z[0]) / math.sqrt(2 * math.pi))
    f = _units(length * z, root**2, steps, (prox, threshold))
    terms = matmul(f * root, _hermite(z, root).T)
    cosines = np.clip(matmul(directions, directions.T), -1, 1)
    K = np.zeros_like(cosines)
    for one in terms.T[::-1]:  # Horner's rule
        K *= cosines
        K += np.outer(one, one)
    np.fill_diagonal(K, np.einsum("ij,ij,j->i", f, f, root**2))
    return K


def _units(g: Array, weights: Array, steps: int, h: tuple[str, float]) -> Array:
    """f_T at the inputs g (n, points) of the units of each row."""
    squares = np.einsum("ij,ij,j->i", g, g, weights)
    f, a = np.zeros_like(g), np.ones(len(g))
    for _ in range(steps):
        f = proximal(f + a[:, None] * g, *h)
        met = np.einsum("ij,ij,j->i", g, f, weights)
        a = 1 - met / np.where(squares > 0, squares, 1.0)
    return f


def _hermite(z: Array, first: Array) -> Array:
    """Orthonormal Hermite polynomials times `first`, the root of their weight, shape (terms,
    points).
    """
    out = np.empty((_TERMS, len(z)))
    out[0], out[1] = first, z * first
    for k in range(1, _TERMS - 1):
        out[k + 1] = (z * out[k] - math.sqrt(k) * out[k - 1]) / math.sqrt(k + 1)
    return out
