"""Sketches of features: some coordinates of a random rotation, by Walsh and Hadamard's matrix."""

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
    A = matmul(A.reshape(n * left, right), H_right).reshape(n, left, right).swapaxes(1, 2)
    A = matmul(A.reshape(n * right, left), H_left).reshape(n, right, left).swapaxes(1, 2)
    return A.reshape(n, d)


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
