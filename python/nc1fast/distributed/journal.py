"""Finished bundles: exact sums, and their journal.

A journal is a text file. Its first line says of which problem it is; every other line is a checksum and the sums of one
bundle (or of many, where the file was rewritten). A record counts when it is on disk; one that is cut short or damaged
does not, and its bundle is done again.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast._journal import LineFile
from nc1fast.sums import PassSums

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

_MAGIC = b"nc1fast journal 1 "
_REWRITE = 1 << 30  # bytes of records that are added up into one
_DIGEST = 16


class Finished:
    """Exact sums of the bundles so far, one per kernel.

    Attributes
    ----------
    bundles : int
        Of the whole problem.
    totals : list of PassSums
        Empty at first.
    """

    def __init__(self, bundles: int) -> None:
        self.bundles = bundles
        self.totals: list[PassSums] = []

    @property
    def covered(self) -> frozenset[int]:
        """Bundles that are in the totals."""
        return self.totals[0].covered if self.totals else frozenset()

    def add(self, sums: Sequence[PassSums]) -> None:
        """Add the sums of more bundles.

        Raises
        ------
        ValueError
            If they are of another problem than those before.
        """
        _same([part.problem for part in sums], [total.problem for total in self.totals])
        pairs = zip(self.totals, sums, strict=True)
        self.totals = [total + part for total, part in pairs] if self.totals else list(sums)

    def close(self) -> None:
        """Nothing is open."""


class Journal(Finished):
    """The same, on disk before it counts; holds a lock on the file while open.

    Parameters
    ----------
    path : path-like
        Continued where it is there.
    problem : dict
        What must be the same: "problems", the hashes of the kernels' problems, and "statistics"; the other entries say
        what differs.
    bundles : int
        For a new journal; one that is continued has its own number.

    Raises
    ------
    ValueError
        If the file is no journal, is of another problem, or is held by another run. It is left as it is.
    OSError
        If the file cannot be read or made.

    Warns
    -----
    UserWarning
        If records are damaged: their bundles are done again.
    """

    def __init__(self, path: str | os.PathLike[str], problem: dict[str, Any], bundles: int) -> None:
        super().__init__(bundles)
        self._file = LineFile(path)
        try:
            self._read(problem)
        except BaseException:
            self._file.close()
            raise

    def _read(self, problem: dict[str, Any]) -> None:
        start = self._file.start(len(_MAGIC))
        if not start.startswith(_MAGIC[: len(start)]):
            raise ValueError(f"{self._file.path} is not a journal of nc1fast")
        n_damaged = 0
        self._head = {**problem, "bundles": self.bundles}
        lines = self._file.lines()
        first = next(lines, None)
        if first is not None:
            self._check(first, problem)
            for line in lines:
                payload = _unsealed(line)
                if payload is None:
                    n_damaged += 1
                    continue
                sums = _decoded(payload)
                if not sums[0].covered & self.covered:
                    super().add(sums)
        if self._file.size == 0:
            self._file.append(self._first_line())
        if n_damaged:
            warnings.warn(
                f"{self._file.path}: {n_damaged} damaged records are dropped, their bundles are done again",
                UserWarning,
                stacklevel=2,
            )
            self._rewrite()
        self._kept = self._file.size

    def _check(self, first: bytes, problem: dict[str, Any]) -> None:
        payload = _unsealed(first.removeprefix(_MAGIC))
        if payload is None:
            raise ValueError(f"{self._file.path} is damaged in its first line: it cannot be used")
        head = json.loads(payload)
        if any(head[name] != problem[name] for name in ("problems", "statistics")):
            told = [
                name for name in problem if name != "problems" and head.get(name) != problem[name]
            ]
            what = ", ".join(told) or "X or y"
            raise ValueError(
                f"{self._file.path} is the journal of another problem ({what} differs): "
                "take another journal, or give the data and settings that it was begun with"
            )
        self.bundles = self._head["bundles"] = head["bundles"]

    def _first_line(self) -> bytes:
        return _MAGIC + _sealed(json.dumps(self._head).encode())

    def add(self, sums: Sequence[PassSums]) -> None:
        """Record the sums of a bundle, then count them.

        Raises
        ------
        OSError
            If the disk is full: names the file, which keeps all earlier bundles.
        ValueError
            If they are of another problem: nothing is recorded.
        """
        _same([part.problem for part in sums], self._head["problems"])
        self._file.append(_sealed(_encoded(sums)))
        super().add(sums)
        if self._file.size - self._kept > _REWRITE:
            self._rewrite()

    def _rewrite(self) -> None:
        records = [_sealed(_encoded(self.totals))] if self.totals else []
        self._file.replace(iter([self._first_line(), *records]))
        self._kept = self._file.size

    def close(self) -> None:
        """Close the file and give its lock back."""
        self._file.close()


def _same(problems: list[str], expected: list[str]) -> None:
    if expected and problems != expected:
        raise ValueError("X has changed since the pass began: its file must stay as it is")


def _sealed(payload: bytes) -> bytes:
    """Checksum and payload."""
    return hashlib.blake2b(payload, digest_size=_DIGEST).hexdigest().encode() + b" " + payload


def _unsealed(line: bytes) -> bytes | None:
    """The payload, or None where the checksum is not its."""
    payload = line[2 * _DIGEST + 1 :]
    return payload if _sealed(payload) == line else None


def _encoded(sums: Sequence[PassSums]) -> bytes:
    heads: list[dict[str, Any]] = []
    arrays: dict[str, Any] = {}
    for k, part in enumerate(sums):
        head, own = part.stored()
        heads.append(head)
        arrays |= {f"{k}/{name}": array for name, array in own.items()}
    file = io.BytesIO()
    np.savez(file, head=np.array(json.dumps(heads)), **arrays)
    return base64.b64encode(file.getbuffer())


def _decoded(payload: bytes) -> list[PassSums]:
    with np.load(io.BytesIO(base64.b64decode(payload)), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    heads = json.loads(str(arrays.pop("head")))
    return [
        PassSums.restored(
            head, {n.partition("/")[2]: a for n, a in arrays.items() if n.startswith(f"{k}/")}
        )
        for k, head in enumerate(heads)
    ]
