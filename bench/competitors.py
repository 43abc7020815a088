"""All contestants by name: nc1fast and its competitors.

A contestant is prepared once (imports, compilation, the search for its best tile) and then run;
only the run is timed. Each run goes from the rows and labels as the user has them to an `Answer`.
"""

from __future__ import annotations

import importlib
import math
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench._problem import KERNELS, Answer, Floats, answer_from_sums, check_kernel

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bench._problem import Problem


class UnavailableError(RuntimeError):
    """Raised for a contestant that cannot run here, because a library is missing."""


@dataclass(frozen=True)
class Prepared:
    """A contestant that is ready to run, with notes on its settings."""

    run: Callable[[], Answer]
    notes: dict[str, Any] = field(default_factory=dict)
    keep: Any = None  # kept alive as long, such as a temporary folder
    processor: Callable[[], float] = time.process_time  # seconds of all its processes so far


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UnavailableError(f"{module} cannot be imported: {error}") from error


def nc1fast_kernel(name: str) -> Any:
    """Make the kernel object of a name: family-activation, or family-activation-depth."""
    nc = _import("nc1fast")
    family, activation, *depth = name.split("-")
    return {"nngp": nc.NNGP, "ntk": nc.NTK}[family](activation, depth=int(depth[0]) if depth else 2)


def prepare_nc1fast(
    problem: Problem,
    n_threads: int,
    *,
    kernels: list[str],
    layers: bool = False,
    memory_limit: int | None = None,
    **settings: Any,
) -> Prepared:
    """Prepare ``nc1fast.collapse``; the answer is the last kernel's.

    Parameters
    ----------
    problem : Problem
    n_threads : int
    kernels : list of str
        One is passed as a kernel, several as a list, which share one pass.
    layers : bool, default False
        Pass ``kernel.layers()`` of the one kernel.
    memory_limit : int, optional
        With a limit the rows stay in a temporary file.
    **settings
        Further ones of ``nc1fast.collapse``; default: statistics "sums", dtype that of the problem.
    """
    nc = _import("nc1fast")
    source: Any
    source, y = problem.data()
    folder = None
    if memory_limit is not None:
        folder = tempfile.TemporaryDirectory(prefix="nc1fast-bench-")
        path = Path(folder.name) / "X.npy"
        np.save(path, source)
        source = path
    settings = {"statistics": "sums", "dtype": problem.dtype} | settings
    objects: Any = [nc1fast_kernel(name) for name in kernels]
    if layers:
        objects = objects[0].layers()
    elif len(objects) == 1:
        objects = objects[0]

    def run() -> Answer:
        results = nc.collapse(
            source,
            y,
            objects,
            n_threads=n_threads,
            memory_limit=memory_limit,
            **settings,
        )
        last = results[-1] if isinstance(results, list) else results
        return Answer(float(last.nc1), last.sums.block_sums, last.sums.traces)

    return Prepared(run, keep=folder)


def prepare_cluster(problem: Problem, n_threads: int, *, kernel: str) -> Prepared:
    """Prepare ``nc1fast.collapse`` on a dask cluster of `n_threads` processes on this machine, with
    a new journal per run.
    """
    nc = _import("nc1fast")
    distributed = _import("distributed")
    X, y = problem.data()
    folder = tempfile.TemporaryDirectory(prefix="nc1fast-bench-")
    cluster = distributed.LocalCluster(
        n_workers=n_threads, threads_per_worker=1, processes=True, dashboard_address=":0"
    )
    client = distributed.Client(cluster)
    client.run(importlib.import_module, "nc1fast.distributed")
    journal = Path(folder.name) / "journal"

    def run() -> Answer:
        journal.unlink(missing_ok=True)
        result = nc.collapse(
            X,
            y,
            nc1fast_kernel(kernel),
            statistics="sums",
            dtype=problem.dtype,
            executor=client,
            journal=journal,
        )
        return Answer(float(result.nc1), result.sums.block_sums, result.sums.traces)

    def processor() -> float:
        return time.process_time() + float(sum(client.run(time.process_time).values()))

    return Prepared(run, keep=(folder, cluster), processor=processor)


