"""Paths at every door: functions of rows take those of files of any kind, by one decorator,
`reads_files`.

What a path stands for is decided in `datasets.files`, which is imported when one is given.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from nc1fast.inputs.files import as_source, guarded, read_labels

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


def is_path(argument: Any) -> bool:
    """Whether an argument is a path, or the name of a part of a file."""
    return isinstance(argument, str | os.PathLike)


def labelled(X: Any, y: Any) -> tuple[Any, Any]:
    """X and y as `inputs.labelled.LabelledData` takes them, of which each may be a path; see
    `datasets.files.resolved`.
    """
    if not (is_path(X) or is_path(y)):
        return X, y
    if isinstance(y, str) and y in getattr(X, "columns", ()):
        raise ValueError(
            "y must be the labels or a path where X is no path: give the column, "
            f"X[{y!r}], and X without it"
        )
    from nc1fast.datasets.files import resolved

    return resolved(X, y)


def rows_at_path(X: Any, name: str = "X", *, without: str | None = None) -> Any:
    """Rows of a path, which stay in their file where they can; anything else as it is.

    Parameters
    ----------
    X : path or anything
        As of `nc1fast.datasets.load`; labels that its file has are none of the rows.
    name : str
        The argument, for errors.
    without : str, optional
        A column that is none of the rows, either.
    """
    if not is_path(X):
        return X
    from nc1fast.datasets.files import rows_of

    return as_source(rows_of(X, name, without), name)


def reads_files(
    *rows: str, labels: str = "", in_memory: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorator of functions of rows: arguments of these names may be paths of files of any kind,
    which must stay as they are.

    Parameters
    ----------
    *rows : str
        Arguments that are rows, the one that labels belong to first. The function gets `FileRows`
        or an array for a path.
    labels : str
        The argument that is labels or targets. Where the first rows are a path, it may be a part of
        their file, or None for the usual one, as of `nc1fast.datasets.load`; the function gets an
        array.
    in_memory : bool
        Whether the function gets arrays alone for paths.

    Notes
    -----
    Cost: about a microsecond a call, if there is no path.
    """

    def decorated(function: Callable[P, R]) -> Callable[P, R]:
        code = function.__code__
        places, watched = code.co_varnames[: code.co_argcount], (*rows, labels)

        @functools.wraps(function)
        def called(*arguments: P.args, **named: P.kwargs) -> R:
            given: dict[str, Any] = {**dict(zip(places, arguments, strict=False)), **named}
            data = {name: given.get(name) for name in watched}
            if in_memory and not any(map(is_path, data.values())):
                return function(*arguments, **named)
            with guarded(data):
                found = _read(data, rows, labels, in_memory=in_memory)
                read = [found.pop(p, a) for p, a in zip(places, arguments, strict=False)]
                return function(*read, **{**named, **found})

        return called

    return decorated


def _read(
    data: dict[str, Any], rows: tuple[str, ...], labels: str, *, in_memory: bool
) -> dict[str, Any]:
    """Rows and labels that are read for the arguments that are paths, by name."""
    found: dict[str, Any] = {}
    y, part = data.get(labels), None
    if labels and (is_path(data[rows[0]]) or is_path(y)):
        from nc1fast.datasets.files import part_named, resolved

        X, y = resolved(data[rows[0]], y, rows[0], checked=False)
        found[rows[0]] = as_source(X, rows[0]) if is_path(X) else X
        found[labels] = read_labels(y, labels)
        part = part_named(data[labels])
    for name in rows:
        if name not in found and is_path(data[name]):
            found[name] = rows_at_path(data[name], name, without=part)
        if in_memory and is_path(data[name]):
            found[name] = found[name][:]
    return found
