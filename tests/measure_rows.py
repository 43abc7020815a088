"""Rows of the table of an experiment, written by hand."""

from __future__ import annotations

import math
from typing import Any

from nc1fast.studies import measures


def row(
    value: float,
    quantity: str = "q",
    thing: str = "t",
    *,
    part: str = "p",
    repeat: int = 0,
    error: float = math.nan,
    at: str = "",
    **setting: Any,
) -> dict[str, Any]:
    """One row; its setting is the text `at`, or made of the further keywords."""
    return {
        "part": part,
        "thing": thing,
        "setting": at or measures.written(setting),
        "quantity": quantity,
        "repeat": repeat,
        "seed": 1,
        "value": value,
        "error": error,
        "status": "ok",
        "seconds": 0.0,
    }