def prepare_tiled(
    problem: Problem,
    n_threads: int,
    *,
    kernel: str,
    compiled: bool = False,
    tile: int | None = None,
) -> Prepared:
    """Prepare the expert's tiled torch program.

    Parameters
    ----------
    problem : Problem
    n_threads : int
    kernel : str
    compiled : bool, default False
        Elementwise part by torch.compile.
    tile : int, optional
        Tile size; the fastest plan for this problem is searched by default.
    """
    _import("torch")
    tiled = _import("bench.tiled_torch")
    if compiled and (reason := tiled.can_compile()):
        raise UnavailableError(f"torch.compile does not work here: {reason}")
    X, y = problem.data()
    if tile is not None:
        program = tiled.TiledTorch(kernel, problem.dtype, tiled.Plan(tile, 1, compiled), n_threads)
        return Prepared(lambda: program(X, y))
    plan, timings = tiled.search(X, y, kernel, problem.dtype, n_threads, compiled=compiled)
    program = tiled.TiledTorch(kernel, problem.dtype, plan, n_threads)
    return Prepared(lambda: program(X, y), {"plan": plan.as_dict(), "ns_per_pair": timings})


def prepare_released(problem: Problem, n_threads: int, *, kernel: str) -> Prepared:
    """Prepare the released algorithm (float32 whatever the problem's precision)."""
    torch = _import("torch")
    module = _import("bench.released_torch")
    X, y = problem.data()
    torch.set_num_threads(n_threads)
    notes: dict[str, Any] = {}

    def run() -> Answer:
        answer: Answer
        answer, notes["failed_symmetry_checks"] = module.released(X, y, kernel)
        return answer

    return Prepared(run, notes)


def prepare_numpy(problem: Problem, n_threads: int, *, kernel: str) -> Prepared:
    """Prepare the dense NumPy program."""
    X, y = problem.data()
    threadpoolctl = _import("threadpoolctl")

    def run() -> Answer:
        with threadpoolctl.threadpool_limits(n_threads):
            return numpy_dense(X, y, kernel)

    return Prepared(run)


def prepare_neural_tangents(problem: Problem, n_threads: int, *, kernel: str) -> Prepared:
    """Prepare the dense Gram matrix of the neural-tangents library, jitted, and class sums in
    NumPy.
    """
    check_kernel(kernel, KERNELS)
    jax = _import("jax")
    stax = _import("neural_tangents.stax")
    X, y = problem.data()
    jax.config.update("jax_enable_x64", problem.dtype == "float64")
    family, activation = kernel.split("-")
    layer = stax.Relu() if activation == "relu" else stax.Erf()
    kernel_fn = stax.serial(stax.Dense(512), layer, stax.Dense(1))[2]
    gram = jax.jit(lambda rows: kernel_fn(rows, None, family))
    return Prepared(lambda: _class_sums(np.asarray(gram(X).block_until_ready()), y))


PREPARE: dict[str, Callable[..., Prepared]] = {
    "nc1fast": prepare_nc1fast,
    "nc1fast-cluster": prepare_cluster,
    "torch-tiled": prepare_tiled,
    "released": prepare_released,
    "numpy-dense": prepare_numpy,
    "neural-tangents": prepare_neural_tangents,
}


def _class_sums(values: Floats, y: NDArray[np.int64]) -> Answer:
    """Class sums of a Gram matrix (N, N) by two products with one-hot labels."""
    one_hot = (y[:, None] == np.unique(y)).astype(values.dtype)
    block_sums = (one_hot.T @ (values @ one_hot)).astype(np.float64)
    traces = one_hot.T.astype(np.float64) @ np.diag(values).astype(np.float64)
    return answer_from_sums(block_sums, traces, one_hot.sum(axis=0).astype(np.float64))


def numpy_dense(X: Floats, y: NDArray[np.int64], kernel: str) -> Answer:
    """Compute the whole Gram matrix in NumPy, in the precision of X, in place where that is
    possible.

    Memory: about three N x N matrices. Formulas as in `bench.tiled_torch`.
    """
    check_kernel(kernel, KERNELS)
    n_features = X.shape[1]
    gram = X @ X.T
    gram /= n_features
    if kernel == "nngp-erf":
        scale = np.sqrt(2 / (1 + 2 * np.diag(gram)))
        gram *= scale[:, None]
        gram *= scale
        values = np.arcsin(gram, out=gram)
        values *= 2 / math.pi
    else:
        norms = np.sqrt(np.diag(gram))
        outer = np.outer(norms, norms)
        rho = np.clip(np.divide(gram, outer, out=gram), -1, 1, out=gram)
        angle = np.arccos(rho)
        rho *= math.pi - angle
        if kernel == "ntk-relu":
            rho *= 2
        values = np.sin(angle, out=angle)
        values += rho
        values *= outer
        values /= 2 * math.pi
    return _class_sums(values, y)
