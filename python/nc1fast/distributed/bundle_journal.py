"""The exact sums of finished bundles, in memory and in a journal on disk.

The journal is a text file (see `nc1fast.support.line_file`). Its first line says which problem it
is of; every other line is a checksum and the sums of one bundle, or of many where the file was
rewritten. A record counts once it is on disk; one that is cut short or damaged does not count, and
its bundle is computed again.
"""

from __future__ import annotations

import base64
import io
import json
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nc1fast.distributed.shares import Share
from nc1fast.support import packed
from nc1fast.support.checksums import checksum
from nc1fast.support.line_file import LineFile
from nc1fast.support.reading import reading

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from nc1fast.sums.pass_sums import PassSums

_KIND, _FORMAT = "nc1fast journal", 2
_MAGIC = f"{_KIND} {_FORMAT} ".encode()
# Records are added up into one after these bytes, or after this many times the bytes of that one,
# whichever are more: a file holds its sums at most three times, or once and 64 MiB of records.
_REWRITE, _GROWTH = 1 << 26, 2
_DIGITS = len(checksum())


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
        If the file is not a journal, is of another problem or format, has a first line that this
        call would not have written, or is locked by another run. It is left as it is.
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
        self._about = {"problems": [total.problem for total in nothing], **about}
        self._file = LineFile(path)
        self._kept = 0  # its bytes when it was rewritten last; not known of an earlier run
        try:
            with reading(str(self._file.path), "journal"):
                self._read()
        except BaseException:
            self._file.close()
            raise

    def _read(self) -> None:
        """Add the records of the file to the totals, and begin a file that is empty."""
        start = self._file.start(len(_MAGIC))
        if start[: len(_KIND)] == _KIND.encode() and not start.startswith(_MAGIC[: len(start)]):
            raise ValueError(
                f"{self._file.path} is the journal of another version of nc1fast, which has another format than "
                f"{_FORMAT}: take another journal"
            )
        if not start.startswith(_MAGIC[: len(start)]):
            raise ValueError(f"{self._file.path} is not a journal of nc1fast")
        n_damaged = 0
        lines = self._file.lines()
        first = next(lines, None)
        if first is not None:
            self._check(first)
            for line in lines:
                payload = _unsealed(line)
                if payload is None:
                    n_damaged += 1
                    continue
                shares = _decoded(payload)
                if [share.problem for share in shares] != self._about["problems"]:
                    raise ValueError(f"{self._file.path} has a record of another problem")
                if not shares[0].covered & self.covered:
                    super().add(shares)
        if self._file.size == 0:
            self._file.append(self._first_line())
        if n_damaged:
            warnings.warn(
                f"{self._file.path}: {n_damaged} damaged records are dropped, their bundles are done again",
                UserWarning,
                stacklevel=2,
            )
            self._rewrite()

    def _check(self, first: bytes) -> None:
        """Raise ValueError unless this call would have written the first line; take over its number
        of bundles.
        """
        payload = _unsealed(first.removeprefix(_MAGIC))
        if payload is None:
            raise ValueError(f"{self._file.path} is damaged in its first line: it cannot be used")
        head = json.loads(payload)
        written = json.loads(self._head(head.get("bundles")))  # by this very call
        if differs := [name for name in {**written, **head} if head.get(name) != written.get(name)]:
            told = [
                f"{name}: {_shown(head.get(name))} there, {_shown(self._about.get(name))} here"
                for name in differs
                if name != "problems"
            ]
            what = "; ".join(told) or "X or y differs"
            raise ValueError(
                f"{self._file.path} is the journal of another problem ({what}): "
                "take another journal, or give the data and settings that it was begun with"
            )
        bundles, most = head["bundles"], max(self._about["shape"][0], self.bundles)
        if type(bundles) is not int or not 0 < bundles <= most:
            raise ValueError(
                f"{self._file.path} says that there are {bundles!r} bundles, which must be 1 to {most}: "
                "take another journal"
            )
        super().__init__(self.totals, bundles)

    def _head(self, bundles: Any) -> str:
        """The content of the first line, as JSON."""
        return json.dumps({**self._about, "bundles": bundles})

    def _first_line(self) -> bytes:
        """The first line, with format and checksum."""
        return _MAGIC + _sealed(self._head(self.bundles).encode())

    def add(self, shares: Sequence[Share]) -> None:
        """Record the sums of a bundle, then count them.

        Raises
        ------
        OSError
            If the disk is full: names the file, which keeps all earlier bundles.
        ValueError
            If they are of another problem: nothing is recorded.
        """
        before = [total.problem for total in self.totals]
        if [share.problem for share in shares] != before:
            raise ValueError("X has changed since the pass began: its file must stay as it is")
        self._file.append(_sealed(_encoded(shares)))
        super().add(shares)
        if self._file.size - self._kept > max(_REWRITE, _GROWTH * self._kept):
            self._rewrite()

    def _rewrite(self) -> None:
        """Replace all records by a single one with the totals."""
        shares = [Share.of(total) for total in self.totals]
        records = [_sealed(_encoded(shares))] if self.covered else []
        self._file.replace(iter([self._first_line(), *records]))
        self._kept = self._file.size

    def close(self) -> None:
        """Close the file and give its lock back."""
        self._file.close()


def _shown(value: Any) -> str:
    """A value of the first line in a message."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _sealed(payload: bytes) -> bytes:
    """A line: checksum and payload."""
    return checksum(payload).encode() + b" " + payload


def _unsealed(line: bytes) -> bytes | None:
    """The payload of a line, or None where the checksum does not match it."""
    payload = line[_DIGITS + 1 :]
    return payload if _sealed(payload) == line else None


def _encoded(shares: Sequence[Share]) -> bytes:
    """The shares of all kernels in one record, as text."""
    heads: list[dict[str, Any]] = []
    arrays: dict[str, Any] = {}
    for k, share in enumerate(shares):
        head, own = share.stored()
        heads.append(head)
        arrays |= {f"{k}/{name}": array for name, array in own.items()}
    head = {"kind": _KIND, "format": _FORMAT, "shares": heads}
    return base64.b64encode(packed.packed(head, arrays))


def _decoded(payload: bytes) -> list[Share]:
    """The shares of a record; `_encoded` undone."""
    head, arrays = packed.unpack(io.BytesIO(base64.b64decode(payload)), _KIND, _FORMAT)
    shares = [
        Share.restored(
            one, {n.partition("/")[2]: a for n, a in arrays.items() if n.startswith(f"{k}/")}
        )
        for k, one in enumerate(head["shares"])
    ]
    if len({share.covered for share in shares}) != 1:
        raise ValueError("a record must be of the same bundles for each kernel")
    return shares
