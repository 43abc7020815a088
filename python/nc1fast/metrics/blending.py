"""`blend`: the metrics of a weighted sum of kernels, from the class sums of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.kernels.classes import Kernel
from nc1fast.metrics.result import Collapse, collapse_from_sums
from nc1fast.sums.class_sums import ClassSums, SumsError
from nc1fast.sums.rounding import UNIT_ROUNDOFF
from nc1fast.support.arguments import as_items, as_number
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]


@ieee
def blend(results: Sequence[Collapse], weights: ArrayLike) -> Collapse:
    """The collapse of sum_k w_k K_k, from the results of each kernel K_k on one data set: no other
    pass.

    Parameters
    ----------
    results : sequence of Collapse
        Exact results of the same rows, labels and convention, as `nc1fast.collapse` gives them for
        a list of kernels.
    weights : array-like of shape (n_results,)
        w_k >= 0, not all zero.

    Returns
    -------
    Collapse
        Its kernel is that sum, in words where it is none of rows. What needs row-class sums is None
        unless every result has kept them (`keep_rows=True`).

    Raises
    ------
    TypeError
        For results that are none, and weights that are no numbers.
    ValueError
        For weights of another number, below zero or all zero; results of different labels, class
        sizes, orders of rows or conventions; estimates, whose errors are not independent.

    Notes
    -----
    Class sums are linear in the kernel, NC1 is not: along (1 - s) K_1 + s K_2 it is a ratio of two
    linear functions of s.
    Cost: O(C^2) for each result, and O(N C) with row sums.
    Accuracy: `error_bound` is that of the weighted sum of the errors.

    Examples
    --------
    >>> import nc1fast as nc
    >>> X, y = nc.datasets.paper_d1(256, 8, seed=0)
    >>> both = nc.collapse(X, y, [nc.NTK("relu"), nc.NNGP("relu")])
    >>> mixed = nc.blend(both, [0.5, 0.5])
    >>> both[1].nc1 < mixed.nc1 < both[0].nc1
    True
    """
    found = _results(results)
    given = as_items("weights", weights, "one number for each result")
    numbers = [as_number("weights", w, least=0) for w in given]
    if len(numbers) != len(found):
        raise ValueError(
            f"weights must be {len(found)} numbers, one for each result, got {len(numbers)}"
        )
    if not any(numbers):
        raise ValueError("weights must not all be zero")
    taken = [(w, result.sums) for w, result in zip(numbers, found, strict=True) if w > 0]
    return collapse_from_sums(_sum(taken), found[0].convention)


def _results(results: Any) -> list[Collapse]:
    """Exact results of one data set under one convention."""
    found = list(results) if isinstance(results, list | tuple) else None
    if not found or not all(isinstance(result, Collapse) for result in found):
        raise TypeError(f"results must be a list of Collapse objects, got {results!r}")
    first = found[0]
    for other in found:
        if other.interval is not None:
            raise ValueError("results must be exact: errors of estimates are not independent")
        if other.convention != first.convention:
            raise ValueError(
                f"results must have one convention, got {first.convention!r} and "
                f"{other.convention!r}: use `under`"
            )
        if not _of_the_same_rows(other.sums, first.sums):
            raise ValueError("results must be of one data set: labels, sizes or orders differ")
    return found


def _of_the_same_rows(a: ClassSums, b: ClassSums) -> bool:
    """Whether labels, sizes and, where both are known, orders of rows agree."""
    same = np.array_equal(a.sizes, b.sizes) and np.array_equal(a.labels, b.labels)
    if a.order is None or b.order is None:
        return same
    return same and np.array_equal(a.order, b.order)


def _sum(taken: list[tuple[float, ClassSums]]) -> ClassSums:
    """The class sums of the weighted kernel, with bounds on their errors."""
    first = taken[0][1]

    def total(name: str, of: Callable[[ClassSums], Any] = lambda sums: sums) -> Array:
        return np.asarray(sum(w * getattr(of(sums), name) for w, sums in taken))

    def bound(name: str) -> Array:
        sizes: Array = np.asarray(sum(w * np.abs(getattr(sums, name)) for w, sums in taken))
        rounding = (len(taken) + 1) * UNIT_ROUNDOFF * sizes
        return total(name, lambda sums: sums.error) * (1 + 2.0**-40) + rounding

    has_rows = all(sums.class_rows is not None for _, sums in taken)
    return ClassSums(
        block_sums=total("block_sums"),
        traces=total("traces"),
        within=total("within"),
        sizes=first.sizes,
        labels=first.labels,
        error=SumsError(bound("block_sums"), bound("traces"), bound("within")),
        kernel=_kernel([(w, sums.kernel) for w, sums in taken]),
        class_rows=total("class_rows") if has_rows else None,
        order=first.order,
    )


def _kernel(terms: list[tuple[float, Any]]) -> Any:
    """The weighted sum as a kernel object; in words where sequences, features, Gram matrices or
    callables are among them.
    """
    if all(isinstance(kernel, Kernel) and not kernel.of_sequences for _, kernel in terms):
        return sum(w * kernel for w, kernel in terms)
    return " + ".join(f"{w!r} * {'features' if k is None else k}" for w, k in terms)
