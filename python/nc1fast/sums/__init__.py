"""The class sums of a kernel: one streaming pass over all pairs of rows, and the sufficient
statistic it leaves.
"""

from __future__ import annotations

from nc1fast.sums.class_sums import ClassSums, SumsError

__all__ = ["ClassSums", "SumsError"]
