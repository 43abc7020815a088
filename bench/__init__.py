"""Benchmarks of nc1fast: one module per claim, run with ``python -m bench``."""

from __future__ import annotations
