"""Exact integer sums of a pass, which can be added, and the numbers that they stand for."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.sums.rounding import PairSums, TileRounding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Integers = NDArray[np.int64]

_LOW_BITS = 60  # of a wide integer
_BLOCK_BITS = 120  # block sums are multiples of 2^(exponent - 120)
_CHUNK = 1 << 17  # row sums turned into numbers at a time, those of a class at least: 1 MiB


@dataclass(frozen=True, eq=False)
class PassSums:
    """Exact integers of one kernel, over some of the pairs of rows of one problem.

    Attributes
    ----------
    problem : str
        Hash of X, y, kernel, dtype and instruction set, or "" where it was not requested.
    parts : int
        Parts of the problem (rectangles of sorted rows, see `nc1fast.sums.rectangles`), which cover
        every pair once.
    covered : frozenset of int
        The parts that are summed here.
    block : ndarray of int64 of shape (n_classes, n_classes, 2)
        Wide integers (see `add_wide`): on the diagonal sums of D2 over the ordered pairs of a
        class, above it sums of k.
    exponent : ndarray of int32 of shape (n_classes, n_classes)
        Block sums are multiples of 2^(exponent - 120).
    sensitivity, sensitivity_exponent
        The same of how far an error moves kernels with a root at rho = +-1; empty for others.
    per_class : dict of ndarray of shape (n_classes,)
        The sums named in `nc1fast.sums.rounding.PER_CLASS`.
    tiles : TileRounding
        How the values were rounded.
    rows : ndarray of int64 of shape (n_classes, n_samples), optional
        Row-class sums of the sorted rows.
    row_scales : dict of ndarray, optional
        What turns `rows` into numbers: "row", "row_within" and "k" by row, "column" by class.
    """

    problem: str
    parts: int
    covered: frozenset[int]
    block: Integers
    exponent: NDArray[np.int32]
    sensitivity: Integers
    sensitivity_exponent: NDArray[np.int32]
    per_class: dict[str, Array]
    tiles: TileRounding
    rows: Integers | None = None
    row_scales: dict[str, Array] | None = None

    def __add__(self, other: PassSums) -> PassSums:
        if (self.problem, self.parts) != (other.problem, other.parts):
            raise ValueError(
                "class sums of different problems cannot be added: cross terms would be missing"
            )
        if self.covered & other.covered:
            raise ValueError(f"class sums overlap in parts {sorted(self.covered & other.covered)}")
        if not in_same_units(self, other):
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
        """The fields as they are written without pickling: values for JSON, and arrays."""
        head = {
            "problem": self.problem,
            "parts": self.parts,
            "covered": sorted(self.covered),
            "settings": asdict(self.tiles),
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
        """The sums whose fields `stored` gave; other entries are ignored."""

        def group(prefix: str) -> dict[str, Any]:
            return {k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)}

        return cls(
            head["problem"],
            head["parts"],
            frozenset(head["covered"]),
            **group("exact."),
            per_class=group("per_class."),
            tiles=TileRounding(**head["settings"]),
            row_scales=group("row_scales.") or None,
        )

    @property
    def complete(self) -> bool:
        """Whether every part of the problem is covered."""
        return len(self.covered) == self.parts

    def pair_sums(self) -> PairSums:
        """Sums over the pairs of each two classes, as numbers: symmetric."""
        index = np.arange(len(self.exponent))
        lower = index[:, None] > index
        block = _as_float(self.block, self.exponent)
        quantum = np.ldexp(1.0, self.exponent.astype(np.int64) - _BLOCK_BITS)
        sensitivity = np.empty((0, 0))
        if self.sensitivity.size:
            sensitivity = _as_float(self.sensitivity, self.sensitivity_exponent)
            sensitivity = np.where(lower, sensitivity.T, sensitivity)
        return PairSums(
            np.where(lower, block.T, block), sensitivity, np.where(lower, quantum.T, quantum)
        )

    def row_sums(self, sizes: Integers, *, in_place: bool = False) -> Array | None:
        """Row-class sums R of the sorted rows, shape (n_classes, n_samples); None where there are
        none.

        Those of the own class are k_ij = (k_ii + k_jj - D2_ij)/2 summed over j.

        Parameters
        ----------
        sizes : ndarray of shape (n_classes,)
            Rows of each class.
        in_place : bool
            Whether R may overwrite its integers.
        """
        if self.rows is None or self.row_scales is None:
            return None
        out = self.rows.view(np.float64) if in_place else np.empty(self.rows.shape)
        n_classes, n = out.shape
        step = max(1, _CHUNK // n)
        for first in range(0, n_classes, step):
            self._to_numbers(out, sizes, first, min(first + step, n_classes))
        return out

    def _to_numbers(self, out: Array, sizes: Integers, first: int, last: int) -> None:
        """Write the row sums of classes [first, last), which may lie where their integers do."""
        assert self.rows is not None
        assert self.row_scales is not None
        scale, some = self.row_scales, slice(first, last)
        own = slice(int(sizes[:first].sum()), int(sizes[:last].sum()))  # rows of these classes
        integers = self.rows[some].astype(np.float64)
        np.divide(integers, scale["row"][: out.shape[1]], out=out[some])
        out[some] /= scale["column"][some, None]
        c, i = np.repeat(np.arange(first, last), sizes[some]), np.arange(own.start, own.stop)
        distances = integers[c - first, i] / scale["row_within"][own]
        values = scale["k"][own] * sizes[c] + self.per_class["traces"][c]
        out[c, i] = 0.5 * (values - distances)

    def check(self, n_classes: int, n_rows: int) -> None:
        """Raise ValueError unless the shapes and types are those of a pass over so many classes and
        rows.
        """
        check_parts(self.parts, self.covered)
        pairs = (n_classes, n_classes)
        check_integers(self, pairs, n_rows if self.rows is not None else 0)


def in_same_units(a: Any, b: Any) -> bool:
    """Whether the integers of two `PassSums`, or of what adds to them, are multiples of the same
    numbers, with rows or without.
    """
    return (
        np.array_equal(a.exponent, b.exponent)
        and np.array_equal(a.sensitivity_exponent, b.sensitivity_exponent)
        and (a.rows is None) == (b.rows is None)
    )


def check_parts(parts: Any, covered: Any) -> None:
    """Raise ValueError unless `covered` are some of the numbers of `parts` parts."""
    if not isinstance(parts, int) or isinstance(parts, bool) or parts < 1:
        raise ValueError(f"the number of parts must be a positive integer, got {parts!r}")
    if not covered or not all(type(index) is int and 0 <= index < parts for index in covered):
        raise ValueError(f"the parts covered must be some of {parts}")


def check_integers(part: Any, pairs: tuple[int, int], n_rows: int) -> None:
    """Raise ValueError for fields of a `PassSums`, or of a share of one, of a wrong shape or type.

    Parameters
    ----------
    part : PassSums or Share
    pairs : (n_classes, n_classes)
    n_rows : int
        Rows with row sums.
    """
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
                f"{name} must be {np.dtype(dtype)} of shape {shape}, "
                f"got {array.dtype} of shape {array.shape}"
            )


def add_wide(a: Integers, b: Integers) -> Integers:
    """Sum of two arrays of 128-bit integers (high, low), value = high 2^60 + low."""
    total = a + b
    carry = total[..., 1] >> _LOW_BITS
    total[..., 0] += carry
    total[..., 1] -= carry << _LOW_BITS
    return total


def _as_float(wide: Integers, exponent: NDArray[np.int32]) -> Array:
    """Value 2^(exponent - 120) of 128-bit integers; error at most one unit in the last place."""
    e = exponent.astype(np.int64) - _BLOCK_BITS
    high = np.ldexp(wide[..., 0].astype(np.float64), e + _LOW_BITS)
    return np.asarray(high + np.ldexp(wide[..., 1].astype(np.float64), e))
