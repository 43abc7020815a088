"""The compiled core as Python sees it: chains of layers, the machine, Gram matrices, rounding,
linear algebra.
"""

from __future__ import annotations
