"""Rows that were not seen, about the class means of those that were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast.inputs.labelled import Classes
from nc1fast.metrics.nearest import NearestMeans
from nc1fast.metrics.rows import MeanGeometry
from nc1fast.support.arguments import shown
from nc1fast.support.plain import PlainFields

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from nc1fast.metrics.classifiers import Classifier

    Array = NDArray[np.float64]

_CHUNK = 1 << 20  # entries of rows and of products at a time: 8 MiB,
_ROWS = 64  # but no fewer rows


@dataclass(frozen=True, eq=False)
class HeldOut(PlainFields):
    """Test rows about the class means of training rows.

    Attributes
    ----------
    nc1 : float
        trace_within over the Tr Sigma_B of the training rows; at least theirs in expectation,
        infinite when Tr Sigma_B is 0.
    trace_within : float
        Tr Sigma_W of the test rows about the training means, weighted as the convention says by
        test class sizes.
    within_by_class : ndarray of shape (n_classes,)
        Mean squared distance of the test rows of each class from its training mean; NaN for a class
        without test rows.
    nearest_center : ndarray of shape (n_samples,)
        Index into the training labels of the nearest training mean; ties go to the lowest.
    ncc_accuracy : float
        Fraction of the test rows whose nearest training mean is that of their class.
    accuracy, nc4_agreement : float or None
        Fractions of the test rows whose decision, by the classifier or as given, is their class,
        and is their nearest training mean; None without either.
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
    """Classes that test rows are measured about: their labels (C,) and Tr Sigma_B.

    `uniform`: whether classes weigh the same in Sigma_W, whatever their sizes.
    """

    labels: NDArray[Any]
    between: float
    uniform: bool


class AboutMeans(NamedTuple):
    """Test rows about class means, shape (n,) each.

    `squares`: |h - mu_y|^2; `nearest` and `decided`: the nearest mean, and the decision of a
    classifier if there is one.
    """

    squares: Array
    nearest: NDArray[np.int64]
    decided: NDArray[np.int64] | None = None


def classes_of(
    y: ArrayLike, n_samples: int, labels: NDArray[Any], name: str = "y_test"
) -> NDArray[np.int64]:
    """Index into the training `labels` of each test row, for the argument of this name.

    Raises
    ------
    TypeError, ValueError
        As `as_labels`, and for a label that no training row has.
    """
    found = Classes.of(y, n_samples, least=1, name=name)
    known = {label: c for c, label in enumerate(labels.tolist())}
    unknown = [label for label in found.labels.tolist() if label not in known]
    if unknown:
        raise ValueError(f"{name} must hold training labels only, got {shown(unknown[0])}")
    return np.array([known[label] for label in found.labels.tolist()])[found.of_row]


def features_about_means(
    X: NDArray[Any], of_row: NDArray[np.int64], means: Array, classifier: Classifier | None
) -> AboutMeans:
    """Test rows X (n, d) of these classes about training means (C, d).

    Notes
    -----
    Cost: n C d multiply-adds in float32, and as many in float64 with a classifier. Deviations are
    taken from the means, row by row, without cancellation.
    """
    geometry = MeanGeometry.of(means)
    search, center = NearestMeans(geometry.Z), means[0] - geometry.Z[0]
    squares, nearest = np.empty(len(X)), np.empty_like(of_row)
    decided = None if classifier is None else np.empty_like(of_row)
    step = max(_ROWS, _CHUNK // max(means.shape))
    for start in range(0, len(X), step):
        part = slice(start, start + step)
        rows = X[part].astype(np.float64)
        squares[part] = np.square(rows - means[of_row[part]]).sum(axis=1)
        nearest[part] = search.of(rows - center)
        if classifier is not None and decided is not None:
            decided[part] = classifier.decisions(rows)
    return AboutMeans(squares, nearest, decided)


def held_out(rows: AboutMeans, of_row: NDArray[np.int64], training: SeenClasses) -> HeldOut:
    """Measure test rows of these classes, of which the distances are known."""
    squares, nearest, decided = rows
    labels, between, uniform = training
    sizes = np.bincount(of_row, minlength=len(labels))
    totals = np.bincount(of_row, weights=squares, minlength=len(labels))
    V = np.divide(totals, sizes, out=np.full(len(labels), np.nan), where=sizes > 0)
    within = float(V[sizes > 0].mean() if uniform else squares.mean())
    return HeldOut(
        nc1=within / between if between else np.inf,
        trace_within=within,
        within_by_class=V,
        nearest_center=nearest,
        ncc_accuracy=float((nearest == of_row).mean()),
        accuracy=None if decided is None else float((decided == of_row).mean()),
        nc4_agreement=None if decided is None else float((decided == nearest).mean()),
        sizes=sizes,
    )
