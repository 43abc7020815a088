"""One problem on many workers, and through many interruptions: the same bits as in one process.

    X, y, kernels  ->  problem: checked rows and settings
                   ->  plan: how many bundles, by a calibration of about a second
                   ->  survey: once, what bundles need to know about rows that they do not read; into a file for workers
                   ->  reduce: bundles to the workers of an executor, exact integers back, in any order
                   ->  journal: each finished bundle on disk before it counts
                   ->  ClassSums

An executor is anything with `submit` that returns futures: a `concurrent.futures` pool, a `dask.distributed.Client`.
`nc1fast.collapse(..., executor=..., journal=...)` is all of it in one call.
"""

from __future__ import annotations

from nc1fast.distributed.executors import dask
from nc1fast.distributed.merging import merge
from nc1fast.distributed.planning import Plan, plan
from nc1fast.distributed.reducing import reduce

__all__ = ["Plan", "dask", "merge", "plan", "reduce"]
