"""Shares: the integers that some bundles add to the sums of a kernel, with row sums of the rows
they touch alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.sums.pass_sums import add_wide, check_integers, check_parts, in_same_units

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nc1fast.sums.pass_sums import PassSums

    Integers = NDArray[np.int64]

_GAP = 256  # rows without a sum that do not end a span


@dataclass(frozen=True, eq=False)
class Share:
    """The integers of some bundles, small enough to be sent and recorded.

    Attributes
    ----------
    problem : str
        Hash of the problem.
    covered : frozenset of int
        Indices of the bundles.
    block, sensitivity : ndarray of int64 of shape (n_classes, n_classes, 2)
    exponent, sensitivity_exponent : ndarray of int32 of shape (n_classes, n_classes)
    spans : ndarray of int64 of shape (n_spans, 2)
        Ranges [begin, end) of the sorted rows whose sums are in `rows`; all other row sums are 0.
    rows : ndarray of int64 of shape (n_classes, rows of all spans), or None
    """

    problem: str
    covered: frozenset[int]
    block: Integers
    exponent: NDArray[np.int32]
    sensitivity: Integers
    sensitivity_exponent: NDArray[np.int32]
    spans: Integers
    rows: Integers | None

    @classmethod
    def of(cls, part: PassSums) -> Share:
        """Keep of the sums of a bundle what other bundles do not have."""
        spans, rows = np.empty((0, 2), dtype=np.int64), None
        if part.rows is not None:
            spans = _spans((part.rows != 0).any(axis=0))
            rows = np.concatenate(
                [part.rows[:, begin:end] for begin, end in spans] or [part.rows[:, :0]], axis=1
            )
        return cls(
            problem=part.problem,
            covered=part.covered,
            block=part.block,
            exponent=part.exponent,
            sensitivity=part.sensitivity,
            sensitivity_exponent=part.sensitivity_exponent,
            spans=spans,
            rows=rows,
        )

    def added_to(self, total: PassSums) -> PassSums:
        """The sums of `total` and these bundles; the row sums of `total` are changed in place.

        Raises
        ------
        ValueError
            If the share is of another problem, or has bundles that are in `total`.
        """
        if self.problem != total.problem:
            raise ValueError("X has changed since the pass began: its file must stay as it is")
        self._check(total)
        if self.covered & total.covered:
            raise ValueError(f"bundles {sorted(self.covered & total.covered)} are there twice")
        if not in_same_units(self, total):
            raise ValueError("bundles of one problem must have the same exponents and statistics")
        if self.rows is not None and total.rows is not None:
            at = 0
            for begin, end in self.spans:
                total.rows[:, begin:end] += self.rows[:, at : at + end - begin]
                at += end - begin
        return replace(
            total,
            covered=total.covered | self.covered,
            block=add_wide(total.block, self.block),
            sensitivity=add_wide(total.sensitivity, self.sensitivity),
        )

    def _check(self, total: PassSums) -> None:
        """Raise ValueError unless the share has the shapes of bundles of `total`."""
        check_parts(total.parts, self.covered)
        begins, ends = self.spans.T if self.spans.ndim == 2 else (self.spans, self.spans)
        n_rows = 0 if total.rows is None else total.rows.shape[1]
        bounds = np.column_stack([begins, ends]).ravel()
        if self.spans.dtype != np.int64 or (np.diff(bounds, prepend=0, append=n_rows) < 0).any():
            raise ValueError(f"spans of rows must ascend within the {n_rows} rows of the problem")
        check_integers(self, total.exponent.shape, int((ends - begins).sum()))

    def stored(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Values that JSON can hold, and named arrays."""
        arrays = {
            name: getattr(self, name)
            for name in (
                "block",
                "exponent",
                "sensitivity",
                "sensitivity_exponent",
                "spans",
                "rows",
            )
            if getattr(self, name) is not None
        }
        return {"problem": self.problem, "covered": sorted(self.covered)}, arrays

    @classmethod
    def restored(cls, head: Mapping[str, Any], arrays: Mapping[str, Any]) -> Share:
        """The share that `stored` took apart; `added_to` checks it."""
        return cls(head["problem"], frozenset(head["covered"]), **{"rows": None, **arrays})


def _spans(used: NDArray[np.bool_]) -> Integers:
    """The fewest ranges [begin, end), shape (n, 2), that hold every True and no gap of more than
    `_GAP` rows.
    """
    at = np.flatnonzero(used)
    if not len(at):
        return np.empty((0, 2), dtype=np.int64)
    cuts = np.flatnonzero(np.diff(at) > _GAP)
    begins = at[np.concatenate([[0], cuts + 1])]
    ends = at[np.concatenate([cuts, [len(at) - 1]])] + 1
    return np.stack([begins, ends], axis=1).astype(np.int64, copy=False)
