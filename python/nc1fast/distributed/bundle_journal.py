"""The exact sums of finished bundles, in memory and in a journal on disk.

The journal is a `nc1fast.support.journal.Journal`. Its head says which problem it is of; a record
has the sums of one bundle, or of many where they were added up.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nc1fast.distributed.shares import Share
from nc1fast.support import packed
from nc1fast.support.journal import Journal
from nc1fast.support.reading import reading

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from nc1fast.sums.pass_sums import PassSums

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
    heads: list[dict[str, Any]] = []
    arrays: dict[str, Any] = {}
    for k, share in enumerate(shares):
        head, own = share.stored()
        heads.append(head)
        arrays |= {f"{k}/{name}": array for name, array in own.items()}
    return packed.packed({"kind": _KIND, "format": _FORMAT, "shares": heads}, arrays)


def decoded(payload: bytes) -> list[Share]:
    """The shares of a record; `encoded` undone."""
    head, arrays = packed.unpack(io.BytesIO(payload), _KIND, _FORMAT)
    shares = [
        Share.restored(
            one, {n.partition("/")[2]: a for n, a in arrays.items() if n.startswith(f"{k}/")}
        )
        for k, one in enumerate(head["shares"])
    ]
    if len({share.covered for share in shares}) != 1:
        raise ValueError("a record must be of the same bundles for each kernel")
    return shares
