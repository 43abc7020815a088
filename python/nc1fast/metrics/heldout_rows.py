"""Test rows of features or of a kernel, measured about the class means of a result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from nc1fast.inputs.arrays import as_matrix
from nc1fast.metrics.heldout import (
    AboutMeans,
    HeldOut,
    SeenClasses,
    classes_of,
    features_about_means,
    held_out,
)
from nc1fast.metrics.heldout_kernels import KernelRows, kernel_about_means

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nc1fast.metrics.classifiers import Classifier
    from nc1fast.sums.class_sums import ClassSums


class GivenRows(NamedTuple):
    """The other arguments of `Collapse.evaluate`."""

    X: Any
    diagonal: Any
    decisions: Any
    n_threads: int | None


def evaluated(
    sums: ClassSums,
    training: SeenClasses,
    classifier: Classifier | None,
    test: tuple[Any, Any],
    given: GivenRows,
) -> HeldOut:
    """Measure test rows about the class means of these sums.

    Parameters
    ----------
    sums : ClassSums
    training : SeenClasses
    classifier : Classifier or None
        Of features.
    test : (rows, labels)
    given : GivenRows
    """
    (rows, y), (X, diagonal, decisions, n_threads), means = test, given, sums.means

    def finished(found: AboutMeans, of_row: NDArray[np.int64]) -> HeldOut:
        if decisions is not None:
            decided = classes_of(decisions, len(of_row), training.labels, "decisions")
            found = found._replace(decided=decided)
        return held_out(found, of_row, training)

    if means is None:
        seen = KernelRows.of(sums.kernel, rows, X, diagonal, n_threads)
        of_row = classes_of(y, len(seen.own), training.labels)
        return finished(kernel_about_means(seen, of_row, sums), of_row)
    if X is not None or diagonal is not None:
        raise ValueError("X and diagonal belong to kernels: this is a result of features")
    H = as_matrix(rows, "H_test")
    if H.shape[1] != means.shape[1]:
        raise ValueError(f"H_test must have {means.shape[1]} features, got {H.shape[1]}")
    of_row = classes_of(y, len(H), training.labels)
    return finished(features_about_means(H, of_row, means, classifier), of_row)
