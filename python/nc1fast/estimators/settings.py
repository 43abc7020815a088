"""Settings of estimates, checked."""

from __future__ import annotations

import math
from typing import Any


def check_settings(tolerance: Any, confidence: Any, seed: Any, **sizes: Any) -> None:
    """Raise TypeError or ValueError for a tolerance, confidence, seed, or size of a sample by its name, that is none."""
    for name, value in (("tolerance", tolerance), ("confidence", confidence)):
        if name == "tolerance" and value is None:
            continue
        if isinstance(value, bool) or not hasattr(value, "__float__"):
            raise TypeError(f"{name} must be a number, got {value!r}")
    if tolerance is not None and not 0 < float(tolerance) < math.inf:
        raise ValueError(f"tolerance must be > 0 and finite, relative to nc1, got {tolerance!r}")
    if not 0 < float(confidence) < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence!r}")
    for name, value, least in (("seed", seed, 0), *((n, v, 1) for n, v in sizes.items())):
        if value is None and name != "seed":
            continue
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise TypeError(f"{name} must be an integer >= {least}, got {value!r}")
        if value < least:
            raise ValueError(f"{name} must be an integer >= {least}, got {value!r}")
