"""Exact class sums in less than N^2 steps, where the kernel and the number of features allow it.

| kernel | features | how | steps |
| --- | --- | --- | --- |
| Linear | any | explicit features | N d0 C |
| depth 2 of relu, leaky_relu, abs, sign, step; NNGP of relu2 | 2 without input bias, or 1 | sweep over angles | N log N + N C |
| any depth of a smooth activation, AdaptiveKernel | 1 or 2 | interpolation nodes | N p^d0, p about 10 to 64 |

All fields of the class sums are computed, row-class sums included, with bounds on their errors.

    catalogue      which shortcut a kernel has
    summing        the class sums by a shortcut
    angular        kernels as combinations of kernels of the angle -> sweep, and spread within a
        class
    interpolation  smooth kernels -> quadrature: a class as a rule, on chebyshev grids
    partial        kernels put together from parts
"""

from __future__ import annotations

from nc1fast.shortcuts.catalogue import ShortcutUnavailable, shortcut_of
from nc1fast.shortcuts.summing import shortcut_sums

__all__ = ["ShortcutUnavailable", "shortcut_of", "shortcut_sums"]
