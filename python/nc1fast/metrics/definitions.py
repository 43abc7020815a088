"""The collapse metrics as pure functions of the class sums, and the conventions: how classes are
weighted in Sigma_W, in Sigma_B and in the global mean.

Notation: M_cc' = <mu_c, mu_c'> is the Gram matrix of the class means, V_c the mean squared distance
of the rows of class c from their mean, p_c = n_c/N, u_c = 1/C, g the weights of the global mean
mu_G, z_c = mu_c - mu_G, Mc = J M J^T with J = I - 1 g^T their Gram matrix.
Source: Papyan, Han & Donoho (2020).

Metrics of pairs of classes are in `pairs`, of spectra in `spectra`, of a classifier in
`classifiers`; the registry of all is in `registry`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import numpy as np

from nc1fast.support.arguments import check_choice
from nc1fast.support.warnings import Once, warn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.sums.class_sums import ClassSums

    Array = NDArray[np.float64]

Convention: TypeAlias = Literal["papyan", "probe", "class", "sample", "released"]

# Weights in Sigma_W, in Sigma_B and in the global mean: p = n_c/N, u = 1/C.
CONVENTIONS: dict[str, str] = {
    "papyan": "puu",
    "probe": "pup",
    "class": "uuu",
    "sample": "ppp",
    "released": "pup",  # with traces of its own: see trace_within and trace_between
}
DEFAULT_CONVENTION: Final = "papyan"  # where none is named
IMBALANCE = 1.1  # ratio of class sizes from which the convention matters enough to be named
_imbalance = Once()


class Weights(NamedTuple):
    """Weights of the classes in Sigma_W, in Sigma_B and in the global mean, each of shape (C,) and
    of sum 1.
    """

    within: Array
    between: Array
    mean: Array
    convention: str

    @property
    def within_is_uniform(self) -> bool:
        """Whether every class has the same weight in Sigma_W, whatever its size."""
        return CONVENTIONS[self.convention][0] == "u"


def weights(convention: str, sizes: NDArray[np.int64]) -> Weights:
    """Weights of a convention for classes of these sizes.

    Raises
    ------
    ValueError
        For an unknown convention.
    """
    check_choice("convention", convention, CONVENTIONS)
    kinds = {"p": sizes / sizes.sum(), "u": np.full(len(sizes), 1 / len(sizes))}
    within, between, mean = (kinds[letter] for letter in CONVENTIONS[convention])
    return Weights(within, between, mean, convention)


def chosen(convention: str | None, sizes: NDArray[np.int64]) -> str:
    """The convention, or the default with a warning, once, where class sizes differ so much that it
    matters.
    """
    if convention is not None:
        return convention
    if not _imbalance.said and sizes.max() > IMBALANCE * sizes.min():
        warn(
            f"class sizes range from {sizes.min()} to {sizes.max()}, where conventions for NC1 "
            f"differ: {DEFAULT_CONVENTION!r} is used; name a convention to choose "
            "(this is said once)",
            once=_imbalance,
        )
    return DEFAULT_CONVENTION


def class_gram(sums: ClassSums) -> Array:
    """M_cc' = <mu_c, mu_c'> = block_sums_cc' / (n_c n_c'), shape (C, C)."""
    n = sums.sizes.astype(np.float64)
    return sums.block_sums / np.multiply.outer(n, n)


def within_by_class(sums: ClassSums) -> Array:
    """V_c = within_c / n_c, shape (C,)."""
    return sums.within / sums.sizes


def centred(M: Array, g: Array) -> Array:
    """J M J^T with J = I - 1 g^T, shape (C, C)."""
    rows: Array = (M * g).sum(axis=1)  # along memory, where NumPy sums pairwise
    return M - rows[:, None] - rows[None, :] + float((g * rows).sum())


def trace_within(V: Array, M: Array, w: Weights) -> float:
    """Tr Sigma_W of class means whose Gram matrix is M: `within_trace`."""
    return within_trace(V, M.diagonal(), w)


def within_trace(V: Array, squares: Array, w: Weights) -> float:
    """Tr Sigma_W = sum_c w_c V_c; released: sum_i k_ii/N - sum_c |mu_c|^2/C = p.V + (p - u).|mu|^2,
    not a variance.
    """
    within = (w.within * V).sum()
    if w.convention == "released":
        within += ((w.within - w.between) * squares).sum()
    return float(within)


def trace_between(M: Array, w: Weights) -> float:
    """Tr Sigma_B = sum_c w_c Mc_cc; released: sum_c M_cc/C - p^T M p."""
    if w.convention == "released":
        return float(M.diagonal().mean() - (w.mean * (M * w.mean).sum(axis=1)).sum())
    return float((w.between * centred(M, w.mean).diagonal()).sum())


def nc1_by_class(V: Array, squares: Array) -> Array:
    """V_c / |z_c|^2, shape (C,); infinite for a class whose mean is the global mean."""
    out = np.full(len(V), np.inf)
    np.divide(V, squares, out=out, where=squares > 0)
    return out


def norms(squares: Array) -> Array:
    """r_c = |z_c|, shape (C,): norms of the centred class means; 0 where rounding made the square
    negative.
    """
    return np.asarray(np.sqrt(np.maximum(squares, 0)))


def nc2_equinorm(squares: Array) -> float:
    """std(r)/mean(r) of the norms r_c of the centred class means; 0 when all are zero."""
    r = norms(squares)
    return float(r.std() / r.mean()) if r.any() else 0.0


def nc1_total(within: float, between: float) -> float:
    """Tr Sigma_W/(Tr Sigma_W + Tr Sigma_B); in [0, 1] except under "released".

    The share of the total variance that lies within classes where the convention is "sample". 0
    when collapsed, 1 when the class means coincide; NaN when the sum is 0.
    """
    total = within + between
    return within / total if total else math.nan
