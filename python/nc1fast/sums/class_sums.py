"""ClassSums: the sufficient statistic of every collapse metric, and how the integers of a pass become one."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.kernels.classes import from_json, to_json
from nc1fast.sums.rounding import SumsError, sums_error
from nc1fast.support import packed
from nc1fast.support.arithmetic import ieee
from nc1fast.support.storage import check_regular, reading, replaced

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["ClassSums", "PassSums", "SumsError", "add_wide", "from_pass"]

_LOW_BITS = 60  # a 128-bit integer is kept as (high, low), value = high 2^60 + low
_BLOCK_BITS = 120  # block sums are multiples of 2^(exponent - 120)
_KIND, _FORMAT = "class sums", 2


@dataclass(frozen=True, eq=False)
class PassSums:
    """Integers of one kernel over some of the pairs of rows of one problem: what can be added exactly.

    The `parts` parts of a problem (rectangles of sorted rows, see `nc1fast.sums.rectangles`) cover every pair once.
    """

    problem: str  # hash of X, y, kernel, dtype and instruction set
    parts: int
    covered: frozenset[int]
    block: (
        Integers  # (C, C, 2): within a class sums of D2 over ordered pairs, above the diagonal of k
    )
    exponent: NDArray[np.int32]  # (C, C)
    sensitivity: Integers  # (C, C, 2), or empty
    sensitivity_exponent: NDArray[np.int32]
    per_class: dict[str, Array]  # traces and what bounds the errors, (C,) each
    settings: dict[str, Any]  # of nc1fast.sums.rounding.sums_error
    rows: Integers | None = None  # (C, N) class-major, sorted rows
    row_scales: dict[str, Array] | None = None  # row, column, row_within, k

    def __add__(self, other: PassSums) -> PassSums:
        if (self.problem, self.parts) != (other.problem, other.parts):
            raise ValueError(
                "class sums of different problems cannot be added: cross terms would be missing"
            )
        if self.covered & other.covered:
            raise ValueError(f"class sums overlap in parts {sorted(self.covered & other.covered)}")
        if not (
            np.array_equal(self.exponent, other.exponent)
            and np.array_equal(self.sensitivity_exponent, other.sensitivity_exponent)
            and (self.rows is None) == (other.rows is None)
        ):
            raise ValueError(
                "class sums of one problem must have the same exponents and statistics"
            )
        return replace(
            self,
            covered=self.covered | other.covered,
            block=add_wide(self.block, other.block),
            sensitivity=add_wide(self.sensitivity, other.sensitivity),
            rows=None if self.rows is None or other.rows is None else self.rows + other.rows,
        )

    def stored(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What can be written without pickling: values for JSON, and arrays."""
        head = {
            "problem": self.problem,
            "parts": self.parts,
            "covered": sorted(self.covered),
            "settings": self.settings,
        }
        names = ("block", "exponent", "sensitivity", "sensitivity_exponent")
        arrays: dict[str, Any] = {f"exact.{name}": getattr(self, name) for name in names}
        arrays |= {f"per_class.{name}": a for name, a in self.per_class.items()}
        if self.rows is not None and self.row_scales is not None:
            arrays["exact.rows"] = self.rows
            arrays |= {f"row_scales.{name}": a for name, a in self.row_scales.items()}
        return head, arrays

    @classmethod
    def restored(cls, head: dict[str, Any], arrays: dict[str, Any]) -> PassSums:
        """What `stored` gave; other entries are left alone."""

        def group(prefix: str) -> dict[str, Any]:
            return {k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)}

        return cls(
            head["problem"],
            head["parts"],
            frozenset(head["covered"]),
            **group("exact."),
            per_class=group("per_class."),
            settings=head["settings"],
            row_scales=group("row_scales.") or None,
        )

    def check(self, n_classes: int, n_rows: int) -> None:
        """Raise ValueError unless these can be sums of a pass over so many classes and rows."""
        check_parts(self.parts, self.covered)
        pairs = (n_classes, n_classes)
        check_integers(self, pairs, n_rows if self.rows is not None else 0)


def check_parts(parts: Any, covered: Any) -> None:
    """Raise ValueError unless some of so many parts are covered."""
    if not isinstance(parts, int) or isinstance(parts, bool) or parts < 1:
        raise ValueError(f"the number of parts must be a positive integer, got {parts!r}")
    if not covered or not all(type(index) is int and 0 <= index < parts for index in covered):
        raise ValueError(f"the parts covered must be some of {parts}")


def check_integers(part: Any, pairs: tuple[int, int], n_rows: int) -> None:
    """Raise ValueError for integers of a `PassSums`, or of what it adds to one, that are not those of such a problem."""
    slopes = pairs if part.sensitivity.size else (0, 0)
    expected = {
        "block": (np.int64, (*pairs, 2)),
        "exponent": (np.int32, pairs),
        "sensitivity": (np.int64, (*slopes, 2)),
        "sensitivity_exponent": (np.int32, slopes),
        "rows": (np.int64, (pairs[0], n_rows)),
    }
    for name, (dtype, shape) in expected.items():
        array = getattr(part, name)
        if array is not None and (array.dtype != dtype or array.shape != shape):
            raise ValueError(
                f"{name} must be {np.dtype(dtype)} of shape {shape}, got {array.dtype} of shape {array.shape}"
            )


