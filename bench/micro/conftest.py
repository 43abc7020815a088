"""Seconds of a processor, with those of a clock beside them, and the machine as all benchmarks here
describe it.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

import pytest

from bench._timing import environment

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 7


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: Any) -> None:
    """Add what decides the speed: the core's instructions, threads, versions."""
    del config
    machine_info.update(environment(1))


@pytest.fixture
def stage(benchmark: Any) -> Callable[..., None]:
    """A stage to time: `stage(work, pairs=...)`, of so many unordered pairs of rows or
    multiply-adds.

    The table shows seconds of the processor (`--benchmark-timer=time.process_time`), which a busy
    machine leaves nearly as they are; `wall` among the extras is the median by the clock, `ns` the
    nanoseconds of the processor for each unit.
    """

    def timed(work: Callable[[], object], **units: float) -> None:
        by_clock: list[float] = []

        def once() -> None:
            start = time.perf_counter()
            work()
            by_clock.append(time.perf_counter() - start)

        benchmark.pedantic(once, rounds=ROUNDS, warmup_rounds=1)
        benchmark.extra_info["wall"] = statistics.median(by_clock[1:])
        for unit, count in units.items():
            benchmark.extra_info[f"ns for each of {unit}"] = 1e9 * benchmark.stats["min"] / count

    return timed
