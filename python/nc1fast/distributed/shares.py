"""Shares: the integers that some bundles add to the sums of a kernel, with row sums of the rows
they touch alone; finished ones in memory, and in a journal on disk.

The journal is a `nc1fast.support.journal.Journal`. Its head says which problem it is of; a record
has the sums of one bundle, or of many where they were added up.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.sums.pass_sums import add_wide, check_integers, check_parts, in_same_units
from nc1fast.support import packed
from nc1fast.support.journal import Journal
from nc1fast.support.reading import reading

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.sums.pass_sums import PassSums

    Integers = NDArray[np.int64]
    import os
    from collections.abc import Sequence

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


_KIND, _FORMAT = "bundles of a pass", 3
# Records are added up into one after these bytes, or after this many times the bytes of that one,
# whichever are more: a file holds its sums at most three times, or once and 64 MiB of records.
_REWRITE, _GROWTH = 1 << 26, 2


class Finished:
    """The exact sums of the finished bundles, one total per kernel.

    Parameters
    ----------
    nothing : sequence of PassSums
        Sums of no bundle, one per kernel; their rows are changed in place.
    bundles : int
        Number of bundles of the whole problem.
    """

    def __init__(self, nothing: Sequence[PassSums], bundles: int) -> None:
        self.bundles = bundles
        self.totals = [replace(total, parts=bundles, covered=frozenset()) for total in nothing]

    @property
    def covered(self) -> frozenset[int]:
        """Indices of the finished bundles."""
        return self.totals[0].covered

    def add(self, shares: Sequence[Share]) -> None:
        """Add the sums of more bundles.

        Raises
        ------
        ValueError
            If they are of another problem.
        """
        pairs = zip(shares, self.totals, strict=True)
        self.totals = [share.added_to(total) for share, total in pairs]

    def close(self) -> None:
        """Release what is held; in memory, nothing is."""


class BundleJournal(Finished):
    """Finished bundles that are on disk before they count; holds a lock on the file while open.

    Parameters
    ----------
    nothing, bundles
        As for `Finished`; a journal that is continued has its own number of bundles.
    path : path-like
        A journal that exists is continued.
    about : dict
        Entries that the journal must agree with: "shape", and others which tell the user what
        differs.

    Raises
    ------
    ValueError
        If the file is not a journal, is of another problem or version, has a head that this call
        would not have written, or is locked by another run. It is left as it is.
    OSError
        If the file cannot be read or made.

    Warns
    -----
    UserWarning
        If records are damaged: their bundles are computed again.
    """

    def __init__(
        self,
        nothing: Sequence[PassSums],
        bundles: int,
        path: str | os.PathLike[str],
        about: dict[str, Any],
    ) -> None:
        super().__init__(nothing, bundles)
        self._problems = [total.problem for total in nothing]
        head = {"kind": _KIND, "problems": self._problems, **about, "bundles": bundles}
        self._journal = Journal(path, head)
        self._kept = 0  # bytes of the record with the totals; not known of an earlier run
        self._added = 0  # bytes of the records since then
        try:
            with reading(str(self._journal.path), "journal"):
                self._check(json.loads(json.dumps(head)))
                for _, payload in self._journal.records():
                    self._read(payload)
        except BaseException:
            self._journal.close()
            raise

    def _check(self, written: dict[str, Any]) -> None:
        """Raise ValueError unless this call would have written the head of the journal; take over
        its number of bundles.
        """
        path, head = self._journal.path, self._journal.head
        bundles = head.get("bundles")
        written["bundles"] = bundles
        if differs := [name for name in {**written, **head} if head.get(name) != written.get(name)]:
            values = [
                f"{name}: {_listed(head.get(name))} there, {_listed(written.get(name))} here"
                for name in differs
                if name != "problems"
            ]
            what = "; ".join(values) or "X or y differs"
            raise ValueError(
                f"{path} is the journal of another problem ({what}): "
                "take another journal, or give the data and settings that it was begun with"
            )
        most = max(written["shape"][0], self.bundles)
        if type(bundles) is not int or not 0 < bundles <= most:
            raise ValueError(
                f"{path} says that there are {bundles!r} bundles, which must be 1 to {most}: "
                "take another journal"
            )
        super().__init__(self.totals, bundles)

    def _read(self, payload: bytes) -> None:
        """Add a record of the journal to the totals."""
        shares = decoded(payload)
        if [share.problem for share in shares] != self._problems:
            raise ValueError(f"{self._journal.path} has a record of another problem")
        self._added += len(payload)
        if not shares[0].covered & self.covered:
            super().add(shares)

    def add(self, shares: Sequence[Share]) -> None:
        """Record the sums of a bundle, then count them.

        Raises
        ------
        OSError
            If the disk is full: names the file, which keeps all earlier bundles.
        ValueError
            If they are of another problem: nothing is recorded.
        """
        if [share.problem for share in shares] != self._problems:
            raise ValueError("X has changed since the pass began: its file must stay as it is")
        payload = encoded(shares)
        self._journal.add(_key(shares), payload)
        super().add(shares)
        self._added += len(payload)
        if self._added > max(_REWRITE, _GROWTH * self._kept):
            self._add_up()

    def _add_up(self) -> None:
        """Replace all records by a single one with the totals."""
        shares = [Share.of(total) for total in self.totals]
        payload = encoded(shares)
        self._journal.replace([(_key(shares), payload)])
        self._kept, self._added = len(payload), 0

    def close(self) -> None:
        """Close the file and give its lock back."""
        self._journal.close()


def _listed(value: Any) -> str:
    """A value of a head in a message."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _key(shares: Sequence[Share]) -> str:
    """The key of a record: its first bundle, which no other record has."""
    return str(min(shares[0].covered))


def encoded(shares: Sequence[Share]) -> bytes:
    """The payload of a record: the shares of all kernels."""
    arrays: dict[str, Any] = {}
    fields = [{**vars(share), "covered": sorted(share.covered)} for share in shares]
    head = {"kind": _KIND, "format": _FORMAT, "shares": packed.split(fields, arrays)}
    return packed.packed(head, arrays)


def decoded(payload: bytes) -> list[Share]:
    """The shares of a record; `encoded` undone."""
    head, arrays = packed.unpack(io.BytesIO(payload), _KIND, _FORMAT)
    found = packed.joined(head["shares"], arrays)
    shares = [Share(**{**fields, "covered": frozenset(fields["covered"])}) for fields in found]
    if len({share.covered for share in shares}) != 1:
        raise ValueError("a record must be of the same bundles for each kernel")
    return shares
