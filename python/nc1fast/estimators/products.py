"""Matrix products whose bits do not depend on the number of threads, and what deep random features make of them.

A threaded matrix product may cut a long inner dimension, or the columns, by the number of threads, and round differently where it
does. Steps of 256 along the inner dimension, and 2 to 8 columns or multiples of 32, leave it nothing to cut (measured with
OpenBLAS, 1 to 8 threads; 1 to 3 in tests/test_estimators_on_disk.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_INNER, _COLUMNS, _FEW = 256, 32, 8
_OCTET = 8


def product(A: Array, B: Array) -> Array:
    """A B^T, shape (n, m), of A (n, d) and B (m, d)."""
    n, m = len(A), len(B)
    if n == 1:  # else it is a product with a vector, which has threads of another kind
        A = np.concatenate([A, A])
    if not 1 < m <= _FEW:
        B = np.pad(B, ((0, -m % _COLUMNS), (0, 0)))
    out: Array = A[:, :_INNER] @ B[:, :_INNER].T
    for start in range(_INNER, A.shape[1], _INNER):
        step = slice(start, start + _INNER)
        out += A[:, step] @ B[:, step].T
    return out[:n, :m]


def orthonormal(rows: Array) -> Array:
    """Gram and Schmidt's orthonormal rows, shape (k, d), of k <= d independent rows; of Gaussian ones, uniformly oriented.

    Panels of 32 rows by the Cholesky factor of their Gram matrix, twice, since the first pass leaves an error of cond^2 u.
    """
    out = np.empty_like(rows)
    for start in range(0, len(rows), _COLUMNS):
        panel, done = rows[start : start + _COLUMNS], out[:start]
        for _ in range(2):
            if start:
                panel = panel - product(product(panel, done), done.T)
            lower = np.linalg.cholesky(product(panel, panel))
            panel = product(np.linalg.inv(lower), panel.T)
        out[start : start + _COLUMNS] = panel
    return out


def hadamard(n: int) -> Array:
    """Sylvester's matrix of +-1 with H H^T = n, n a power of two."""
    H = np.ones((1, 1))
    while len(H) < n:
        H = np.block([[H, H], [H, -H]])
    return H


def walsh_hadamard(A: Array) -> Array:
    """A H, shape (n, d), d a power of two: along both sides of a row laid out as a square, 4 n d^1.5 flops by matrix products."""
    n, d = A.shape
    right = 1 << (d.bit_length() // 2)
    left = d // right
    H_left, H_right = (hadamard(k).astype(A.dtype) for k in (left, right))
    A = (A.reshape(n * left, right) @ H_right).reshape(n, left, right)
    return np.asarray(H_left @ A).reshape(n, d)


@dataclass(frozen=True, eq=False)
class Sketch:
    """Some coordinates of H D v for D = diag(signs): each g has E g(v) g(v') = <v, v'>, and a full set of them has that mean exactly."""

    signs: Array  # (d,)
    coordinates: NDArray[np.intp]  # (k,), below the power of two that d is padded to

    def __call__(self, V: Array) -> Array:
        """Shape (n, k) of rows V (n, d)."""
        d = V.shape[1]
        return walsh_hadamard(np.pad(V * self.signs, ((0, 0), (0, _padded(d) - d))))[
            :, self.coordinates
        ]


def sketch(n_features: int, n_coordinates: int, rng: np.random.Generator) -> Sketch:
    """Random signs, and coordinates without repetition as long as there are any.

    They come in octets in their order, so that of the first eight features, any two have like and unlike signs in turn
    in eight consecutive coordinates: what these make of their products adds up to zero.
    """
    octets = max(1, _padded(n_features) // _OCTET)
    rounds = [rng.permutation(octets) for _ in range(-(-n_coordinates // (octets * _OCTET)))]
    coordinates = (_OCTET * np.concatenate(rounds)[:, None] + np.arange(_OCTET)).ravel()
    return Sketch(
        rng.choice([-1.0, 1.0], size=n_features),
        coordinates[:n_coordinates] % _padded(n_features),
    )


def _padded(n_features: int) -> int:
    return 1 << (n_features - 1).bit_length()
