"""Reproductions of other codes' numbers, for comparison only.

Of nc1fast itself, one module may use them: `nc1fast.studies.tasks.kernels`, which puts them beside
the right numbers.
"""

from __future__ import annotations

from nc1fast.compat import equations, released
from nc1fast.compat.equations import released_adaptive

__all__ = ["equations", "released", "released_adaptive"]


def __dir__() -> list[str]:
    return sorted(__all__)
