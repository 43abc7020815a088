"""`merge`: add up parts of a problem that were computed and saved separately."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING

from nc1fast.sums.class_sums import ClassSums
from nc1fast.support.arguments import shown
from nc1fast.support.arithmetic import ieee
from nc1fast.support.reading import reading

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAMED = 10  # missing parts that a message names


@ieee
def merge(paths: Iterable[str | os.PathLike[str]]) -> ClassSums:
    """Add the parts of one problem from their files.

    Parameters
    ----------
    paths : iterable of path-like
        Files written by `ClassSums.save` or `nc1fast shard`, in any order.

    Returns
    -------
    ClassSums
        Complete, and bit-identical to a single pass.

    Raises
    ------
    TypeError
        If `paths` is a single path.
    OSError
        If a file cannot be read.
    ValueError
        If there are no files; if one is damaged, holds no part, is of another problem, or repeats a
        part; if parts are missing, which the message names.

    Notes
    -----
    Cost: one reading of each file. Memory: the sums of two parts.
    """
    total: ClassSums | None = None
    origin: dict[int, Path] = {}
    if isinstance(paths, str | os.PathLike):
        raise TypeError(f"paths must be a sequence of paths, got {shown(paths)}")
    for path in map(Path, paths):
        part = ClassSums.load(path)
        if part.exact is None:
            raise ValueError(f"{path} holds no part of a problem: nothing can be added to it")
        if total is not None and (differs := _difference(part, total)):
            first = next(iter(origin.values()))
            raise ValueError(f"{path} cannot be added to {first}: {differs}")
        for index in part.exact.covered & origin.keys():
            raise ValueError(f"{path} has part {index}, which {origin[index]} has already")
        with reading(str(path)):
            total = part if total is None else total + part
        origin |= dict.fromkeys(part.exact.covered, path)
    if total is None or total.exact is None:
        raise ValueError("there is no file to merge")
    parts, covered = total.exact.parts, total.exact.covered
    if n_missing := parts - len(covered):
        missing = (index for index in range(parts) if index not in covered)
        named = ", ".join(map(str, itertools.islice(missing, _NAMED)))
        named += ", ..." if n_missing > _NAMED else ""
        raise ValueError(f"{n_missing} of {parts} parts are missing: {named}")
    return total


def _difference(part: ClassSums, total: ClassSums) -> str:
    """Why two parts cannot be added; "" if they can."""
    a, b = part.exact, total.exact
    assert a is not None
    assert b is not None
    if a.parts != b.parts:
        return f"it is one of {a.parts} parts, not of {b.parts}"
    if repr(part.kernel) != repr(total.kernel):
        return f"its kernel is {part.kernel!r}, not {total.kernel!r}"
    if (a.rows is None) != (b.rows is None) and len(b.covered) < b.parts:
        return "one has the row sums of statistics='all', the other has not"
    if a.problem != b.problem:
        return "it is of another problem: data, dtype or instruction set differ"
    return ""
