"""Test rows of features or of a kernel, about the class means of the training rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.core.products import KernelMap, ProductSettings
from nc1fast.inputs.arrays import as_matrix, as_rows, host_array
from nc1fast.inputs.labelled import Classes
from nc1fast.inputs.sequences import Sequences
from nc1fast.kernels.classes import Kernel
from nc1fast.metrics.nearest import NearestMeans
from nc1fast.metrics.rows import MeanGeometry
from nc1fast.support.arguments import shown
from nc1fast.support.plain import PlainFields

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.metrics.classifiers import Classifier
    from nc1fast.sums.class_sums import ClassSums

    Array = NDArray[np.float64]

_CHUNK = 1 << 20  # entries of rows and of products at a time: 8 MiB,
_ROWS = 64  # but no fewer rows
_COLUMNS = 256  # classes at a time: those of one pass over the pairs of a kernel
_TILE_ROWS = 256  # of a tile of a callable
_SAME = 1e-6  # relative difference of traces from which rows are not those of the sums


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


class AboutMeans(NamedTuple):
    """Test rows about class means, shape (n,) each.

    `of_row`: the class; `squares`: |h - mu_y|^2; `nearest` and `decided`: the nearest mean, and the
    decision of a predictor if there is one.
    """

    of_row: NDArray[np.int64]
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
    H_test: ArrayLike, y_test: ArrayLike, sums: ClassSums, classifier: Classifier | None
) -> AboutMeans:
    """Test rows of features about the training means, with the decisions of the classifier.

    Notes
    -----
    Cost: n C d multiply-adds in float32, and as many in float64 with a classifier. Deviations are
    taken from the means, row by row, without cancellation.
    """
    assert sums.means is not None
    H, means = as_matrix(H_test, "H_test"), sums.means
    if H.shape[1] != means.shape[1]:
        raise ValueError(f"H_test must have {means.shape[1]} features, got {H.shape[1]}")
    of_row = classes_of(y_test, len(H), sums.labels)
    geometry = MeanGeometry.of(means)
    search, center = NearestMeans(geometry.Z), means[0] - geometry.Z[0]
    squares, nearest = np.empty(len(H)), np.empty_like(of_row)
    decided = None if classifier is None else np.empty_like(of_row)
    step = max(_ROWS, _CHUNK // max(means.shape))
    for start in range(0, len(H), step):
        part = slice(start, start + step)
        rows = H[part].astype(np.float64)
        squares[part] = np.square(rows - means[of_row[part]]).sum(axis=1)
        nearest[part] = search.of(rows - center)
        if classifier is not None and decided is not None:
            decided[part] = classifier.decisions(rows)
    return AboutMeans(of_row, squares, nearest, decided)


def held_out(rows: AboutMeans, n_classes: int, between: float, *, uniform: bool) -> HeldOut:
    """Measure test rows about the means of classes of this Tr Sigma_B.

    `uniform`: whether classes weigh the same in Sigma_W, whatever their sizes.
    """
    of_row, squares, nearest, decided = rows
    sizes = np.bincount(of_row, minlength=n_classes)
    totals = np.bincount(of_row, weights=squares, minlength=n_classes)
    V = np.divide(totals, sizes, out=np.full(n_classes, np.nan), where=sizes > 0)
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


class KernelRows(NamedTuple):
    """Test rows by their kernel values.

    Attributes
    ----------
    own : ndarray of shape (n_test,)
        k(x, x) of the test rows.
    of_training : ndarray of shape (n_training,) or None
        k(x, x) of the training rows.
    product : callable
        From V (n_training, k) to K(test, training) V.
    """

    own: Array
    of_training: Array | None
    product: Callable[[Array], Array]

    @classmethod
    def of(
        cls, kernel: Any, X_test: Any, X: Any, diagonal: Any, n_threads: int | None
    ) -> KernelRows:
        """Test rows of a kernel object, a callable or stored values.

        Raises
        ------
        TypeError, ValueError
            For training rows or a diagonal that are missing or superfluous, and as the kernel does.
        """
        stored = isinstance(kernel, str)
        name, required = ("diagonal", diagonal) if stored else ("X", X)
        if required is None:
            what = "k(x, x) of the test rows" if stored else "the training rows, in their order"
            raise ValueError(f"evaluate of {kernel!r} needs {name}=, {what}")
        if (X if stored else diagonal) is not None:
            raise ValueError(f"evaluate of {kernel!r} takes {name}= alone")
        if stored:
            return cls._stored(X_test, diagonal)
        if not isinstance(kernel, Kernel):
            return cls._called(kernel, X_test, X)
        if kernel.of_sequences:
            rows, tests = Sequences.of(X), Sequences.of(X_test)
            return cls(
                kernel.diag(tests),  # type: ignore[arg-type]
                kernel.diag(rows),  # type: ignore[arg-type]
                lambda V: kernel.matvec(rows, V, tests, n_threads=n_threads),  # type: ignore[arg-type]
            )
        made = KernelMap.of(kernel, X, X_test, ProductSettings(n_threads=n_threads))
        return cls(made.result_diagonal, made.diagonal, made)

    @classmethod
    def _stored(cls, K: Any, diagonal: Any) -> KernelRows:
        values = as_matrix(K, "H_test").astype(np.float64)
        own = as_matrix(host_array(diagonal, "diagonal").reshape(-1, 1), "diagonal")[:, 0]
        if len(own) != len(values):
            raise ValueError(f"diagonal must have shape ({len(values)},), got {own.shape}")
        return cls(own.astype(np.float64), None, lambda V: matmul(values, V))

    @classmethod
    def _called(cls, f: Callable[..., Any], X_test: Any, X: Any) -> KernelRows:
        tests, rows = as_rows(X_test, "H_test"), as_rows(X, "X")

        def values(A: Any, B: Any) -> Array:
            found = np.asarray(host_array(f(A, B), "kernel"), dtype=np.float64)
            if found.shape != (len(A), len(B)) or not np.isfinite(found).all():
                raise ValueError(
                    f"kernel must return finite numbers of shape {(len(A), len(B))} here"
                )
            return found

        def diagonal(A: Any) -> Array:
            parts = (A[k : k + _TILE_ROWS] for k in range(0, len(A), _TILE_ROWS))
            return np.concatenate([values(part, part).diagonal() for part in parts])

        def product(V: Array) -> Array:
            parts = (tests[k : k + _TILE_ROWS] for k in range(0, len(tests), _TILE_ROWS))
            return np.concatenate([matmul(values(part, rows), V) for part in parts])

        return cls(diagonal(tests), diagonal(rows), product)


def kernel_about_means(rows: KernelRows, y_test: ArrayLike, sums: ClassSums) -> AboutMeans:
    """Test rows about the class means of a kernel.

    Notes
    -----
    |phi(x) - mu_c|^2 = k(x, x) - 2 <mu_c, phi(x)> + |mu_c|^2, <mu_c, phi(x)> the product of K(test,
    training) with the column 1/n_c of class c.
    Cost: the kernel values of every test row with every training row, once for each 256 classes,
    and 2 n N C flops.
    Accuracy: absolute, that of the entries of K: unlike those of the training rows, distances of
    rows that lie close to their means lose digits.
    """
    of_row = classes_of(y_test, len(rows.own), sums.labels)
    n, classes = sums.sizes, _training_classes(rows, sums)
    norms = sums.block_sums.diagonal() / n.astype(np.float64) ** 2
    squares, best = np.empty(len(of_row)), np.full(len(of_row), np.inf)
    nearest = np.zeros(len(of_row), dtype=np.int64)
    for start in range(0, len(n), _COLUMNS):
        some = np.arange(start, min(start + _COLUMNS, len(n)))
        columns = (classes[:, None] == some) / n[some]
        distances = rows.own[:, None] - 2 * rows.product(columns) + norms[some]  # (n, k)
        own = np.flatnonzero((of_row >= some[0]) & (of_row <= some[-1]))
        squares[own] = distances[own, of_row[own] - start]
        closest = distances.argmin(axis=1)
        least = distances[np.arange(len(distances)), closest]
        nearer = least < best
        best[nearer], nearest[nearer] = least[nearer], closest[nearer] + start
    return AboutMeans(of_row, np.maximum(squares, 0), nearest)


def _training_classes(rows: KernelRows, sums: ClassSums) -> NDArray[np.int64]:
    """Class of each training row, in the caller's order.

    Raises
    ------
    ValueError
        If the sums do not know that order, or the training rows are not those of the sums.
    """
    order = sums.order
    if order is None:
        raise ValueError(
            "evaluate of a kernel needs exact class sums: those of this result know no row"
        )
    classes = np.empty(len(order), dtype=np.int64)
    classes[order] = np.repeat(np.arange(len(sums.sizes)), sums.sizes)
    k = rows.of_training
    if k is not None:
        same = len(k) == len(classes)
        traces = np.bincount(classes, k, len(sums.sizes)) if same else sums.traces
        if not same or (np.abs(traces - sums.traces) > _SAME * sums.traces.max()).any():
            raise ValueError("X must be the training rows of this result, in their order")
    return classes
