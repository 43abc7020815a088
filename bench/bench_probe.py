"""Claim: probing a layer of ImageNet's size costs little more than the plain torch loops, in memory
that does not grow with the rows.

2,048 features, 1,000 classes, batches of 1,024 float32 rows that lie in memory: Gaussian classes
about Gaussian means. One pass (NC1, NC2, CDNV) against ``means.index_add_(0, y, h)``, which knows
the class means in float32 and nothing else; the second pass against ``h @ means.T`` in float32.
Both without a module, the first behind a linear layer too. One thread, seconds of the processor:
milliseconds of a batch are the difference of a long and a short run, so that what is done once is
apart: ``once``, the metrics themselves. Then whole calls over batches that are made on the way, in
processes of their own: seconds and peak memory.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

import nc1fast as nc
from bench._session import Claim, Result
from bench._timing import interleave
from bench._worker import ROOT, _peak_rise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench._session import Session

FEATURES, CLASSES, BATCH, DISTINCT, MIB = 2048, 1000, 1024, 32, 2**20
SHORT, LONG = 32, 160  # batches of a run of one pass
SHORT_PRODUCTS, LONG_PRODUCTS = 4, 24
# rows, features, classes, deviation, statistics, MiB allowed
LARGE = (
    (1_281_167, 2048, 1000, 1.0, "nearest", 2048),
    (1_281_167, 2048, 1000, 1.0, "all", 2048),
    (100_000, 768, 50_257, 1.0, "all", 4096),
    (1_000_000, 768, 50_257, 0.5, "all", 4096),
)


@dataclass(frozen=True)
class Batches:
    """Batches of rows of Gaussian classes, made on request; the same ones each
    time.
    """

    n_rows: int
    means: torch.Tensor  # (n_classes, n_features)
    spread: float
    batch: int = BATCH

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        generator = torch.Generator().manual_seed(1)
        C, d = self.means.shape
        for start in range(0, self.n_rows, self.batch):
            n = min(self.batch, self.n_rows - start)
            if start < C:
                y = torch.arange(start, start + n) % C
            else:
                y = torch.randint(0, C, (n,), generator=generator)
            h = torch.randn(n, d, generator=generator)
            yield h.mul_(self.spread).add_(self.means[y]), y


@dataclass(frozen=True)
class Repeated:
    """So many of a few batches that lie in memory, over and over."""

    held: list[tuple[torch.Tensor, torch.Tensor]]
    count: int

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for k in range(self.count):
            yield self.held[k % len(self.held)]


def plain_means(module: Any, batches: Repeated, C: int) -> torch.Tensor:
    """Class means in float32, and nothing else."""
    means, counts = None, torch.zeros(C)
    for x, y in batches:
        with torch.no_grad():
            h = module(x)
        means = torch.zeros(C, h.shape[1]) if means is None else means
        means.index_add_(0, y, h.float())
        counts.index_add_(0, y, torch.ones(len(y)))
    assert means is not None
    return means / counts[:, None]


def plain_products(batches: Repeated, means: torch.Tensor) -> None:
    """Products of rows and class means in float32."""
    for x, _ in batches:
        x @ means.T


def run(session: Session) -> Result:
    """Time all cases, and weigh them."""
    result = Result("probe")
    torch.set_num_threads(1)
    d, C = (64, 10) if session.quick else (FEATURES, CLASSES)
    torch.manual_seed(0)
    means = torch.randn(C, d)
    held = list(Batches(DISTINCT * BATCH, means, 1.0))
    _require_agreement(held, means)
    with torch.no_grad():
        modules = {"none": torch.nn.Identity(), "linear": torch.nn.Linear(d, d)}
    for name, module in modules.items():
        times = _per_batch(
            session,
            (SHORT, LONG) if name == "none" else (SHORT_PRODUCTS, LONG_PRODUCTS),
            held,
            {
                "plain class means": functools.partial(_means, module, C),
                "probe, one pass": functools.partial(_one_pass, module),
            },
        )
        _add(result, times, "plain class means", name, 1.3)
    fc = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Linear(d, C))
    times = _per_batch(
        session,
        (SHORT_PRODUCTS, LONG_PRODUCTS),
        held,
        {
            "plain products": lambda b: plain_products(b, means),
            "one pass": lambda b: _probe(modules["none"], b, 1, "sums"),
            "nearest means": lambda b: _probe(modules["none"], b, 2, "nearest"),
            "nearest means and scatter": lambda b: _probe(modules["none"], b, 2, "all"),
            "plain forward": lambda b: _forward(fc, b),
            "one pass of fc": lambda b: _probe(fc, b, 1, "sums", "1"),
            "nearest means and NC4": lambda b: _probe(fc, b, 2, "nearest", "1"),
        },
    )
    for row, less, target in (
        ("nearest means", ("one pass",), 1.5),
        ("nearest means and NC4", ("one pass of fc", "plain forward"), 1.5),
        ("nearest means and scatter", ("one pass",), None),
    ):
        ms = times[row][0] - sum(times[name][0] for name in less)
        second = {"plain products": times["plain products"], row: (ms, times[row][1])}
        _add(result, second, "plain products", "none", target)
    for case in LARGE:
        _large(session, result, case)
    result.remarks.append(
        "ms a batch of 1,024 rows; once: seconds of what does not depend on the rows"
    )
    return result


def _probe(module: Any, data: Any, passes: int, statistics: str, fc: str | None = None) -> Any:
    options: dict[str, Any] = {"passes": passes, "statistics": statistics, "convention": "papyan"}
    if fc is not None:
        options |= {"layers": [f"{fc}.input"], "classifier": fc}
    return nc.networks.probe(module, data, **options)


def _means(module: Any, C: int, batches: Repeated) -> None:
    plain_means(module, batches, C)


def _one_pass(module: Any, batches: Repeated) -> None:
    _probe(module, batches, 1, "sums")


def _forward(module: Any, batches: Repeated) -> None:
    with torch.no_grad():
        for x, _ in batches:
            module(x)


def _require_agreement(held: list[tuple[torch.Tensor, torch.Tensor]], means: torch.Tensor) -> None:
    found = next(iter(_probe(torch.nn.Identity(), held, 1, "sums").values()))
    plain = plain_means(torch.nn.Identity(), Repeated(held, len(held)), len(means))
    assert torch.allclose(torch.from_numpy(found.sums.means), plain.double(), atol=1e-4)


def _per_batch(
    session: Session,
    counts: tuple[int, int],
    held: list[tuple[torch.Tensor, torch.Tensor]],
    runs: dict[str, Callable[[Repeated], object]],
) -> dict[str, tuple[float, float]]:
    """Milliseconds of a batch, and seconds of what is done once."""

    def seconds(call: Callable[[Repeated], object], count: int) -> float:
        start = time.process_time()
        call(Repeated(held, count))
        return time.process_time() - start

    counts = (2, 4) if session.quick else counts
    timers = {
        f"{count} {name}": functools.partial(seconds, call, count)
        for name, call in runs.items()
        for count in counts
    }
    for name in runs:
        timers[f"{counts[0]} {name}"]()
    found = interleave(timers, session.rounds(4))
    times = {}
    for name in runs:
        short, long = (min(found[f"{count} {name}"].values) for count in counts)
        each = (long - short) / (counts[1] - counts[0])
        times[name] = (1e3 * each, short - counts[0] * each)
    return times


def _add(
    result: Result,
    times: dict[str, tuple[float, float]],
    over: str,
    module: str,
    target: float | None,
) -> None:
    base = times[over][0]
    for name, (ms, once) in times.items():
        result.rows.append(
            {
                "module": module,
                "what": name,
                "ms a batch": ms,
                "once": once,
                "over plain": ms / base,
            }
        )
        if name != over and target is not None:
            text = f"{name} over {over}, module: {module}"
            result.claims.append(Claim(text, ms / base, "<=", target))


def _large(session: Session, result: Result, case: tuple[int, int, int, float, str, int]) -> None:
    """Whole calls of two passes over rows that are made on the way, in a process of its own."""
    n, d, C, spread, statistics, allowed = case
    if session.quick:
        n, C = 4096, min(C, 500)
    given = [n, d, C, spread, statistics, session.n_threads]
    command = [sys.executable, "-m", "bench.bench_probe", json.dumps(given)]
    out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    found = json.loads(out.splitlines()[-1])
    head = {"N": n, "d": d, "classes": C, "deviation": spread, "statistics": statistics}
    result.details.setdefault("large", []).append({**head, **found})
    result.remarks.append(" ".join(f"{k}={v}" for k, v in {**head, **found}.items()))
    text = f"MiB, N = {n}, d = {d}, {C} classes, {statistics}"
    result.claims.append(Claim(text, found["MiB"], "<=", allowed))


def large(n: int, d: int, C: int, spread: float, statistics: str, n_threads: int) -> dict[str, Any]:
    """One such call: seconds, those of making the batches twice, peak memory beside the means they
    are made of.
    """
    torch.set_num_threads(n_threads)
    torch.manual_seed(0)
    data = Batches(n, torch.randn(C, d), spread)
    for _ in Batches(2 * BATCH, data.means, spread):
        pass
    found: dict[str, Any] = {}
    start, used = time.perf_counter(), time.process_time()
    rise = _peak_rise(
        lambda: found.update(_probe(torch.nn.Identity(), data, 2, statistics)[""].metrics.small())
    )
    seconds, processor = time.perf_counter() - start, time.process_time() - used
    start = time.perf_counter()
    for _ in data:
        pass
    return {
        "seconds": round(seconds, 1),
        "processor": round(processor, 1),
        "making batches": round(2 * (time.perf_counter() - start), 1),
        "MiB": round(rise / MIB),
        "cdnv": float(found["cdnv"]),
        "ncc_accuracy": float(found["ncc_accuracy"]),
    }


if __name__ == "__main__":
    print(json.dumps(large(*json.loads(sys.argv[1]))))
