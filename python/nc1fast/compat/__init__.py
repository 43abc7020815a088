"""Reproductions of other codes' numbers, for comparison only; nothing else in nc1fast uses them."""

from __future__ import annotations

from nc1fast.compat import equations, released
from nc1fast.compat.equations import released_adaptive

__all__ = ["equations", "released", "released_adaptive"]
