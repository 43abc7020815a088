"""Tr Sigma_W and Tr Sigma_B as linear forms of the within-class variances V and the Gram matrix M
of the class means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.metrics import CONVENTIONS, weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class TraceForms(NamedTuple):
    """Coefficients of the two traces under one convention, P being the matrix `class_weights`.

    Tr Sigma_W = within.V + norms.diag M,
    Tr Sigma_B = spread.diag M + sum_ab mixed_ab (P M P^T)_ab = sum_cc' between_cc' M_cc'.
    """

    within: Array  # (C,)
    norms: Array  # (C,)
    spread: Array  # (C,)
    mixed: Array  # (2, 2)
    between: Array  # (C, C)


def class_weights(sizes: NDArray[np.int64]) -> Array:
    """The two weightings of classes that conventions combine, 1/C and n_c/N: shape (2, C)."""
    return np.array([np.full(len(sizes), 1 / len(sizes)), sizes / sizes.sum()])


def trace_forms(convention: str, sizes: NDArray[np.int64]) -> TraceForms:
    """Coefficients of the traces for classes of `sizes` rows, shape (C,)."""
    w = weights(convention, sizes)
    unit = {"u": np.array([1.0, 0.0]), "p": np.array([0.0, 1.0])}
    _, pooled, mean = (unit[letter] for letter in CONVENTIONS[convention])
    mixed = np.outer(mean, mean)
    norms = np.zeros(len(sizes))
    if convention == "released":
        norms, mixed = w.within - w.between, -mixed
    else:
        cross = np.outer(pooled, mean)
        mixed = mixed - cross - cross.T
    P = class_weights(sizes)
    between = np.diag(w.between) + matmul(matmul(P.T, mixed), P)
    return TraceForms(w.within, norms, w.between, mixed, between)
