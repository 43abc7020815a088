"""`Collapse`: the metrics of one kernel, or of explicit features, and their class sums."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.datasets.paths import reads_files
from nc1fast.metrics import heldout
from nc1fast.metrics.classifiers import Classifier
from nc1fast.metrics.definitions import chosen, weights, within_by_class
from nc1fast.metrics.exports import Exports
from nc1fast.metrics.frames import MeanFrame
from nc1fast.metrics.novelty import KnownFeatures, Novelty, novelty_of
from nc1fast.metrics.ratio import nc1_of
from nc1fast.metrics.registry import REASONS, ClassGeometry, Values, why_missing
from nc1fast.metrics.rows import RowStatistics, row_statistics
from nc1fast.support.arguments import as_count, as_number
from nc1fast.support.arithmetic import ieee
from nc1fast.support.lazy import later, lazy

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.metrics.heldout import HeldOut
    from nc1fast.sums.class_sums import ClassSums

_FEW = 1 << 14  # row-class sums, 128 KiB, kept until the first metric of them is requested


@lazy("_rows")
@dataclass(frozen=True, eq=False, repr=False)
class Collapse(Exports):
    """The collapse metrics of one kernel, or of explicit features, on one labelled data set.

    Attributes
    ----------
    nc1 : float
        trace_within / trace_between; infinite when the class means coincide.
    trace_within, trace_between : float
        Tr Sigma_W and Tr Sigma_B.
    nc1_pinv : float or None
        Tr(Sigma_W pinv(Sigma_B)) / C. None, as all fields that need R are, for statistics="sums".
    between_rank : int
        Eigenvalues of Sigma_B above 1e-10 of the largest.
    nc2_equinorm, nc2_equiangle, nc2_etf : float
        Spread of the norms of the centred class means, of the cosines between them, and their
        distance from a simplex equiangular tight frame; 0 when collapsed. A mean at the global mean
        has no direction: its cosines are 0.
    cdnv : float
        Class-distance normalised variance; infinite when two class means coincide.
    within_by_class : ndarray of shape (n_classes,)
        V_c, mean squared distance from the class mean; 0 for a class of one row.
    nc1_by_class : ndarray of shape (n_classes,)
        V_c over the squared distance of the class mean from the global mean.
    class_gram : ndarray of shape (n_classes, n_classes)
        <mu_c, mu_c'>, not centred.
    nearest_center : ndarray of shape (n_samples,) or None
        Index into `labels` of the nearest class mean, in the order of the rows; the lowest of ties.
    ncc_accuracy : float or None
        Fraction of the rows whose nearest class mean is that of their class.
    sizes, labels : ndarray of shape (n_classes,)
    error_bound : float
        Absolute, of nc1; infinite when trace_between may be zero, and of estimates (`interval`).
    convention : {"papyan", "probe", "class", "sample", "released"}
        "released" has traces of its own, and the weights of "probe" in every other field.
    kernel : kernel or None
        None for explicit features.
    sums : ClassSums
    metrics : mapping of str to Any
        The values of `nc1fast.metrics.METRICS` and of plug-ins, each an attribute too: nc1_pinv to
        ncc_accuracy above, and those of docs/metrics.md. Evaluated on first access: what needs
        eigenvalues, what needs angles, and all others together, tables of C x C numbers singly.
    missing : mapping of str to str
        Why a metric is None, by name.
    method, reason : str
        How the sums were obtained, and why so ("exact" and "" unless estimated).
    standard_error, interval : float, (float, float) or None
        Of nc1, from the estimators.
    """

    nc1: float
    trace_within: float
    trace_between: float
    error_bound: float
    convention: str
    sums: ClassSums
    metrics: Values
    method: str = "exact"
    reason: str = ""
    standard_error: float | None = None
    interval: tuple[float, float] | None = None
    _rows: RowStatistics | None = field(default=None, kw_only=True)
    _classifier: Classifier | None = field(default=None, kw_only=True)
    _again: Callable[[str], Collapse] | None = field(default=None, kw_only=True)  # of an estimate

    def __getattr__(self, name: str) -> Any:
        """A metric of the registry, by name."""
        values = self.__dict__.get("metrics", {})
        if name not in values:
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=self)  # a traceback suggests the nearest
        return values[name]

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.metrics})

    @property
    def kernel(self) -> Any:
        """The kernel; None for explicit features."""
        return self.sums.kernel

    @property
    def missing(self) -> dict[str, str]:
        """Why a metric is None, by name."""
        found = self.metrics.small()
        return {name: why_missing(name) for name, value in found.items() if value is None}

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Rows of each class, (n_classes,)."""
        return self.sums.sizes

    @property
    def labels(self) -> NDArray[Any]:
        """Labels of the classes, (n_classes,)."""
        return self.sums.labels

    def __repr__(self) -> str:
        return (
            f"Collapse(nc1={self.nc1:.6g}, error_bound={self.error_bound:.1e}, "
            f"convention={self.convention!r}, kernel={self.kernel!r}, "
            f"n_samples={self.sizes.sum()}, n_classes={len(self.sizes)})"
        )

    @ieee
    def under(self, convention: str) -> Collapse:
        """Return the same under another convention, from the same sums: O(C^3).

        Raises
        ------
        ValueError
            For an unknown convention.
        """
        if self._again is not None:
            return self._again(convention)
        return self._evaluated(convention, self._classifier)

    @ieee
    @reads_files("H", in_memory=True)
    def with_classifier(
        self, W: ArrayLike, b: ArrayLike | None = None, *, H: ArrayLike | None = None
    ) -> Collapse:
        """Return the same with NC3, NC4 and the other metrics of the linear classifier h -> W h + b
        of the features.

        Parameters
        ----------
        W : array-like of shape (n_classes, n_features)
            A row for each class, in the order of `labels`.
        b : array-like of shape (n_classes,), optional
            Default: zero.
        H : array-like of shape (n_samples, n_features), or path, optional
            The features again, in their order, for `nc4_agreement`, which is None without them.

        Raises
        ------
        TypeError, ValueError
            For what is not finite numbers of these shapes, for the result of a kernel, and for H
            where nearest class means were not computed.

        Notes
        -----
        Cost: O(C d min(C, d)), and 2 N C d with H.
        """
        means = self._means("a classifier")
        classifier = Classifier.of(W, b, means.shape)
        if H is not None:
            nearest = self.metrics["nearest_center"]
            if nearest is None:
                raise ValueError(f"H needs nearest class means: {REASONS['nearest']}")
            classifier = classifier.with_rows(H, nearest)
        return self._evaluated(self.convention, classifier)

    @ieee
    @reads_files("H_test", "X", labels="y_test")
    def evaluate(
        self,
        H_test: ArrayLike,
        y_test: ArrayLike,
        *,
        X: Any = None,
        diagonal: ArrayLike | None = None,
        decisions: ArrayLike | None = None,
        n_threads: int | None = None,
    ) -> HeldOut:
        """Evaluate other rows about the class means of these.

        Parameters
        ----------
        H_test : array-like of shape (n_samples, n_features), or path
            Features, or rows as the kernel takes them; of a "precomputed" one its values with the
            training rows, (n_samples, n_training).
        y_test : array-like of shape (n_samples,), path, or part of the file H_test
            Labels among `labels`, not necessarily all of them.
        X : array-like or path, optional
            The training rows again, in their order, for the result of a kernel.
        diagonal : array-like of shape (n_samples,), optional
            k(x, x) of the test rows, for that of a "precomputed" one.
        decisions : array-like of shape (n_samples,), optional
            Labels that a predictor gave to the test rows, for `accuracy` and `nc4_agreement`.
            Default: those of the classifier.
        n_threads : int, optional
            Of the kernel's products.

        Raises
        ------
        TypeError, ValueError
            As `nc1fast.collapse` for its data, for other labels, and rows X of another result.

        Notes
        -----
        Cost: n C d multiply-adds for features; the values K(H_test, X) of a kernel.
        """
        if self.sums.means is None:
            rows = heldout.KernelRows.of(self.kernel, H_test, X, diagonal, n_threads)
            found = heldout.kernel_about_means(rows, y_test, self.sums)
        elif X is not None or diagonal is not None:
            raise ValueError("X and diagonal belong to kernels: this is a result of features")
        else:
            found = heldout.features_about_means(H_test, y_test, self.sums, self._classifier)
        if decisions is not None:
            decided = heldout.classes_of(decisions, len(found.of_row), self.labels, "decisions")
            found = found._replace(decided=decided)
        uniform = weights(self.convention, self.sizes).within_is_uniform
        return heldout.held_out(found, len(self.labels), self.trace_between, uniform=uniform)

    @ieee
    @reads_files("H", "training", in_memory=True)
    def ood(
        self,
        H: ArrayLike,
        *,
        rank: int | None = None,
        alpha: float = 1e-4,
        training: ArrayLike | None = None,
    ) -> Novelty:
        """Out-of-distribution scores of other rows of explicit features.

        Parameters
        ----------
        H : array-like of shape (n_samples, n_features), or path
        rank : int, optional
            Dimension of the principal subspaces. Default: C - 1 for `neco`; 1,000, 512 or half of
            the features for `vim_residual`.
        alpha : float, default 1e-4
            Weight of |h|_1 in `nci`.
        training : array-like of shape (n_training, n_features), optional
            The training rows again, for their covariance, which a result of more features than
            classes does not know unless it comes from `FeatureSums(scatter=True)`.

        Returns
        -------
        Novelty
            Its scores are None, with the reason in `missing`, without the covariance and without a
            classifier.

        Raises
        ------
        TypeError, ValueError
            For what is not finite numbers of these shapes, and the result of a kernel.
        """
        means, p = self._means("ood"), self.sizes / self.sizes.sum()
        r = None if rank is None else as_count("rank", rank, 1, means.shape[1])
        a = as_number("alpha", alpha, least=0)
        known = KnownFeatures(means, p, self._classifier, self._rows, training, rank=r, alpha=a)
        return novelty_of(H, known)

    def _evaluated(self, convention: str, classifier: Classifier | None) -> Collapse:
        """The metrics of the same sums, under a convention and beside a classifier."""
        other = _evaluate(self.sums, convention, self._rows, classifier)
        return dataclasses.replace(other, method=self.method, reason=self.reason)

    def _means(self, what: str) -> NDArray[np.float64]:
        """Class means of explicit features; ValueError for a kernel, naming `what` needs them."""
        if self.sums.means is None:
            raise ValueError(
                f"{what} needs explicit features, collapse(H, y): "
                f"this is the result of {self.kernel!r}"
            )
        return self.sums.means

    @ieee
    def relative_to(self, other: Collapse) -> float:
        """Return nc1 / other.nc1, the relative NC1 when `other` is that of the data itself.

        Raises
        ------
        TypeError, ValueError
            For what is no Collapse, other classes, and an other.nc1 that is 0 or infinite.
        """
        if not isinstance(other, Collapse):
            raise TypeError(f"other must be a Collapse, got {type(other).__name__}")
        pairs = ((self.sizes, other.sizes), (self.labels, other.labels))
        if not all(np.array_equal(mine, theirs) for mine, theirs in pairs):
            raise ValueError("other must be of the same data: its labels or class sizes differ")
        if other.nc1 == 0 or math.isinf(other.nc1):
            raise ValueError(f"other.nc1 is {other.nc1:g}: the relative NC1 is not defined")
        return self.nc1 / other.nc1


