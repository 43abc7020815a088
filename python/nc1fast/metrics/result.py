"""The collapse metrics: pure functions of the class sums.

Notation: M_cc' = <mu_c, mu_c'> is the Gram matrix of the class means, V_c the mean squared distance of the rows of class c
from their mean, p_c = n_c/N, u_c = 1/C, g the weights of the global mean, Mc = J M J^T with J = I - 1 g^T the Gram
matrix of the centred class means.
Sources: Papyan, Han & Donoho (2020) for NC1 and NC2; Zhu et al. (2021) for the pseudo-inverse and the nearest class
mean as coded; Galanti, Gyorgy & Hutter (2022) for CDNV.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast.core.linear import length
from nc1fast.metrics.bounds import quotient_error, trace_errors
from nc1fast.metrics.rows import RowStatistics, row_statistics
from nc1fast.support.arguments import check_choice
from nc1fast.support.arithmetic import ieee
from nc1fast.support.warnings import AccuracyWarning, warn

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nc1fast.sums.class_sums import ClassSums

    Array = NDArray[np.float64]

RANK_TOLERANCE = 1e-10  # eigenvalues of Sigma_B below this fraction of the largest count as zero
WORRYING = 0.01  # relative error bound that draws an AccuracyWarning,
NEGLIGIBLE = (
    2.0**-100
)  # and an absolute one that never does: an NC1 of exactly 0 need not be proven
IMBALANCE = 1.1  # ratio of class sizes from which the convention matters enough to be named

# Weights of the classes in Sigma_W, in Sigma_B and in the global mean: p = n_c/N, u = 1/C.
CONVENTIONS = {
    "papyan": "puu",
    "probe": "pup",
    "class": "uuu",
    "sample": "ppp",
    "released": "pup",  # with traces of its own: see trace_within and trace_between
}


class Weights(NamedTuple):
    """Weights of the classes in Sigma_W, in Sigma_B and in the global mean, each of shape (C,) and of sum 1."""

    within: Array
    between: Array
    mean: Array
    convention: str


def weights(convention: str, sizes: NDArray[np.int64]) -> Weights:
    """Weights of a convention.

    Raises
    ------
    ValueError
        For an unknown convention.
    """
    check_choice("convention", convention, CONVENTIONS)
    kinds = {"p": sizes / sizes.sum(), "u": np.full(len(sizes), 1 / len(sizes))}
    within, between, mean = (kinds[letter] for letter in CONVENTIONS[convention])
    return Weights(within, between, mean, convention)


def class_gram(sums: ClassSums) -> Array:
    """M_cc' = <mu_c, mu_c'> = block_sums_cc' / (n_c n_c'), shape (C, C)."""
    n = sums.sizes.astype(np.float64)
    return sums.block_sums / np.outer(n, n)


def within_by_class(sums: ClassSums) -> Array:
    """V_c = within_c / n_c, shape (C,)."""
    return sums.within / sums.sizes


def centred(M: Array, g: Array) -> Array:
    """J M J^T with J = I - 1 g^T, shape (C, C)."""
    rows: Array = (M * g).sum(axis=1)  # along memory, where NumPy sums pairwise
    return M - rows[:, None] - rows[None, :] + float((g * rows).sum())


def trace_within(V: Array, M: Array, w: Weights) -> float:
    """Tr Sigma_W = sum_c w_c V_c; released: sum_i k_ii/N - sum_c M_cc/C = p.V + (p - u).diag M, not a variance."""
    within = (w.within * V).sum()
    if w.convention == "released":
        within += ((w.within - w.between) * np.diag(M)).sum()
    return float(within)


def trace_between(M: Array, w: Weights) -> float:
    """Tr Sigma_B = sum_c w_c Mc_cc; released: sum_c M_cc/C - p^T M p."""
    if w.convention == "released":
        return float(np.diag(M).mean() - (w.mean * (M * w.mean).sum(axis=1)).sum())
    return float((w.between * np.diag(centred(M, w.mean))).sum())


def nc1_by_class(V: Array, Mc: Array) -> Array:
    """V_c / Mc_cc, shape (C,); infinite for a class whose mean is the global mean."""
    out = np.full(len(V), np.inf)
    np.divide(V, np.diag(Mc), out=out, where=np.diag(Mc) > 0)
    return out


def nc2_equinorm(Mc: Array) -> float:
    """std(r)/mean(r) of the norms r_c of the centred class means; 0 when all are zero."""
    r = np.sqrt(np.maximum(np.diag(Mc), 0))
    return float(r.std() / r.mean()) if r.any() else 0.0


def nc2_equiangle(Mc: Array) -> float:
    """Spread (std) of the cosines between different centred class means; one of zero norm counts as orthogonal."""
    r = np.sqrt(np.maximum(np.diag(Mc), 0))
    norms = np.outer(r, r)
    cosines = np.divide(Mc, norms, out=np.zeros_like(Mc), where=norms > 0)
    return float(cosines[np.triu_indices(len(Mc), 1)].std())


def nc2_etf(Mc: Array) -> float:
    """Frobenius distance of Mc/|Mc| from the simplex equiangular tight frame (I - 11^T/C)/sqrt(C - 1)."""
    C, size = len(Mc), length(Mc)
    simplex = (np.eye(C) - 1 / C) / math.sqrt(C - 1)
    return length((Mc / size if size > 0 else Mc) - simplex)


def cdnv(V: Array, M: Array) -> float:
    """Mean over c != c' of (V_c + V_c') / (2 |mu_c - mu_c'|^2); infinite when two class means coincide."""
    i, j = np.triu_indices(len(V), 1)
    norms = np.diag(M)
    distance2 = norms[i] + norms[j] - 2 * M[i, j]
    pairs = np.divide(
        (V[i] + V[j]) / 2, distance2, out=np.full(len(i), np.inf), where=distance2 > 0
    )
    return float(pairs.mean())


class BetweenSpectrum(NamedTuple):
    """Nonzero eigenvalues (r,) of Sigma_B, and D v (C, r) for the eigenvectors v of D Mc D, D = diag(sqrt w)."""

    values: Array
    vectors: Array


def between_spectrum(Mc: Array, w: Weights) -> BetweenSpectrum:
    """Eigenvalues of Sigma_B above 1e-10 of the largest, which are those of D Mc D; `between_rank` counts them."""
    d = np.sqrt(w.between)
    values, vectors = np.linalg.eigh(Mc * np.outer(d, d))
    keep = values > max(RANK_TOLERANCE * values[-1], 0)
    return BetweenSpectrum(values[keep], d[:, None] * vectors[:, keep])


def nc1_pinv(rows: RowStatistics, spectrum: BetweenSpectrum, w: Weights) -> float:
    """Tr(Sigma_W pinv(Sigma_B))/C; infinite when Sigma_B is zero.

    Notes
    -----
    The eigenvectors of Sigma_B are Z D v/sqrt(lambda), Z the centred means; so the trace is the sum of
    v^T D G D v / lambda^2, G = Z^T Sigma_W Z the scatter of `rows`.
    """
    values, vectors = spectrum
    if not len(values):
        return math.inf
    by_class = CONVENTIONS[w.convention][0] == "u"
    G = centred(rows.scatter_class if by_class else rows.scatter_sample, w.mean)
    return float(((G @ vectors * vectors).sum(axis=0) / values**2).sum() / len(G))


@dataclass(frozen=True, eq=False, repr=False)
class Collapse:
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
        Spread of the norms of the centred class means, of the cosines between them, and their distance from a simplex
        equiangular tight frame; 0 when collapsed. A mean at the global mean has no direction: its cosines are 0.
    cdnv : float
        Class-distance normalised variance; infinite when two class means coincide.
    within_by_class : ndarray of shape (n_classes,)
        V_c, mean squared distance from the class mean; 0 for a class of one row.
    nc1_by_class : ndarray of shape (n_classes,)
        V_c over the squared distance of the class mean from the global mean.
    class_gram : ndarray of shape (n_classes, n_classes)
        <mu_c, mu_c'>, not centred.
    nearest_center : ndarray of shape (n_samples,) or None
        Index into `labels` of the nearest class mean, in the caller's row order; ties go to the lowest.
    ncc_accuracy : float or None
        Fraction of the rows whose nearest class mean is that of their class.
    sizes, labels : ndarray of shape (n_classes,)
    error_bound : float
        Absolute bound on the error of nc1; infinite when trace_between may be zero, and of an estimate: see `interval`.
    convention : {"papyan", "probe", "class", "sample", "released"}
        "released" has traces of its own, and the weights of "probe" in every other field.
    kernel : kernel or None
        None for explicit features.
    sums : ClassSums
    method, reason : str
        How the sums were obtained, and why so ("exact" and "" unless estimated).
    standard_error, interval : float, (float, float) or None
        Of nc1, from the estimators.
    """

    nc1: float
    trace_within: float
    trace_between: float
    nc1_pinv: float | None
    between_rank: int
    nc2_equinorm: float
    nc2_equiangle: float
    nc2_etf: float
    cdnv: float
    within_by_class: Array
    nc1_by_class: Array
    class_gram: Array
    nearest_center: NDArray[np.int64] | None
    ncc_accuracy: float | None
    sizes: NDArray[np.int64]
    labels: NDArray[Any]
    error_bound: float
    convention: str
    kernel: Any
    sums: ClassSums
    method: str = "exact"
    reason: str = ""
    standard_error: float | None = None
    interval: tuple[float, float] | None = None
    _rows: RowStatistics | None = field(default=None, kw_only=True)
    _again: Callable[[str], Collapse] | None = field(default=None, kw_only=True)  # of an estimate

    def __repr__(self) -> str:
        return (
            f"Collapse(nc1={self.nc1:.6g}, error_bound={self.error_bound:.1e}, convention={self.convention!r}, "
            f"kernel={self.kernel!r}, n_samples={self.sizes.sum()}, n_classes={len(self.sizes)})"
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
        other = _evaluate(self.sums, convention, self._rows)
        return dataclasses.replace(other, method=self.method, reason=self.reason)

    @ieee
    def relative_to(self, other: Collapse) -> float:
        """Return nc1 / other.nc1, the relative NC1 when `other` is that of the data itself.

        Raises
        ------
        TypeError
            If `other` is not a Collapse.
        ValueError
            If the two have different classes, or other.nc1 is 0 or infinite.
        """
        if not isinstance(other, Collapse):
            raise TypeError(f"other must be a Collapse, got {type(other).__name__}")
        if not (
            np.array_equal(self.sizes, other.sizes) and np.array_equal(self.labels, other.labels)
        ):
            raise ValueError("other must be of the same data: its labels or class sizes differ")
        if other.nc1 == 0 or math.isinf(other.nc1):
            raise ValueError(f"other.nc1 is {other.nc1:g}: the relative NC1 is not defined")
        return self.nc1 / other.nc1


_imbalance_announced = False  # once per process


def _announce_imbalance(sizes: NDArray[np.int64]) -> None:
    """Warn, once, that the classes are unequal and the convention matters.

    Where warnings are errors it is raised at every such call: nothing has been shown yet.
    """
    global _imbalance_announced  # noqa: PLW0603
    if _imbalance_announced or sizes.max() <= IMBALANCE * sizes.min():
        return
    warn(
        f"class sizes range from {sizes.min()} to {sizes.max()}, where conventions for NC1 differ: 'papyan' is used; "
        "name a convention to choose (this is said once)"
    )
    _imbalance_announced = True


@ieee
def collapse_from_sums(
    sums: ClassSums, convention: str | None = None, *, keep_rows: bool = True
) -> Collapse:
    """Evaluate every metric of the class sums.

    Parameters
    ----------
    sums : ClassSums
        Complete; with `class_rows` for the fields that need R.
    convention : {"papyan", "probe", "class", "sample", "released"}, optional
        Default: "papyan", with a UserWarning, once, when class sizes differ by more than 10 %.
    keep_rows : bool, default True
        False: the result's sums are without the N C row-class sums; `under` needs them no more.

    Returns
    -------
    Collapse

    Raises
    ------
    ValueError
        For incomplete sums, fewer than two classes, an unknown convention, or rows that are all equal.

    Warns
    -----
    AccuracyWarning
        If nc1 is infinite, or its error bound exceeds 1 % of it.

    Notes
    -----
    Cost: O(N C^2 + C^3) with rows, O(C^3) without, and some MiB of memory.
    Accuracy: `error_bound` holds the errors of the sums and of this arithmetic; tests/test_metrics.py.
    """
    if not sums.complete:
        raise ValueError("sums must be complete: join the missing parts with + first")
    if len(sums.sizes) < 2:
        raise ValueError(f"sums must have at least two classes, got {len(sums.sizes)}")
    if convention is None:
        _announce_imbalance(sums.sizes)
        convention = "papyan"
    rows = row_statistics(sums, class_gram(sums))
    if not keep_rows:
        sums = dataclasses.replace(sums, class_rows=None)
    return _evaluate(sums, convention, rows)


def _evaluate(sums: ClassSums, convention: str, rows: RowStatistics | None) -> Collapse:
    w = weights(convention, sums.sizes)
    M, V = class_gram(sums), within_by_class(sums)
    Mc = centred(M, w.mean)
    within, between = trace_within(V, M, w), trace_between(M, w)
    d_within, d_between = trace_errors(sums, V, M, Mc, w)
    if between < 0 and -between <= d_between and convention != "released":
        between = 0.0  # a sum of squares that rounding made negative
    if within == 0 and abs(between) <= d_between:
        raise ValueError(
            "NC1 is 0/0: trace_within and trace_between are both zero, or lost in rounding "
            f"(+-{d_within:.2g} and +-{d_between:.2g}); are all rows equal?"
        )
    nc1 = within / between if between else math.copysign(math.inf, within)
    bound = quotient_error(within, between, d_within, d_between)
    if not between:
        warn("trace_between is 0 (the class means coincide): nc1 is infinite", AccuracyWarning)
    elif bound > max(WORRYING * abs(nc1), NEGLIGIBLE):
        warn(f"nc1 = {nc1:.3g} has an error bound of {bound:.1g}", AccuracyWarning)
    spectrum = between_spectrum(Mc, w)
    return Collapse(
        nc1=nc1,
        trace_within=within,
        trace_between=between,
        nc1_pinv=None if rows is None else nc1_pinv(rows, spectrum, w),
        between_rank=len(spectrum.values),
        nc2_equinorm=nc2_equinorm(Mc),
        nc2_equiangle=nc2_equiangle(Mc),
        nc2_etf=nc2_etf(Mc),
        cdnv=cdnv(V, M),
        within_by_class=V,
        nc1_by_class=nc1_by_class(V, Mc),
        class_gram=M,
        nearest_center=None if rows is None else rows.nearest_center,
        ncc_accuracy=None if rows is None else rows.ncc_accuracy,
        sizes=sums.sizes,
        labels=sums.labels,
        error_bound=bound,
        convention=convention,
        kernel=sums.kernel,
        sums=sums,
        _rows=rows,
    )
