"""Subsampled randomized Hadamard transforms (SRHT): some coordinates of a random rotation of
features.

Source: Ailon & Chazelle (2006); Tropp (2011).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.linear import matmul

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_OCTET = 8


def hadamard(n: int) -> Array:
    """Sylvester's matrix of +-1, shape (n, n), with H H^T = n I; n is a power of two."""
    H = np.ones((1, 1))
    while len(H) < n:
        H = np.block([[H, H], [H, -H]])
    return H


def walsh_hadamard(A: Array) -> Array:
    """Product A H of rows A (n, d), d a power of two, with Hadamard's matrix: shape (n, d).

    H is a Kronecker product, so that each row is laid out as a matrix and multiplied from both
    sides: 4 n d^1.5 flops, all in matrix products.
    """
    n, d = A.shape
    right = 1 << (d.bit_length() // 2)
    left = d // right
    H_left, H_right = (hadamard(k).astype(A.dtype) for k in (left, right))
    A = matmul(A.reshape(n * left, right), H_right).reshape(n, left, right).swapaxes(1, 2)
    A = matmul(A.reshape(n * right, left), H_left).reshape(n, right, left).swapaxes(1, 2)
    return A.reshape(n, d)


@dataclass(frozen=True, eq=False)
class Sketch:
    """Coordinates g of H D v, D = diag(signs): each has E g(v) g(v') = <v, v'>, and the mean over
    all of them equals it.

    Attributes
    ----------
    signs : ndarray of shape (d,)
    coordinates : ndarray of int of shape (k,)
        Below the power of two to which d is padded.
    """

    signs: Array
    coordinates: NDArray[np.intp]

    def __call__(self, V: Array) -> Array:
        """Coordinates (n, k) of rows V (n, d)."""
        d = V.shape[1]
        return walsh_hadamard(np.pad(V * self.signs, ((0, 0), (0, _padded(d) - d))))[
            :, self.coordinates
        ]


def sketch(n_features: int, n_coordinates: int, rng: np.random.Generator) -> Sketch:
    """Draw random signs, and coordinates that repeat only when all have been taken.

    Coordinates come in octets of consecutive ones. Within an octet, any two of the first eight
    features have the same sign four times and opposite signs four times, so that their products add
    up to zero.
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