@ieee
def collapse_from_sums(
    sums: ClassSums,
    convention: str | None = None,
    *,
    keep_rows: bool = True,
    rows: RowStatistics | None = None,
    classifier: Classifier | None = None,
    n_threads: int | None = None,
) -> Collapse:
    """Evaluate NC1 of the class sums; the other metrics on first access.

    Parameters
    ----------
    sums : ClassSums
        Complete; with `class_rows` for the fields that need R.
    convention : {"papyan", "probe", "class", "sample", "released"}, optional
        Default: "papyan", with a UserWarning, once, when class sizes differ by more than 10 %.
    keep_rows : bool, default True
        False: the result's sums are without the N C row-class sums.
    rows : RowStatistics, optional
        Digest of the rows. Default: that of the row-class sums, where there are any.
    classifier : Classifier, optional
    n_threads : int, optional
        Of sweeps over pairs of classes. Default: as `collapse`. The bits do not depend on it.

    Returns
    -------
    Collapse

    Raises
    ------
    ValueError
        For incomplete sums, fewer than two classes, an unknown convention, or rows that are all
        equal.

    Warns
    -----
    AccuracyWarning
        If nc1 is infinite, or its error bound exceeds 1 % of it.

    Notes
    -----
    Cost: O(N C^2 + C^3) with rows, O(C^3) without; of d features, with m = min(C, d), O(C m (C +
    d)) and O(C d + m^2) memory.
    Accuracy: `error_bound` holds the errors of the sums and of this arithmetic;
    tests/test_metrics.py.
    """
    if not sums.complete:
        raise ValueError("sums must be complete: join the missing parts with + first")
    if len(sums.sizes) < 2:
        raise ValueError(f"sums must have at least two classes, got {len(sums.sizes)}")
    convention = chosen(convention, sums.sizes)
    if rows is None and sums.has_rows:
        few = int(sums.sizes.sum()) * len(sums.sizes) <= _FEW
        digest = partial(row_statistics, sums)
        rows = later(digest) if few else digest()
    if not keep_rows and sums.has_rows:
        sums = sums.without_rows()
    return _evaluate(sums, convention, rows, classifier, n_threads)


def _evaluate(
    sums: ClassSums,
    convention: str,
    rows: RowStatistics | None,
    classifier: Classifier | None = None,
    n_threads: int | None = None,
) -> Collapse:
    """Every metric under a convention, from the sums and the digest of their rows."""
    w = weights(convention, sums.sizes)
    V, means = within_by_class(sums), MeanFrame.of(sums, w)
    ratio = nc1_of(sums, V, means)
    geometry = ClassGeometry(V, means, rows, classifier, n_threads)
    return Collapse(
        **ratio._asdict(),
        convention=convention,
        sums=sums,
        metrics=Values(geometry),
        _rows=rows,
        _classifier=classifier,
    )
