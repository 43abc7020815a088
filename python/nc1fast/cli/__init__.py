"""The command `nc1fast`: every error becomes one line on stderr and an exit code.

Exit codes: 0 success, 1 a study, solver or self-test failed, 2 a mistake in the call or in the
data, 130 interrupted.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from typing import Any

from nc1fast.cuda import DeviceError
from nc1fast.support.reading import one_line

USER_ERROR = 2
# Arguments of Python that an error asks for, which are options here: "give labels=, an array or a
# path".
_KEYWORD = re.compile(r"\b(labels|keys)=([A-Z]*)(?=[,:]|$)")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; ends in SystemExit.

    Parameters
    ----------
    arguments : list of str, optional
        Default: those of the process. With NC1FAST_TRACEBACK=1 in the environment errors keep
        their traceback.
    """
    if arguments is None:
        arguments = sys.argv[1:]
    try:
        from nc1fast.cli.app import run

        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code = run(arguments or ["--help"])
        sys.exit(code)
    except KeyboardInterrupt:
        _fail(
            "interrupted; a study goes on with --resume, a training with its --checkpoint, a "
            "collapse with its --journal",
            130,
        )
    except (ValueError, TypeError, OSError, ImportError, MemoryError, DeviceError) as error:
        if os.environ.get("NC1FAST_TRACEBACK"):
            raise
        _fail(_one_line(error), USER_ERROR)


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return _KEYWORD.sub(lambda found: f"--{found[1]} {found[2]}".rstrip(), one_line(error))


def _fail(message: str, code: int) -> None:
    print(f"nc1fast: {message}", file=sys.stderr)
    sys.exit(code)


def _show_warning(message: Any, *_: Any, **__: Any) -> None:
    print(f"nc1fast: warning: {message}", file=sys.stderr)
