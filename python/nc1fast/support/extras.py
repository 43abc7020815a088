"""Optional dependencies: imported where they are used, and named where they are missing."""

from __future__ import annotations

import importlib
from typing import Any


def require(module: str, extra: str) -> Any:
    """Import an optional module.

    Parameters
    ----------
    module : str
        Its import name, for example `"matplotlib.figure"`.
    extra : str
        The extra of nc1fast that installs it, for example `"study"`.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        If its top-level package is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise ImportError(
            f"{error.name} is not installed; it comes with the {extra!r} extra: "
            f"pip install 'nc1fast[{extra}]'"
        ) from error
