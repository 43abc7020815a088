"""ClassSums, from which every collapse metric follows, in memory and in files."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.kernels.serial import from_json, to_json
from nc1fast.sums.pass_sums import PassSums
from nc1fast.sums.rounding import SumsError, sums_error
from nc1fast.support import packed
from nc1fast.support.arithmetic import ieee
from nc1fast.support.files import replaced
from nc1fast.support.lazy import later, lazy
from nc1fast.support.reading import check_regular, reading

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["ClassSums", "SumsError", "from_pass"]

_KIND, _FORMAT = "class sums", 2
_FEW = 1 << 14  # row sums that stay integers until they are used


@lazy("block_sums", "class_rows")
@dataclass(frozen=True, eq=False)
class ClassSums:
    """Sums of a kernel over the pairs of each two classes.

    Attributes
    ----------
    block_sums : ndarray of shape (n_classes, n_classes)
        Sum over i in c, j in c' of k(x_i, x_j); of explicit features made when it is first
        used.
    traces : ndarray of shape (n_classes,)
        Sum over i in c of k(x_i, x_i).
    within : ndarray of shape (n_classes,)
        1/(2 n_c) sum over i, j in c of D2_ij, D2_ij = k_ii + k_jj - 2 k_ij: n_c times the variance
        V_c of class c in feature space, without cancellation where the kernel allows it.
    sizes : ndarray of int64 of shape (n_classes,)
    labels : ndarray of shape (n_classes,)
        The classes, in the order of `numpy.unique`.
    error : SumsError
        Absolute bounds on the rounding errors of the sums.
    kernel : Kernel, str, callable or None
        What was summed; None for explicit features.
    class_rows : ndarray of shape (n_classes, n_samples), or None
        R[c, p] = sum over j in c of k(x_order[p], x_j), rows sorted by class. See `row_sums`.
    order : ndarray of int64 of shape (n_samples,), or None
        Row of the caller at each sorted position.
    means : ndarray of shape (n_classes, n_features), or None
        Class means of explicit features.

    Notes
    -----
    `a + b` joins disjoint parts of one problem, exactly. Anything else is a ValueError: two halves
    of a data set lack the kernel between them, so that adding their sums would be silently wrong.
    """

    block_sums: Array
    traces: Array
    within: Array
    sizes: Integers
    labels: NDArray[Any]
    error: SumsError
    kernel: Any = None
    class_rows: Array | None = None
    order: Integers | None = None
    exact: PassSums | None = None
    means: Array | None = None

    @property
    def complete(self) -> bool:
        """Whether every part of the problem is in these sums; metrics need that."""
        return self.exact is None or self.exact.complete

    @property
    def has_rows(self) -> bool:
        """Whether `class_rows` are there, which are not made for the answer."""
        return vars(self)["class_rows"] is not None

    def without_rows(self) -> ClassSums:
        """The same without `class_rows`; nothing is made that has not been used."""
        other = object.__new__(ClassSums)
        vars(other).update(vars(self), class_rows=None)
        return other

    @property
    def row_sums(self) -> Array | None:
        """(n_samples, n_classes) row-class sums in the caller's row order (a copy), or None."""
        if self.class_rows is None or self.order is None:
            return None
        out = np.empty(self.class_rows.shape[::-1])
        out[self.order] = self.class_rows.T
        return out

    @ieee
    def __add__(self, other: ClassSums) -> ClassSums:
        if not isinstance(other, ClassSums):
            return NotImplemented
        if self.exact is None or other.exact is None:
            raise ValueError(
                "only class sums that know their problem can be added: parts made by "
                "nc1fast.class_sums(..., part=(index, count))"
            )
        return from_pass(
            self.exact + other.exact,
            self.sizes,
            self.labels,
            self.kernel,
            self.order,
            in_place=False,
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write to one .npz file: every array, the exact integers, the kernel, and a checksum over
        all of them.

        The file is whole or not there; one that was there is kept until then.

        Raises
        ------
        TypeError
            If the labels are Python objects or the kernel is a callable: neither can be written
            without pickling.
        OSError
            If it cannot be written.
        ValueError
            If the path is that of a pipe, a device or a folder.
        """
        if self.labels.dtype.hasobject:
            raise TypeError("labels of Python objects cannot be saved; use strings or numbers")
        arrays: dict[str, Any] = {
            name: getattr(self, name)
            for name in (
                *("block_sums", "traces", "within", "sizes", "labels"),
                *("class_rows", "order", "means"),
            )
            if getattr(self, name) is not None
        }
        bounds = {f"error.{f.name}": getattr(self.error, f.name) for f in fields(SumsError)}
        arrays |= {name: bound for name, bound in bounds.items() if bound is not None}
        head: dict[str, Any] = {
            "kind": _KIND,
            "format": _FORMAT,
            "kernel": to_json(self.kernel),
        }
        if self.exact is not None:
            values, exact = self.exact.stored()
            head |= values
            arrays |= exact
        with replaced(path) as file:
            packed.pack(file, head, arrays)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> ClassSums:
        """Read what `save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is not one of class sums, is damaged or cut short, or is of another format.
        """
        check_regular(path)
        name = str(path)
        with reading(name):
            head, arrays = packed.unpack(path, _KIND, _FORMAT)
            exact = PassSums.restored(head, arrays) if "problem" in head else None
            plain = {k: a for k, a in arrays.items() if "." not in k}
            names = [f.name for f in fields(SumsError) if f"error.{f.name}" in arrays]
            bounds = SumsError(**{name: arrays[f"error.{name}"] for name in names})
            kernel = from_json(head["kernel"])
            return cls(**plain, error=bounds, kernel=kernel, exact=exact)._checked()

    def _checked(self) -> ClassSums:
        """These sums, if their parts fit together as those of a pass do."""
        C, N = len(self.labels), int(self.sizes.sum())
        shapes: dict[str, tuple[Any, tuple[int, ...]]] = {
            "block_sums": (self.block_sums, (C, C)),
            "traces": (self.traces, (C,)),
            "within": (self.within, (C,)),
            "sizes": (self.sizes, (C,)),
            "class_rows": (self.class_rows, (C, N)),
            "order": (self.order, (N,)),
        }
        for name, (array, shape) in shapes.items():
            if array is not None and array.shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
        if self.means is not None and self.means.shape[:-1] != (C,):
            raise ValueError(f"means must have shape ({C}, n_features), got {self.means.shape}")
        if self.exact is not None:
            self.exact.check(C, N)
        return self


def from_pass(
    part: PassSums,
    sizes: Integers,
    labels: NDArray[Any],
    kernel: Any,
    order: Integers | None,
    *,
    in_place: bool,
) -> ClassSums:
    """Turn the integers of a pass into numbers with error bounds.

    Parameters
    ----------
    in_place : bool
        Whether the row sums may overwrite their integers. A few are made when they are first
        used.
    """
    n = sizes.astype(np.float64)
    pairs = part.pair_sums()
    block = pairs.block
    traces = part.per_class["traces"]
    within = block.diagonal() / (2 * n)
    block.flat[:: len(n) + 1] = n * (traces - within)
    error = sums_error(part.per_class, n, within, pairs, part.tiles)
    rows = None
    if part.complete and part.rows is not None:
        few = part.rows.size <= _FEW
        rows = (
            later(partial(part.row_sums, sizes)) if few else part.row_sums(sizes, in_place=in_place)
        )
    exact = None
    if part.problem:
        exact = replace(part, rows=None, row_scales=None) if part.complete else part
    return ClassSums(block, traces, within, sizes, labels, error, kernel, rows, order, exact)
