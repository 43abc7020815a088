"""Changes of files: noticed by size, time and inode."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nc1fast.support.reading import prefix, shown

if TYPE_CHECKING:
    from collections.abc import Iterator


def state_of(path: str | os.PathLike[str]) -> tuple[Any, ...]:
    """Size in bytes, time of the last change in ns, and inode; for a folder, those of every file in
    it.

    Raises
    ------
    OSError
        If it is gone.
    """
    if not Path(path).is_dir():
        return _state(os.stat(path))  # noqa: PTH116
    found = []
    for folder, _, names in os.walk(path):
        found += [
            (entry, *_state(os.stat(entry)))  # noqa: PTH116
            for entry in (os.path.join(folder, name) for name in names)  # noqa: PTH118
        ]
    return tuple(sorted(found))


def _state(found: os.stat_result) -> tuple[int, int, int]:
    """Size, time of the last change and inode of one file."""
    return found.st_size, found.st_mtime_ns, found.st_ino


def bytes_in(path: str | os.PathLike[str]) -> int:
    """Bytes of a file, or of all files in a folder."""
    state = state_of(path)
    return sum(entry[1] for entry in state) if Path(path).is_dir() else int(state[0])


@contextlib.contextmanager
def unchanged(path: str | os.PathLike[str], argument: str = "") -> Iterator[None]:
    """Raise ValueError if a file, or one in a folder, has changed by the end of the context."""
    before = state_of(path)
    yield
    if state_of(path) != before:
        raise ValueError(
            f"{prefix(argument)}{shown(path)}: has changed while it was read, it must stay as it is"
        )
