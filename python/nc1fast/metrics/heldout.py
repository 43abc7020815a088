"""Rows that were not seen, about the class means of those that were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.inputs.arrays import as_matrix
from nc1fast.inputs.labelled import Classes
from nc1fast.support.arguments import shown

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from nc1fast.metrics.classifiers import Classifier

    Array = NDArray[np.float64]

_CHUNK = 1 << 17  # entries widened to float64 at a time: 1 MiB


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Test rows about the class means of training rows.

    Attributes
    ----------
    nc1 : float
        trace_within over the Tr Sigma_B of the training rows; at least theirs in expectation, infinite when Tr Sigma_B is 0.
    trace_within : float
        Tr Sigma_W of the test rows about the training means, weighted as the convention says by test class sizes.
    within_by_class : ndarray of shape (n_classes,)
        Mean squared distance of the test rows of each class from its training mean; NaN for a class without test rows.
    nearest_center : ndarray of shape (n_samples,)
        Index into the training labels of the nearest training mean; ties go to the lowest.
    ncc_accuracy : float
        Fraction of the test rows whose nearest training mean is that of their class.
    accuracy, nc4_agreement : float or None
        Fractions of the test rows whose decision by the classifier is their class, and is their nearest training mean; None for
        a result without a classifier.
    sizes : ndarray of shape (n_classes,)
        Test rows of each class.
    """

    nc1: float
    trace_within: float
    within_by_class: Array
    nearest_center: NDArray[np.int64]
    ncc_accuracy: float
    accuracy: float | None
    nc4_agreement: float | None
    sizes: NDArray[np.int64]


class SeenClasses(NamedTuple):
    """Classes that test rows are measured about: their means (C, d), labels (C,) and Tr Sigma_B.

    `uniform`: whether classes weigh the same in Sigma_W, whatever their sizes.
    """

    means: Array
    labels: NDArray[Any]
    between: float
    uniform: bool
    classifier: Classifier | None


def classes_of(y: ArrayLike, n_samples: int, labels: NDArray[Any]) -> NDArray[np.int64]:
    """Index into the training `labels` of each test row.

    Raises
    ------
    TypeError, ValueError
        As `as_labels`, and for a label that no training row has.
    """
    found = Classes.of(y, n_samples, least=1)
    known = {label: c for c, label in enumerate(labels.tolist())}
    unknown = [label for label in found.labels.tolist() if label not in known]
    if unknown:
        raise ValueError(f"y_test must hold training labels only, got {shown(unknown[0])}")
    return np.array([known[label] for label in found.labels.tolist()])[found.of_row]


def held_out(H: ArrayLike, y: ArrayLike, training: SeenClasses) -> HeldOut:
    """Measure test rows H (n, d) of labels y about training means.

    Notes
    -----
    Cost: 2 n C d flops, twice that with a classifier. Deviations are taken from the means, row by row, without cancellation.
    """
    means, labels, between, uniform, classifier = training
    X = as_matrix(H, "H_test")
    if X.shape[1] != means.shape[1]:
        raise ValueError(f"H_test must have {means.shape[1]} features, got {X.shape[1]}")
    of_row = classes_of(y, len(X), labels)
    norms = np.square(means).sum(axis=1)[:, None]
    squares = np.empty(len(X))
    nearest, decided = np.empty_like(of_row), np.empty_like(of_row)
    step = max(1, _CHUNK // max(means.shape))
    for start in range(0, len(X), step):
        part = slice(start, start + step)
        rows = X[part].astype(np.float64)
        squares[part] = np.square(rows - means[of_row[part]]).sum(axis=1)
        nearest[part] = (norms - 2 * matmul(means, rows.T)).argmin(axis=0)
        if classifier is not None:
            decided[part] = classifier.decisions(rows)
    sizes = np.bincount(of_row, minlength=len(means))
    totals = np.bincount(of_row, weights=squares, minlength=len(means))
    V = np.divide(totals, sizes, out=np.full(len(means), np.nan), where=sizes > 0)
    within = float(V[sizes > 0].mean() if uniform else squares.mean())
    return HeldOut(
        nc1=within / between if between else np.inf,
        trace_within=within,
        within_by_class=V,
        nearest_center=nearest,
        ncc_accuracy=float((nearest == of_row).mean()),
        accuracy=None if classifier is None else float((decided == of_row).mean()),
        nc4_agreement=None if classifier is None else float((decided == nearest).mean()),
        sizes=sizes,
    )
