"""Class means as frames: their norms, and blocks of their Gram matrix, which is stored only if it
was given.

Notation as in `definitions`: M_cc' = <mu_c, mu_c'>, z_c = mu_c - mu_G the centred class means,
Mc_cc' = <z_c, z_c'>.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.metrics.definitions import class_gram
from nc1fast.sums.moments import sum_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.metrics.definitions import Weights
    from nc1fast.sums.class_sums import ClassSums

    Array = NDArray[np.float64]

WHOLE = slice(None)


class Frame(Protocol):
    """Vectors v_c, one for each class, of which norms and products are known."""

    @property
    def squares(self) -> Array:
        """Squared lengths |v_c|^2, shape (n_classes,)."""

    @property
    def total(self) -> float:
        """Squared length |v_1 + ... + v_C|^2 of their sum."""

    def products(self, rows: slice, columns: slice) -> Array:
        """<v_c, v_c'> for these c and c', a new array."""


class Vectors:
    """A frame of explicit vectors, the rows of A (C, d)."""

    def __init__(self, A: Array) -> None:
        self.A = A

    @cached_property
    def squares(self) -> Array:
        """Squared lengths |a_c|^2, shape (C,)."""
        return np.asarray(np.square(self.A).sum(axis=1))

    @cached_property
    def total(self) -> float:
        """Squared length |a_1 + ... + a_C|^2 of their sum."""
        return float(np.square(sum_rows(self.A)).sum())

    def products(self, rows: slice, columns: slice) -> Array:
        """Products <a_c, a_c'> of these rows."""
        return matmul(self.A[rows], self.A[columns].T)


class GramMatrix:
    """A frame of vectors of which the Gram matrix (C, C) is known."""

    def __init__(self, gram: Array) -> None:
        self.gram = gram

    @property
    def squares(self) -> Array:
        """Squared lengths: the diagonal, shape (C,)."""
        return np.asarray(self.gram.diagonal())

    @cached_property
    def total(self) -> float:
        """The sum of all entries."""
        return float(self.gram.sum())

    def products(self, rows: slice, columns: slice) -> Array:
        """A copy of this block."""
        return np.array(self.gram[rows, columns])


class MeanFrame:
    """The centred class means z_c under a convention, as a frame.

    Attributes
    ----------
    w : Weights
    origin : Frame
        The class means that are not centred.
    toward : ndarray of shape (n_classes,)
        <mu_c, mu_G>.
    center_square : float
        |mu_G|^2.
    gram : ndarray of shape (n_classes, n_classes) or None
        The Gram matrix of the class means of a kernel.
    means, Z : ndarray of shape (n_classes, n_features) or None
        The class means of explicit features, and centred.
    center : ndarray of shape (n_features,) or None
        mu_G.
    """

    def __init__(self, w: Weights, gram: Array | None = None, means: Array | None = None) -> None:
        """Take either the Gram matrix or the means."""
        self.w, self.gram, self.means = w, gram, means
        self.origin: Frame
        if means is not None:
            self.origin = Vectors(means)
            self.center = sum_rows(means * w.mean[:, None])
            self.Z = means - self.center
            self.toward: Array = (means * self.center).sum(axis=1)
            self.center_square = float(np.square(self.center).sum())
            self._centred = Vectors(self.Z)
        else:
            assert gram is not None
            self.origin = GramMatrix(gram)
            self.toward = (gram * w.mean).sum(axis=1)  # along memory, where NumPy sums pairwise
            self.center_square = float((w.mean * self.toward).sum())

    @classmethod
    def of(cls, sums: ClassSums, w: Weights) -> MeanFrame:
        """The class means of these sums."""
        if sums.means is not None:
            return cls(w, means=sums.means)
        return cls(w, gram=class_gram(sums))

    def __len__(self) -> int:
        return len(self.toward)

    @property
    def by_features(self) -> bool:
        """Whether d x d numbers are no more than C x C."""
        return self.means is not None and self.means.shape[1] <= len(self)

    @cached_property
    def squares(self) -> Array:
        """Squared lengths |z_c|^2, shape (C,)."""
        if self.means is not None:
            return self._centred.squares
        return self.origin.squares - self.toward - self.toward + self.center_square

    @cached_property
    def total(self) -> float:
        """Squared length |z_1 + ... + z_C|^2 of their sum."""
        if self.means is not None:
            return self._centred.total
        return float(self.products(WHOLE, WHOLE).sum())

    def products(self, rows: slice, columns: slice) -> Array:
        """Products <z_c, z_c'> of these classes."""
        if self.means is not None:
            return self._centred.products(rows, columns)
        block = self.origin.products(rows, columns)
        block -= self.toward[rows, None]
        block -= self.toward[columns]
        block += self.center_square
        return block

    def trace_between(self) -> float:
        """Tr Sigma_B = sum_c w_c |z_c|^2; released: sum_c |mu_c|^2/C - |sum_c p_c mu_c|^2."""
        if self.w.convention == "released":
            return float(self.origin.squares.mean() - self.center_square)
        return float((self.w.between * self.squares).sum())
