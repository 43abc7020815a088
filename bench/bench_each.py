"""Claim: a list of small data sets in one call takes no longer than its single calls, and from some
size on less.

``nc.collapse_each(data_sets, nc.NNGP("relu"))`` of 20 data sets, C = 10, d = 128, beside the loop
of ``nc.collapse``, each with all threads; the results have the same bits. One process, rounds
interleaved; seconds of the clock, and of the processor.
"""

from __future__ import annotations

import functools
import itertools
import time
from typing import TYPE_CHECKING, Any

import nc1fast as nc
from bench._problem import Problem
from bench._session import Claim, Result
from bench._timing import Samples, interleave

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench._session import Session

COUNT, FEATURES, SIZES = 20, 128, (128, 1024)
KERNEL = nc.NNGP("relu")
Results = list[nc.Collapse]


def run(session: Session) -> Result:
    """Time both ways at each size, in each precision, with all metrics and with sums alone."""
    result = Result("each")
    cases = itertools.product(SIZES, ("float32", "float64"), ("all", "sums"))
    for n, dtype, statistics in cases:
        options = {"dtype": dtype, "statistics": statistics, "n_threads": session.n_threads}
        data_sets = [_data(n, dtype, seed) for seed in range(COUNT)]

        def one_by_one(data_sets: Any = data_sets, options: Any = options) -> Results:
            return [nc.collapse(X, y, KERNEL, **options) for X, y in data_sets]

        def together(data_sets: Any = data_sets, options: Any = options) -> Results:
            return nc.collapse_each(data_sets, KERNEL, **options)

        ways = {"loop": one_by_one, "each": together}
        _require_the_same_bits(one_by_one(), together())
        spent: dict[str, list[float]] = {name: [] for name in ways}
        runs = {name: functools.partial(_timed, way, spent[name]) for name, way in ways.items()}
        clock = interleave(runs, session.rounds(30))
        processor = {name: Samples(tuple(seconds)) for name, seconds in spent.items()}
        row: dict[str, Any] = {"N": n, "dtype": dtype, "statistics": statistics}
        for name in ways:
            row[f"{name}: ms of one"] = 1e3 * clock[name].median / COUNT
            row[f"{name}: processor"] = 1e3 * processor[name].median / COUNT
        row["ratio"] = clock["each"].ratio_to(clock["loop"]).median
        row["of the processor"] = processor["each"].ratio_to(processor["loop"]).median
        result.rows.append(row)
        case = f"N = {n}, {dtype}, {statistics}"
        result.claims.append(Claim(f"time over that of the loop, {case}", row["ratio"], "<=", 1.05))
    result.remarks.append(
        "ms of one: median of the call, or the loop, over the number of its data sets"
    )
    return result


def _data(n: int, dtype: str, seed: int) -> tuple[Any, Any]:
    return Problem(n, FEATURES, dtype=dtype, seed=seed).data()


def _require_the_same_bits(first: Results, second: Results) -> None:
    """Raise AssertionError unless NC1 and its bounds are the same to the bit."""
    for one, other in zip(first, second, strict=True):
        if (one.nc1, one.error_bound) != (other.nc1, other.error_bound):
            raise AssertionError(f"{one} is not {other}")


def _timed(way: Callable[[], Results], spent: list[float]) -> float:
    """Seconds by the clock; those of the processor are added to a list."""
    processor, clock = time.process_time(), time.perf_counter()
    way()
    seconds = time.perf_counter() - clock
    spent.append(time.process_time() - processor)
    return seconds