def add_wide(a: Integers, b: Integers) -> Integers:
    """Sum of two arrays of 128-bit integers."""
    total = a + b
    carry = total[..., 1] >> _LOW_BITS
    total[..., 0] += carry
    total[..., 1] -= carry << _LOW_BITS
    return total


def _as_float(wide: Integers, exponent: NDArray[np.int32]) -> Array:
    """Value 2^(exponent - 120) of 128-bit integers; correctly rounded but for the last bit."""
    e = exponent.astype(np.int64) - _BLOCK_BITS
    high = np.ldexp(wide[..., 0].astype(np.float64), e + _LOW_BITS)
    return np.asarray(high + np.ldexp(wide[..., 1].astype(np.float64), e))


def _finish_rows(part: PassSums, starts: Integers, *, in_place: bool) -> Array:
    """R from its integers; the own class from its D2 by k_ij = (k_ii + k_jj - D2_ij)/2. One row of (C, N) at a time."""
    assert part.rows is not None
    assert part.row_scales is not None
    scale = part.row_scales
    n = part.rows.shape[1]
    out = part.rows.view(np.float64) if in_place else np.empty(part.rows.shape)
    for c in range(len(part.rows)):
        own = slice(starts[c], starts[c + 1])
        integers = part.rows[c].astype(np.float64)
        distances = integers[own] / scale["row_within"][own]
        np.divide(integers, scale["row"][:n], out=out[c])
        out[c] /= scale["column"][c]
        size = starts[c + 1] - starts[c]
        out[c, own] = 0.5 * (size * scale["k"][own] + part.per_class["traces"][c] - distances)
    return out


@dataclass(frozen=True, eq=False)
class ClassSums:
    """Sums of a kernel over the pairs of each two classes.

    Attributes
    ----------
    block_sums : ndarray of shape (n_classes, n_classes)
        Sum over i in c, j in c' of k(x_i, x_j).
    traces : ndarray of shape (n_classes,)
        Sum over i in c of k(x_i, x_i).
    within : ndarray of shape (n_classes,)
        1/(2 n_c) sum over i, j in c of D2_ij, D2_ij = k_ii + k_jj - 2 k_ij: n_c times the variance V_c of class c in
        feature space, without cancellation where the kernel allows it.
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

    Notes
    -----
    `a + b` joins disjoint parts of one problem, exactly. Anything else is a ValueError: two halves of a data set lack the
    kernel between them, so that adding their sums would be silently wrong.
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

    @property
    def complete(self) -> bool:
        """Whether every part of the problem is in these sums; metrics need that."""
        return self.exact is None or len(self.exact.covered) == self.exact.parts

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
        """Write to one .npz file: every array, the exact integers, the kernel, and a checksum over all of them.

        The file is whole or not there; one that was there is kept until then.

        Raises
        ------
        TypeError
            If the labels are Python objects or the kernel is a callable: neither can be written without pickling.
        OSError
            If it cannot be written.
        ValueError
            If the path is that of a pipe, a device or a folder.
        """
        if self.labels.dtype.hasobject:
            raise TypeError("labels of Python objects cannot be saved; use strings or numbers")
        arrays: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("block_sums", "traces", "within", "sizes", "labels", "class_rows", "order")
            if getattr(self, name) is not None
        }
        arrays |= {f"error.{f.name}": getattr(self.error, f.name) for f in fields(SumsError)}
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
        with reading(name), Path(path).open("rb") as file:
            head, arrays = packed.unpack(file, _KIND, _FORMAT)
            exact = PassSums.restored(head, arrays) if "problem" in head else None
            plain = {k: a for k, a in arrays.items() if "." not in k}
            bounds = SumsError(**{f.name: arrays[f"error.{f.name}"] for f in fields(SumsError)})
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
        Whether the row sums may overwrite their integers.
    """
    n = sizes.astype(np.float64)
    block = _as_float(part.block, part.exponent)
    within = np.diag(block) / (2 * n)
    traces = part.per_class["traces"]
    block = np.triu(block, 1)
    block += block.T
    np.fill_diagonal(block, n * (traces - within))
    sensitivity = np.empty((0, 0))
    if part.sensitivity.size:
        sensitivity = _as_float(part.sensitivity, part.sensitivity_exponent)
        sensitivity = np.triu(sensitivity) + np.triu(sensitivity, 1).T
    quantum = np.ldexp(1.0, part.exponent.astype(np.int64) - _BLOCK_BITS)
    quantum = np.triu(quantum) + np.triu(quantum, 1).T
    error = sums_error(part.per_class, n, block, within, sensitivity, quantum, **part.settings)
    complete = len(part.covered) == part.parts
    rows = None
    if part.rows is not None and complete:
        starts = np.concatenate([[0], np.cumsum(sizes)])
        rows = _finish_rows(part, starts, in_place=in_place)
    keep = None if part.problem == "" else part
    if keep is not None and complete:
        keep = replace(keep, rows=None, row_scales=None)
    return ClassSums(block, traces, within, sizes, labels, error, kernel, rows, order, keep)
