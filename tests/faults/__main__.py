"""Every call of every scenario made to fail: ``python -m tests.faults MOST [NAME ...]`` in a
process with the shim preloaded.

A line of JSON for each scenario: calls that failed, and what was wrong with the outcome.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import io
import json
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.faults.scenarios import SCENARIOS, Reader, Writer

if TYPE_CHECKING:
    from collections.abc import Iterator

OPEN, WRITE, FSYNC, RENAME, TRUNCATE, READ, CLOSE = range(7)
ONCE, FOR_GOOD, SHORT, INTERRUPT = range(4)
_NEVER = 1 << 30
# What a writer meets: the kind of call, and how it fails.
TO_WRITERS = (
    *((WRITE, how, code) for how in (ONCE, FOR_GOOD) for code in (errno.ENOSPC, errno.EIO)),
    *((kind, ONCE, errno.EIO) for kind in (FSYNC, RENAME, TRUNCATE, CLOSE)),
    *((kind, ONCE, errno.ENOSPC) for kind in (OPEN, FSYNC)),
    *((WRITE, how, 0) for how in (SHORT, INTERRUPT)),
)
TO_READERS = (
    *((READ, how, errno.EIO) for how in (ONCE, FOR_GOOD)),
    *((READ, how, 0) for how in (SHORT, INTERRUPT)),
    (OPEN, ONCE, errno.EACCES),
)

_libc = ctypes.CDLL(None)


@contextlib.contextmanager
def armed(kind: int, k: int, how: int, code: int, word: str) -> Iterator[None]:
    """The k-th call fails."""
    _libc.fault_arm(kind, k, how, code, word.encode())
    try:
        yield
    finally:
        _libc.fault_arm(-1, 0, 0, 0, b"")


def _counted(kind: int, word: str, act: Any, folder: Path) -> int:
    """Calls of a kind in a run without a fault."""
    _libc.fault_arm(kind, _NEVER, ONCE, 0, word.encode())
    act(folder)
    found = int(_libc.fault_calls())
    _libc.fault_arm(-1, 0, 0, 0, b"")
    return found


def _places(n: int, most: int) -> list[int]:
    """Calls of one kind that fail in turn, spread over those there are."""
    return sorted({k * (n - 1) // max(1, min(n, most) - 1) for k in range(min(n, most))})


@contextlib.contextmanager
def _folder(before: Any) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="nc1fast-faults-") as name:
        before(Path(name))
        yield Path(name)


def _told(error: OSError, code: int, folder: Path) -> str:
    """What is wrong with an error of the system; "" if nothing is."""
    told = str(error)
    if str(folder) not in told or "\n" in told:
        return f"unclear: {told!r}"
    return (
        ""
        if error.errno in (code, errno.EIO, None)
        else f"errno {error.errno} for {code}: {told!r}"
    )


def writer(one: Writer, most: int) -> dict[str, Any]:
    """Outcomes of a writer: its files are those of before or of after, and going on gives what is
    expected.
    """
    with _folder(one.before) as folder:
        old = None if one.state is one.act else one.state(folder)
    with _folder(one.before) as folder:
        one.act(folder)
        names = sorted(path.name for path in folder.iterdir())
        new = one.state(folder)
    struck, wrong = 0, []
    for kind, how, code in TO_WRITERS:
        with _folder(one.before) as folder:
            n_calls = _counted(kind, f"{folder}/{one.word}", one.act, folder)
        for k in _places(n_calls, most):
            with _folder(one.before) as folder:
                where = f"call {k} of kind {kind}, how {how}, {errno.errorcode.get(code, '')}"
                problem, failed = "", False
                try:
                    with armed(kind, k, how, code, f"{folder}/{one.word}"):
                        one.act(folder)
                except OSError as error:
                    failed, problem = True, _told(error, code, folder)
                except Exception as error:  # noqa: BLE001  (it is counted)
                    failed, problem = True, f"{type(error).__name__}: {error}"
                struck += 1
                if failed and how in (SHORT, INTERRUPT):
                    problem = problem or "failed where nothing was lost"
                if not problem:
                    problem = _state(one, folder, names, (old, new), failed=failed)
                if problem:
                    wrong.append(f"{where}: {problem[:400]}")
    return {"struck": struck, "wrong": wrong}


def _left(folder: Path, names: list[str]) -> set[str]:
    """Names that a run without a fault does not leave; SQLite goes on from its -wal."""
    found = {path.name for path in folder.iterdir()}
    return found - set(names) - {f"{name}-wal" for name in names}


def _state(one: Writer, folder: Path, names: list[str], expected: Any, *, failed: bool) -> str:
    """What is wrong with what a writer has left."""
    old, new = expected
    if _left(folder, names):
        # Until then CPython 3.12 and 3.13 keep the frames of errors that contextlib has passed on.
        gc.collect()
    if left := _left(folder, names):
        return f"left behind: {sorted(left)}"
    try:
        found = one.state(folder)
        if isinstance(new, tuple):
            whole = all(
                one in pair for one, pair in zip(found, zip(old, new, strict=True), strict=True)
            )
        else:
            whole = found in (old, new)
        if not whole or (not failed and found != new):
            return f"neither old nor new: {found!r}"
        if one.word:
            return ""
        one.act(folder)
        return "" if one.state(folder) == new else "another run does not mend it"
    except Exception as error:  # noqa: BLE001
        return f"cannot be read: {type(error).__name__}: {error}"


def reader(one: Reader, most: int) -> dict[str, Any]:
    """Outcomes of a reader: an error that names the file, or all bits."""
    struck, wrong = 0, []
    with _folder(one.before) as folder:
        expected = one.act(folder)
        for kind, how, code in TO_READERS:
            n_calls = _counted(kind, str(folder), one.act, folder)
            for k in _places(n_calls, most):
                problem, found = "", None
                try:
                    with armed(kind, k, how, code, str(folder)):
                        found = one.act(folder)
                except OSError as error:
                    problem = _told(error, code, folder)
                except Exception as error:  # noqa: BLE001
                    problem = f"{type(error).__name__}: {error}"
                else:
                    problem = "" if found == expected else "other bits"
                struck += 1
                if found is None and how in (SHORT, INTERRUPT):
                    problem = problem or "failed where nothing was lost"
                if problem:
                    wrong.append(f"call {k} of kind {kind}, how {how}: {problem[:400]}")
    return {"struck": struck, "wrong": wrong}


def main(most: int, names: list[str]) -> None:
    """Run it."""
    warnings.simplefilter("ignore")
    for name in names or SCENARIOS:
        one = SCENARIOS[name]
        with contextlib.redirect_stdout(io.StringIO()):
            found = writer(one, most) if isinstance(one, Writer) else reader(one, most)
        print(json.dumps({"name": name, **found}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
