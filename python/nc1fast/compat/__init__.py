"""Reproductions of other codes' numbers, for comparison only; nothing else in nc1fast uses them."""

from __future__ import annotations

from nc1fast.compat import released

__all__ = ["released"]
