"""The warnings of the package, which point at its caller."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

_PACKAGE = str(Path(__file__).parents[1])


class AccuracyWarning(UserWarning):
    """The error bound of a result is large, or the result is infinite."""


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning that points at the first caller outside the package."""
    depth, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(message, category, stacklevel=depth)
