"""Test rows of features or of a kernel, measured about the class means of a result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nc1fast.inputs.arrays import as_matrix
from nc1fast.metrics.heldout import (
    HeldOut,
    SeenClasses,
    classes_of,
    features_about_means,
    held_out,
)
from nc1fast.metrics.heldout_kernels import KernelRows, kernel_about_means

if TYPE_CHECKING:
    from nc1fast.metrics.classifiers import Classifier
    from nc1fast.sums.class_sums import ClassSums


def evaluated(
    sums: ClassSums,
    training: SeenClasses,
    classifier: Classifier | None,
    test: tuple[Any, Any],
    given: tuple[Any, Any, int | None],
) -> HeldOut:
    """Measure test rows about the class means of these sums.

    Parameters
    ----------
    sums : ClassSums
    training : SeenClasses
    classifier : Classifier or None
        Of features.
    test : (rows, labels)
    given : (X, diagonal, n_threads)
        As `Collapse.evaluate` takes them, for kernels.
    """
    (rows, y), (X, diagonal, n_threads), means = test, given, sums.means
    if means is None:
        seen = KernelRows.of(sums.kernel, rows, X, diagonal, n_threads)
        of_row = classes_of(y, len(seen.own), training.labels)
        return held_out(kernel_about_means(seen, of_row, sums), of_row, training)
    if X is not None or diagonal is not None:
        raise ValueError("X and diagonal belong to kernels: this is a result of features")
    H = as_matrix(rows, "H_test")
    if H.shape[1] != means.shape[1]:
        raise ValueError(f"H_test must have {means.shape[1]} features, got {H.shape[1]}")
    of_row = classes_of(y, len(H), training.labels)
    return held_out(features_about_means(H, of_row, means, classifier), of_row, training)
