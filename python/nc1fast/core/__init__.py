"""The compiled core as Python sees it: chains of layers, who runs them, linear algebra in a fixed order."""

from __future__ import annotations
