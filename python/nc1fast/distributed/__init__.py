"""One problem on many workers, and through any interruption, bit-identical to one process.

    X, y, kernels  ->  problem         checked data and settings
                   ->  planning        how many bundles, by a calibration of about a second
                   ->  bundles         surveyed once: what a bundle must know about rows that it
                       does not read
                   ->  tasks           files for workers, a few hundred bytes to each
                   ->  dispatch        tasks to the workers of an executor (executors), shares back
                       in any order
                   ->  shares          exact integers of a bundle
                   ->  bundle_journal  every finished bundle on disk before it counts
                   ->  reducing        all of it: ClassSums

`merging` adds parts that were computed apart. An executor is anything with `submit` that returns
futures: a `concurrent.futures` pool, a `dask.distributed.Client`. `nc1fast.collapse(...,
executor=..., journal=...)` does all of this in one call.
"""

from __future__ import annotations

from nc1fast.distributed.executors import dask
from nc1fast.distributed.merging import merge
from nc1fast.distributed.planning import Plan, plan
from nc1fast.distributed.reducing import reduce

__all__ = ["Plan", "dask", "merge", "plan", "reduce"]


def __dir__() -> list[str]:
    return sorted(__all__)
