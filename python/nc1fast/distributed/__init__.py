"""One problem on many workers, and through any interruption, bit-identical to one process.

    X, y, kernels  ->  problem    checked data and settings
                       surveyed once: what a bundle must know about rows that it does not read
                   ->  planning   how many bundles, by a calibration of about a second
                   ->  tasks      files for workers, a few hundred bytes to each
                   ->  executors  tasks to workers, shares back in any order
                   ->  shares     exact integers of a bundle, on disk before they count
                   ->  reducing   all of it: ClassSums; parts that were computed separately, merged

An executor is anything with `submit` that returns futures: a `concurrent.futures` pool, a
`dask.distributed.Client`. `nc1fast.collapse(..., executor=..., journal=...)` does all of this in
one call.
"""

from __future__ import annotations

from nc1fast.distributed.executors import dask
from nc1fast.distributed.planning import Plan, plan
from nc1fast.distributed.reducing import merge, reduce

__all__ = ["Plan", "dask", "merge", "plan", "reduce"]


def __dir__() -> list[str]:
    return sorted(__all__)
